import type { Log } from '../base/log.ts'

/** Places remembered; who has more damage than that hears of it by the counter. */
const MOST_PLACES = 10_000

/** Says of each damaged place once what was found there: consumers come to it again and again. */
export class DamageLog {
  readonly #log: Log
  readonly #said = new Set<string>()

  constructor(log: Log) {
    this.#log = log
  }

  knows(path: string, position: number): boolean {
    return this.#said.has(`${path} ${position}`)
  }

  /** @returns whether it was said now, for the first time */
  say(message: string, path: string, position: number): boolean {
    const place = `${path} ${position}`
    if (this.#said.has(place) || this.#said.size >= MOST_PLACES) return false
    this.#said.add(place)
    this.#log.error(message, { path, position })
    return true
  }
}
