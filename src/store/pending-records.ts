/**
 * Records that have been given a queue offset and are not readable yet, in log order, packed in arrays that grow by
 * doubling. What becomes readable leaves at the front; what a failed write takes back leaves at the end.
 */
export class PendingRecords {
  #mask: number
  #positions: Float64Array
  #queueOffsets: Float64Array
  #sizes: Int32Array
  #queues: Int32Array
  #tagsLow: Int32Array
  #tagsHigh: Int32Array
  #head = 0
  #length = 0

  constructor(capacity = 64) {
    this.#mask = capacity - 1
    this.#positions = new Float64Array(capacity)
    this.#queueOffsets = new Float64Array(capacity)
    this.#sizes = new Int32Array(capacity)
    this.#queues = new Int32Array(capacity)
    this.#tagsLow = new Int32Array(capacity)
    this.#tagsHigh = new Int32Array(capacity)
  }

  get length(): number {
    return this.#length
  }

  push(queue: number, queueOffset: number, position: number, size: number, tagsLow: number, tagsHigh: number): void {
    if (this.#length > this.#mask) this.#grow()
    const at = (this.#head + this.#length) & this.#mask
    this.#positions[at] = position
    this.#queueOffsets[at] = queueOffset
    this.#sizes[at] = size
    this.#queues[at] = queue
    this.#tagsLow[at] = tagsLow
    this.#tagsHigh[at] = tagsHigh
    this.#length++
  }

  /** Hands over, in order, the records that end at or before `position`. */
  takeUpTo(position: number, dispatch: Dispatch): void {
    while (this.#length > 0) {
      const at = this.#head
      const start = this.#positions[at]!
      const size = this.#sizes[at]!
      if (start + size > position) return
      // Out before it is handed over: the listener may append.
      this.#head = (at + 1) & this.#mask
      this.#length--
      dispatch(this.#queues[at]!, this.#queueOffsets[at]!, start, size, this.#tagsLow[at]!, this.#tagsHigh[at]!)
    }
  }

  /** Drops, the newest first, the records that end behind `position`; whole, since a write may end inside one. */
  takeBack(position: number, dropped: (queue: number, queueOffset: number) => void): void {
    while (this.#length > 0) {
      const at = (this.#head + this.#length - 1) & this.#mask
      if (this.#positions[at]! + this.#sizes[at]! <= position) return
      this.#length--
      dropped(this.#queues[at]!, this.#queueOffsets[at]!)
    }
  }

  #grow(): void {
    const order = new Int32Array(this.#length)
    for (let index = 0; index < this.#length; index++) order[index] = (this.#head + index) & this.#mask
    const capacity = (this.#mask + 1) * 2
    const grown = <T extends Float64Array | Int32Array>(from: T, to: T): T => {
      for (let index = 0; index < order.length; index++) to[index] = from[order[index]!]!
      return to
    }
    this.#positions = grown(this.#positions, new Float64Array(capacity))
    this.#queueOffsets = grown(this.#queueOffsets, new Float64Array(capacity))
    this.#sizes = grown(this.#sizes, new Int32Array(capacity))
    this.#queues = grown(this.#queues, new Int32Array(capacity))
    this.#tagsLow = grown(this.#tagsLow, new Int32Array(capacity))
    this.#tagsHigh = grown(this.#tagsHigh, new Int32Array(capacity))
    this.#head = 0
    this.#mask = capacity - 1
  }
}

export type Dispatch = (
  queue: number,
  queueOffset: number,
  position: number,
  sizeBytes: number,
  tagsLow: number,
  tagsHigh: number,
) => void
