import { PullMessage } from '../protocol/commands/pull.ts'
import { decodeMessage, type StoredMessage } from '../protocol/message.ts'
import { PullSysFlag } from '../protocol/names.ts'
import { ResponseCode, responseCodeName } from '../protocol/response-code.ts'
import type { Instance } from './instance.ts'
import type { Queue } from './routes.ts'

/** How many messages of one queue may wait for the handler before pulling pauses. */
const MAX_PENDING = 1_000
const PULL_COUNT = 32
const PULL_BYTES = 262_144
const SUSPEND_MS = 15_000
const PULL_TIMEOUT_MS = 30_000
const RETRY_PAUSE_MS = 1_000

export interface Subscription {
  topic: string
  expression: string
  /** Empty for all. */
  tags: ReadonlySet<string>
  version: number
}

export interface QueueReaderOptions {
  instance: Instance
  group: string
  queue: Queue
  subscription: Subscription
  /** First offset to read. */
  offset: number
  onMessage: (message: StoredMessage, reader: QueueReader) => void
}

/**
 * Reads one queue that this member of the group was given: one long poll at a time, and the offset below which all is
 * done. Stopping it leaves what was handed out to be finished by whoever holds it.
 */
export class QueueReader {
  readonly queue: Queue
  readonly #options: QueueReaderOptions
  /** Offsets handed out and not done yet, in the order they were read. */
  readonly #pending = new Set<number>()
  #nextOffset: number
  #committed = -1
  readonly #stop = new AbortController()
  #resume: (() => void) | undefined

  constructor(options: QueueReaderOptions) {
    this.queue = options.queue
    this.#options = options
    this.#nextOffset = options.offset
  }

  get stopped(): boolean {
    return this.#stop.signal.aborted
  }

  /** The next offset the group should read, or undefined when nothing changed since the last call. */
  takeCommit(): number | undefined {
    const offset = this.#doneOffset()
    if (offset === this.#committed) return undefined
    this.#committed = offset
    return offset
  }

  /** The message at this offset needs no redelivery. */
  done(queueOffset: number): void {
    this.#pending.delete(queueOffset)
    if (this.#pending.size < MAX_PENDING) this.#wakeUp()
  }

  stop(): void {
    this.#stop.abort()
    this.#wakeUp()
  }

  /** Pulls until stopped; never throws. */
  async run(): Promise<void> {
    const { instance, queue } = this.#options
    while (!this.stopped) {
      if (this.#pending.size >= MAX_PENDING) {
        await new Promise<void>((resolve) => {
          this.#resume = resolve
        })
        continue
      }
      try {
        await this.#pull()
      } catch (cause) {
        if (this.stopped || instance.closed) return
        instance.log.warn('pull failed', {
          topic: queue.topic,
          brokerName: queue.brokerName,
          queueId: queue.queueId,
          cause,
        })
        await instance.scheduler.sleep(RETRY_PAUSE_MS, this.#stop.signal).catch(() => {})
      }
    }
  }

  async #pull(): Promise<void> {
    const { instance, group, queue, subscription, onMessage } = this.#options
    const address = instance.routes.master(queue.brokerName)
    if (address === undefined) throw new Error(`no address of broker ${queue.brokerName}`)
    const commitOffset = this.#doneOffset()
    const header = {
      consumerGroup: group,
      topic: queue.topic,
      queueId: queue.queueId,
      queueOffset: this.#nextOffset,
      maxMsgNums: PULL_COUNT,
      sysFlag: PullSysFlag.SUSPEND | PullSysFlag.SUBSCRIPTION | (commitOffset > 0 ? PullSysFlag.COMMIT_OFFSET : 0),
      commitOffset,
      suspendTimeoutMillis: SUSPEND_MS,
      subscription: subscription.expression,
      subVersion: subscription.version,
      expressionType: 'TAG',
      maxMsgBytes: PULL_BYTES,
      bname: queue.brokerName,
    }
    const answer = await instance.remoting.request(address, PullMessage, header, {
      timeoutMs: PULL_TIMEOUT_MS,
      anyCode: true,
    })
    if (this.stopped) return
    switch (answer.code) {
      case ResponseCode.SUCCESS:
        for (let at = 0; at < answer.body.length; ) {
          const message = decodeMessage(answer.body, at)
          at += message.sizeBytes
          // The broker compares hashes of tags, so another tag may slip through.
          const tag = message.properties.get('TAGS')
          if (subscription.tags.size > 0 && (tag === undefined || !subscription.tags.has(tag))) continue
          this.#pending.add(message.queueOffset)
          onMessage(message, this)
        }
        break
      case ResponseCode.PULL_NOT_FOUND:
      case ResponseCode.PULL_RETRY_IMMEDIATELY:
      case ResponseCode.PULL_OFFSET_MOVED:
        break
      default:
        throw new Error(answer.remark ?? responseCodeName(answer.code))
    }
    if (answer.header === undefined) throw new Error('a pull was answered without its header')
    this.#nextOffset = answer.header.nextBeginOffset
  }

  #doneOffset(): number {
    let lowest = this.#nextOffset
    for (const offset of this.#pending) {
      lowest = offset
      break
    }
    return lowest
  }

  #wakeUp(): void {
    this.#resume?.()
    this.#resume = undefined
  }
}
