import assert from 'node:assert/strict'
import type { Commit, History } from './history.ts'

/** I6 and I7: what groups said of themselves, and what they were handed. */
export class ConsumerChecker {
  readonly #history: History
  /** Offsets are written by the clock: so long ago is safe. */
  readonly #persistMs: number
  /** `group topic queue` → what the broker must still know at least. */
  readonly #floors = new Map<string, number>()
  readonly #delivered = new Map<string, Set<number>>()
  #knownCommits = 0
  #knownDeliveries = 0

  constructor(history: History, persistMs: number) {
    this.#history = history
    this.#persistMs = persistMs
  }

  /** `trustedMs`: until when files could be written and synced. */
  crashed(trustedMs: number): void {
    this.#raise((commit) => commit.endedMs < trustedMs - this.#persistMs)
  }

  stopped(): void {
    this.#raise(() => true)
  }

  #raise(isSafe: (commit: Commit) => boolean): void {
    const { commits } = this.#history
    for (const commit of commits.slice(this.#knownCommits)) {
      if (commit.outcome !== 'ok' || !isSafe(commit)) continue
      const key = keyOf(commit)
      this.#floors.set(key, Math.max(this.#floors.get(key) ?? 0, commit.offset))
    }
    this.#knownCommits = commits.length
  }

  /** After a start. `offset`: what the broker says, undefined when it knows nothing. */
  audit(group: string, topic: string, queueId: number, offset: number | undefined, maxOffset: number): void {
    const key = `${group} ${topic} ${queueId}`
    // What is lost with the power cannot be counted as consumed.
    const floor = Math.min(this.#floors.get(key) ?? 0, maxOffset)
    assert.ok((offset ?? 0) >= floor, `I6: ${key} had committed ${floor}, and stands at ${offset}`)
    assert.ok((offset ?? 0) <= maxOffset, `I6: ${key} stands at ${offset}, behind the last offset, ${maxOffset}`)
    this.#floors.set(key, floor)
  }

  /** I7, once a group has seen the end of every queue. */
  expectDelivered(group: string, ids: readonly number[]): void {
    for (const { group: whose, id } of this.#history.deliveries.slice(this.#knownDeliveries)) {
      let delivered = this.#delivered.get(whose)
      if (delivered === undefined) this.#delivered.set(whose, (delivered = new Set()))
      delivered.add(id)
    }
    this.#knownDeliveries = this.#history.deliveries.length
    const delivered = this.#delivered.get(group)
    for (const id of ids) assert.ok(delivered?.has(id) === true, `I7: message ${id} never reached ${group}`)
  }
}

const keyOf = ({ group, topic, queueId }: Commit): string => `${group} ${topic} ${queueId}`
