import type { Log } from '../base/log.ts'
import type { Scheduler } from '../base/scheduler.ts'
import { checkRecord, MAGIC_BLANK, MAGIC_V1, readPosition } from '../protocol/message.ts'
import { BLANK_BYTES, type CommitLog } from './commit-log.ts'
import type { Segment } from './segment.ts'

/** Of one turn; a record more costs less than a look at the clock. */
const SLICE_MS = 1
const LOOK_RECORDS = 32
const SLICE_RECORDS = 2048
/** Between two slices, so that the loop belongs to those who wait. */
const PAUSE_MS = 1
const WINDOW_BYTES = 262_144
const LARGEST_RECORD = 134_217_728
const SMALLEST_RECORD = 91
/** How the magic numbers of both record versions begin. */
const MAGIC_START = Buffer.alloc(4)
MAGIC_START.writeInt32BE(MAGIC_V1)

/**
 * Walks over the log behind its end, in slices: from memory where it is, else from the files, off the loop. Whoever
 * derives something from the log, and nobody waits for, follows it.
 */
export class LogFollower {
  /** Where the next record begins. */
  position = 0
  /** As fast as the loop allows: at a stop there is nobody else. */
  hurries = false
  readonly #log: CommitLog
  readonly #scheduler: Scheduler
  readonly #out: Log
  #window: Buffer = Buffer.alloc(0)
  #windowBase = 0
  #windowLength = 0
  #looks = false
  /** Moves with every jump: a walk that began before has no say any more. */
  #generation = 0
  #damagedAt = -1

  constructor(log: CommitLog, scheduler: Scheduler, out: Log) {
    this.#log = log
    this.#scheduler = scheduler
    this.#out = out
  }

  jump(position: number): void {
    this.position = position
    this.#generation++
    this.#windowLength = 0
  }

  /** Gives back its memory, until there is more to read. */
  rest(): void {
    this.#window = Buffer.alloc(0)
    this.#windowLength = 0
  }

  /** What was done with this record may have taken long. */
  look(): void {
    this.#looks = true
  }

  /** Ends the walk that is on its way. */
  stop(): void {
    this.#generation++
  }

  /**
   * Hands over each whole record before `limit`, until one is not taken or something has jumped meanwhile. The bytes are
   * valid during the call.
   *
   * @returns false when a record was not taken, or the walk was ended
   * @throws DiskError, or what `take` throws; the position is then that of the record
   */
  async follow(limit: number, take: (bytes: Buffer, at: number, position: number) => boolean): Promise<boolean> {
    const generation = this.#generation
    while (this.position < limit) {
      if (this.position < this.#log.min) this.position = this.#log.min
      const segment = this.#log.segmentAt(this.position)
      if (segment === undefined || this.position >= limit) break
      const chunk = this.#log.chunks.find(this.position)
      let step: Step = 'short'
      if (chunk !== undefined) {
        step = this.#slice(chunk.bytes, chunk.base, Math.min(chunk.end, limit, segment.end), segment, true, take)
      }
      if (step === 'short') {
        try {
          if (!(await this.#load(segment, limit, generation))) return generation === this.#generation
        } catch (error) {
          // Expired while it was read.
          if (this.position < this.#log.min && generation === this.#generation) continue
          throw error
        }
        const end = Math.min(this.#windowBase + this.#windowLength, limit)
        step = this.#slice(this.#window, this.#windowBase, end, segment, false, take)
      }
      if (step === 'refused') return false
      if (step === 'damaged') await this.#skipDamage(segment, generation)
      else if (step === 'pause') await this.#pause()
      if (generation !== this.#generation) return false
    }
    return true
  }

  /** Walks within bytes that are here; `short` when the next record is not whole in them. */
  #slice(
    bytes: Buffer,
    base: number,
    end: number,
    segment: Segment,
    isOurs: boolean,
    take: (bytes: Buffer, at: number, position: number) => boolean,
  ): Step {
    const started = this.#scheduler.monotonic()
    const generation = this.#generation
    for (let count = 0; ; count++) {
      if (this.position >= end) return 'end'
      if (count === SLICE_RECORDS) return 'pause'
      if (this.#looks || count % LOOK_RECORDS === LOOK_RECORDS - 1) {
        this.#looks = false
        if (this.#scheduler.monotonic() - started > SLICE_MS) return 'pause'
      }
      const at = this.position - base
      if (end - this.position < BLANK_BYTES) return 'short'
      const size = bytes.readInt32BE(at)
      if (bytes.readInt32BE(at + 4) === MAGIC_BLANK && size === segment.end - this.position) {
        this.position = segment.end
        return 'end'
      }
      if (size < SMALLEST_RECORD || size > LARGEST_RECORD || size > segment.end - this.position) return 'damaged'
      if (this.position + size > end) return 'short'
      // What is in memory was encoded or verified here.
      if (!isOurs && !isRecord(bytes, at, size, this.position)) return 'damaged'
      if (!take(bytes, at, this.position) || generation !== this.#generation) return 'refused'
      this.position += size
    }
  }

  /** The next record from the file; false when it is not whole before the limit. */
  async #load(segment: Segment, limit: number, generation: number): Promise<boolean> {
    let wanted = WINDOW_BYTES
    for (;;) {
      const left = Math.min(segment.end, limit) - this.position
      const within = this.position - this.#windowBase
      const held = this.#windowLength - within
      if (within >= 0 && held >= BLANK_BYTES) {
        const size = this.#window.readInt32BE(within)
        const isBlank = this.#window.readInt32BE(within + 4) === MAGIC_BLANK
        if (isBlank || size < SMALLEST_RECORD || size > LARGEST_RECORD || size <= held) return true
        if (size > segment.end - this.position) return true // damage; who walks sees it
        if (size > left) return false
        wanted = Math.max(WINDOW_BYTES, size)
      }
      if (left < BLANK_BYTES) return false
      const position = this.position
      const window = this.#window.length >= wanted ? this.#window : Buffer.allocUnsafeSlow(wanted)
      this.#windowLength = 0
      const count = await read(segment, window.subarray(0, Math.min(window.length, left)), position)
      if (generation !== this.#generation) return false
      if (count < BLANK_BYTES) return false
      this.#window = window
      this.#windowBase = position
      this.#windowLength = count
    }
  }

  /** Goes on at the next record that reads as one: what is damaged is said, what is whole behind it is not lost. */
  async #skipDamage(segment: Segment, generation: number): Promise<void> {
    if (this.#damagedAt !== this.position) {
      this.#damagedAt = this.position
      this.#out.error('damaged record in the commit log', { position: this.position, path: segment.path })
    }
    this.#windowLength = 0
    const window = Buffer.allocUnsafeSlow(WINDOW_BYTES)
    for (let at = this.position + 1; at < segment.end; ) {
      const count = await read(segment, window.subarray(0, Math.min(window.length, segment.end - at)), at)
      if (generation !== this.#generation) return
      for (let found = window.indexOf(MAGIC_START.subarray(0, 3)); found >= 0 && found + 36 <= count; ) {
        const start = at + found - 4
        if (start > this.position && found >= 4 && readPosition(window, found - 4) === start) {
          this.position = start
          return
        }
        found = window.indexOf(MAGIC_START.subarray(0, 3), found + 1)
      }
      if (count < 40 || at + count >= segment.end) break
      at += count - 40
    }
    this.position = segment.end
  }

  #pause(): Promise<void> {
    if (!this.hurries) return this.#scheduler.sleep(PAUSE_MS)
    return new Promise((resolve) => this.#scheduler.defer(resolve))
  }
}

function isRecord(bytes: Buffer, at: number, size: number, position: number): boolean {
  return checkRecord(bytes, at, at + size, { crc: false }) === size && readPosition(bytes, at) === position
}

type Step = 'end' | 'pause' | 'short' | 'refused' | 'damaged'

function read(segment: Segment, into: Buffer, position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    segment.read(into, position, (error, count) => (error === null ? resolve(count) : reject(error)))
  })
}
