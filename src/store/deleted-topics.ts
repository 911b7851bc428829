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
    const ends = this.#file.loadAs((text) => JSON.parse(text) as { deletedTopics?: Record<string, number> })
    this.#ends = new Map(Object.entries(ends?.deletedTopics ?? {}).filter(([, end]) => end > logMin))
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
