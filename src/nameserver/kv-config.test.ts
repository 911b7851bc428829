import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { memoryLog } from '../base/console-log.ts'
import { SeededRandom } from '../base/random.ts'
import { SimulatedDisk } from '../base/simulated-disk.ts'
import { SimulatedScheduler } from '../base/simulated-scheduler.ts'
import { DeleteKvConfig, GetKvConfig, GetKvListByNamespace, PutKvConfig } from '../protocol/commands/nameserver.ts'
import { KvConfig } from './kv-config.ts'
import { type SimulatedPeer, startSimulatedNameServer } from './simulated-name-server.ts'

const path = '/data/kvConfig.json'
const diskOf = (seed = 1): SimulatedDisk =>
  new SimulatedDisk(new SeededRandom(seed), { scheduler: new SimulatedScheduler() })

function write(disk: SimulatedDisk, name: string, text: string): void {
  disk.makeDirectorySync('/data')
  const file = disk.openSync(name, 'write')
  file.truncateSync(0)
  file.writeSync(Buffer.from(text), 0)
  file.datasyncSync()
  file.closeSync()
  disk.syncDirectorySync('/data')
}

function read(disk: SimulatedDisk, name: string): string {
  const file = disk.openSync(name, 'read')
  const bytes = Buffer.alloc(file.sizeSync())
  file.readSync(bytes, 0)
  file.closeSync()
  return bytes.toString()
}

const get = async (peer: SimulatedPeer, key: string, namespace = 'n'): Promise<string | null | undefined> =>
  (await peer.ask(GetKvConfig, { namespace, key })).fields['value']
const put = (peer: SimulatedPeer, key: string, value: string | undefined, namespace: string | undefined = 'n') =>
  peer.ask(PutKvConfig, { namespace, key, value })

describe('values by namespace and key', () => {
  test('are put, replaced, read, listed and deleted', async () => {
    const server = await startSimulatedNameServer()
    const peer = await server.connect()
    await put(peer, 'k', 'v')
    await put(peer, 'k', 'w')
    await put(peer, 'l', undefined)
    await put(peer, 'k', 'other', 'm')
    assert.deepEqual([await get(peer, 'k'), await get(peer, 'l'), await get(peer, 'k', 'm')], ['w', '', 'other'])
    const list = await peer.ask(GetKvListByNamespace, { namespace: 'n' })
    assert.deepEqual(JSON.parse(list.body.toString()), { table: { k: 'w', l: '' } })
    await peer.ask(DeleteKvConfig, { namespace: 'n', key: 'k' })
    const { code, remark } = await peer.ask(GetKvConfig, { namespace: 'n', key: 'k' })
    assert.deepEqual([code, remark], [22, 'No config item, Namespace: n Key: k'])
    assert.equal(await get(peer, 'k', 'm'), 'other')
    await server.close()
  })
  test('are not there of a namespace that nobody knows, and deleting them is no fault', async () => {
    const server = await startSimulatedNameServer()
    const peer = await server.connect()
    assert.equal((await peer.ask(GetKvListByNamespace, { namespace: 'n' })).code, 22)
    assert.equal((await peer.ask(DeleteKvConfig, { namespace: 'n', key: 'k' })).code, 0)
    for (const name of ['__proto__', 'constructor', 'toString']) {
      assert.equal((await peer.ask(GetKvConfig, { namespace: name, key: name })).code, 22)
      await put(peer, name, 'v', name)
      assert.equal(await get(peer, name, name), 'v')
    }
    await server.close()
  })
  test('need a namespace and a key', async () => {
    const server = await startSimulatedNameServer()
    const peer = await server.connect()
    for (const fields of [{}, { namespace: 'n' }, { key: 'k' }, { value: 'v' }] as Record<string, string>[]) {
      const { code, remark } = await peer.askLoosely(PutKvConfig, fields)
      assert.deepEqual([code, remark], [1, 'namespace or key is null'])
    }
    assert.equal(server.disk.statSync(path), undefined)
    await server.close()
  })
})

describe('the file of the values', () => {
  test('is on the device before a change is answered, with the former beside it', async () => {
    const server = await startSimulatedNameServer()
    const peer = await server.connect()
    await put(peer, 'k', 'first')
    await put(peer, 'k', 'second')
    server.disk.crash()
    assert.deepEqual(JSON.parse(read(server.disk, path)), { configTable: { n: { k: 'second' } } })
    assert.deepEqual(JSON.parse(read(server.disk, `${path}.bak`)), { configTable: { n: { k: 'first' } } })
    const again = await startSimulatedNameServer({}, { disk: server.disk })
    assert.equal(await get(await again.connect(), 'k'), 'second')
    await again.close()
  })
  test('keeps all characters that a value may have', async () => {
    const server = await startSimulatedNameServer()
    const peer = await server.connect()
    const values = ['"\\/', '\n\t\u0001', '日本語', '😀', ' a=b;c:d ', '{"x":[1]}', '\u2028']
    for (const [at, value] of values.entries()) await put(peer, `k${at}${value}`, value)
    const again = await startSimulatedNameServer({}, { disk: server.disk })
    const reader = await again.connect()
    for (const [at, value] of values.entries()) assert.equal(await get(reader, `k${at}${value}`), value)
    await server.close()
    await again.close()
  })
  test('is read from .bak when it is torn or missing, with one warning', async () => {
    for (const torn of ['{"configTable":{"n":{"k":', '', undefined]) {
      const disk = diskOf()
      if (torn !== undefined) write(disk, path, torn)
      write(disk, `${path}.bak`, '{"configTable":{"n":{"k":"v"}}}')
      const log = memoryLog()
      assert.equal(new KvConfig(disk, path, log).get('n', 'k'), 'v')
      assert.equal(log.lines.filter(({ level }) => level === 'warn').length, 1)
    }
  })
  test('as Java writes it is understood', () => {
    const disk = diskOf()
    write(disk, path, '{\n\t"configTable":{"ORDER_TOPIC_CONFIG":{"t":"broker-a:4"},\n\t"n":{"k":"1"}\n\t}\n}')
    const kv = new KvConfig(disk, path, memoryLog())
    assert.deepEqual([kv.get('ORDER_TOPIC_CONFIG', 't'), kv.get('n', 'k')], ['broker-a:4', '1'])
  })
  test('that nobody can read ends the start, which leaves nothing open', async () => {
    const scheduler = new SimulatedScheduler()
    const disk = diskOf()
    for (const name of [path, `${path}.bak`]) write(disk, name, 'no JSON')
    await assert.rejects(
      startSimulatedNameServer({}, { disk, scheduler }),
      /kvConfig\.json and its \.bak cannot be read/,
    )
    assert.equal(scheduler.pending, 0)
    assert.equal(read(disk, path), 'no JSON', 'an operator may still repair it')
  })
  test('that cannot be written refuses the change, which is not there then', async () => {
    const server = await startSimulatedNameServer()
    const peer = await server.connect()
    await put(peer, 'k', 'v')
    server.disk.fault = (call) =>
      call === 'write' ? Object.assign(new Error('no room'), { code: 'ENOSPC' }) : undefined
    for (const answer of [
      await put(peer, 'k', 'w'),
      await put(peer, 'new', 'w'),
      await put(peer, 'k', 'w', 'new'),
      await peer.ask(DeleteKvConfig, { namespace: 'n', key: 'k' }),
    ]) {
      assert.equal(answer.code, 1)
      assert.match(answer.remark!, /no room/)
    }
    assert.equal(await get(peer, 'k'), 'v')
    assert.equal((await peer.ask(GetKvConfig, { namespace: 'n', key: 'new' })).code, 22)
    assert.equal((await peer.ask(GetKvListByNamespace, { namespace: 'new' })).code, 22)
    server.disk.fault = undefined
    await put(peer, 'l', 'x')
    assert.deepEqual(JSON.parse(read(server.disk, path)), { configTable: { n: { k: 'v', l: 'x' } } })
    await server.close()
  })
  for (let seed = 1; seed <= 20; seed++) {
    test(`holds the old or the new table after a crash in mid-change, seed ${seed}`, () => {
      const random = new SeededRandom(seed)
      const disk = diskOf(seed)
      const kv = new KvConfig(disk, path, memoryLog())
      let sure = 0
      let tried = 0
      let callsLeft = 1 + random.below(40)
      disk.fault = () => {
        if (--callsLeft > 0) return undefined
        return Object.assign(new Error('power'), { code: 'EIO' })
      }
      try {
        for (tried = 1; ; tried++) {
          kv.put('n', 'k', String(tried))
          sure = tried
        }
      } catch {
        disk.fault = undefined
        disk.crash()
      }
      const found = Number(new KvConfig(disk, path, memoryLog()).get('n', 'k') ?? 0)
      assert.ok(found === sure || found === tried, `${found}, where ${sure} was answered and ${tried} under way`)
    })
  }
})
