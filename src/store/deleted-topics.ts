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
    this.#ends.set(topic, logEnd)
    for (const [name, end] of this.#ends) if (end <= logMin) this.#ends.delete(name)
    this.#save()
  }

  /** The log ends here now: what is stored from here on is new. */
  cut(logEnd: number): void {
    const beyond = [...this.#ends].filter(([, end]) => end > logEnd)
    if (beyond.length === 0) return
    for (const [name] of beyond) this.#ends.set(name, logEnd)
    this.#save()
  }

  #save(): void {
    this.#file.save(JSON.stringify({ deletedTopics: Object.fromEntries(this.#ends) }, undefined, '\t'))
  }
}
