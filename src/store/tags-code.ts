import { javaHashCodeOfUtf8 } from '../protocol/java-hash.ts'
import { findProperty, type PropertyPlace } from '../protocol/properties.ts'

const HIGH = 0x1_0000_0000
const UNITS_MS: Record<string, number> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/**
 * Computes what a consume queue entry says of a message's tag, from its encoded properties: 0 without a tag, else
 * Java's hash of it; for messages that wait in a delay level, the time at which they are due.
 *
 * The result is left in `low` and `high`, so that nothing is allocated per message.
 */
export class TagsCode {
  low = 0
  high = 0
  readonly #delayMs: readonly number[]
  readonly #place: PropertyPlace = { start: 0, valueStart: 0, valueEnd: 0, end: 0 }

  /** @param levels such as `1s 5s 2h`, the first being level 1 */
  constructor(levels: string) {
    this.#delayMs = parseDelayLevels(levels)
  }

  compute(bytes: Uint8Array, start: number, end: number, isSchedule: boolean, storeTimestamp: number): void {
    this.low = 0
    this.high = 0
    if (isSchedule && this.#computeDue(bytes, start, end, storeTimestamp)) return
    const place = this.#place
    if (!findProperty(bytes, start, end, TAGS, place)) return
    this.low = javaHashCodeOfUtf8(bytes, place.valueStart, place.valueEnd)
    this.high = this.low < 0 ? -1 : 0
  }

  #computeDue(bytes: Uint8Array, start: number, end: number, storeTimestamp: number): boolean {
    const place = this.#place
    if (!findProperty(bytes, start, end, DELAY, place)) return false
    let level = 0
    for (let at = place.valueStart; at < place.valueEnd; at++) {
      const digit = bytes[at]! - 0x30
      if (digit < 0 || digit > 9) return false
      level = level * 10 + digit
    }
    if (level <= 0) return false
    const due = storeTimestamp + (this.#delayMs[Math.min(level, this.#delayMs.length) - 1] ?? 1000)
    this.low = (due % HIGH) | 0
    this.high = Math.floor(due / HIGH)
    return true
  }
}

/** Durations of the delay levels, in ms. */
export function parseDelayLevels(levels: string): number[] {
  return levels
    .trim()
    .split(/\s+/)
    .map((level) => {
      const parts = /^(\d+)([smhd])$/.exec(level)
      if (parts === null) throw new Error(`messageDelayLevel: '${level}' is not a number followed by s, m, h or d`)
      return Number(parts[1]) * UNITS_MS[parts[2]!]!
    })
}

const TAGS = Buffer.from('TAGS')
const DELAY = Buffer.from('DELAY')
