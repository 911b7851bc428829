import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { silentLog } from '../../src/base/console-log.ts'
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
import { queuesInLog } from './log-on-disk.ts'

const SEGMENT = 16_384
const QUEUES = [0, 1]

interface Sent {
  queueId: number
  queueOffset: number
  position: number
  body: string
}

/** A store whose expired segments are being deleted, and which goes down at one operation of that. */
class Deletion {
  readonly #scheduler = new SimulatedScheduler()
  readonly #disk: SimulatedDisk
  readonly #random: SeededRandom
  #crashing: CrashingDisk
  readonly sent: Sent[] = []
  #acked = 0
  minSeen = 0
  store!: MessageStore

  constructor(seed: number) {
    this.#random = new SeededRandom(seed)
    this.#disk = new SimulatedDisk(new SeededRandom(seed + 1), { scheduler: this.#scheduler })
    this.#crashing = this.#newDisk()
  }

  #newDisk(): CrashingDisk {
    return new CrashingDisk(this.#disk, { downAt: Number.POSITIVE_INFINITY, failAt: new Set() }, this.#random)
  }

  async open(): Promise<void> {
    const crashing = this.#newDisk()
    this.#crashing = crashing
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
      disk: crashing,
      scheduler: new AliveScheduler(this.#scheduler, () => crashing.isDown),
      random: this.#random,
      log: silentLog,
      probes: new Probes(),
      processId: 1,
      storeHost: { address: new Uint8Array(4), port: 10_911 },
      memoryBytes: 1_000_000_000,
    })
  }

  send(count: number): void {
    for (let each = 0; each < count && !this.#crashing.isDown; each++) {
      const queueId = this.sent.length % 7 === 0 ? 1 : 0
      const body = `${this.sent.length} ${'x'.repeat(900)}`
      const appended = this.store.append(draftOf({ queueId, body, properties: `KEYS\u0001k${this.sent.length}\u0002` }))
      if (appended.status !== PutStatus.PUT_OK) return
      const { queueOffset, position, endPosition } = appended
      this.sent.push({ queueId, queueOffset, position, body })
      const count = this.sent.length
      this.store.durable.wait({
        target: endPosition,
        deadline: Number.POSITIVE_INFINITY,
        wake: () => {
          if (!this.#crashing.isDown) this.#acked = count
        },
        fail: () => {},
      })
    }
  }

  async pass(ms: number): Promise<void> {
    await this.#scheduler.advance(ms)
    if (!this.#crashing.isDown) this.minSeen = Math.max(this.minSeen, this.store.positions.min)
  }

  /** The life in which segments go. @returns operations of the disk that it took */
  async live(downAt: number): Promise<number> {
    await this.open()
    this.send(85)
    await this.pass(3000)
    this.#crashing.plan.downAt = this.#crashing.operations + downAt
    const before = this.#crashing.operations
    this.store.deleteExpiredLog()
    await this.pass(60_000)
    for (let each = 0; each < 5; each++) {
      if (!this.#crashing.isDown) this.send(1)
      await this.pass(1000)
    }
    return this.#crashing.operations - before
  }

  crash(kind: 'power' | 'kill'): void {
    this.#crashing.isDown = true
    if (kind === 'power') this.#disk.crash()
    // What was under way may be there or not.
    this.sent.length = this.#acked
  }

  get isDown(): boolean {
    return this.#crashing.isDown
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

describe('deleting segments', () => {
  for (const kind of ['power', 'kill'] as const) {
    test(`survives a ${kind === 'power' ? 'loss of power' : 'kill'} at each operation of the disk`, async () => {
      const whole = new Deletion(1)
      const operations = await whole.live(Number.POSITIVE_INFINITY)
      assert.equal(whole.store.positions.min, 5 * SEGMENT)
      assert.ok(operations > 30, `${operations} operations`)
      await whole.check()
      await whole.close()
      for (let downAt = 1; downAt <= operations; downAt++) {
        const deletion = new Deletion(downAt)
        await deletion.live(downAt)
        // Chance decides how writes are joined, so some lives end a little sooner.
        if (!deletion.isDown) assert.ok(downAt > operations * 0.8, `operation ${downAt} was reached`)
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
          ;(error as Error).message = `${kind} at operation ${downAt} of ${operations}: ${(error as Error).message}`
          throw error
        }
      }
    })
  }
})
