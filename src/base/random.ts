import { randomBytes, randomInt } from 'node:crypto'

/** Chance, as an argument. */
export interface Random {
  /** Uniform in [0, 1). */
  next(): number
  /** Uniform integer in [0, bound). */
  below(bound: number): number
  /** `count` random bytes. */
  bytes(count: number): Buffer
}

export const systemRandom: Random = {
  next: () => Math.random(),
  below: (bound) => (bound <= 1 ? 0 : randomInt(bound)),
  bytes: (count) => randomBytes(count),
}

/** The same sequence for the same seed (splitmix32). */
export class SeededRandom implements Random {
  #state: number
  constructor(seed: number) {
    this.#state = seed | 0
  }
  #uint32(): number {
    this.#state = (this.#state + 0x9e3779b9) | 0
    let mixed = this.#state ^ (this.#state >>> 16)
    mixed = Math.imul(mixed, 0x21f0aaad)
    mixed ^= mixed >>> 15
    mixed = Math.imul(mixed, 0x735a2d97)
    return (mixed ^ (mixed >>> 15)) >>> 0
  }
  next(): number {
    return this.#uint32() / 0x1_0000_0000
  }
  below(bound: number): number {
    return Math.floor(this.next() * bound)
  }
  bytes(count: number): Buffer {
    const result = Buffer.allocUnsafe(count)
    for (let at = 0; at < count; at++) result[at] = this.#uint32() & 0xff
    return result
  }
}
