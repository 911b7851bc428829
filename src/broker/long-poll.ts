import type { Scheduler, Timer } from '../base/scheduler.ts'
import type { Connection } from '../remoting/connection.ts'
import type { MessageFilter } from '../store/message-store.ts'

/** A pull that waits for a message. One small object: many thousands wait at once. */
export interface ParkedPull {
  readonly connection: Connection
  readonly topic: string
  readonly queueId: number
  /** Offset that it waits for. */
  readonly offset: number
  readonly filter: MessageFilter | undefined
  /** Monotonic ms; kept here while it waits. */
  deadline: number
  /** Messages came that it does not want. */
  passedOver: boolean
  /** Runs the pull again, answering whatever it finds. Called once. */
  resume(): void
}

export interface LongPollProbe {
  parked: number
  woken: number
  timedOut: number
  refused: number
}

/** How late a pull may be answered. */
const STEP_MS = 50
/** Slots of the wheel: deadlines further away than all of them are looked at once a turn of it. */
const SLOTS = 1_024
/** A reader whose filter lets nothing through learns this much later how far the queue has gone. */
const PASSED_OVER_MS = 5_000

/** Pulls that wait for messages, by queue: woken by an arrival in the same turn, or when their time is up. */
export class LongPoll {
  readonly probe: LongPollProbe
  readonly #scheduler: Scheduler
  readonly #most: number
  /** topic → queue id → pulls, the longest waiting first. A queue that was waited for keeps its set. */
  readonly #topics = new Map<string, (Set<ParkedPull> | undefined)[]>()
  /** By deadline, in steps of the clock. */
  readonly #slots: Set<ParkedPull>[] = Array.from({ length: SLOTS }, () => new Set())
  /** The last step whose slot was emptied. */
  #step = 0
  #timer: Timer | undefined
  #connectionsLost = false
  #closed = false

  /** @param most pulls that may wait at once */
  constructor(scheduler: Scheduler, probe: LongPollProbe, most: number) {
    this.#scheduler = scheduler
    this.probe = probe
    this.#most = most
  }

  get parked(): number {
    return this.probe.parked
  }

  /** Nobody waits any more: the broker stops. */
  get isClosed(): boolean {
    return this.#closed
  }

  /** @returns false when too many wait, or none may any more */
  park(pull: ParkedPull, waitMs: number): boolean {
    if (this.#closed || this.probe.parked >= this.#most) {
      this.probe.refused++
      return false
    }
    const now = this.#scheduler.monotonic()
    if (this.#timer === undefined) {
      this.#step = Math.floor(now / STEP_MS)
      this.#wind(now)
    }
    // The slot of this very step has been emptied.
    pull.deadline = Math.max(now + waitMs, (this.#step + 1) * STEP_MS)
    this.#slotOf(pull).add(pull)
    this.#queueOf(pull).add(pull)
    this.probe.parked++
    return true
  }

  /** A message can be read now: wakes those who wait for it and want it. */
  arrived(topic: string, queueId: number, queueOffset: number, tagsLow: number, tagsHigh: number): void {
    const pulls = this.#topics.get(topic)?.[queueId]
    if (pulls === undefined || pulls.size === 0) return
    let woken: ParkedPull[] | undefined
    for (const pull of pulls) {
      if (queueOffset < pull.offset) continue
      if (pull.filter === undefined || pull.filter.matchesTagsCode(tagsLow, tagsHigh)) (woken ??= []).push(pull)
      else if (!pull.passedOver) this.#passOver(pull)
    }
    if (woken === undefined) return
    for (const pull of woken) this.#take(pull)
    this.probe.woken += woken.length
    for (const pull of woken) pull.resume()
  }

  /** The pulls of connections that are closed are dropped with the next step, all in one pass. */
  connectionLost(): void {
    this.#connectionsLost = true
  }

  /** Answers those who wait on a topic now, and forgets it: it is being deleted. */
  wakeTopic(topic: string): void {
    const queues = this.#topics.get(topic)
    if (queues === undefined) return
    this.#topics.delete(topic)
    const pulls: ParkedPull[] = []
    for (const queue of queues) for (const pull of queue ?? []) pulls.push(pull)
    for (const pull of pulls) this.#take(pull)
    for (const pull of pulls) pull.resume()
  }

  /** Answers everybody now; nobody waits after. */
  close(): void {
    this.#closed = true
    this.#timer?.cancel()
    this.#timer = undefined
    for (const topic of [...this.#topics.keys()]) this.wakeTopic(topic)
  }

  /** What it does not want counts as progress too, so it is answered sooner. */
  #passOver(pull: ParkedPull): void {
    pull.passedOver = true
    const soon = this.#scheduler.monotonic() + PASSED_OVER_MS
    if (soon >= pull.deadline) return
    this.#slotOf(pull).delete(pull)
    pull.deadline = soon
    this.#slotOf(pull).add(pull)
  }

  #wind(now: number): void {
    this.#timer = this.#scheduler.after((this.#step + 1) * STEP_MS - now, this.#turn)
  }

  readonly #turn = (): void => {
    this.#timer = undefined
    const now = this.#scheduler.monotonic()
    // Rounding may wake us a little early.
    const step = Math.floor(now / STEP_MS + 0.01)
    if (this.#connectionsLost) this.#dropLost()
    const due: ParkedPull[] = []
    for (let at = Math.max(this.#step + 1, step - SLOTS + 1); at <= step; at++) this.#empty(at, step, due)
    if (step > this.#step) this.#step = step
    this.probe.timedOut += due.length
    for (const pull of due) pull.resume()
    if (this.probe.parked > 0 && !this.#closed) this.#wind(now)
  }

  /** Takes out of a slot what is due; those of a later turn of the wheel stay. */
  #empty(at: number, step: number, due: ParkedPull[]): void {
    for (const pull of this.#slots[at % SLOTS]!) {
      if (stepOf(pull) > step) continue
      this.#take(pull)
      due.push(pull)
    }
  }

  #dropLost(): void {
    this.#connectionsLost = false
    for (const slot of this.#slots) for (const pull of slot) if (!pull.connection.isOpen) this.#take(pull)
  }

  #take(pull: ParkedPull): void {
    this.#slotOf(pull).delete(pull)
    this.#topics.get(pull.topic)?.[pull.queueId]?.delete(pull)
    this.probe.parked--
  }

  #slotOf(pull: ParkedPull): Set<ParkedPull> {
    return this.#slots[stepOf(pull) % SLOTS]!
  }

  #queueOf({ topic, queueId }: ParkedPull): Set<ParkedPull> {
    let queues = this.#topics.get(topic)
    if (queues === undefined) this.#topics.set(topic, (queues = []))
    return (queues[queueId] ??= new Set())
  }
}

/** The step of the clock by which a pull is due. */
function stepOf({ deadline }: ParkedPull): number {
  return Math.ceil(deadline / STEP_MS)
}
