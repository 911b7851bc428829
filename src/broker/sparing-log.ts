import type { Log } from '../base/log.ts'

/** Warns of so many things in a while, and then only how many there were: clients decide how many there are. */
export class SparingLog {
  readonly #log: Log
  readonly #most: number
  #asked = 0

  /** @param most lines between two calls of {@link settle} */
  constructor(log: Log, most: number) {
    this.#log = log
    this.#most = most
  }

  warn(message: string, fields: Record<string, unknown>): void {
    if (++this.#asked <= this.#most) this.#log.warn(message, fields)
  }

  /** Called by the clock: begins anew. */
  settle(): void {
    const lines = this.#asked - this.#most
    if (lines > 0) this.#log.warn('more warnings of clients like those before were left out', { lines })
    this.#asked = 0
  }
}
