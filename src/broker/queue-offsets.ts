/** How far beyond the last one a queue number may lie and still be kept densely. */
const STRIDE = 64

/** Offsets by queue number: an array where numbers are small, as they are; whatever is far out does not make it long. */
export class QueueOffsets {
  /** −1 where there is none. */
  readonly #dense: number[] = []
  #far: Map<number, number> | undefined

  get(queueId: number): number | undefined {
    const offset = queueId < this.#dense.length ? this.#dense[queueId] : this.#far?.get(queueId)
    return offset === undefined || offset < 0 ? undefined : offset
  }

  /** @returns whether it was another */
  set(queueId: number, offset: number): boolean {
    const dense = this.#dense
    if (queueId >= dense.length) {
      if (queueId > dense.length + STRIDE) return this.#setFar(queueId, offset)
      while (dense.length <= queueId) dense.push(this.#takeFar(dense.length))
    }
    if (dense[queueId] === offset) return false
    dense[queueId] = offset
    return true
  }

  /** In the order of the queues. */
  *entries(): IterableIterator<[queueId: number, offset: number]> {
    for (let queueId = 0; queueId < this.#dense.length; queueId++) {
      const offset = this.#dense[queueId]!
      if (offset >= 0) yield [queueId, offset]
    }
    if (this.#far !== undefined) yield* [...this.#far].sort(([a], [b]) => a - b)
  }

  #setFar(queueId: number, offset: number): boolean {
    this.#far ??= new Map()
    if (this.#far.get(queueId) === offset) return false
    this.#far.set(queueId, offset)
    return true
  }

  #takeFar(queueId: number): number {
    const offset = this.#far?.get(queueId)
    if (offset === undefined) return -1
    this.#far!.delete(queueId)
    return offset
  }
}
