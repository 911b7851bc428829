import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { memoryLog } from '../base/console-log.ts'
import type { Disk } from '../base/disk.ts'
import { SeededRandom } from '../base/random.ts'
import { SimulatedDisk } from '../base/simulated-disk.ts'
import { SimulatedScheduler } from '../base/simulated-scheduler.ts'
import { GetStatus, type ReadResult } from './message-store.ts'
import { draftOf, openSimulatedStore, type SimulatedStore } from './simulated-store.ts'

const SEGMENT = 20_000
const HOUR_MS = 3_600_000
const ROUND_MS = 10_000

/** An hour of the day that is not now, nor soon. */
const hourIn = (scheduler: SimulatedScheduler, hours: number): string =>
  String(new Date(scheduler.now() + hours * HOUR_MS).getHours())

interface Options {
  settings?: Record<string, string>
  capacityBytes?: number
}

async function openSmall({
  settings = {},
  capacityBytes,
}: Options = {}): Promise<SimulatedStore & { log: ReturnType<typeof memoryLog> }> {
  const scheduler = new SimulatedScheduler()
  const disk = new SimulatedDisk(new SeededRandom(1), { scheduler, ...(capacityBytes && { capacityBytes }) })
  const log = memoryLog()
  const simulated = await openSimulatedStore(
    {
      mappedFileSizeCommitLog: String(SEGMENT),
      mappedFileSizeConsumeQueue: '200',
      fileReservedTime: '72',
      cleanResourceInterval: String(ROUND_MS),
      deleteWhen: hourIn(scheduler, 12),
      ...settings,
    },
    { scheduler, disk, log },
  )
  return { ...simulated, log }
}

/** Messages of 1 kB each until the log has so many segments, the last of them in use. */
async function fill({ store, scheduler }: SimulatedStore, segments: number, queueId = 0): Promise<void> {
  const { min } = store.positions
  while (store.positions.appended < min - (min % SEGMENT) + (segments - 1) * SEGMENT + 3000) {
    store.append(draftOf({ queueId, body: Buffer.alloc(1000, 'x') }))
    await scheduler.settle()
  }
  await scheduler.advance(2000)
}

const segmentsOf = ({ disk }: SimulatedStore): number[] => disk.listSync('/store/commitlog').map(Number).sort(byValue)
const queueFilesOf = ({ disk }: SimulatedStore, queueId = 0): number[] =>
  disk.listSync(`/store/consumequeue/orders/${queueId}`).map(Number).sort(byValue)
const byValue = (a: number, b: number): number => a - b

async function readAt({ store, scheduler }: SimulatedStore, offset: number, queueId = 0): Promise<ReadResult> {
  let answer: ReadResult | undefined
  store.read({ topic: 'orders', queueId, offset, maxCount: 32, maxBytes: 100_000, filter: undefined }, (result) => {
    answer = result
  })
  while (answer === undefined) await scheduler.advance(1)
  return answer
}

/** A file beside the store that takes its share of the disk. */
function occupy(disk: Disk, bytes: number): () => void {
  const file = disk.openSync('/others', 'write')
  file.writeSync(Buffer.alloc(bytes, 1), 0)
  file.closeSync()
  return () => disk.removeSync('/others')
}

describe('a segment', () => {
  test('stays as long as it is reserved, and until the hour for deletion has come', async () => {
    const simulated = await openSmall({ settings: { fileReservedTime: '15' } })
    const { scheduler } = simulated
    await fill(simulated, 4)
    await scheduler.advance(14 * HOUR_MS)
    assert.equal(simulated.store.positions.min, 0, 'the hour has come, and nothing had expired')
    await scheduler.advance(2 * HOUR_MS)
    assert.equal(simulated.store.positions.min, 0, 'all have expired, and the hour is gone')
    await scheduler.advance(21 * HOUR_MS)
    assert.equal(simulated.store.positions.min, 3 * SEGMENT)
    assert.deepEqual(segmentsOf(simulated), [3 * SEGMENT], 'the one in use stays')
    const deleted = simulated.log.lines.filter(({ message }) => message === 'segment deleted')
    assert.deepEqual(
      deleted.map(({ fields }) => [fields?.['path'], fields?.['sizeBytes']]),
      [0, SEGMENT, 2 * SEGMENT].map((base) => [`/store/commitlog/${String(base).padStart(20, '0')}`, SEGMENT]),
    )
    assert.match(String(deleted[0]?.fields?.['reason']), /^expired, deleteWhen=/)
    await simulated.close()
  })

  test('that has expired goes at any hour when it is asked for, in the next 20 rounds', async () => {
    const simulated = await openSmall({ settings: { fileReservedTime: '1' } })
    const { scheduler, store } = simulated
    await fill(simulated, 3)
    store.deleteExpiredLog()
    await scheduler.advance(60_000 + 20 * ROUND_MS)
    await scheduler.advance(HOUR_MS)
    assert.equal(store.positions.min, 0, 'rounds before it expired do not count')
    store.deleteExpiredLog()
    await scheduler.advance(ROUND_MS + 1000)
    assert.equal(store.positions.min, 2 * SEGMENT)
    await simulated.close()
  })

  test('goes with nine others in one round at most', async () => {
    const simulated = await openSmall({ settings: { fileReservedTime: '0' } })
    const { scheduler, store } = simulated
    await fill(simulated, 15)
    store.deleteExpiredLog()
    await scheduler.advance(60_000)
    assert.equal(store.positions.min, 10 * SEGMENT)
    await scheduler.advance(2 * ROUND_MS)
    assert.equal(store.positions.min, 14 * SEGMENT)
    await simulated.close()
  })

  test('is deleted in the hours of a list, as changed while the store runs', async () => {
    const simulated = await openSmall({ settings: { fileReservedTime: '1' } })
    const { scheduler } = simulated
    await fill(simulated, 3)
    await scheduler.advance(2 * HOUR_MS)
    assert.equal(simulated.store.positions.min, 0)
    Object.assign(simulated.settings, { deleteWhen: `${hourIn(scheduler, 13)}; ${hourIn(scheduler, 1)}` })
    await scheduler.advance(2 * HOUR_MS)
    assert.equal(simulated.store.positions.min, 2 * SEGMENT)
    await simulated.close()
  })

  test('found at the start tells its age by the time of its last write', async () => {
    const simulated = await openSmall()
    const { scheduler } = simulated
    await fill(simulated, 3)
    await simulated.close()
    await scheduler.advance(73 * HOUR_MS)
    const again = await simulated.reopen({ deleteWhen: hourIn(scheduler, 0) })
    await scheduler.advance(61_000)
    assert.equal(again.store.positions.min, 2 * SEGMENT)
    await again.close()
  })

  test('whose records are not synced stays', async () => {
    const simulated = await openSmall({ settings: { fileReservedTime: '0' } })
    const { scheduler, store, disk } = simulated
    await fill(simulated, 2)
    const failure = Object.assign(new Error('EIO'), { code: 'EIO' })
    disk.fault = (call) => (call === 'datasync' ? failure : undefined)
    for (let each = 0; each < 8; each++) store.append(draftOf({ body: Buffer.alloc(1000) }))
    await scheduler.settle()
    for (let each = 0; each < 8; each++) store.append(draftOf({ body: Buffer.alloc(1000) }))
    await scheduler.settle()
    disk.fault = undefined
    const { flushed } = store.positions
    assert.ok(flushed < 2 * SEGMENT)
    store.deleteExpiredLog()
    await scheduler.advance(60_000 + ROUND_MS)
    assert.ok(store.positions.min <= flushed)
    await simulated.close()
  })
})

describe('a disk that fills up', () => {
  /** Five full segments and one in use, of 32 that would fill the disk; the others take the rest. */
  const open = async (usedPercent: number, settings: Record<string, string> = {}) => {
    const capacityBytes = 32 * 20_480
    const simulated = await openSmall({ capacityBytes, settings })
    await fill(simulated, 6)
    const free = occupy(simulated.disk, Math.floor((capacityBytes * usedPercent) / 100) - simulated.disk.usedBytes)
    return { ...simulated, free }
  }

  test('above 75 % loses what has expired, at any hour', async () => {
    const simulated = await open(77, { fileReservedTime: '1' })
    await simulated.scheduler.advance(HOUR_MS / 2)
    assert.equal(simulated.store.positions.min, 0)
    await simulated.scheduler.advance(HOUR_MS)
    assert.ok(simulated.store.positions.min > 0)
    assert.match(JSON.stringify(simulated.log.lines), /expired, disk of \/store\/commitlog used 7\d % of 75 %/)
    await simulated.close()
  })

  test('below 75 % does not', async () => {
    const simulated = await open(70, { fileReservedTime: '1' })
    await simulated.scheduler.advance(2 * HOUR_MS)
    assert.equal(simulated.store.positions.min, 0)
    await simulated.close()
  })

  test('above 85 % loses the oldest that has not expired, and no more than brings it down', async () => {
    const simulated = await open(88)
    await simulated.scheduler.advance(60_000)
    assert.equal(simulated.store.positions.min, SEGMENT)
    await simulated.scheduler.advance(HOUR_MS)
    assert.equal(simulated.store.positions.min, SEGMENT)
    assert.match(
      JSON.stringify(simulated.log.lines),
      /forced though not expired, disk of \/store\/commitlog used 8[89] %/,
    )
    await simulated.close()
  })

  test('above 85 % loses nothing where that is not allowed', async () => {
    const simulated = await open(89, { cleanFileForciblyEnable: 'false' })
    await simulated.scheduler.advance(HOUR_MS)
    assert.equal(simulated.store.positions.min, 0)
    await simulated.close()
  })

  test('by others keeps the segment in use, whatever happens', async () => {
    const simulated = await open(98)
    await simulated.scheduler.advance(HOUR_MS)
    assert.deepEqual(segmentsOf(simulated), [5 * SEGMENT])
    const { store } = simulated
    const read = await readAt(simulated, store.minOffset('orders', 0))
    assert.equal(read.status, GetStatus.FOUND)
    await simulated.close()
  })
})

describe('a wall clock that jumps', () => {
  /** Six hours are reserved, and any hour is for deletion. */
  const open = async () => {
    const allHours = Array.from({ length: 24 }, (_, hour) => hour).join(';')
    const simulated = await openSmall({ settings: { fileReservedTime: '6', deleteWhen: allHours } })
    await fill(simulated, 3)
    return simulated
  }

  test('ahead deletes nothing before it has stayed there as long as segments are kept', async () => {
    const simulated = await open()
    const { scheduler } = simulated
    await simulated.close()
    const again = await simulated.reopen()
    scheduler.jumpWallClock(240 * HOUR_MS)
    await scheduler.advance(5 * HOUR_MS)
    assert.equal(again.store.positions.min, 0)
    scheduler.jumpWallClock(-240 * HOUR_MS)
    await scheduler.advance(0.5 * HOUR_MS)
    assert.equal(again.store.positions.min, 0, 'nothing came of it')
    await scheduler.advance(HOUR_MS)
    assert.equal(again.store.positions.min, 2 * SEGMENT, 'and the age goes on by the clock that was right')
    await again.close()
  })

  test('ahead and stays counts in the end', async () => {
    const simulated = await open()
    const { scheduler } = simulated
    await simulated.close()
    // The machine started with a clock far behind, and learned the time.
    scheduler.jumpWallClock(-24_000 * HOUR_MS)
    const again = await simulated.reopen()
    await scheduler.advance(HOUR_MS)
    scheduler.jumpWallClock(24_000 * HOUR_MS)
    await scheduler.advance(5 * HOUR_MS)
    assert.equal(again.store.positions.min, 0)
    await scheduler.advance(2 * HOUR_MS)
    assert.equal(again.store.positions.min, 2 * SEGMENT)
    await again.close()
  })

  test('back, as it was ahead at the start: what was written before is not older than it is', async () => {
    const simulated = await open()
    const { scheduler } = simulated
    await simulated.close()
    scheduler.jumpWallClock(100 * HOUR_MS)
    const again = await simulated.reopen()
    await scheduler.advance(50_000)
    scheduler.jumpWallClock(-100 * HOUR_MS)
    await scheduler.advance(5.5 * HOUR_MS)
    assert.equal(again.store.positions.min, 0)
    await again.close()
  })

  test('does not touch the age of what this run has written', async () => {
    const simulated = await open()
    const { scheduler } = simulated
    for (const hours of [500, -900, 700]) {
      scheduler.jumpWallClock(hours * HOUR_MS)
      await scheduler.advance(1.8 * HOUR_MS)
    }
    assert.equal(simulated.store.positions.min, 0)
    await scheduler.advance(2 * HOUR_MS)
    assert.equal(simulated.store.positions.min, 2 * SEGMENT)
    await simulated.close()
  })
})

describe('what consumers see when segments go', () => {
  test('is a queue that begins later: a read before it is told where', async () => {
    const simulated = await openSmall({ settings: { fileReservedTime: '0' } })
    const { scheduler, store } = simulated
    await fill(simulated, 4)
    const before = await readAt(simulated, 0)
    assert.equal(before.status, GetStatus.FOUND)
    const max = store.maxOffset('orders', 0)
    store.deleteExpiredLog()
    await scheduler.advance(60_000 + ROUND_MS)
    const min = store.minOffset('orders', 0)
    assert.ok(min > 0 && min < max)
    const [first] = store.entries('orders', 0, min, 1)
    assert.ok(first!.position >= store.positions.min)
    assert.equal(store.maxOffset('orders', 0), max)
    const read = await readAt(simulated, min - 1)
    assert.deepEqual([read.status, read.nextOffset, read.minOffset], [GetStatus.OFFSET_TOO_SMALL, min, min])
    const { status } = await readAt(simulated, min)
    assert.equal(status, GetStatus.FOUND)
    assert.equal(store.storeTimestampAt('orders', 0, min - 1), -1)
    await simulated.close()
  })

  test('is an empty queue that keeps its offsets, when nothing of it is left', async () => {
    const simulated = await openSmall({ settings: { fileReservedTime: '0' } })
    const { scheduler, store } = simulated
    for (let each = 0; each < 30; each++) store.append(draftOf({ queueId: 7 }))
    await fill(simulated, 4)
    store.deleteExpiredLog()
    await scheduler.advance(60_000 + ROUND_MS)
    assert.deepEqual([store.minOffset('orders', 7), store.maxOffset('orders', 7)], [30, 30])
    assert.equal((await readAt(simulated, 30, 7)).status, GetStatus.OFFSET_OVERFLOW_ONE)
    assert.equal((await readAt(simulated, 3, 7)).status, GetStatus.OFFSET_TOO_SMALL)
    assert.deepEqual(queueFilesOf(simulated, 7), [400], 'the newest file stays')
    await simulated.close()
    const again = await simulated.reopen()
    assert.deepEqual([again.store.minOffset('orders', 7), again.store.maxOffset('orders', 7)], [30, 30])
    assert.equal(again.store.append(draftOf({ queueId: 7 })).queueOffset, 30)
    await again.close()
  })

  test('are consume queue files that end behind the log', async () => {
    const simulated = await openSmall({ settings: { fileReservedTime: '0', flushIntervalConsumeQueue: '5' } })
    const { scheduler, store, log } = simulated
    await fill(simulated, 4)
    store.deleteExpiredLog()
    await scheduler.advance(60_000 + ROUND_MS)
    const min = store.minOffset('orders', 0)
    assert.equal(queueFilesOf(simulated)[0], Math.floor(min / 10) * 200)
    const line = log.lines.find(({ message }) => message.startsWith('consume queue files deleted'))
    assert.deepEqual([line?.fields?.['queues'], line?.fields?.['files']], [1, Math.floor(min / 10)])
    const after = await simulated.crash()
    assert.equal(after.store.minOffset('orders', 0), min)
    await after.close()
  })

  test('are index files of which the log holds nothing, though nobody sends any more', async () => {
    const settings = { fileReservedTime: '0', maxHashSlotNum: '7', maxIndexNum: '6' }
    const simulated = await openSmall({ settings })
    const { scheduler, store, disk } = simulated
    while (store.positions.appended < 2 * SEGMENT + 3000) {
      store.append(draftOf({ properties: 'KEYS\u0001k\u0002', body: Buffer.alloc(1000) }))
      await scheduler.advance(1000)
    }
    const before = disk.listSync('/store/index').length
    assert.ok(before >= 8)
    store.deleteExpiredLog()
    await scheduler.advance(75_000)
    assert.equal(store.positions.min, 2 * SEGMENT)
    const after = disk.listSync('/store/index').length
    assert.ok(after >= 1 && after <= 2, `${after} of ${before}`)
    await simulated.close()
  })

  test('is what was being read when its segment went: it comes to its end', async () => {
    const simulated = await openSmall({ settings: { fileReservedTime: '0' } })
    const { scheduler, disk } = simulated
    await fill(simulated, 4)
    await simulated.close()
    const again = await simulated.reopen()
    let isHolding = false
    let hold: (() => void) | undefined
    const open = disk.openSync.bind(disk)
    disk.openSync = (path, mode) => {
      const file = open(path, mode)
      if (!path.endsWith('/00000000000000000000') || !path.includes('commitlog')) return file
      const read: typeof file.read = (into, position, done) => {
        if (isHolding) hold = () => file.read(into, position, done)
        else file.read(into, position, done)
      }
      return Object.assign(Object.create(file), { ...file, read })
    }
    const cold = await openCold(again)
    await scheduler.advance(5000)
    isHolding = true
    let result: ReadResult | undefined
    cold.store.read(
      { topic: 'orders', queueId: 0, offset: 0, maxCount: 4, maxBytes: 100_000, filter: undefined },
      (answer) => {
        result = answer
      },
    )
    assert.equal(typeof hold, 'function', 'the read is under way')
    cold.store.deleteExpiredLog()
    await scheduler.advance(65_000)
    assert.equal(cold.store.positions.min, SEGMENT, 'out of the log at once')
    assert.equal(segmentsOf(cold)[0], 0, 'its file waits for the reader')
    isHolding = false
    hold!()
    await scheduler.advance(20_000)
    assert.deepEqual([result?.status, result?.count], [GetStatus.FOUND, 4])
    assert.deepEqual(segmentsOf(cold), [3 * SEGMENT])
    await cold.close()
  })

  const openCold = async (simulated: SimulatedStore): Promise<SimulatedStore> => {
    await simulated.close()
    // So little memory that whatever is not in the chunks is cold.
    return await openSimulatedStore(
      { mappedFileSizeCommitLog: String(SEGMENT), mappedFileSizeConsumeQueue: '200', fileReservedTime: '0' },
      { scheduler: simulated.scheduler, disk: simulated.disk, memoryBytes: 1000 },
    )
  }
})

describe('a file that cannot be deleted', () => {
  test('is tried again, and nothing after it goes before it', async () => {
    const simulated = await openSmall({ settings: { fileReservedTime: '0' } })
    const { scheduler, store, disk, log } = simulated
    await fill(simulated, 5)
    const remove = disk.remove.bind(disk)
    const tried: string[] = []
    disk.remove = (path, done) => {
      tried.push(path)
      if (path.includes('commitlog'))
        scheduler.after(1, () => done(Object.assign(new Error('EBUSY'), { code: 'EBUSY' })))
      else remove(path, done)
    }
    store.deleteExpiredLog()
    await scheduler.advance(60_000 + 3 * ROUND_MS)
    assert.deepEqual(segmentsOf(simulated)[0], 0)
    assert.equal(store.positions.min, SEGMENT)
    assert.deepEqual(
      tried.map((path) => Number(path.split('/').pop())),
      [0],
    )
    assert.equal(queueFilesOf(simulated)[0], 0, 'the next start finds the segment and its entries')
    disk.remove = remove
    store.deleteExpiredLog()
    await scheduler.advance(130_000)
    assert.deepEqual(segmentsOf(simulated), [4 * SEGMENT])
    assert.equal(log.lines.filter(({ level }) => level === 'error').length, 1)
    await simulated.close()
  })
})

describe('queues that have expired as a whole', () => {
  test('are forgotten with their files; what is sent then begins at 0, also after a crash', async () => {
    const simulated = await openSmall({ settings: { fileReservedTime: '0' } })
    const { scheduler, store, disk } = simulated
    for (let each = 0; each < 30; each++) store.append(draftOf({ queueId: 7 }))
    store.append(draftOf({ topic: 'kept' }))
    store.append(draftOf({ topic: 'alone' }))
    await fill(simulated, 4)
    store.deleteExpiredLog()
    await scheduler.advance(60_000 + ROUND_MS)
    store.append(draftOf({ topic: 'alone', queueId: 1 }))
    await scheduler.advance(2000)
    const destroyed = await settled(
      simulated,
      store.destroyExpiredQueues((topic) => topic === 'kept'),
    )
    assert.deepEqual(destroyed, [
      { topic: 'orders', queueId: 7 },
      { topic: 'alone', queueId: 0 },
    ])
    assert.deepEqual([store.maxOffset('orders', 7), store.maxOffset('kept', 0)], [0, 1])
    assert.equal(store.queueExists('orders', 7), false)
    assert.deepEqual(disk.listSync('/store/consumequeue/orders'), ['0'])
    assert.equal((await readAt(simulated, 30, 7)).status, GetStatus.NO_MATCHED_LOGIC_QUEUE)
    assert.equal(store.append(draftOf({ queueId: 7, body: 'anew' })).queueOffset, 0)
    await scheduler.advance(1000)
    const after = await simulated.crash()
    assert.deepEqual([after.store.minOffset('orders', 7), after.store.maxOffset('orders', 7)], [0, 1])
    await after.close()
  })

  test('are not those that a message is on its way to', async () => {
    const simulated = await openSmall({ settings: { fileReservedTime: '0' } })
    const { scheduler, store } = simulated
    store.append(draftOf({ queueId: 7 }))
    await fill(simulated, 3)
    store.deleteExpiredLog()
    await scheduler.advance(60_000 + ROUND_MS)
    store.append(draftOf({ queueId: 7 }))
    assert.deepEqual(
      await settled(
        simulated,
        store.destroyExpiredQueues(() => false),
      ),
      [],
    )
    assert.equal(store.maxOffset('orders', 7), 2)
    await simulated.close()
  })
})

async function settled<T>({ scheduler }: SimulatedStore, promise: Promise<T>): Promise<T> {
  let isSettled = false
  const watched = promise.finally(() => {
    isSettled = true
  })
  while (!isSettled) await scheduler.advance(1)
  return await watched
}

test('a queue whose first file could not be filled up to its first entry is whole once there is room', async () => {
  const simulated = await openSmall({ settings: { fileReservedTime: '0', flushIntervalConsumeQueue: '5' } })
  const { scheduler, disk, store } = simulated
  for (let each = 0; each < 3; each++) store.append(draftOf({ queueId: 7 }))
  await fill(simulated, 3)
  store.deleteExpiredLog()
  await scheduler.advance(75_000)
  for (let each = 0; each < 4; each++) store.append(draftOf({ queueId: 7 }))
  await scheduler.advance(1000)
  await simulated.close()
  // The folder of the queue is lost: it is made anew from the log, whose first message of it has offset 3.
  disk.removeTreeSync('/store/consumequeue/orders/7')
  disk.removeSync('/store/checkpoint')
  const room = Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' })
  let failures = 1
  disk.fault = (call, path) => {
    const fails = call === 'write' && path.includes('/orders/7/') && failures > 0 && disk.statSync(path)!.sizeBytes > 0
    if (fails) failures--
    return fails ? room : undefined
  }
  await assert.rejects(simulated.reopen(), /ENOSPC/)
  disk.fault = undefined
  const again = await simulated.reopen()
  assert.deepEqual([again.store.minOffset('orders', 7), again.store.maxOffset('orders', 7)], [3, 7])
  await again.close()
})

test('a start without room for its own small files says so with numbers, and finds everything once there is room', async () => {
  const simulated = await openSmall({ capacityBytes: 400_000 })
  simulated.store.append(draftOf())
  await simulated.scheduler.advance(2000)
  await simulated.close()
  const { disk } = simulated
  const room = occupy(disk, Math.floor(400_000 / 4096) * 4096 - disk.usedBytes)
  await assert.rejects(
    simulated.reopen(),
    /^StoreRefused: the disk of \/store is full: 388\.0 KiB of 390\.6 KiB used, 2\.6 KiB free \(ENOSPC: .*\)\. Make some room/,
  )
  room()
  const again = await simulated.reopen()
  assert.equal(again.store.maxOffset('orders', 0), 1)
  await again.close()
})
