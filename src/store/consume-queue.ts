import type { DiskError } from '../base/disk.ts'
import { RingQueue } from '../base/ring-queue.ts'
import type { Scheduler, Timer } from '../base/scheduler.ts'
import type { QueueFiles } from './queue-files.ts'
import type { QueueTable } from './queue-table.ts'
import { QueueTail, TailSlots, viewOf } from './queue-tail.ts'
import { isExtensionAddress, UNIT_BYTES, type Units, unitTagsHigh, unitTagsLow, writeUnit } from './queue-unit.ts'

/** So many waiting entries are written at once, not by the clock: 27 ns each instead of 1114 alone. */
const WRITE_UNITS = 64
/** Tails written in one turn when the clock asks for all. */
const TURN_TAILS = 128
/** New files take the file system long: a turn with many of them ends earlier. */
const TURN_MS = 5
/** Sweeps without a new entry after which a tail gives its memory back. */
const IDLE_SWEEPS = 10
/** Entries read from a file for one question: what one read examines at most. */
const READ_UNITS = 800

/** Queues written by the clock in one interval, and the time that may take. Others wait, the oldest first in turn. */
const SWEEP_TAILS = 2048
const SWEEP_MS = 100
/** Between two turns of a sync of more than that, unless somebody waits for its end. */
const PAUSE_MS = 20
/** Queues whose newest entries are in memory: for one more, the one that waits longest is written at once. */
const MOST_TAILS = 262_144
/** With more than so many, what is written is not kept for readers. */
const CALM_TAILS = 16_384

/**
 * The consume queues: for each queue, position, size and tag code of its messages. Derived from the log, so never on
 * the way of an answer: entries wait in memory and are written behind, and after a crash they are rebuilt.
 */
export class ConsumeQueues {
  /** Recovery: what is in the files is compared and only rewritten where it differs. */
  verifying = false
  /** Recovery after an unclean stop: what agrees is written all the same, for a failed sync may have left it undone. */
  rewriting = false
  /** Entries that recovery found wrong or missing. */
  rewritten = 0
  /** Why entries cannot be written; undefined while they can. */
  failure: DiskError | undefined
  readonly #files: QueueFiles
  readonly #table: QueueTable
  readonly #scheduler: Scheduler
  readonly #intervalMs: number
  readonly #extendedTopics: ReadonlySet<string>
  readonly #onFailure: (error: DiskError | undefined) => void
  /** By queue number. */
  #tails: (QueueTail | undefined)[] = []
  #live: QueueTail[] = []
  #liveCount = 0
  #waiting = new RingQueue<QueueTail>()
  readonly #slots = new TailSlots()
  readonly #mostTails: number
  #sweepLeft = SWEEP_TAILS
  #sweepMs = 0
  /** Waiting tails that had their turn. */
  #swept = 0
  #timer: Timer | undefined
  #stopped = false
  readonly #readBytes = Buffer.allocUnsafeSlow(READ_UNITS * UNIT_BYTES)
  readonly #readView = viewOf(this.#readBytes)
  readonly #units: Units = { view: this.#readView, at: 0, count: 0 }

  constructor(options: {
    files: QueueFiles
    table: QueueTable
    scheduler: Scheduler
    intervalMs: number
    /** Topics that have Java's consume queue extension. */
    extendedTopics: ReadonlySet<string>
    /** Entries cannot be written; undefined: they can again. */
    onFailure: (error: DiskError | undefined) => void
    /** For tests. */
    mostTails?: number
  }) {
    this.#files = options.files
    this.#table = options.table
    this.#scheduler = options.scheduler
    this.#intervalMs = options.intervalMs
    this.#extendedTopics = options.extendedTopics
    this.#onFailure = options.onFailure
    this.#mostTails = options.mostTails ?? MOST_TAILS
  }

  get tails(): number {
    return this.#liveCount
  }

  /** Adds the entry of a message; the next offset of the queue, except when recovery meets a queue made anew. */
  put(
    queue: number,
    queueOffset: number,
    position: number,
    sizeBytes: number,
    tagsLow: number,
    tagsHigh: number,
  ): void {
    let tail = this.#tails[queue]
    if (tail === undefined || tail.end !== queueOffset) tail = this.#newTail(queue, queueOffset)
    else if (tail.count === tail.capacity) tail.makeRoom(this.#slots)
    writeUnit(tail.view, tail.at + tail.count * UNIT_BYTES, position, sizeBytes, tagsLow, tagsHigh)
    tail.count++
    tail.idleSweeps = 0
    this.#table.max[queue] = queueOffset + 1
    this.#table.lastPosition[queue] = position
    if (!tail.waiting) {
      tail.waiting = true
      this.#waiting.push(tail)
      this.#timer ??= this.#scheduler.after(this.#intervalMs, this.#sweep)
    }
    if (tail.end - tail.stored >= WRITE_UNITS && this.failure === undefined) this.#write(tail)
  }

  #newTail(queue: number, queueOffset: number): QueueTail {
    const before = this.#tails[queue]
    if (before !== undefined) {
      this.#write(before)
      if (this.verifying) this.#mustBeStored(before)
      this.#forget(before)
    }
    if (this.#liveCount >= this.#mostTails) this.#evict()
    const tail = new QueueTail(queue, queueOffset, this.#slots)
    while (this.#tails.length <= queue) this.#tails.push(undefined)
    this.#tails[queue] = tail
    this.#live.push(tail)
    this.#liveCount++
    return tail
  }

  /** Makes room in memory for another queue, by writing the one that waits longest. */
  #evict(): void {
    const tail = this.#waiting.shift()
    if (tail === undefined) {
      // None waits: the longest unused is forgotten.
      const unused = this.#live.find((each) => !each.dropped)
      if (unused !== undefined) this.#forget(unused)
      return
    }
    tail.waiting = false
    if (tail.dropped) return
    this.#write(tail)
    if (tail.stored === tail.end) this.#forget(tail)
    else this.#waitAgain(tail)
  }

  #waitAgain(tail: QueueTail): void {
    tail.waiting = true
    this.#waiting.push(tail)
  }

  /** What is stored of it is in the file, what is not is given up. */
  #forget(tail: QueueTail): void {
    if (tail.dropped) return
    if (this.#tails[tail.queue] === tail) this.#tails[tail.queue] = undefined
    tail.drop(this.#slots)
    this.#liveCount--
  }

  /** Entries from `queueOffset` on, at most `wanted`; count 0 when none is there. Valid until the next question. */
  units(queue: number, queueOffset: number, wanted: number): Units {
    const units = this.#units
    const tail = this.#tails[queue]
    const max = this.#table.max[queue]!
    units.count = 0
    if (queueOffset >= max) return units
    if (tail !== undefined && queueOffset >= tail.start) {
      units.count = Math.min(wanted, max - queueOffset)
      if (tail.isShort) {
        tail.from(queueOffset).copy(this.#readBytes)
        units.view = this.#readView
        units.at = 0
        return units
      }
      units.view = tail.view
      units.at = (queueOffset - tail.start) * UNIT_BYTES
      return units
    }
    const end = tail === undefined ? max : tail.start
    const count = Math.min(wanted, end - queueOffset, READ_UNITS)
    units.view = this.#readView
    units.at = 0
    units.count = this.#files.read(queue, queueOffset, this.#readBytes.subarray(0, count * UNIT_BYTES))
    return units
  }

  #write(tail: QueueTail): void {
    const from = tail.stored
    const bytes = tail.from(from)
    if (bytes.length === 0) return
    try {
      const agrees = this.verifying && this.#agrees(tail, bytes)
      if (!agrees || this.rewriting) this.#files.write(tail.queue, from, bytes)
      tail.stored = tail.end
      if (this.failure === undefined) return
      this.failure = undefined
      this.#onFailure(undefined)
    } catch (error) {
      this.failure = error as DiskError
      this.#onFailure(this.failure)
    }
  }

  /** Whether the file holds these entries already. */
  #agrees(tail: QueueTail, bytes: Buffer): boolean {
    const there = Buffer.alloc(bytes.length)
    this.#files.read(tail.queue, tail.stored, there)
    if (there.equals(bytes)) return true
    const view = viewOf(there)
    const isExtended = this.#extendedTopics.has(this.#table.topicOf(tail.queue)?.name ?? '')
    let wrong = 0
    for (let at = 0; at < bytes.length; at += UNIT_BYTES) {
      if (there.compare(bytes, at, at + UNIT_BYTES, at, at + UNIT_BYTES) === 0) continue
      // An address in Java's extension files stands in place of the tag code, which is then found there.
      const same = isExtended && there.compare(bytes, at, at + 12, at, at + 12) === 0
      if (same && isExtensionAddress(unitTagsLow(view, at), unitTagsHigh(view, at))) {
        there.copy(bytes, at + 12, at + 12, at + UNIT_BYTES)
      } else wrong++
    }
    this.rewritten += wrong
    return wrong === 0
  }

  readonly #sweep = (): void => {
    this.#timer = undefined
    if (this.#stopped) return
    const begun = this.#scheduler.monotonic()
    const limit = Math.min(TURN_TAILS, this.#sweepLeft)
    this.#sweepLeft -= limit
    const more = this.#writeSome(limit)
    this.#sweepMs += this.#scheduler.monotonic() - begun
    if (more && this.#sweepLeft > 0 && this.#sweepMs < SWEEP_MS) {
      this.#scheduler.defer(this.#sweep)
      return
    }
    this.#sweepLeft = SWEEP_TAILS
    this.#sweepMs = 0
    const idleSweeps = this.#liveCount > CALM_TAILS ? 1 : IDLE_SWEEPS
    this.#live = this.#live.filter((tail) => {
      if (tail.dropped) return false
      if (tail.waiting || ++tail.idleSweeps < idleSweeps) return true
      this.#forget(tail)
      return false
    })
    if (this.#live.length > 0) this.#timer ??= this.#scheduler.after(this.#intervalMs, this.#sweep)
  }

  /** Writes waiting tails, not too many in one turn; true when there are more. */
  #writeSome(limit = TURN_TAILS): boolean {
    const until = this.#scheduler.monotonic() + TURN_MS
    for (let left = limit; left > 0 && this.#scheduler.monotonic() <= until; left--) {
      const tail = this.#waiting.shift()
      if (tail === undefined) break
      tail.waiting = false
      this.#swept++
      if (tail.dropped) continue
      this.#write(tail)
      if (tail.stored < tail.end) {
        // The disk is full or broken: what waits goes on waiting, all of it, and is tried again by the clock.
        this.#waitAgain(tail)
        return false
      }
    }
    return this.#waiting.length > 0
  }

  /** Writes all that waits; whether it could. */
  writeAll(): boolean {
    while (this.#writeSome());
    return this.#waiting.length === 0
  }

  /** Writes and syncs what is here by now; in slices, and the syncs off the loop: several at a time where that is waited for. */
  sync(done: (error: DiskError | null) => void, inHurry = false): void {
    const until = this.#swept + this.#waiting.length
    const isGentle = !inHurry && this.#waiting.length > SWEEP_TAILS
    const step = (): void => {
      // The stop has a round of its own.
      if (this.#stopped) return
      const more = this.#writeSome()
      if (more && this.#swept < until) {
        if (isGentle) this.#scheduler.after(PAUSE_MS, step)
        else this.#scheduler.defer(step)
      } else if (this.failure !== undefined) done(this.failure)
      else this.#files.sync(done, inHurry)
    }
    step()
  }

  /** Writes one entry again that was found damaged. */
  restore(
    queue: number,
    queueOffset: number,
    position: number,
    sizeBytes: number,
    tagsLow: number,
    tagsHigh: number,
  ): void {
    const unit = Buffer.alloc(UNIT_BYTES)
    writeUnit(viewOf(unit), 0, position, sizeBytes, tagsLow, tagsHigh)
    const tail = this.#tails[queue]
    if (tail !== undefined && queueOffset >= tail.start && queueOffset < tail.end) {
      unit.copy(tail.bytes, tail.at + (queueOffset - tail.start) * UNIT_BYTES)
      if (queueOffset >= tail.stored) return
    }
    this.#files.write(queue, queueOffset, unit)
  }

  /** Makes the queue end at `queueOffset`, in memory and in its files. */
  cut(queue: number, queueOffset: number): void {
    this.#drop(queue)
    this.#files.cut(queue, queueOffset)
    this.#table.max[queue] = queueOffset
    this.#table.next[queue] = queueOffset
    const last = this.units(queue, queueOffset - 1, 1)
    this.#table.lastPosition[queue] =
      queueOffset > 0 && last.count === 1
        ? last.view.getInt32(last.at) * 0x1_0000_0000 + last.view.getUint32(last.at + 4)
        : -1
  }

  /** Writes out and forgets what is in memory of a queue. */
  #drop(queue: number): void {
    const tail = this.#tails[queue]
    if (tail === undefined) return
    this.#write(tail)
    this.#mustBeStored(tail)
    this.#forget(tail)
  }

  /** Before it is forgotten: that another queue could be written says nothing about this one. */
  #mustBeStored(tail: QueueTail): void {
    if (tail.stored < tail.end) throw this.failure!
  }

  /** Forgets one queue and removes its files. */
  removeQueue(topic: string, queue: number): void {
    this.#forgetQueue(queue)
    this.#files.removeQueue(topic, this.#table.queueId[queue]!)
  }

  /** Forgets the queues of a topic and removes its files. */
  removeTopic(topic: string, queues: readonly number[]): void {
    for (const queue of queues) this.#forgetQueue(queue)
    this.#files.removeTopic(topic)
  }

  #forgetQueue(queue: number): void {
    const tail = this.#tails[queue]
    // A read that is still on its way finds nothing more.
    this.#table.max[queue] = 0
    if (tail !== undefined) this.#forget(tail)
  }

  /** Back to what the files say, for a second look by recovery. */
  forgetTails(): void {
    this.#tails = []
    this.#live = []
    this.#liveCount = 0
    this.#waiting = new RingQueue()
    this.#slots.clear()
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
    this.#timer = undefined
  }

  close(): void {
    this.stop()
    this.#files.close()
  }
}
