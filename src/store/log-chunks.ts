interface Memory {
  readonly bytes: Buffer
  readonly view: DataView
}

/** Not from the pool, not zeroed: pages come from the kernel when they are first touched. */
function newMemory(capacity: number): Memory {
  const bytes = Buffer.allocUnsafeSlow(capacity)
  return { bytes, view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength) }
}

/** Record bytes as they stand in the log from `base` on. Filled once, front to back. */
export class Chunk {
  readonly base: number
  readonly bytes: Buffer
  readonly view: DataView
  length = 0
  /** Bytes as another log's owner sent them: the rest of the last record may be still to come. */
  isRaw = false
  /** Nothing but what follows a blank record: no records. */
  isFill = false
  /** Nothing more goes in: a chunk belongs to one segment, whose end this is. */
  isSealed = false
  /** A view of it was handed out: whoever has it may keep it. */
  isShared = false

  constructor(base: number, memory: Memory) {
    this.base = base
    this.bytes = memory.bytes
    this.view = memory.view
  }

  get memory(): Memory {
    return { bytes: this.bytes, view: this.view }
  }

  get end(): number {
    return this.base + this.length
  }

  get free(): number {
    return this.isSealed ? 0 : this.bytes.length - this.length
  }

  /** Bytes from the record at `at` on, whole records up to `limit` bytes; one at least, and none from `until` on. */
  wholeRecords(at: number, limit: number, until: number): number {
    const length = Math.min(this.length, until)
    const left = length - at
    if (left <= limit) return left
    if (this.isFill) return limit
    let end = at
    do {
      // A blank record tells the room it fills, and stands last in its chunk.
      const size = Math.min(this.view.getInt32(end), length - end)
      if (end > at && end + size - at > limit) break
      end += size
    } while (end < length && end - at < limit)
    return end - at
  }
}

/**
 * The end of the log in memory: what appends are encoded into, what the writer writes from, and what consumers that
 * keep up are served from.
 *
 * A chunk of which a view was handed out is dropped, never written again: the view stays what it was, however slow its
 * reader, and the garbage collector frees the chunk after the last of them. The memory of any other is used again: a
 * fresh chunk every few milliseconds costs page faults, and makes the collector mark the whole heap as often.
 */
export class LogChunks {
  readonly #chunkBytes: number
  readonly #budgetBytes: number
  readonly #chunks: Chunk[] = []
  #heldBytes = 0
  /** Memory of a chunk that was dropped. */
  #spare: Memory | undefined

  constructor(chunkBytes: number, budgetBytes: number) {
    this.#chunkBytes = chunkBytes
    this.#budgetBytes = budgetBytes
  }

  get heldBytes(): number {
    return this.#heldBytes
  }

  get last(): Chunk | undefined {
    return this.#chunks[this.#chunks.length - 1]
  }

  /** First position held; Infinity when none is. */
  get firstPosition(): number {
    return this.#chunks[0]?.base ?? Number.POSITIVE_INFINITY
  }

  /** The log goes on in the next segment. */
  seal(): void {
    const last = this.last
    if (last !== undefined) last.isSealed = true
  }

  /** A new last chunk at `base`, with room for at least `bytes`. */
  open(base: number, bytes: number): Chunk {
    return this.#add(base, Math.max(bytes, this.#chunkBytes))
  }

  /** A new last chunk with room for `bytes` only. */
  openSmall(base: number, bytes: number): Chunk {
    return this.#add(base, bytes)
  }

  #add(base: number, capacity: number): Chunk {
    const spare = capacity === this.#chunkBytes ? this.#spare : undefined
    if (spare !== undefined) this.#spare = undefined
    const chunk = new Chunk(base, spare ?? newMemory(capacity))
    this.#chunks.push(chunk)
    this.#heldBytes += capacity
    return chunk
  }

  /** The chunk that holds `position`. */
  find(position: number): Chunk | undefined {
    const chunk = this.#chunks[this.#indexOf(position)]
    return chunk !== undefined && chunk.base <= position ? chunk : undefined
  }

  /** The chunk that holds `position`, or the first one behind it. */
  findFrom(position: number): Chunk | undefined {
    return this.#chunks[this.#indexOf(position)]
  }

  /** Index of the first chunk that ends behind `position`. */
  #indexOf(position: number): number {
    let low = 0
    let high = this.#chunks.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#chunks[middle]!.end > position) high = middle
      else low = middle + 1
    }
    return low
  }

  /** Drops the oldest chunks over the budget, of those that end at or before `position`; the last one always stays. */
  trim(position: number): void {
    while (this.#heldBytes > this.#budgetBytes && this.#chunks.length > 1 && this.#chunks[0]!.end <= position) {
      const dropped = this.#chunks.shift()!
      const capacity = dropped.bytes.length
      this.#heldBytes -= capacity
      if (!dropped.isShared && capacity === this.#chunkBytes) this.#spare = dropped.memory
    }
  }

  /** Forgets what stands at `position` and behind. Its bytes are not written again: the chunk is closed there. */
  cut(position: number): void {
    while (this.last !== undefined && this.last.base >= position) this.#heldBytes -= this.#chunks.pop()!.bytes.length
    const last = this.last
    if (last === undefined || last.end <= position) return
    // Handed-out views may cover the cut bytes, so new bytes go to a new chunk.
    const kept = new Chunk(last.base, newMemory(position - last.base))
    last.bytes.copy(kept.bytes, 0, 0, position - last.base)
    kept.length = position - last.base
    this.#chunks[this.#chunks.length - 1] = kept
    this.#heldBytes += kept.bytes.length - last.bytes.length
  }

  clear(): void {
    this.#chunks.length = 0
    this.#heldBytes = 0
    this.#spare = undefined
  }
}
