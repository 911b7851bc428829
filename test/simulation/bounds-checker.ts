import assert from 'node:assert/strict'
import type { Probes } from '../../src/base/probe.ts'
import type { History } from './history.ts'

/** An answer of a machine that nothing happens to takes no longer. */
const CALM_MS = 50
/** After faults stop, this is enough. */
const ALIVE_MS = 3_000

const CEILINGS: Readonly<Record<string, number>> = {
  'store.chunkBytes': 160_000_000,
  'store.queueTails': 1_000,
  'store.segments': 1_000,
  'broker.longPoll.parked': 10_000,
}
/** When everybody has gone. */
const EMPTY = ['store.waiting']

/** I18 to I20: what one client does to others, how much is held, how soon all is well again. */
export class BoundsChecker {
  readonly #history: History
  #knownSends = 0

  constructor(history: History) {
    this.#history = history
  }

  /** I18: nobody waited long while only ill-mannered clients and no faults were about. */
  calm(existingTopics: ReadonlySet<string>): void {
    const { sends } = this.#history
    for (; this.#knownSends < sends.length; this.#knownSends++) {
      const send = sends[this.#knownSends]!
      if (send.kind === 'one-way' || !existingTopics.has(send.topic) || send.outcome === 'pending') continue
      const tookMs = send.endedMs - send.invokedMs
      assert.equal(send.outcome, 'ok', `I18: message ${send.ids[0]} was not taken though nothing had happened`)
      assert.ok(tookMs <= CALM_MS, `I18: message ${send.ids[0]} took ${tookMs} ms though nothing had happened`)
    }
  }

  /** Times before this moment are not looked at. */
  skip(): void {
    this.#knownSends = this.#history.sends.length
  }

  /** I19, at any time. */
  bounded(probes: Probes): void {
    for (const [name, value] of valuesOf(probes)) {
      const ceiling = CEILINGS[name]
      if (ceiling !== undefined) assert.ok(value <= ceiling, `I19: ${name} is ${value}, more than ${ceiling}`)
    }
  }

  /** I19, once nobody asks for anything any more. */
  empty(probes: Probes): void {
    const values = valuesOf(probes)
    for (const name of EMPTY) assert.equal(values.get(name), 0, `I19: ${name} when nobody is there`)
  }

  /** I20: from the end of the faults to the first success. */
  alive(what: string, tookMs: number): void {
    assert.ok(tookMs <= ALIVE_MS, `I20: ${what} took ${tookMs} ms after the faults had stopped`)
  }
}

function valuesOf(probes: Probes): Map<string, number> {
  const values = new Map<string, number>()
  for (const { name, value } of probes.read()) values.set(name, (values.get(name) ?? 0) + value)
  return values
}
