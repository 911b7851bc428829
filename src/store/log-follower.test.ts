import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { memoryLog } from '../base/console-log.ts'
import { readPosition } from '../protocol/message.ts'
import { CommitLog } from './commit-log.ts'
import { LogFollower } from './log-follower.ts'
import { draftOf, openSimulatedStore, type SimulatedStore } from './simulated-store.ts'

const SEGMENT_BYTES = 65_536

/** A log of so many records on a disk, and what follows it. */
async function written(
  count: number,
  segmentBytes = SEGMENT_BYTES,
): Promise<{
  it: SimulatedStore
  positions: number[]
  end: number
  log: CommitLog
  follower: LogFollower
  told: ReturnType<typeof memoryLog>
}> {
  const it = await openSimulatedStore({ mappedFileSizeCommitLog: String(segmentBytes) })
  const positions: number[] = []
  for (let each = 0; each < count; each++) {
    const body = 'b'.repeat((each * 37) % 500)
    positions.push(it.store.append(draftOf({ body })).position)
    if (each % 100 === 0) await it.scheduler.advance(10)
  }
  await it.close()
  const told = memoryLog()
  const log = new CommitLog({
    disk: it.disk,
    directory: '/store/commitlog',
    segmentBytes,
    chunkBytes: segmentBytes,
    chunkBudgetBytes: 1_048_576,
    log: told,
  })
  log.load()
  const end = it.store.positions.appended
  log.startAt(end)
  return { it, positions, end, log, told, follower: new LogFollower(log, it.scheduler, told) }
}

/** Follows to the end of time, or to where one is not taken. */
async function follow(
  { it, follower }: { it: SimulatedStore; follower: LogFollower },
  limit: number,
  take: (position: number) => boolean,
): Promise<boolean> {
  let result: boolean | undefined
  void follower
    .follow(limit, (bytes, at, position) => {
      assert.equal(readPosition(bytes, at), position)
      return take(position)
    })
    .then((whole) => {
      result = whole
    })
  while (result === undefined) await it.scheduler.advance(1)
  return result
}

describe('a follower of the log', () => {
  test('meets every record once, in order, over segments', async () => {
    const log = await written(1_000)
    const met: number[] = []
    assert.equal(await follow(log, log.end, (position) => met.push(position) > 0), true)
    assert.deepEqual(met, log.positions)
    assert.equal(log.follower.position, log.end)
    assert.ok(log.log.segments.length > 3)
  })

  test('stops before what is not taken, and goes on with it', async () => {
    const log = await written(50)
    const met: number[] = []
    const refused = log.positions[20]!
    assert.equal(await follow(log, log.end, (position) => position !== refused && met.push(position) > 0), false)
    assert.equal(log.follower.position, refused)
    assert.equal(await follow(log, log.end, (position) => met.push(position) > 0), true)
    assert.deepEqual(met, log.positions)
  })

  test('a record that is not whole before the limit waits', async () => {
    const log = await written(50)
    const met: number[] = []
    assert.equal(await follow(log, log.positions[11]! - 1, (position) => met.push(position) > 0), true)
    assert.deepEqual(met, log.positions.slice(0, 10))
    assert.equal(await follow(log, log.end, (position) => met.push(position) > 0), true)
    assert.deepEqual(met, log.positions)
  })

  test('goes by a damaged record to the next one, and says so once', async () => {
    const log = await written(400)
    const damaged = [7, 8, 120]
    for (const index of damaged) {
      const position = log.positions[index]!
      const segment = log.log.segmentAt(position)!
      segment.writeSync(Buffer.from([0x7f, 0xff]), position)
    }
    const met: number[] = []
    assert.equal(await follow(log, log.end, (position) => met.push(position) > 0), true)
    assert.deepEqual(
      met,
      log.positions.filter((_, index) => !damaged.includes(index)),
    )
    const lines = log.told.lines.filter(({ message }) => message === 'damaged record in the commit log')
    assert.deepEqual(
      lines.map(({ fields }) => fields.position),
      damaged.map((index) => log.positions[index]),
    )
  })

  test('what jumps meanwhile ends the walk', async () => {
    const log = await written(400)
    let met = 0
    const whole = await follow(log, log.end, () => {
      if (++met === 100) log.follower.jump(0)
      return true
    })
    assert.equal(whole, false)
    assert.equal(log.follower.position, 0)
  })

  test('gives the loop back at least every millisecond', async () => {
    const log = await written(3_000, 1_048_576)
    // Each look at the clock is a tenth of a millisecond later.
    let now = 0
    log.it.scheduler.monotonic = () => {
      now += 0.1
      return now
    }
    const slices: number[] = []
    let inSlice = 0
    const { sleep } = log.it.scheduler
    log.it.scheduler.sleep = (ms) => {
      slices.push(inSlice)
      inSlice = 0
      return sleep.call(log.it.scheduler, ms)
    }
    assert.equal(await follow(log, log.end, () => ++inSlice > 0), true)
    assert.ok(slices.length >= 2, `${slices.length} pauses`)
    // A read in between gives the loop back too.
    assert.ok(Math.max(...slices) <= 2 * 32 * 11, `${Math.max(...slices)} records in one slice`)
  })
})
