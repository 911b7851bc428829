import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { SeededRandom } from '../base/random.ts'
import { SimulatedDisk } from '../base/simulated-disk.ts'
import { SimulatedScheduler } from '../base/simulated-scheduler.ts'
import { draftOf, openSimulatedStore, type SimulatedStore } from './simulated-store.ts'

const EIO = Object.assign(new Error('EIO: simulated'), { code: 'EIO' })

function sendMany({ store }: SimulatedStore, count: number, bytes: number): void {
  for (let index = 0; index < count; index++)
    assert.equal(store.append(draftOf({ body: Buffer.alloc(bytes, index) })).status, 'PUT_OK')
}

describe('a truncation', () => {
  test('whose intent reached the device without the stamps beside it is brought to its end', async () => {
    const simulated = await openSimulatedStore({ flushConsumeQueueThoroughInterval: '1000' })
    const { store, scheduler, disk } = simulated
    sendMany(simulated, 20, 100)
    await scheduler.advance(5000)
    const opened = disk.openSync.bind(disk)
    // The checkpoint is open already: its writes are stopped by their place and length.
    let writes = 0
    disk.fault = (call, path) => {
      if (call === 'datasync' && path === '/store/checkpoint' && ++writes === 1) throw EIO
      return undefined
    }
    const java = Buffer.alloc(48)
    opened('/store/checkpoint', 'read').readSync(java, 0)
    assert.ok(java.readBigInt64BE(40) > 0n, 'the scan would begin behind the truncation')
    assert.throws(() => store.truncateTo(store.entries('orders', 0, 5, 1)[0]!.position), /EIO/)
    disk.fault = undefined
    const file = opened('/store/checkpoint', 'write')
    file.writeSync(java, 0)
    file.datasyncSync()
    disk.crash()
    const again = await simulated.reopen()
    assert.equal(again.store.maxOffset('orders', 0), 5)
    const last = await again.crash()
    assert.equal(last.store.maxOffset('orders', 0), 5)
    await last.close()
  })

  test('is refused when what was appended cannot be written first', async () => {
    const simulated = await openSimulatedStore()
    const { store, scheduler, disk } = simulated
    sendMany(simulated, 1, 100)
    await scheduler.settle()
    sendMany(simulated, 8, 100_000)
    const { appended } = store.positions
    let writes = 0
    disk.fault = (call, path) => (call === 'write' && path.includes('/commitlog/') && ++writes > 1 ? EIO : undefined)
    assert.throws(() => store.truncateTo(appended - 1000), /being written/)
    disk.fault = undefined
    assert.ok(store.positions.appended < appended - 1000)
    await scheduler.advance(2000)
    const { appended: end } = store.positions
    assert.equal(store.append(draftOf({ body: 'next' })).position, end)
    await simulated.close()
    const again = await simulated.reopen()
    await again.close()
  })

  test('makes durable what it leaves', async () => {
    const simulated = await openSimulatedStore({ mappedFileSizeCommitLog: '16384', flushIntervalCommitLog: '60000' })
    const { store, scheduler } = simulated
    sendMany(simulated, 100, 500)
    await scheduler.settle()
    assert.equal(store.positions.flushed, 0)
    store.truncateTo(store.entries('orders', 0, 90, 1)[0]!.position)
    assert.equal(store.positions.flushed, store.positions.appended)
    const again = await simulated.crash()
    assert.equal(again.store.maxOffset('orders', 0), 90)
    await again.close()
  })
})

describe('bytes of another log', () => {
  async function bytesOfAnother(): Promise<Buffer> {
    const master = await openSimulatedStore({ mappedFileSizeCommitLog: '16384' })
    sendMany(master, 60, 500)
    await master.close()
    const bytes = Buffer.alloc(32_768)
    for (const [index, name] of master.disk.listSync('/store/commitlog').sort().slice(0, 2).entries())
      master.disk.openSync(`/store/commitlog/${name}`, 'read').readSync(bytes.subarray(index * 16_384), 0)
    return bytes
  }

  test('that begin in a later segment are durable only once they are synced', async () => {
    const bytes = await bytesOfAnother()
    const scheduler = new SimulatedScheduler()
    const disk = new SimulatedDisk(new SeededRandom(3), { scheduler, latencyMs: 2 })
    const replica = await openSimulatedStore(
      { mappedFileSizeCommitLog: '16384', flushDiskType: 'SYNC_FLUSH' },
      { disk, scheduler },
    )
    replica.store.appendRaw(16_384, bytes.subarray(16_384, 20_000))
    await scheduler.settle()
    assert.ok(replica.store.positions.flushed <= 16_384, 'no sync has ended yet')
    await scheduler.advance(10)
    assert.equal(replica.store.positions.flushed, 19_966, 'whole records')
  })

  for (const end of ['close', 'crash'] as const) {
    test(`cut within a record do not keep the store from opening after a ${end}`, async () => {
      const bytes = await bytesOfAnother()
      const replica = await openSimulatedStore({ mappedFileSizeCommitLog: '16384' })
      replica.store.appendRaw(0, bytes.subarray(0, 1400))
      await replica.scheduler.advance(5000)
      assert.equal(replica.store.maxOffset('orders', 0), 2)
      if (end === 'close') {
        await replica.close()
        assert.equal(replica.disk.statSync('/store/abort'), undefined, 'closed in order')
      } else replica.disk.crash()
      const again = await replica.reopen()
      const { appended } = again.store.positions
      assert.equal(again.store.maxOffset('orders', 0), 2)
      again.store.appendRaw(appended, bytes.subarray(appended, 3000))
      await again.scheduler.settle()
      assert.equal(again.store.maxOffset('orders', 0), 5)
      await again.close()
    })
  }

  test('of which a write failed within a record go on where the last whole one ends', async () => {
    const bytes = await bytesOfAnother()
    const replica = await openSimulatedStore({ mappedFileSizeCommitLog: '16384' })
    const { store, scheduler, disk } = replica
    store.appendRaw(0, bytes.subarray(0, 1400))
    await scheduler.settle()
    disk.fault = (call, path) => (call === 'write' && path.includes('/commitlog/') ? EIO : undefined)
    store.appendRaw(1400, bytes.subarray(1400, 3000))
    await scheduler.settle()
    disk.fault = undefined
    await scheduler.advance(3000)
    const { appended } = store.positions
    store.appendRaw(appended, bytes.subarray(appended, 5000))
    await scheduler.settle()
    assert.equal(store.maxOffset('orders', 0), 8)
    await replica.close()
  })
})
