import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { SeededRandom } from '../base/random.ts'
import { SimulatedDisk } from '../base/simulated-disk.ts'
import { SimulatedScheduler } from '../base/simulated-scheduler.ts'
import type { WaitFailure, Watermark } from '../base/watermark.ts'
import { PutStatus } from './message-store.ts'
import { draftOf, openSimulatedStore, type SimulatedStore } from './simulated-store.ts'

const ENOSPC = Object.assign(new Error('ENOSPC: simulated'), { code: 'ENOSPC' })
const EIO = Object.assign(new Error('EIO: simulated'), { code: 'EIO' })

function waitOn(mark: Watermark, target: number): { outcome: 'waiting' | 'ok' | WaitFailure } {
  const state: { outcome: 'waiting' | 'ok' | WaitFailure } = { outcome: 'waiting' }
  mark.wait({
    target,
    deadline: Number.POSITIVE_INFINITY,
    wake: () => (state.outcome = 'ok'),
    fail: (reason) => (state.outcome = reason),
  })
  return state
}

/** Every write below a folder fails until the result is called. */
function failWrites({ disk }: SimulatedStore, folder: string, error = ENOSPC): () => void {
  disk.fault = (call, path) => (call === 'write' && path.includes(folder) ? error : undefined)
  return () => {
    disk.fault = undefined
  }
}

describe('a consume queue whose disk was full for a while', () => {
  test('is written whole afterwards, before a start relies on it', async () => {
    const simulated = await openSimulatedStore({
      flushDiskType: 'SYNC_FLUSH',
      flushConsumeQueueThoroughInterval: '5000',
    })
    const { store, scheduler } = simulated
    const room = failWrites(simulated, '/consumequeue/')
    for (let queueId = 0; queueId < 10; queueId++) store.append(draftOf({ queueId }))
    await scheduler.advance(2500)
    assert.match(store.notWritableReason ?? '', /consumequeue/)
    room()
    await scheduler.advance(1000)
    assert.equal(store.writable, true)
    // The next message, after the consume queues were synced, is where a scan will begin.
    await scheduler.advance(20_000)
    store.append(draftOf({ topic: 'later' }))
    await scheduler.advance(20_000)
    const after = await simulated.crash()
    for (let queueId = 0; queueId < 10; queueId++)
      assert.equal(after.store.maxOffset('orders', queueId), 1, `${queueId}`)
    await after.close()
  })
})

describe('a store that closes', () => {
  test('leaves no timer behind, though its last write fails', async () => {
    const simulated = await openSimulatedStore()
    const { store, scheduler } = simulated
    store.append(draftOf({ topic: 'first' }))
    await scheduler.settle()
    const room = failWrites(simulated, '/commitlog/')
    assert.equal(store.append(draftOf()).status, PutStatus.PUT_OK)
    await simulated.close()
    room()
    assert.equal(scheduler.pending, 0)
    const again = await simulated.reopen()
    const { endPosition } = again.store.append(draftOf({ body: 'of the next life' }))
    const sent = waitOn(again.store.durable, endPosition)
    await scheduler.advance(5000)
    assert.equal(sent.outcome, 'ok')
    const after = await again.crash()
    assert.equal(after.store.maxOffset('orders', 0), 1)
    await after.close()
  })

  test('leaves no timer behind, though it was used until the end', async () => {
    const simulated = await openSimulatedStore()
    simulated.store.append(draftOf())
    await simulated.close()
    assert.equal(simulated.scheduler.pending, 0)
  })

  test('gives the folder back, though the disk takes no note of its end', async () => {
    const simulated = await openSimulatedStore()
    simulated.store.append(draftOf())
    await simulated.scheduler.advance(2000)
    const room = failWrites(simulated, '/checkpoint', EIO)
    await simulated.close()
    room()
    assert.equal(simulated.disk.statSync('/store/cometmq.owner'), undefined)
    assert.notEqual(simulated.disk.statSync('/store/abort'), undefined)
    const again = await simulated.reopen()
    assert.equal(again.store.maxOffset('orders', 0), 1)
    await again.close()
  })
})

describe('a topic deleted', () => {
  test('before its last messages failed to be written does not take those of its successor with it', async () => {
    const simulated = await openSimulatedStore({ flushDiskType: 'SYNC_FLUSH' })
    const { store, scheduler } = simulated
    store.append(draftOf({ topic: 'first' }))
    await scheduler.advance(100)
    const room = failWrites(simulated, '/commitlog/')
    for (let sent = 0; sent < 5; sent++) store.append(draftOf({ body: 'never written' }))
    store.deleteTopic('orders')
    await scheduler.advance(10)
    room()
    await scheduler.advance(2000)
    const sent = waitOn(store.durable, store.append(draftOf()).endPosition)
    await scheduler.advance(100)
    assert.equal(sent.outcome, 'ok')
    const after = await simulated.crash()
    assert.equal(after.store.maxOffset('orders', 0), 1)
    await after.close()
  })

  test('in vain, on a full disk, stays whole', async () => {
    const simulated = await openSimulatedStore({ flushDiskType: 'SYNC_FLUSH' })
    const { store, scheduler } = simulated
    store.append(draftOf())
    store.append(draftOf({ topic: 'other' }))
    await scheduler.advance(100)
    const room = failWrites(simulated, '/config/')
    assert.throws(() => store.deleteTopic('orders'), /ENOSPC/)
    room()
    assert.equal(store.maxOffset('orders', 0), 1)
    store.deleteTopic('other')
    const after = await simulated.crash()
    assert.equal(after.store.maxOffset('orders', 0), 1)
    await after.close()
  })
})

test('a segment whose sync failed before its first message is never used', async () => {
  const simulated = await openSimulatedStore({ flushDiskType: 'SYNC_FLUSH', mappedFileSizeCommitLog: '20000' })
  const { store, scheduler, disk } = simulated
  for (let each = 0; each < 15; each++) store.append(draftOf({ body: Buffer.alloc(900) }))
  await scheduler.settle()
  // The next segment is prepared, and its sync under way.
  for (let each = 0; each < 4; each++) store.append(draftOf({ body: Buffer.alloc(900) }))
  disk.fault = (call, path) => (call === 'datasync' && path.endsWith('20000') ? EIO : undefined)
  const { status } = store.append(draftOf({ body: Buffer.alloc(2000) }))
  assert.equal(status, PutStatus.CREATE_MAPPED_FILE_FAILED)
  disk.fault = undefined
  const sent = waitOn(store.durable, store.append(draftOf({ body: Buffer.alloc(2000) })).endPosition)
  assert.ok(store.positions.appended > 20_000)
  await scheduler.advance(100)
  assert.equal(sent.outcome, 'ok')
  const after = await simulated.crash()
  assert.equal(after.store.maxOffset('orders', 0), 20)
  await after.close()
})

test('a property that holds a zero byte is no torn record', async () => {
  const simulated = await openSimulatedStore({ flushDiskType: 'SYNC_FLUSH' })
  const { store, scheduler } = simulated
  const sent = waitOn(store.durable, store.append(draftOf({ properties: 'binary\u0001a\u0000b\u0002' })).endPosition)
  await scheduler.advance(100)
  assert.equal(sent.outcome, 'ok')
  const after = await simulated.crash()
  assert.equal(after.store.maxOffset('orders', 0), 1)
  await after.close()
})

test('a record whose last bytes never came is torn, wherever sectors begin', async () => {
  const simulated = await openSimulatedStore({ flushDiskType: 'SYNC_FLUSH' })
  const { store, scheduler, disk } = simulated
  waitOn(store.durable, store.append(draftOf({ properties: 'ID\u0001107\u0002' })).endPosition)
  const { position, sizeBytes } = store.append(draftOf({ properties: 'ID\u0001108\u0002' }))
  const cut = position + sizeBytes - 3
  await scheduler.advance(100)
  // The kernel took all but three bytes of it, and they were synced before the rest was written.
  const log = disk.openSync('/store/commitlog/00000000000000000000', 'write')
  log.writeSync(Buffer.alloc(3), cut)
  log.datasyncSync()
  log.closeSync()
  const after = await simulated.crash()
  assert.equal(after.store.maxOffset('orders', 0), 1)
  assert.equal(after.store.positions.written, position)
  await after.close()
})

test('properties that end in a zero byte are refused: no recovery could tell them from a torn end', async () => {
  const simulated = await openSimulatedStore()
  const { store } = simulated
  const { status, remark } = store.append(draftOf({ properties: 'binary\u0001a\u0000' }))
  assert.equal(status, PutStatus.MESSAGE_ILLEGAL)
  assert.equal(remark, 'the properties end in a zero byte')
  assert.equal(store.positions.appended, 0)
  await simulated.close()
})

describe('a recovery', () => {
  test('that cannot write an entry does not open a store without it', async () => {
    const simulated = await openSimulatedStore({ flushDiskType: 'SYNC_FLUSH' })
    const { store, scheduler, disk } = simulated
    for (const topic of ['a', 'b', 'c']) store.append(draftOf({ topic }))
    await scheduler.advance(2000)
    disk.crash()
    // Only the first queue cannot be written.
    disk.fault = (call, path) => (call === 'write' && path.includes('/consumequeue/a/') ? ENOSPC : undefined)
    await assert.rejects(simulated.reopen(), /ENOSPC/)
    disk.fault = undefined
    const again = await simulated.reopen()
    for (const topic of ['a', 'b', 'c']) assert.equal(again.store.entries(topic, 0, 0, 9).length, 1)
    await again.close()
  })
})

test('a failed write that is cleaned away in part does not look like damage after a kill', async () => {
  const scheduler = new SimulatedScheduler()
  const disk = new SimulatedDisk(new SeededRandom(1), { scheduler })
  disk.makeDirectorySync('/proc/sys/kernel/random')
  disk.openSync('/proc/sys/kernel/random/boot_id', 'write').writeSync(Buffer.from('boot-1'), 0)
  const { openSync } = disk
  let failing = false
  disk.openSync = (path, mode) => {
    const file = openSync.call(disk, path, mode)
    if (!path.includes('/commitlog/')) return file
    const writeSync: typeof file.writeSync = (bytes, position) => {
      const isCleaning = bytes.every((byte) => byte === 0)
      if (failing && isCleaning && position >= 8192) throw EIO
      file.writeSync(bytes, position)
      if (failing && !isCleaning) throw EIO
    }
    return { ...file, writeSync }
  }
  const simulated = await openSimulatedStore({}, { disk, scheduler, writePolicy: 'sync' })
  const { store } = simulated
  store.append(draftOf({ topic: 'kept' }))
  await scheduler.settle()
  for (let sent = 0; sent < 20; sent++) store.append(draftOf({ body: Buffer.alloc(1000, 'x') }))
  // All of it comes into the file, and the disk calls it a failure; of what is cleaned it takes the beginning only.
  failing = true
  await scheduler.advance(1700)
  assert.equal(store.writable, false)
  assert.ok(store.positions.flushed > 0, 'and what was written before was synced in the meantime')
  failing = false
  const again = await simulated.reopen()
  assert.equal(again.store.maxOffset('kept', 0), 1)
  await again.close()
})
