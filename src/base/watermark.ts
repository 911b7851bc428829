import { RingQueue } from './ring-queue.ts'

export type WaitFailure = 'timeout' | 'closed' | 'write failed' | 'sync failed' | 'truncated' | 'role changed'

/** Waits until a position is reached. Both calls are made at most once, and one of them is. */
export interface Waiter {
  readonly target: number
  /** Monotonic ms; Infinity for none. Deadlines of one watermark must not decrease. */
  readonly deadline: number
  wake(): void
  fail(reason: WaitFailure): void
}

/** A position that only grows, and those who wait for it. `wake` and `fail` must not throw. */
export class Watermark {
  #value: number
  #draining = false
  #waiters = new RingQueue<Waiter>()

  constructor(value = 0) {
    this.#value = value
  }

  get value(): number {
    return this.#value
  }

  get waiting(): number {
    return this.#waiters.length
  }

  /** Deadline of the first waiter, or undefined: one timer for the head serves all. */
  get nextDeadline(): number | undefined {
    return this.#waiters.first?.deadline
  }

  /** Targets arrive in order, because one writer hands out positions. */
  wait(waiter: Waiter): void {
    if (waiter.target <= this.#value) waiter.wake()
    else this.#waiters.push(waiter)
  }

  advance(value: number): void {
    if (value > this.#value) this.#value = value
    if (this.#draining) return // a wake that advances: the loop below goes on
    this.#draining = true
    for (let first = this.#waiters.first; first !== undefined && first.target <= this.#value; ) {
      this.#waiters.shift() // out before it is woken
      first.wake()
      first = this.#waiters.first
    }
    this.#draining = false
  }

  /** Fails those whose deadline is not later than `now` (monotonic ms). */
  expire(now: number): void {
    for (let left = this.#waiters.length; left > 0; left--) {
      const first = this.#waiters.first
      if (first === undefined || first.deadline > now) return
      this.#waiters.shift()
      first.fail('timeout')
    }
  }

  /** A role change, a failed write, a truncation: nobody waits for what will not come. Who then waits anew does wait. */
  failAll(reason: WaitFailure): void {
    for (let left = this.#waiters.length; left > 0; left--) this.#waiters.shift()?.fail(reason)
  }

  /** Fails those who wait for more than `position`, which a failed write has taken back. */
  failBehind(position: number, reason: WaitFailure): void {
    const kept = new RingQueue<Waiter>()
    const failed: Waiter[] = []
    for (let first = this.#waiters.shift(); first !== undefined; first = this.#waiters.shift()) {
      if (first.target > position) failed.push(first)
      else kept.push(first)
    }
    this.#waiters = kept
    for (const waiter of failed) waiter.fail(reason)
  }

  /** After a truncation, the only time when it falls. */
  reset(value: number): void {
    this.#value = value
    this.failAll('truncated')
  }
}
