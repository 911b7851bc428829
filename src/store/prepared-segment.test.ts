import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SeededRandom } from '../base/random.ts'
import { SimulatedDisk } from '../base/simulated-disk.ts'
import { SimulatedScheduler } from '../base/simulated-scheduler.ts'
import { draftOf, openSimulatedStore } from './simulated-store.ts'

test('a late failure to sync the segment prepared ahead, in use by then, is a failed sync of the log', async () => {
  const scheduler = new SimulatedScheduler()
  const disk = new SimulatedDisk(new SeededRandom(1), { scheduler, latencyMs: 2 })
  const { store } = await openSimulatedStore({ mappedFileSizeCommitLog: '20000' }, { disk, scheduler })
  const opened = disk.openSync.bind(disk)
  let fail: (() => void) | undefined
  disk.openSync = (path, mode) => {
    const file = opened(path, mode)
    if (!path.endsWith('/00000000000000020000')) return file
    const { datasync } = file
    file.datasync = (done) => {
      if (fail !== undefined) return datasync(done)
      // The device takes its time over this one; what it then drops includes what was written meanwhile.
      fail = () => {
        const error = Object.assign(new Error('EIO: simulated'), { code: 'EIO' })
        disk.fault = (call) => (call === 'datasync' ? error : undefined)
        assert.throws(() => file.datasyncSync(), error)
        disk.fault = undefined
        done(error)
      }
    }
    return file
  }
  for (let turn = 0; turn < 2; turn++) {
    for (let each = 0; each < 15; each++) store.append(draftOf({ body: Buffer.alloc(900) }))
    await scheduler.settle()
    await scheduler.advance(5)
  }
  assert.ok(fail !== undefined, 'the next segment was prepared')
  assert.ok(store.positions.written > 20_000, 'and is in use')
  assert.equal(store.writable, true)
  const { flushed } = store.positions
  fail()
  assert.equal(store.writable, false)
  await scheduler.advance(60_000)
  assert.equal(store.positions.flushed, flushed, 'no later sync proves anything')
  assert.equal(store.append(draftOf()).status, 'SERVICE_NOT_AVAILABLE')
})
