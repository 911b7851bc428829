import type { Scheduler, Timer } from '../../src/base/scheduler.ts'

/**
 * The time of one process: once that is down none of its callbacks runs any more, and what the last one threw on the way
 * down is nobody's concern.
 */
export class AliveScheduler implements Scheduler {
  readonly #scheduler: Scheduler
  readonly #isDown: () => boolean

  constructor(scheduler: Scheduler, isDown: () => boolean) {
    this.#scheduler = scheduler
    this.#isDown = isDown
  }

  now(): number {
    return this.#scheduler.now()
  }

  monotonic(): number {
    return this.#scheduler.monotonic()
  }

  after(delayMs: number, callback: () => void): Timer {
    return this.#scheduler.after(delayMs, this.#whileAlive(callback))
  }

  every(periodMs: number, callback: () => void): Timer {
    return this.#scheduler.every(periodMs, this.#whileAlive(callback))
  }

  defer(callback: () => void): void {
    this.#scheduler.defer(this.#whileAlive(callback))
  }

  soon(callback: () => void): void {
    this.#scheduler.soon(this.#whileAlive(callback))
  }

  sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) return reject(signal.reason)
      const onAbort = (): void => {
        timer.cancel()
        if (!this.#isDown()) reject(signal!.reason)
      }
      const timer = this.after(delayMs, () => {
        signal?.removeEventListener('abort', onAbort)
        resolve()
      })
      signal?.addEventListener('abort', onAbort, { once: true })
    })
  }

  #whileAlive(callback: () => void): () => void {
    return () => {
      if (this.#isDown()) return
      try {
        callback()
      } catch (error) {
        if (!this.#isDown()) throw error
      }
    }
  }
}
