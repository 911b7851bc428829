import type { ConfigFile } from '../base/config-file.ts'

/**
 * Topics that were deleted, each with the end of the log at that time. The log keeps their records until it expires,
 * and a scan must not make a topic of them again: Java's does.
 */
export class DeletedTopics {
  readonly #file: ConfigFile
  #ends = new Map<string, number>()

  constructor(file: ConfigFile) {
    this.#file = file
  }

  load(logMin: number): void {
    const ends = this.#file.loadAs(parse) ?? []
    this.#ends = new Map(ends.filter(([, end]) => end > logMin))
  }

  /** Whether the record at a position belongs to a topic deleted after it was stored. */
  holds(topic: string, position: number): boolean {
    if (this.#ends.size === 0) return false
    const end = this.#ends.get(topic)
    return end !== undefined && position < end
  }

  /** Durable when it returns. */
  add(topic: string, logEnd: number, logMin: number): void {
    this.#save(new Map([...this.#ends].filter(([, end]) => end > logMin)).set(topic, logEnd))
  }

  /** The log ends here now: what is stored from here on is new. */
  cut(logEnd: number): void {
    if ([...this.#ends.values()].every((end) => end <= logEnd)) return
    this.#save(new Map([...this.#ends].map(([topic, end]) => [topic, Math.min(end, logEnd)])))
  }

  /** Not true before it is saved: a deletion that fails leaves the topic as it was. */
  #save(ends: Map<string, number>): void {
    this.#file.save(JSON.stringify({ deletedTopics: Object.fromEntries(ends) }, undefined, '\t'))
    this.#ends = ends
  }
}

/** @throws Error for what was never written here: a topic that comes back is worse than a start that says why not */
function parse(text: string): [string, number][] {
  const { deletedTopics = {} } = (JSON.parse(text) ?? {}) as { deletedTopics?: unknown }
  if (typeof deletedTopics !== 'object' || deletedTopics === null) throw new Error('deletedTopics is no table')
  return Object.entries(deletedTopics as Record<string, unknown>).map(([topic, end]) => {
    if (typeof end !== 'number' || !Number.isSafeInteger(end)) throw new Error(`the end of ${topic} is no position`)
    return [topic, end]
  })
}
