import assert from 'node:assert/strict'
import { silentLog } from '../../src/base/console-log.ts'
import type { Disk } from '../../src/base/disk.ts'
import { Probes } from '../../src/base/probe.ts'
import { SeededRandom } from '../../src/base/random.ts'
import { SimulatedDisk } from '../../src/base/simulated-disk.ts'
import { SimulatedScheduler } from '../../src/base/simulated-scheduler.ts'
import { decodeMessages } from '../../src/protocol/message.ts'
import { type MessageStore, PutStatus, type ReadResult } from '../../src/store/message-store.ts'
import { openStore } from '../../src/store/open-store.ts'
import { storeSettings } from '../../src/store/settings.ts'
import { draftOf } from '../../src/store/simulated-store.ts'
import { AliveScheduler } from './alive-scheduler.ts'
import { CrashingDisk } from './crashing-disk.ts'
import { FailingDisk } from './failing-disk.ts'
import { queuesInLog } from './log-on-disk.ts'

const SEGMENT = 16_384
const QUEUES = [0, 1]

interface Sent {
  queueId: number
  queueOffset: number
  position: number
  body: string
  isAcked: boolean
}

/** A disk that is taken down, or fails, at one of its operations. */
type FaultyDisk = Disk & { isDown: boolean }

/** A store whose expired segments are being deleted, on a disk on which something goes wrong meanwhile. */
class Deletion {
  readonly #scheduler = new SimulatedScheduler()
  readonly #disk: SimulatedDisk
  readonly #random: SeededRandom
  #faulty!: FaultyDisk
  sent: Sent[] = []
  #count = 0
  minSeen = 0
  store!: MessageStore

  constructor(seed: number) {
    this.#random = new SeededRandom(seed)
    this.#disk = new SimulatedDisk(new SeededRandom(seed + 1), { scheduler: this.#scheduler })
  }

  #crashingDisk(): CrashingDisk {
    return new CrashingDisk(this.#disk, { downAt: Number.POSITIVE_INFINITY, failAt: new Set() }, this.#random)
  }

  failingDisk(failAt: number): FailingDisk {
    return new FailingDisk(this.#disk, failAt, 'EIO')
  }

  async open(faulty: FaultyDisk = this.#crashingDisk()): Promise<void> {
    this.#faulty = faulty
    this.store = await openStore({
      settings: storeSettings.parse({
        storePathRootDir: '/store',
        flushDiskType: 'SYNC_FLUSH',
        mappedFileSizeCommitLog: String(SEGMENT),
        mappedFileSizeConsumeQueue: '200',
        maxHashSlotNum: '5',
        maxIndexNum: '20',
        fileReservedTime: '0',
        deleteWhen: String((new Date(this.#scheduler.now()).getHours() + 12) % 24),
      }).settings,
      disk: faulty,
      scheduler: new AliveScheduler(this.#scheduler, () => faulty.isDown),
      random: this.#random,
      log: silentLog,
      probes: new Probes(),
      processId: 1,
      storeHost: { address: new Uint8Array(4), port: 10_911 },
      memoryBytes: 1_000_000_000,
    })
  }

  send(count: number): void {
    for (let each = 0; each < count && !this.isDown; each++) {
      const id = this.#count++
      const queueId = id % 7 === 0 ? 1 : 0
      const body = `${id} ${'x'.repeat(900)}`
      const appended = this.store.append(draftOf({ queueId, body, properties: `KEYS\u0001k${id}\u0002` }))
      if (appended.status !== PutStatus.PUT_OK) return
      const { queueOffset, position, endPosition } = appended
      const sent: Sent = { queueId, queueOffset, position, body, isAcked: false }
      this.sent.push(sent)
      this.store.durable.wait({
        target: endPosition,
        deadline: Number.POSITIVE_INFINITY,
        wake: () => {
          if (!this.isDown) sent.isAcked = true
        },
        fail: () => {
          this.sent = this.sent.filter((other) => other !== sent)
        },
      })
    }
  }

  async pass(ms: number): Promise<void> {
    await this.#scheduler.advance(ms)
    if (!this.isDown) this.minSeen = Math.max(this.minSeen, this.store.positions.min)
  }

  /** The life in which segments go, on a disk that goes down. @returns operations of the disk that it took */
  async live(downAt: number): Promise<number> {
    const crashing = this.#crashingDisk()
    await this.open(crashing)
    await this.grow()
    const before = crashing.operations
    crashing.plan.downAt = before + downAt
    await this.shrink()
    return crashing.operations - before
  }

  async grow(): Promise<void> {
    this.send(85)
    await this.pass(3000)
  }

  async shrink(): Promise<void> {
    if (this.isDown) return
    this.store.deleteExpiredLog()
    await this.pass(60_000)
    for (let each = 0; each < 5; each++) {
      if (!this.isDown) this.send(1)
      await this.pass(1000)
    }
  }

  crash(kind: 'power' | 'kill'): void {
    this.#faulty.isDown = true
    if (kind === 'power') this.#disk.crash()
    // What was under way may be there or not.
    this.sent = this.sent.filter(({ isAcked }) => isAcked)
  }

  get isDown(): boolean {
    return this.#faulty.isDown
  }

  async check(): Promise<void> {
    const { store } = this
    const { min, readable } = store.positions
    assert.equal(min % SEGMENT, 0)
    // A name that was not yet durably gone may come back with its messages; nothing newer than was deleted may be missing.
    assert.ok(min <= this.minSeen, `min ${min} is not behind what was seen, ${this.minSeen}`)
    const kept = this.sent.filter(({ position }) => position >= min)
    const { queues } = queuesInLog(this.#disk, '/store/commitlog')
    for (const queueId of QUEUES) {
      const all = this.sent.filter((each) => each.queueId === queueId)
      const left = kept.filter((each) => each.queueId === queueId)
      const [minOffset, maxOffset] = [store.minOffset('orders', queueId), store.maxOffset('orders', queueId)]
      assert.ok(maxOffset >= all.length, 'the end of a queue does not go back')
      assert.equal(minOffset, left[0]?.queueOffset ?? maxOffset, `queue ${queueId} begins with what is there`)
      const bodies: string[] = []
      for (let next = minOffset; next < maxOffset; ) {
        const result = await this.#read(queueId, next)
        assert.equal(result.status, 'FOUND')
        bodies.push(...result.records.flatMap((record) => decodeMessages(record).map(({ body }) => body.toString())))
        next = result.nextOffset
      }
      assert.deepEqual(
        bodies.slice(0, left.length),
        left.map(({ body }) => body),
      )
      const inLog = queues.get(`orders ${queueId}`)
      for (const { queueOffset, position } of store.entries('orders', queueId, 0, 1_000))
        assert.equal(inLog?.get(queueOffset)?.position, position)
    }
    assert.ok(readable >= (this.sent.at(-1)?.position ?? 0))
  }

  async #read(queueId: number, offset: number): Promise<ReadResult> {
    let answer: ReadResult | undefined
    this.store.read({ topic: 'orders', queueId, offset, maxCount: 32, maxBytes: 1e6, filter: undefined }, (result) => {
      answer = result
    })
    while (answer === undefined) await this.#scheduler.advance(1)
    return answer
  }

  async close(): Promise<void> {
    let isClosed = false
    const closing = this.store.close().finally(() => {
      isClosed = true
    })
    while (!isClosed) await this.#scheduler.advance(10)
    await closing
  }
}

/** Segments are deleted, and the machine goes down at each `step`-th operation of that. @returns how often it did */
export async function crashAtEach(kind: 'power' | 'kill', step: number): Promise<number> {
  const whole = new Deletion(1)
  const operations = await whole.live(Number.POSITIVE_INFINITY)
  assert.equal(whole.store.positions.min, 5 * SEGMENT)
  assert.ok(operations > 30, `${operations} operations`)
  await whole.check()
  await whole.close()
  let crashes = 0
  for (let downAt = 1; downAt <= operations; downAt += step) {
    const deletion = new Deletion(downAt)
    await deletion.live(downAt)
    // Chance decides how writes are joined, so some lives end a little sooner.
    if (deletion.isDown) crashes++
    else assert.ok(downAt > operations * 0.8, `operation ${downAt} was reached`)
    deletion.minSeen = 5 * SEGMENT
    deletion.crash(kind)
    try {
      await deletion.open()
      await deletion.check()
      // The next run finishes what this one began.
      deletion.store.deleteExpiredLog()
      await deletion.pass(75_000)
      assert.ok(deletion.store.positions.min >= 4 * SEGMENT)
      await deletion.check()
      await deletion.close()
    } catch (error) {
      throw new Error(`deletion: ${kind} at operation ${downAt} of ${operations}`, { cause: error })
    }
  }
  return crashes
}

/** Segments are deleted, and each `step`-th call of the disk meanwhile fails once. @returns how many did */
export async function failEach(step: number): Promise<number> {
  const whole = new Deletion(1)
  const counting = whole.failingDisk(Number.POSITIVE_INFINITY)
  await whole.open(counting)
  await whole.grow()
  const first = counting.calls + 1
  await whole.shrink()
  const last = counting.calls
  await whole.close()
  assert.ok(last - first > 60, `${last - first} calls`)
  let failures = 0
  for (let failAt = first; failAt <= last; failAt += step, failures++) {
    const deletion = new Deletion(1)
    const failing = deletion.failingDisk(failAt)
    try {
      await deletion.open(failing)
      await deletion.grow()
      await deletion.shrink()
      // A file that could not be deleted is tried again after two minutes.
      await deletion.pass(140_000)
      assert.ok(deletion.store.positions.min >= 5 * SEGMENT)
      await deletion.check()
      await deletion.close()
      await deletion.open()
      await deletion.check()
      await deletion.close()
    } catch (error) {
      throw new Error(`deletion: ${failing.failed} failed, call ${failAt} of ${last}`, { cause: error })
    }
  }
  return failures
}
