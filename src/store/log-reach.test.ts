import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { memoryLog } from '../base/console-log.ts'
import { SeededRandom } from '../base/random.ts'
import { SimulatedDisk } from '../base/simulated-disk.ts'
import { SimulatedScheduler } from '../base/simulated-scheduler.ts'
import { Checkpoint } from './checkpoint.ts'
import { draftOf, openSimulatedStore, type SimulatedStore } from './simulated-store.ts'
import { StoreCorrupt } from './store-errors.ts'

const SEGMENT = '/store/commitlog/00000000000000000000'
const SEGMENT_BYTES = 67_108_864
const FAR = 33_554_432
const LATER = new SimulatedScheduler(1_000_000)

/** What a kill leaves of a store with one message in a long segment. */
async function killed(): Promise<SimulatedDisk> {
  const machine = new SimulatedDisk(new SeededRandom(1), { scheduler: LATER })
  machine.makeDirectorySync('/proc/sys/kernel/random')
  write(machine, '/proc/sys/kernel/random/boot_id', 0, Buffer.from('this boot'))
  const { store, scheduler, disk } = await open(machine)
  store.append(draftOf())
  await scheduler.advance(2000)
  return disk.image(new SeededRandom(1), LATER)
}

function write(disk: SimulatedDisk, path: string, position: number, bytes: Uint8Array): void {
  const file = disk.openSync(path, 'write')
  file.writeSync(bytes, position)
  file.closeSync()
}

function read(disk: SimulatedDisk, path: string, position: number, count: number): Buffer {
  const file = disk.openSync(path, 'read')
  const bytes = Buffer.alloc(count)
  file.readSync(bytes, position)
  file.closeSync()
  return bytes
}

/** A valid record far behind everything that we noted. */
function plant(disk: SimulatedDisk): void {
  const record = Buffer.from(read(disk, SEGMENT, 0, read(disk, SEGMENT, 0, 4).readInt32BE(0)))
  record.writeBigInt64BE(BigInt(FAR), 28)
  write(disk, SEGMENT, FAR, record)
}

const open = (disk: SimulatedDisk): Promise<SimulatedStore> =>
  openSimulatedStore({ mappedFileSizeCommitLog: String(SEGMENT_BYTES) }, { disk, scheduler: LATER })

describe('how far a start looks behind the end of the log', () => {
  test('after a kill it reads no more than may have been written', async () => {
    const disk = await killed()
    let reads = 0
    disk.fault = (call, path) => {
      if (call === 'read' && path === SEGMENT) reads++
      return undefined
    }
    const { store, close } = await open(disk)
    assert.equal(store.maxOffset('orders', 0), 1)
    // Windows of 4 MiB: one of the scan, one behind its end. The whole segment would be 16.
    assert.ok(reads <= 4, `${reads} reads`)
    await close()
  })

  test('where another broker has run since, it reads all', async () => {
    const believed = await killed()
    plant(believed)
    await (await open(believed)).close()

    const ofAnother = await killed()
    plant(ofAnother)
    write(ofAnother, '/store/abort', 0, Buffer.from('4711'))
    await assert.rejects(open(ofAnother), StoreCorrupt)

    const moved = await killed()
    plant(moved)
    const stamp = read(moved, '/store/checkpoint', 0, 8)
    stamp[7]! ^= 1
    write(moved, '/store/checkpoint', 0, stamp)
    await assert.rejects(open(moved), StoreCorrupt)
  })

  test('a note that is gone is no reason to read less', async () => {
    const disk = await killed()
    plant(disk)
    disk.removeSync('/store/checkpoint')
    await assert.rejects(open(disk), StoreCorrupt)
  })

  test('a checkpoint that cannot be synced is not tried at each write, and nothing is written behind its note', async () => {
    const log = memoryLog()
    const { store, scheduler, disk } = await openSimulatedStore({}, { log })
    const before = store.positions.written
    disk.fault = (call, path) =>
      call === 'datasync' && path === '/store/checkpoint' ? Object.assign(new Error('EIO'), { code: 'EIO' }) : undefined
    for (let turn = 0; turn < 300; turn++) {
      store.append(draftOf({ body: Buffer.alloc(200, 7) }))
      await scheduler.advance(1)
    }
    const said = log.lines.filter(({ message }) => message === 'checkpoint not written')
    assert.equal(said.length, 1)
    // A step was noted at the start; what is not noted is not written.
    assert.ok(store.positions.written > before)
    assert.ok(store.positions.written <= 32_768, `written to ${store.positions.written}`)
    assert.match(store.notWritableReason ?? '', /commit log cannot be written: EIO/)
  })

  for (const flushDiskType of ['ASYNC_FLUSH', 'SYNC_FLUSH']) {
    test(`${flushDiskType}: nothing is written behind what the checkpoint durably notes`, async () => {
      const { store, scheduler, disk, close } = await openSimulatedStore({ flushDiskType })
      const random = new SeededRandom(7)
      let moves = 0
      let before = 0
      for (let turn = 0; turn < 200; turn++) {
        store.append(draftOf({ body: Buffer.alloc(1 + random.below(60_000), 7) }))
        await scheduler.advance(random.below(3))
        const image = disk.imageAfterCrash(new SeededRandom(turn), scheduler)
        const checkpoint = new Checkpoint(image, '/store/checkpoint', scheduler)
        checkpoint.load()
        const reach = checkpoint.note?.reach ?? 0
        assert.ok(reach >= store.positions.written, `written to ${store.positions.written}, noted ${reach}`)
        if (reach > before) moves++
        before = reach
      }
      assert.ok(moves > 10)
      await close()
    })
  }
})
