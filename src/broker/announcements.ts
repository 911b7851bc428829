import type { Scheduler, Timer } from '../base/scheduler.ts'

/** A name server that does not answer holds nobody up for longer, counted from when it was told. */
const LONGEST_WAIT_MS = 1_000

interface Announcement {
  /** Registrations under way that carry the topic. */
  running: number
  /** Monotonic ms after which nobody waits for them. */
  deadline: number
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
    const deadline = this.#scheduler.monotonic() + LONGEST_WAIT_MS
    const announcement = this.#topics.get(topic)
    if (announcement === undefined) this.#topics.set(topic, { running: 1, deadline, waiting: new Set() })
    else {
      announcement.running++
      announcement.deadline = deadline
    }
  }

  /** Name servers know the topic, or could not be told. */
  ended(topic: string): void {
    const announcement = this.#topics.get(topic)
    if (announcement === undefined || --announcement.running > 0) return
    this.#topics.delete(topic)
    for (const done of announcement.waiting) done()
  }

  /** Resolves when all of them are told, or a second after that began. */
  async all(topics: readonly string[]): Promise<void> {
    await Promise.all(topics.map((topic) => new Promise<void>((resolve) => this.when(topic, resolve))))
  }

  /** Calls back once, when the topic is told, or a second after that began. */
  when(topic: string, done: () => void): void {
    const announcement = this.#topics.get(topic)
    if (announcement === undefined) return done()
    const { waiting } = announcement
    const leftMs = announcement.deadline - this.#scheduler.monotonic()
    if (leftMs <= 0) return done()
    let timer: Timer | undefined
    const finish = (): void => {
      waiting.delete(finish)
      timer?.cancel()
      done()
    }
    waiting.add(finish)
    timer = this.#scheduler.after(leftMs, finish)
  }
}
