import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { describe, test } from 'node:test'
import { silentLog } from '../base/console-log.ts'
import { SeededRandom } from '../base/random.ts'
import { SimulatedDisk } from '../base/simulated-disk.ts'
import { SimulatedScheduler } from '../base/simulated-scheduler.ts'
import { readSubscriptionGroupConfig } from '../protocol/bodies.ts'
import { parseJavaObject } from '../protocol/java-json.ts'
import { PREDEFINED_GROUPS } from '../protocol/names.ts'
import { GroupTable } from './groups.ts'
import { brokerSettings } from './settings.ts'

const PATH = '/store/config/subscriptionGroup.json'

function machine() {
  const scheduler = new SimulatedScheduler()
  const disk = new SimulatedDisk(new SeededRandom(7), { scheduler })
  return {
    scheduler,
    disk,
    open: (settings: Record<string, string> = {}): GroupTable =>
      new GroupTable({
        settings: brokerSettings.parse(settings).settings,
        disk,
        root: '/store',
        scheduler,
        log: silentLog,
      }),
    put(text: string): void {
      disk.makeDirectorySync('/store/config')
      const file = disk.openSync(PATH, 'write')
      file.writeSync(Buffer.from(text), 0)
      file.closeSync()
    },
    text(): string {
      const file = disk.openSync(PATH, 'read')
      const bytes = Buffer.alloc(file.sizeSync())
      file.readSync(bytes, 0)
      file.closeSync()
      return bytes.toString('utf8')
    },
  }
}

const group = (groupName: string, more: object = {}) => ({ ...readSubscriptionGroupConfig(more), groupName })

describe('consumer groups', () => {
  test('some are there from the start, and no file is written for them', () => {
    const { open, disk } = machine()
    const groups = open()
    for (const name of PREDEFINED_GROUPS) assert.equal(groups.get(name)?.groupName, name)
    assert.equal(groups.dataVersion.counter, 0)
    assert.equal(disk.statSync(PATH), undefined)
  })

  test('the first use creates a group, where that is allowed', () => {
    const { open } = machine()
    assert.equal(open().find('new')?.retryMaxTimes, 16)
    assert.equal(open({ autoCreateSubscriptionGroup: 'false' }).find('new'), undefined)
    assert.equal(open({ autoCreateSubscriptionGroup: 'false' }).find('CID_RMQ_SYS_any')?.consumeEnable, true)
    assert.equal(open().find('no good!'), undefined)
    assert.equal(open().find(''), undefined)
    assert.equal(open().get('new'), undefined, 'asking does not create')
  })

  test('groups made by use are written together, soon after', async () => {
    const { open, scheduler, disk, text } = machine()
    const groups = open()
    let writes = 0
    disk.fault = (kind) => {
      if (kind === 'create') writes++
      return undefined
    }
    for (let each = 0; each < 500; each++) groups.find(`g${each}`)
    await scheduler.advance(100)
    assert.equal(writes, 1)
    assert.equal(groups.dataVersion.counter, 500)
    assert.equal(
      Object.keys(parseJavaObject(text())['subscriptionGroupTable'] as object).length,
      500 + PREDEFINED_GROUPS.length,
    )
  })

  test('groups that come one after another cost no write each, nor all words anew', async () => {
    const { open, scheduler, disk } = machine()
    const groups = open()
    let writes = 0
    disk.fault = (kind) => {
      if (kind === 'create') writes++
      return undefined
    }
    const started = performance.now()
    for (let each = 0; each < 3_000; each++) {
      groups.find(`g${each}`)
      await scheduler.settle()
    }
    assert.equal(writes, 1, 'the first is under way')
    await scheduler.advance(100)
    assert.equal(writes, 2, 'and one holds all others')
    const tookMs = performance.now() - started
    assert.ok(tookMs < 3_000, `${tookMs} ms`)
    disk.crash()
    assert.equal(open().size, 3_000 + PREDEFINED_GROUPS.length)
  })

  test('a group that was created by request is durable when that returns', () => {
    const { open, disk } = machine()
    open().update([group('made', { retryMaxTimes: 3 })])
    disk.crash()
    assert.equal(open().get('made')?.retryMaxTimes, 3)
  })

  test('closing writes what was made by use and not written yet', () => {
    const { open, disk } = machine()
    const groups = open()
    groups.find('used')
    groups.close()
    disk.crash()
    assert.equal(open().get('used')?.groupName, 'used')
  })

  test('a save that failed is made again with the next change, or at the end', async () => {
    const { open, disk, scheduler } = machine()
    const groups = open()
    const full = Object.assign(new Error('no space left'), { code: 'ENOSPC' })
    disk.fault = (kind) => (kind === 'create' ? full : undefined)
    groups.find('one')
    await scheduler.settle()
    disk.fault = undefined
    groups.close()
    assert.equal(open().get('one')?.groupName, 'one')
  })

  test('deleting a group takes its forbidden topics along', () => {
    const { open } = machine()
    const groups = open()
    groups.update([group('g')])
    groups.setReadForbidden('g', 't', true)
    assert.equal(open().readForbidden('g', 't'), true)
    assert.equal(groups.delete('g'), true)
    assert.equal(groups.delete('g'), false)
    assert.deepEqual([open().get('g'), open().readForbidden('g', 't')], [undefined, false])
  })

  test('reading is forbidden and allowed again, topic by topic', () => {
    const { open, text } = machine()
    const groups = open()
    groups.setReadForbidden('g', 't', true)
    groups.setReadForbidden('g', 'u', true)
    assert.deepEqual(parseJavaObject(text())['forbiddenTable'], { __proto__: null, g: { __proto__: null, t: 4, u: 4 } })
    groups.setReadForbidden('g', 't', false)
    assert.deepEqual([groups.readForbidden('g', 't'), groups.readForbidden('g', 'u')], [false, true])
    groups.setReadForbidden('g', 'u', false)
    assert.deepEqual(parseJavaObject(text())['forbiddenTable'], { __proto__: null })
  })

  test('Java’s file is read, and what is written of it means the same', () => {
    const { configFiles } = JSON.parse(
      readFileSync(resolve(import.meta.dirname, '../../test/vectors/store/config.json'), 'utf8'),
    ) as { configFiles: Record<string, string> }
    const java = configFiles['subscriptionGroup.json']!
    const { open, put, text } = machine()
    put(java)
    const groups = open()
    // Its bits are 2, which forbids to write; what 353 sets in Java is 4.
    assert.equal(groups.readForbidden('vec_conf_g1', 'vec_conf_fifo'), false)
    groups.setReadForbidden('x', 'y', true)
    groups.setReadForbidden('x', 'y', false)
    const before = parseJavaObject(java)
    const after = parseJavaObject(text())
    assert.deepEqual(after['forbiddenTable'], before['forbiddenTable'])
    const table = after['subscriptionGroupTable'] as Record<string, unknown>
    for (const [name, config] of Object.entries(before['subscriptionGroupTable'] as object)) {
      assert.deepEqual(table[name], config, name)
    }
  })
})
