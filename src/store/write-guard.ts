export type WritePolicy = 'sync' | 'async'

const SLOW_MS = 20
const SLOW_AVERAGE_MS = 5
const FAST_MS = 2
/** Asynchronous writes in a row that must be fast before the loop trusts the device again. */
const FAST_WRITES = 32
const WEIGHT = 0.1

/**
 * Decides by measured durations how the log is written. Below the device's rate a synchronous write is a memory copy
 * and the cheapest; above it the kernel makes the writer wait, and then another thread should be the one that waits.
 */
export class WriteGuard {
  policy: WritePolicy = 'sync'
  switches = 0
  averageMs = 0
  /** Of the writes since {@link takeMaxMs} was last called. */
  #maxMs = 0
  #fastInRow = 0
  readonly #fixed: boolean

  /** @param fixed a policy that stays, for tests */
  constructor(fixed?: WritePolicy) {
    this.#fixed = fixed !== undefined
    if (fixed !== undefined) this.policy = fixed
  }

  measured(durationMs: number): void {
    this.averageMs += (durationMs - this.averageMs) * WEIGHT
    if (durationMs > this.#maxMs) this.#maxMs = durationMs
    if (this.#fixed) return
    if (this.policy === 'sync') {
      if (durationMs > SLOW_MS || this.averageMs > SLOW_AVERAGE_MS) this.#switchTo('async')
    } else if (durationMs > FAST_MS) {
      this.#fastInRow = 0
    } else if (++this.#fastInRow >= FAST_WRITES) {
      this.#switchTo('sync')
    }
  }

  get maxMs(): number {
    return this.#maxMs
  }

  takeMaxMs(): number {
    const max = this.#maxMs
    this.#maxMs = 0
    return max
  }

  #switchTo(policy: WritePolicy): void {
    this.policy = policy
    this.switches++
    this.#fastInRow = 0
    this.averageMs = 0
  }
}
