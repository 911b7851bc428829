import type { Scheduler, Timer } from '../base/scheduler.ts'

/** A name server that does not answer holds nobody up for longer. */
const LONGEST_WAIT_MS = 1_000

interface Announcement {
  /** Registrations under way that carry the topic. */
  running: number
  waiting: Set<() => void>
}

/**
 * Topics that name servers are being told of. The first send of a topic is answered after that, as Java's broker does:
 * a consumer that starts on the answer would otherwise find no route, and look again only half a minute later.
 */
export class Announcements {
  readonly #scheduler: Scheduler
  readonly #topics = new Map<string, Announcement>()

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler
  }

  get size(): number {
    return this.#topics.size
  }

  has(topic: string): boolean {
    return this.#topics.has(topic)
  }

  begun(topic: string): void {
    const announcement = this.#topics.get(topic)
    if (announcement === undefined) this.#topics.set(topic, { running: 1, waiting: new Set() })
    else announcement.running++
  }

  /** Name servers know the topic, or could not be told. */
  ended(topic: string): void {
    const announcement = this.#topics.get(topic)
    if (announcement === undefined || --announcement.running > 0) return
    this.#topics.delete(topic)
    for (const done of announcement.waiting) done()
  }

  /** Resolves when all of them are told, or after a second. */
  async all(topics: readonly string[]): Promise<void> {
    await Promise.all(topics.map((topic) => new Promise<void>((resolve) => this.when(topic, resolve))))
  }

  /** Calls back once, when the topic is told, or after a second. */
  when(topic: string, done: () => void): void {
    const announcement = this.#topics.get(topic)
    if (announcement === undefined) return done()
    const { waiting } = announcement
    let timer: Timer | undefined
    const finish = (): void => {
      waiting.delete(finish)
      timer?.cancel()
      done()
    }
    waiting.add(finish)
    timer = this.#scheduler.after(LONGEST_WAIT_MS, finish)
  }
}
