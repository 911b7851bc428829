import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SeededRandom } from '../base/random.ts'
import { SimulatedDisk } from '../base/simulated-disk.ts'
import { SimulatedScheduler } from '../base/simulated-scheduler.ts'
import { draftOf, openSimulatedStore } from './simulated-store.ts'

/** A disk that counts what is asked of the consume queues. */
function countingDisk(scheduler: SimulatedScheduler) {
  const disk = new SimulatedDisk(new SeededRandom(1), { scheduler })
  const counts = { readBytes: 0, directorySyncs: 0 }
  const { openSync, syncDirectorySync } = disk
  disk.openSync = (path, mode) => {
    const file = openSync.call(disk, path, mode)
    if (!path.includes('/consumequeue/')) return file
    const readSync: typeof file.readSync = (into, position) => {
      const count = file.readSync(into, position)
      counts.readBytes += count
      return count
    }
    return { ...file, readSync }
  }
  disk.syncDirectorySync = (directory) => {
    counts.directorySyncs++
    syncDirectorySync.call(disk, directory)
  }
  return { disk, counts }
}

for (const end of ['a clean stop', 'a power loss'] as const) {
  test(`a start after ${end} reads little of each queue, however long its file`, async () => {
    const scheduler = new SimulatedScheduler()
    const { disk, counts } = countingDisk(scheduler)
    const simulated = await openSimulatedStore({ mappedFileSizeConsumeQueue: '6000000' }, { disk, scheduler })
    for (let queueId = 0; queueId < 100; queueId++) simulated.store.append(draftOf({ queueId }))
    await scheduler.advance(70_000)
    if (end === 'a clean stop') await simulated.close()
    else disk.crash()
    counts.readBytes = 0
    const again = await simulated.reopen()
    assert.ok(counts.readBytes < 1_000_000, `${counts.readBytes} bytes`)
    for (let queueId = 0; queueId < 100; queueId++) assert.equal(again.store.maxOffset('orders', queueId), 1)
    await again.close()
  })
}
