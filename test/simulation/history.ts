import type { Scheduler } from '../../src/base/scheduler.ts'

/**
 * How an operation ended for who asked. `unknown`: no answer, or one that promises nothing: it may have had its effect.
 * `refused`: it cannot have had any.
 */
export type Outcome = 'pending' | 'ok' | 'unknown' | 'refused'

interface Operation {
  client: string
  invokedMs: number
  /** Infinity while it is pending. */
  endedMs: number
  outcome: Outcome
}

/** A message or a batch, as its producer knows it. */
export interface Send extends Operation {
  kind: 'sync' | 'batch' | 'one-way'
  topic: string
  queueId: number
  /** Of each message; they name body, tag and key. */
  ids: readonly number[]
  /** Property WAIT: whether the answer waits for the device. */
  waits: boolean
  /** Told by the broker; -1 before. */
  queueOffset: number
}

/** What a group said of how far it has come on a queue. */
export interface Commit extends Operation {
  group: string
  topic: string
  queueId: number
  offset: number
}

/** A topic's configuration as an administrator wanted it; `version` tells one from the other. */
export interface TopicChange extends Operation {
  topic: string
  version: number
}

/** A message as a consumer was handed it. */
export interface Delivery {
  group: string
  topic: string
  queueId: number
  queueOffset: number
  id: number
  atMs: number
}

/** All that clients saw and all that was done to the machine, in order: what checkers judge, and what a seed replays. */
export class History {
  readonly lines: string[] = []
  readonly sends: Send[] = []
  readonly commits: Commit[] = []
  readonly topicChanges: TopicChange[] = []
  readonly deliveries: Delivery[] = []
  /** Called with each operation that is answered, before anything else happens. */
  onAnswer: (operation: Send | Commit | TopicChange) => void = () => {}
  onDelivery: (delivery: Delivery) => void = () => {}
  readonly #scheduler: Scheduler

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler
  }

  get nowMs(): number {
    return this.#scheduler.monotonic()
  }

  /** A line of the log: time, what, and its details, as JSON. */
  note(what: string, details: object = {}): void {
    this.lines.push(JSON.stringify({ ms: Math.round(this.nowMs * 1000) / 1000, what, ...details }))
  }

  send(client: string, parts: Pick<Send, 'kind' | 'topic' | 'queueId' | 'ids' | 'waits'>): Send {
    const send: Send = { ...this.#begin(client), ...parts, queueOffset: -1 }
    this.sends.push(send)
    this.note('send', { client, ...parts })
    return send
  }

  commit(client: string, parts: Pick<Commit, 'group' | 'topic' | 'queueId' | 'offset'>): Commit {
    const commit: Commit = { ...this.#begin(client), ...parts }
    this.commits.push(commit)
    this.note('commit', parts)
    return commit
  }

  topicChange(client: string, topic: string, version: number): TopicChange {
    const change: TopicChange = { ...this.#begin(client), topic, version }
    this.topicChanges.push(change)
    this.note('topic', { topic, version })
    return change
  }

  end(operation: Send | Commit | TopicChange, outcome: Outcome, why?: string): void {
    operation.endedMs = this.nowMs
    operation.outcome = outcome
    const subject =
      'ids' in operation ? { ids: operation.ids, queueOffset: operation.queueOffset } : { topic: operation.topic }
    this.note(outcome, { ...subject, why })
    this.onAnswer(operation)
  }

  deliver(parts: Omit<Delivery, 'atMs'>): void {
    const delivery = { ...parts, atMs: this.nowMs }
    this.deliveries.push(delivery)
    this.onDelivery(delivery)
  }

  #begin(client: string): Operation {
    return { client, invokedMs: this.nowMs, endedMs: Number.POSITIVE_INFINITY, outcome: 'pending' }
  }
}
