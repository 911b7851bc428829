import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SeededRandom } from '../base/random.ts'
import { SimulatedDisk } from '../base/simulated-disk.ts'
import { SimulatedScheduler } from '../base/simulated-scheduler.ts'
import { draftOf, openSimulatedStore } from './simulated-store.ts'

test('ASYNC_FLUSH: what was written while a slow sync ran is synced after the interval, counted from its write', async () => {
  const scheduler = new SimulatedScheduler()
  const disk = new SimulatedDisk(new SeededRandom(1), { scheduler })
  const { openSync } = disk
  const begun: number[] = []
  const ended: (() => void)[] = []
  disk.openSync = (path, mode) => {
    const file = openSync.call(disk, path, mode)
    if (!path.includes('/commitlog/')) return file
    return {
      ...file,
      datasync: (done) => {
        begun.push(scheduler.monotonic())
        ended.push(() => file.datasync(done))
      },
    }
  }
  const { store } = await openSimulatedStore({ flushIntervalCommitLog: '100' }, { disk, scheduler })
  const start = scheduler.monotonic()
  store.append(draftOf())
  await scheduler.advance(120)
  store.append(draftOf())
  await scheduler.advance(60)
  ended.shift()!()
  await scheduler.advance(200)
  assert.deepEqual(
    begun.map((time) => Math.round(time - start)),
    [100, 220],
  )
  ended.shift()!()
  await scheduler.advance(10)
  // One that waited longer than the interval does not wait again.
  store.append(draftOf())
  await scheduler.advance(120)
  store.append(draftOf())
  await scheduler.advance(500)
  const slow = ended.shift()!
  slow()
  await scheduler.advance(5)
  assert.equal(begun.length, 4)
})
