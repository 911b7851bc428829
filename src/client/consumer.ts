import { RingQueue } from '../base/ring-queue.ts'
import type { Timer } from '../base/scheduler.ts'
import type { ConsumerData, SubscriptionData } from '../protocol/bodies.ts'
import { GetConsumerListByGroup } from '../protocol/commands/client.ts'
import { QueryConsumerOffset, UpdateConsumerOffset } from '../protocol/commands/offset.ts'
import { GetMaxOffset, SearchOffsetByTimestamp } from '../protocol/commands/query.ts'
import { ConsumerSendMsgBack } from '../protocol/commands/send.ts'
import { javaHashCode } from '../protocol/java-hash.ts'
import { parseJavaJson } from '../protocol/java-json.ts'
import type { StoredMessage } from '../protocol/message.ts'
import { RETRY_PREFIX } from '../protocol/names.ts'
import { ResponseCode, responseCodeName } from '../protocol/response-code.ts'
import { allocateAveragely } from './allocation.ts'
import { type Codec, type Topic, text } from './codec.ts'
import { CometError } from './errors.ts'
import type { Instance, Member } from './instance.ts'
import { type Message, ReceivedMessage } from './message.ts'
import { QueueReader, type Subscription } from './queue-reader.ts'
import type { Queue } from './routes.ts'

export interface ConsumerOptions<T> {
  group: string
  /** Topic → tag expression: `paid || refunded`, `*` for all. */
  subscribe: Readonly<Record<string, string>> | Topic<T>
  /** Codec of `value`; default UTF-8 text. */
  codec?: Codec<T>
  /** Where a group begins that has no offset yet; `time` in ms since 1970. Default `last`, as Java's. */
  from?: 'first' | 'last' | { time: number }
}

/** Return is acknowledgement; a throw means: hand it out again later. */
export type MessageHandler<T> = (message: Message<T>, context: { signal: AbortSignal }) => unknown

/** A message of the iterator, to be acknowledged by whoever took it. */
export interface Delivery<T> extends Message<T> {
  ack(): void
  /** Hands it out again later. */
  retry(): Promise<void>
}

const REBALANCE_MS = 20_000
const REBALANCE_RETRY_MS = 1_000
const COMMIT_MS = 5_000
const MAX_LOCAL_RETRY_MS = 30_000
/** How long handlers under way are waited for when closing. */
const DRAIN_MS = 10_000

interface Received<T> {
  message: ReceivedMessage<T>
  reader: QueueReader
}

/** A member of a consumer group in clustering mode. Closed by `close()` or `await using`. */
export class Consumer<T> implements Member, AsyncDisposable {
  readonly group: string
  readonly #instance: Instance
  readonly #codec: Codec<T>
  readonly #from: NonNullable<ConsumerOptions<T>['from']>
  readonly #subscriptions = new Map<string, Subscription>()
  readonly #readers = new Map<string, QueueReader>()
  readonly #received = new RingQueue<Received<T>>()
  readonly #waiting = new RingQueue<(item: Received<T> | undefined) => void>()
  readonly #stop = new AbortController()
  readonly #timers: Timer[] = []
  /** Calls that are due once, cancelled when closed. */
  readonly #later = new Set<Timer>()
  /** Those that hand messages to handlers. */
  readonly #working = new Set<Promise<unknown>>()
  #started: Promise<void> | undefined
  #closing: Promise<void> | undefined
  #rebalancing: Promise<void> | undefined
  #rebalanceAgain = false

  constructor(instance: Instance, options: ConsumerOptions<T>) {
    this.#instance = instance
    this.group = options.group
    const topic = isTopic(options.subscribe) ? options.subscribe : undefined
    this.#codec = options.codec ?? topic?.codec ?? (text as unknown as Codec<T>)
    this.#from = options.from ?? 'last'
    const version = instance.scheduler.now()
    const wanted: Record<string, string> =
      topic === undefined ? { ...(options.subscribe as Readonly<Record<string, string>>) } : { [topic.name]: '*' }
    if (Object.keys(wanted).length === 0) {
      throw new CometError('a consumer subscribes to a topic at least', {
        code: 'NO_SUBSCRIPTION',
        hint: "subscribe: { orders: '*' }",
      })
    }
    for (const [name, expression] of Object.entries(wanted)) {
      this.#subscriptions.set(name, { topic: name, expression, tags: tagsOf(expression), version })
    }
    const retryTopic = RETRY_PREFIX + this.group
    this.#subscriptions.set(retryTopic, { topic: retryTopic, expression: '*', tags: new Set(), version })
  }

  get producerData(): undefined {
    return undefined
  }

  get consumerData(): ConsumerData {
    return {
      groupName: this.group,
      consumeType: 'CONSUME_PASSIVELY',
      messageModel: 'CLUSTERING',
      consumeFromWhere:
        this.#from === 'first'
          ? 'CONSUME_FROM_FIRST_OFFSET'
          : this.#from === 'last'
            ? 'CONSUME_FROM_LAST_OFFSET'
            : 'CONSUME_FROM_TIMESTAMP',
      subscriptionDataSet: [...this.#subscriptions.values()].map(subscriptionData),
      unitMode: false,
    }
  }

  membersChanged(): void {
    void this.#rebalance()
  }

  routesChanged(): void {
    void this.#rebalance()
  }

  /** Hands each message to the handler, `concurrency` at a time; resolves when the consumer is closed or aborted. */
  async run(handler: MessageHandler<T>, options: { concurrency?: number; signal?: AbortSignal } = {}): Promise<void> {
    const forget = this.#haltWhen(options.signal)
    try {
      await this.#start()
      const workers = Array.from({ length: options.concurrency ?? 16 }, () => this.#work(handler))
      const working = Promise.all(workers).finally(() => this.#working.delete(working))
      this.#working.add(working)
      await working
      await this.close()
    } finally {
      forget()
    }
  }

  /**
   * Messages as they come; the loop's pace is the back-pressure. Ends when closed or aborted; what was acknowledged
   * until then is committed when it has ended.
   */
  async *messages(options: { signal?: AbortSignal } = {}): AsyncGenerator<Delivery<T>, void, undefined> {
    const forget = this.#haltWhen(options.signal)
    try {
      await this.#start()
      for (;;) {
        const received = await this.#take()
        if (received === undefined) break
        yield this.#delivery(received)
      }
      await this.close()
    } finally {
      forget()
    }
  }

  /**
   * Stops pulling, waits for handlers under way, tells the brokers how far it came, and leaves the group. A handler
   * that waits for it would wait for itself, so the wait is bounded.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #close(): Promise<void> {
    this.#halt()
    this.#instance.release(this)
    if (this.#started === undefined) return
    await this.#started.catch(() => {})
    await this.#drained()
    this.#commit()
    await this.#instance.leave(this)
  }

  /** Nothing is read or handed out any more. */
  #halt(): void {
    this.#stop.abort()
    for (const timer of [...this.#timers.splice(0), ...this.#later]) timer.cancel()
    this.#later.clear()
    for (const reader of this.#readers.values()) reader.stop()
    for (let waiter = this.#waiting.shift(); waiter !== undefined; waiter = this.#waiting.shift()) waiter(undefined)
  }

  /** @returns what takes it back */
  #haltWhen(signal: AbortSignal | undefined): () => void {
    const onAbort = (): void => this.#halt()
    if (signal?.aborted === true) onAbort()
    else signal?.addEventListener('abort', onAbort, { once: true })
    return () => signal?.removeEventListener('abort', onAbort)
  }

  async #drained(): Promise<void> {
    if (this.#working.size === 0) return
    const patience = new AbortController()
    const tooLong = this.#instance.scheduler.sleep(DRAIN_MS, patience.signal).then(
      () => this.#instance.log.warn('closed while handlers still run', { group: this.group, waitedMs: DRAIN_MS }),
      () => {},
    )
    await Promise.race([Promise.all(this.#working), tooLong])
    patience.abort()
  }

  #start(): Promise<void> {
    this.#started ??= this.#open()
    return this.#started
  }

  async #open(): Promise<void> {
    const { routes, scheduler } = this.#instance
    for (const topic of this.#subscriptions.keys()) {
      if (topic.startsWith(RETRY_PREFIX)) await routes.refresh(topic)
      else await routes.toSubscribe(topic)
    }
    if (this.#stop.signal.aborted) return
    await this.#instance.join(this)
    if (this.#stop.signal.aborted) return
    this.#timers.push(
      scheduler.every(REBALANCE_MS, () => void this.#rebalance()),
      scheduler.every(COMMIT_MS, () => this.#commit()),
    )
    await this.#rebalance()
  }

  async #work(handler: MessageHandler<T>): Promise<void> {
    for (;;) {
      const received = await this.#take()
      if (received === undefined) return
      try {
        await handler(received.message, { signal: this.#stop.signal })
        received.reader.done(received.message.queueOffset)
      } catch (cause) {
        this.#instance.log.warn('handler failed', {
          group: this.group,
          topic: received.message.topic,
          id: received.message.id,
          cause,
        })
        await this.#retry(received)
      }
    }
  }

  #delivery(received: Received<T>): Delivery<T> {
    const delivery = received.message as ReceivedMessage<T> & Delivery<T>
    delivery.ack = () => received.reader.done(received.message.queueOffset)
    delivery.retry = () => this.#retry(received)
    return delivery
  }

  /** The broker hands it out again after its retry delay; where it cannot, we do. */
  async #retry(received: Received<T>): Promise<void> {
    const { message, reader } = received
    const { routes, remoting, log } = this.#instance
    const address = routes.master(message.brokerName)
    try {
      if (address === undefined) throw new Error(`no address of broker ${message.brokerName}`)
      const header = {
        offset: message.position,
        group: this.group,
        delayLevel: 0,
        originMsgId: message.id,
        originTopic: message.topic,
        unitMode: false,
        maxReconsumeTimes: 16,
        bname: message.brokerName,
      }
      await remoting.request(address, ConsumerSendMsgBack, header, { timeoutMs: 5_000 })
      reader.done(message.queueOffset)
    } catch (cause) {
      const delayMs = Math.min(1_000 * message.attempt, MAX_LOCAL_RETRY_MS)
      log.debug('not sent back; handed out again here', { id: message.id, delayMs, cause })
      message.attempt++
      this.#after(delayMs, () => {
        if (!reader.stopped) this.#deliver(received)
      })
    }
  }

  #after(delayMs: number, callback: () => void): void {
    if (this.#stop.signal.aborted) return
    const timer = this.#instance.scheduler.after(delayMs, () => {
      this.#later.delete(timer)
      callback()
    })
    this.#later.add(timer)
  }

  #receive(stored: StoredMessage, reader: QueueReader): void {
    this.#deliver({ message: new ReceivedMessage(stored, reader.queue.brokerName, this.#codec), reader })
  }

  #deliver(item: Received<T>): void {
    const waiter = this.#waiting.shift()
    if (waiter === undefined) this.#received.push(item)
    else waiter(item)
  }

  /** undefined once closed. */
  async #take(): Promise<Received<T> | undefined> {
    for (;;) {
      if (this.#stop.signal.aborted) return undefined
      const item =
        this.#received.shift() ?? (await new Promise<Received<T> | undefined>((resolve) => this.#waiting.push(resolve)))
      if (item === undefined) return undefined
      // A queue that went to another member: that one reads it from the committed offset.
      if (!item.reader.stopped) return item
    }
  }

  #rebalance(): Promise<void> {
    if (this.#rebalancing !== undefined) {
      this.#rebalanceAgain = true
      return this.#rebalancing
    }
    const running = this.#balance().finally(() => {
      this.#rebalancing = undefined
      if (this.#rebalanceAgain && !this.#stop.signal.aborted) {
        this.#rebalanceAgain = false
        void this.#rebalance()
      }
    })
    this.#rebalancing = running
    return running
  }

  async #balance(): Promise<void> {
    for (const subscription of this.#subscriptions.values()) {
      if (this.#stop.signal.aborted) return
      try {
        await this.#balanceTopic(subscription)
      } catch (cause) {
        if (this.#stop.signal.aborted) return
        this.#instance.log.warn('not balanced', { group: this.group, topic: subscription.topic, cause })
        this.#after(REBALANCE_RETRY_MS, () => void this.#rebalance())
      }
    }
  }

  async #balanceTopic(subscription: Subscription): Promise<void> {
    const { topic } = subscription
    const route = this.#instance.routes.known(topic) ?? (await this.#instance.routes.refresh(topic))
    if (route === undefined) return
    const members = await this.#members(route.subscribe)
    const mine = allocateAveragely([...route.subscribe].sort(byQueue), members, this.#instance.clientId)
    const kept = new Set(mine.map(keyOf))
    for (const [key, reader] of this.#readers) {
      if (reader.queue.topic !== topic || kept.has(key)) continue
      reader.stop()
      this.#commitOne(reader)
      this.#readers.delete(key)
    }
    for (const queue of mine) {
      const key = keyOf(queue)
      if (this.#readers.has(key)) continue
      const offset = await this.#startOffset(queue)
      if (this.#stop.signal.aborted) return
      const reader = new QueueReader({
        instance: this.#instance,
        group: this.group,
        queue,
        subscription,
        offset,
        onMessage: (message, from) => this.#receive(message, from),
      })
      this.#readers.set(key, reader)
      void reader.run()
    }
  }

  async #members(queues: readonly Queue[]): Promise<string[]> {
    const address = this.#instance.routes.master(queues[0]?.brokerName ?? '')
    if (address === undefined) return []
    const answer = await this.#instance.remoting.request(address, GetConsumerListByGroup, { consumerGroup: this.group })
    const { consumerIdList } = parseJavaJson(answer.body.toString('utf8')) as { consumerIdList?: string[] }
    return [...new Set(consumerIdList ?? [])].sort()
  }

  async #startOffset({ topic, brokerName, queueId }: Queue): Promise<number> {
    const { remoting, routes } = this.#instance
    const address = routes.master(brokerName)
    if (address === undefined) throw new Error(`no address of broker ${brokerName}`)
    const stored = await remoting.request(
      address,
      QueryConsumerOffset,
      { consumerGroup: this.group, topic, queueId, setZeroIfNotFound: false },
      { anyCode: true },
    )
    if (stored.code === ResponseCode.SUCCESS && stored.header !== undefined) return stored.header.offset
    if (stored.code !== ResponseCode.QUERY_NOT_FOUND) throw new Error(stored.remark ?? responseCodeName(stored.code))
    if (topic.startsWith(RETRY_PREFIX) || this.#from === 'first') return 0
    if (this.#from === 'last') return (await remoting.request(address, GetMaxOffset, { topic, queueId })).header!.offset
    const found = await remoting.request(address, SearchOffsetByTimestamp, {
      topic,
      queueId,
      timestamp: this.#from.time,
    })
    return found.header!.offset
  }

  #commit(): void {
    for (const reader of this.#readers.values()) this.#commitOne(reader)
  }

  #commitOne(reader: QueueReader): void {
    const commitOffset = reader.takeCommit()
    const address = this.#instance.routes.master(reader.queue.brokerName)
    if (commitOffset === undefined || address === undefined) return
    const { topic, queueId, brokerName } = reader.queue
    this.#instance.remoting.oneWay(address, UpdateConsumerOffset, {
      consumerGroup: this.group,
      topic,
      queueId,
      commitOffset,
      bname: brokerName,
    })
  }
}

function isTopic<T>(value: Readonly<Record<string, string>> | Topic<T>): value is Topic<T> {
  return typeof (value as Topic<T>).codec === 'object'
}

/** The tags of `a || b`; empty for all. */
export function tagsOf(expression: string): Set<string> {
  const tags = expression
    .split('||')
    .map((tag) => tag.trim())
    .filter((tag) => tag !== '')
  return tags.includes('*') ? new Set() : new Set(tags)
}

function subscriptionData({ topic, expression, tags, version }: Subscription): SubscriptionData {
  return {
    topic,
    subString: expression,
    tagsSet: [...tags],
    codeSet: [...tags].map(javaHashCode),
    subVersion: version,
    expressionType: 'TAG',
    classFilterMode: false,
  }
}

const keyOf = ({ topic, brokerName, queueId }: Queue): string => `${topic}@${brokerName}@${queueId}`

/** The order all members sort by, Java's included: topic, broker name, queue id. */
function byQueue(a: Queue, b: Queue): number {
  if (a.topic !== b.topic) return a.topic < b.topic ? -1 : 1
  if (a.brokerName !== b.brokerName) return a.brokerName < b.brokerName ? -1 : 1
  return a.queueId - b.queueId
}
