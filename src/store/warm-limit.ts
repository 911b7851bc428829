const SLOW_MS = 1
const SMALLEST_BYTES = 67_108_864
const GROW_EVERY = 1000
const GROWTH = 1.05

/**
 * How far behind the end of the log a read is still likely to find its page in the kernel's cache, so that reading at
 * once is cheaper than going through the thread pool. Nobody tells, so reads are timed.
 */
export class WarmLimit {
  bytes: number
  readonly #most: number
  #fastReads = 0

  constructor(bytes: number) {
    this.bytes = bytes
    this.#most = bytes
  }

  measured(durationMs: number, distanceBytes: number): void {
    if (durationMs > SLOW_MS) {
      this.#fastReads = 0
      // Halved from where the cache was missed, not below what no machine should lose.
      this.bytes = Math.min(this.bytes, Math.max(SMALLEST_BYTES, distanceBytes / 2))
    } else if (++this.#fastReads >= GROW_EVERY) {
      this.#fastReads = 0
      this.bytes = Math.min(this.#most, this.bytes * GROWTH)
    }
  }
}
