import assert from 'node:assert/strict'
import type { History } from './history.ts'

/** I14 for topics: the newest version that was acknowledged, or one that was asked for since; never neither. */
export class TopicChecker {
  readonly #history: History
  /** topic → the version that must be there at least; later changes may be too. */
  readonly #saved = new Map<string, number>()
  #known = 0

  constructor(history: History) {
    this.#history = history
  }

  /** What is there after a start. Versions grow, so the newest acknowledged one is the least. */
  audit(topic: string, version: number | undefined): void {
    const { topicChanges } = this.#history
    for (const change of topicChanges.slice(this.#known)) {
      if (change.outcome !== 'ok') continue
      this.#saved.set(change.topic, Math.max(this.#saved.get(change.topic) ?? 0, change.version))
    }
    const saved = this.#saved.get(topic)
    const asked = topicChanges.filter((change) => change.topic === topic).map((change) => change.version)
    if (saved !== undefined) assert.ok(version !== undefined, `I14: topic ${topic} is gone, version ${saved} was saved`)
    if (version === undefined || version === 0) return
    assert.ok(asked.includes(version), `I14: version ${version} of topic ${topic} was never asked for`)
    assert.ok(version >= (saved ?? 0), `I14: version ${saved} of topic ${topic} was saved, ${version} is there`)
    this.#saved.set(topic, version)
  }

  /** All changes before are answered, or never will be. */
  settle(): void {
    this.#known = this.#history.topicChanges.length
  }
}
