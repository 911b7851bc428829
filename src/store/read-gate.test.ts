import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { DiskFile } from '../base/disk.ts'
import type { ReadResult } from './get-message.ts'
import { ReadGate } from './read-gate.ts'
import { draftOf, openSimulatedStore } from './simulated-store.ts'

describe('reads from far back', () => {
  test('are let in in their order, so many at once', () => {
    const gate = new ReadGate(2)
    const started: number[] = []
    for (let each = 0; each < 5; each++) gate.enter(() => started.push(each))
    assert.deepEqual(started, [0, 1])
    gate.leave()
    assert.deepEqual(started, [0, 1, 2])
    gate.leave()
    gate.leave()
    gate.leave()
    gate.leave()
    assert.deepEqual(started, [0, 1, 2, 3, 4])
  })

  test('that fail at once are a loop, not a stack', () => {
    const gate = new ReadGate(1)
    let started = 0
    gate.enter(() => {})
    for (let each = 0; each < 100_000; each++) {
      gate.enter(() => {
        started++
        gate.leave()
      })
    }
    gate.leave()
    assert.equal(started, 100_000)
  })

  test('hold memory for a few only, however many are asked for, and all are answered', async () => {
    const writing = await openSimulatedStore()
    for (let each = 0; each < 200; each++) writing.store.append(draftOf({ body: Buffer.alloc(2_000, each) }))
    await writing.scheduler.advance(1_000)
    await writing.close()
    const { disk, scheduler } = writing
    let underWay = 0
    let most = 0
    let refuse = false
    const openSync = disk.openSync.bind(disk)
    disk.openSync = (path, mode): DiskFile => {
      const file = openSync(path, mode)
      const read: DiskFile['read'] = (into, position, done) => {
        if (refuse) throw Object.assign(new Error('EMFILE'), { code: 'EMFILE' })
        most = Math.max(most, ++underWay)
        file.read(into, position, (error, count) => {
          underWay--
          done(error, count)
        })
      }
      return path.includes('commitlog') ? { ...file, read } : file
    }
    const reading = await openSimulatedStore({}, { disk, scheduler, memoryBytes: 10_000 })
    const results: ReadResult[] = []
    const ask = (offset: number): void =>
      reading.store.read(
        { topic: 'orders', queueId: 0, offset, maxCount: 1, maxBytes: 1_000_000, filter: undefined },
        (result) => results.push(result),
      )
    for (let offset = 0; offset < 100; offset++) ask(offset)
    await scheduler.advance(5_000)
    assert.equal(results.length, 100)
    assert.deepEqual(
      results.map(({ nextOffset }) => nextOffset - 1).sort((a, b) => a - b),
      [...Array(100).keys()],
    )
    assert.ok(most > 1 && most <= 16, `${most} at once`)
    refuse = true
    for (let offset = 0; offset < 100; offset++) ask(offset)
    await scheduler.advance(100)
    assert.equal(results.length, 200, 'a disk that refuses to read is an answer too')
    await reading.close()
  })
})
