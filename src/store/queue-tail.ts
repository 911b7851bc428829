import { UNIT_BYTES } from './queue-unit.ts'

/** Entries of a queue that has just become hot: most of many queues never have more at a time. */
const FIRST_UNITS = 4
/** Room of a queue that has more. */
const OWN_UNITS = 64
/** Entries kept in memory of the busiest queues. */
const MOST_UNITS = 4096
/** Short tails that share a buffer: one for each would cost more than the entries. */
const SLOTS = 1024
const SLOT_BYTES = FIRST_UNITS * UNIT_BYTES

interface Slot {
  bytes: Buffer
  view: DataView
  at: number
}

/** Room for short tails. */
export class TailSlots {
  #free: Slot[] = []

  take(): Slot {
    const slot = this.#free.pop()
    if (slot !== undefined) return slot
    const bytes = Buffer.allocUnsafeSlow(SLOTS * SLOT_BYTES)
    const view = viewOf(bytes)
    for (let index = SLOTS - 1; index >= 0; index--) this.#free.push({ bytes, view, at: index * SLOT_BYTES })
    return this.#free.pop()!
  }

  give(slot: Slot): void {
    this.#free.push(slot)
  }

  clear(): void {
    this.#free = []
  }
}

/** The newest entries of a queue that is in use. */
export class QueueTail {
  readonly queue: number
  /** Queue offset of the first entry held. */
  start: number
  count = 0
  /** Entries before this queue offset are in the file. */
  stored: number
  bytes: Buffer
  view: DataView
  /** Where the first entry stands in them. */
  at: number
  capacity = FIRST_UNITS
  waiting = false
  dropped = false
  idleSweeps = 0
  #slot: Slot | undefined

  constructor(queue: number, start: number, slots: TailSlots) {
    this.queue = queue
    this.start = start
    this.stored = start
    const slot = slots.take()
    this.#slot = slot
    this.bytes = slot.bytes
    this.view = slot.view
    this.at = slot.at
  }

  get end(): number {
    return this.start + this.count
  }

  /** Whether its room is lent, and will be another's. */
  get isShort(): boolean {
    return this.#slot !== undefined
  }

  /** Its bytes from a queue offset on. */
  from(queueOffset: number): Buffer {
    return this.bytes.subarray(this.at + (queueOffset - this.start) * UNIT_BYTES, this.at + this.count * UNIT_BYTES)
  }

  /** Room for one more entry: by growing while busy, else by forgetting the older half of what is stored. */
  makeRoom(slots: TailSlots): void {
    const stored = this.stored - this.start
    if (this.capacity < MOST_UNITS || stored === 0) {
      this.capacity = Math.max(OWN_UNITS, this.capacity * 2)
      const grown = Buffer.allocUnsafeSlow(this.capacity * UNIT_BYTES)
      this.from(this.start).copy(grown)
      this.#giveBack(slots)
      this.bytes = grown
      this.view = viewOf(grown)
      this.at = 0
      return
    }
    const drop = Math.min(stored, this.capacity / 2)
    this.bytes.copyWithin(0, drop * UNIT_BYTES, this.count * UNIT_BYTES)
    this.start += drop
    this.count -= drop
  }

  /** Nothing is asked of it any more. */
  drop(slots: TailSlots): void {
    this.dropped = true
    this.#giveBack(slots)
  }

  #giveBack(slots: TailSlots): void {
    if (this.#slot !== undefined) slots.give(this.#slot)
    this.#slot = undefined
  }
}

export const viewOf = (bytes: Buffer): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
