import { RingQueue } from '../base/ring-queue.ts'

/**
 * Lets so many reads be on their way at once: each holds the bytes it reads into, and more than a few gain nothing,
 * since the pool that reads has few threads. The others wait, holding nothing.
 */
export class ReadGate {
  readonly #most: number
  readonly #waiting = new RingQueue<() => void>()
  #running = 0
  #isStarting = false

  constructor(most: number) {
    this.#most = most
  }

  /** Calls `start`, which must not throw, now or when its turn comes; whoever was let in says {@link leave} once. */
  enter(start: () => void): void {
    this.#waiting.push(start)
    this.#start()
  }

  leave(): void {
    this.#running--
    this.#start()
  }

  #start(): void {
    if (this.#isStarting) return // who leaves while he starts: the loop below goes on
    this.#isStarting = true
    while (this.#running < this.#most && this.#waiting.length > 0) {
      this.#running++
      this.#waiting.shift()!()
    }
    this.#isStarting = false
  }
}
