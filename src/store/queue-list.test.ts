import assert from 'node:assert/strict'
import { beforeEach, describe, test } from 'node:test'
import { SeededRandom } from '../base/random.ts'
import { SimulatedDisk } from '../base/simulated-disk.ts'
import { SimulatedScheduler } from '../base/simulated-scheduler.ts'
import { draftOf, openSimulatedStore, type SimulatedStore } from './simulated-store.ts'

const LIST = '/store/cometmq.queues'

describe('the list of queues that a clean stop leaves', () => {
  let scheduler: SimulatedScheduler
  let disk: SimulatedDisk
  let calls: string[]
  let running: SimulatedStore
  beforeEach(async () => {
    scheduler = new SimulatedScheduler()
    disk = new SimulatedDisk(new SeededRandom(1), { scheduler })
    calls = []
    for (const name of ['openSync', 'listSync', 'statSync'] as const) {
      const call = disk[name].bind(disk) as (path: string, mode: never) => unknown
      disk[name] = ((path: string, mode: never) => {
        if (path.startsWith('/store/consumequeue/')) calls.push(`${name} ${path}`)
        return call(path, mode)
      }) as never
    }
    running = await openSimulatedStore({}, { disk, scheduler })
  })

  async function fill(topics: number): Promise<void> {
    for (let topic = 0; topic < topics; topic++) {
      for (let queueId = 0; queueId < 4; queueId++) {
        const repeat = 1 + ((topic + queueId) % 3)
        for (let count = 0; count < repeat; count++) running.store.append(draftOf({ topic: `t${topic}`, queueId }))
      }
    }
    await scheduler.advance(2_000)
    await running.close()
  }
  const maxima = (topics: number): number[] =>
    Array.from({ length: topics * 4 }, (_, index) => running.store.maxOffset(`t${Math.floor(index / 4)}`, index % 4))
  const expected = (topics: number): number[] =>
    Array.from({ length: topics * 4 }, (_, index) => 1 + ((Math.floor(index / 4) + (index % 4)) % 3))
  const holdsAll = (topics: number): void => {
    assert.deepEqual(maxima(topics), expected(topics))
    for (let topic = 0; topic < topics; topic++) {
      for (let queueId = 0; queueId < 4; queueId++) {
        const entries = running.store.entries(`t${topic}`, queueId, 0, 10)
        assert.equal(entries.length, 1 + ((topic + queueId) % 3))
        for (const { position } of entries) assert.ok(running.store.recordAt(position))
      }
    }
  }

  test('a start with it looks into no folder of a queue, and each file once at most', async () => {
    await fill(50)
    calls = []
    running = await running.reopen()
    assert.deepEqual(
      calls.filter((call) => call.startsWith('listSync')),
      [],
    )
    assert.ok(calls.length <= 50 * 4 + 10, `${calls.length} calls`)
    assert.equal(disk.statSync(LIST), undefined, 'it goes as soon as it may be out of date')
    holdsAll(50)
    await running.close()
  })

  test('a start with more than 4096 queues looks at nearly none of them', async () => {
    await fill(1_100)
    calls = []
    running = await running.reopen()
    assert.ok(calls.length < 20, `${calls.length} calls`)
    assert.deepEqual(maxima(1_100), expected(1_100))
    await running.close()
  })

  test('a queue file that is lost beyond those looked at is noticed when used, and built again by the next start', async () => {
    await fill(1_100)
    for (const name of disk.listSync('/store/consumequeue/t7/2')) disk.removeSync(`/store/consumequeue/t7/2/${name}`)
    running = await running.reopen()
    assert.deepEqual(running.store.entries('t7', 2, 0, 10), [], 'nothing of another queue stands in its place')
    await running.close()
    running = await running.reopen()
    assert.equal(running.store.entries('t7', 2, 0, 10).length, 1)
    await running.close()
  })

  for (const lost of ['/store/consumequeue/t3', '/store/consumequeue/t3/1', '/store/consumequeue']) {
    test(`without ${lost} it is not believed`, async () => {
      await fill(6)
      disk.removeTreeSync(lost)
      running = await running.reopen()
      holdsAll(6)
      await running.close()
    })
  }

  for (const at of [0, 5, 20, 70, 200]) {
    test(`damaged at byte ${at} it is not believed`, async () => {
      await fill(6)
      const file = disk.openSync(LIST, 'write')
      const byte = Buffer.alloc(1)
      file.readSync(byte, at)
      byte[0] = byte[0]! ^ 0x10
      file.writeSync(byte, at)
      running = await running.reopen()
      holdsAll(6)
      await running.close()
    })
  }

  test('is not believed after a kill, nor when the log went on', async () => {
    await fill(6)
    const list = disk.openSync(LIST, 'read')
    const bytes = Buffer.alloc(list.sizeSync())
    list.readSync(bytes, 0)
    running = await running.reopen()
    running.store.append(draftOf({ topic: 't0', queueId: 0 }))
    await scheduler.advance(2_000)
    disk.openSync(LIST, 'write').writeSync(bytes, 0)
    running = await openSimulatedStore({}, { disk: disk.image(new SeededRandom(3)), scheduler })
    assert.equal(running.store.maxOffset('t0', 0), 2)
    await running.close()
  })

  test('cannot be written: the stop is clean all the same', async () => {
    disk.fault = (call, path) => (call === 'create' && path.startsWith(LIST) ? new Error('EACCES') : undefined)
    await fill(6)
    disk.fault = undefined
    assert.equal(disk.statSync('/store/abort'), undefined)
    running = await running.reopen()
    holdsAll(6)
    await running.close()
  })
})
