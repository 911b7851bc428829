import type { Scheduler, Timer } from '../base/scheduler.ts'
import type { Connection } from '../remoting/connection.ts'
import type { MessageFilter } from '../store/message-store.ts'

/** A pull that waits for a message. Kept small: many thousands wait at once. */
export interface ParkedPull {
  readonly connection: Connection
  readonly topic: string
  readonly queueId: number
  /** Offset that it waits for. */
  readonly offset: number
  /** Monotonic ms. */
  readonly deadline: number
  readonly filter: MessageFilter | undefined
  /** Runs the pull again, answering whatever it finds. Called once. */
  resume(): void
}

export interface LongPollProbe {
  parked: number
  woken: number
  timedOut: number
  refused: number
}

/** How often deadlines are looked at; a pull is answered at most this late. */
const SWEEP_MS = 100

/** Pulls that wait for messages, by queue: woken by an arrival in the same turn, or when their time is up. */
export class LongPoll {
  readonly #scheduler: Scheduler
  readonly #probe: LongPollProbe
  readonly #most: number
  /** topic → queue → pulls. */
  readonly #queues = new Map<string, Map<number, ParkedPull[]>>()
  #timer: Timer | undefined
  /** Earliest deadline that is known; later ones may have come and gone. */
  #nextDeadline = Number.POSITIVE_INFINITY
  #closed = false

  /** @param most pulls that may wait at once */
  constructor(scheduler: Scheduler, probe: LongPollProbe, most: number) {
    this.#scheduler = scheduler
    this.#probe = probe
    this.#most = most
  }

  get parked(): number {
    return this.#probe.parked
  }

  /** @returns false when too many wait */
  park(pull: ParkedPull): boolean {
    if (this.#closed || this.#probe.parked >= this.#most) {
      this.#probe.refused++
      return false
    }
    let queues = this.#queues.get(pull.topic)
    if (queues === undefined) this.#queues.set(pull.topic, (queues = new Map()))
    const pulls = queues.get(pull.queueId)
    if (pulls === undefined) queues.set(pull.queueId, [pull])
    else pulls.push(pull)
    this.#probe.parked++
    if (pull.deadline < this.#nextDeadline) this.#nextDeadline = pull.deadline
    this.#timer ??= this.#scheduler.every(SWEEP_MS, () => this.#sweep())
    return true
  }

  /** A message can be read now: wakes those who wait for it and want it. */
  arrived(topic: string, queueId: number, queueOffset: number, tagsLow: number, tagsHigh: number): void {
    const pulls = this.#queues.get(topic)?.get(queueId)
    if (pulls === undefined) return
    let woken: ParkedPull[] | undefined
    let kept = 0
    for (let at = 0; at < pulls.length; at++) {
      const pull = pulls[at]!
      const wants =
        queueOffset >= pull.offset && (pull.filter === undefined || pull.filter.matchesTagsCode(tagsLow, tagsHigh))
      if (wants) (woken ??= []).push(pull)
      else pulls[kept++] = pull
    }
    if (woken === undefined) return
    pulls.length = kept
    this.#forgetIfEmpty(topic, queueId, pulls)
    this.#probe.parked -= woken.length
    this.#probe.woken += woken.length
    for (const pull of woken) pull.resume()
  }

  /** Nobody waits for an answer any more. */
  connectionLost(connection: Connection): void {
    this.#takeWhere((pull) => pull.connection === connection)
  }

  /** Answers those who wait on a topic now: it is being deleted. */
  wakeTopic(topic: string): void {
    const queues = this.#queues.get(topic)
    if (queues === undefined) return
    for (const pull of this.#takeWhere((each) => each.topic === topic)) pull.resume()
  }

  /** Answers everybody now. */
  close(): void {
    this.#closed = true
    this.#timer?.cancel()
    for (const pull of this.#takeWhere(() => true)) pull.resume()
  }

  #sweep(): void {
    const now = this.#scheduler.monotonic()
    if (this.#nextDeadline > now) return
    const due = this.#takeWhere((pull) => pull.deadline <= now)
    this.#nextDeadline = Number.POSITIVE_INFINITY
    for (const queues of this.#queues.values()) {
      for (const pulls of queues.values()) {
        for (const { deadline } of pulls) if (deadline < this.#nextDeadline) this.#nextDeadline = deadline
      }
    }
    this.#probe.timedOut += due.length
    for (const pull of due) pull.resume()
    if (this.#probe.parked === 0) {
      this.#timer?.cancel()
      this.#timer = undefined
    }
  }

  #takeWhere(test: (pull: ParkedPull) => boolean): ParkedPull[] {
    const taken: ParkedPull[] = []
    for (const [topic, queues] of this.#queues) {
      for (const [queueId, pulls] of queues) {
        let kept = 0
        for (let at = 0; at < pulls.length; at++) {
          const pull = pulls[at]!
          if (test(pull)) taken.push(pull)
          else pulls[kept++] = pull
        }
        pulls.length = kept
        this.#forgetIfEmpty(topic, queueId, pulls)
      }
    }
    this.#probe.parked -= taken.length
    return taken
  }

  #forgetIfEmpty(topic: string, queueId: number, pulls: readonly ParkedPull[]): void {
    if (pulls.length > 0) return
    const queues = this.#queues.get(topic)
    queues?.delete(queueId)
    if (queues?.size === 0) this.#queues.delete(topic)
  }
}
