import { encodeBatch } from '../protocol/batch.ts'
import type { ProducerData } from '../protocol/bodies.ts'
import type { Request } from '../protocol/command.ts'
import { SendBatchMessage, SendMessageV2 } from '../protocol/commands/send.ts'
import { javaHashCode } from '../protocol/java-hash.ts'
import { AUTO_CREATE_TOPIC } from '../protocol/names.ts'
import { encodeProperties } from '../protocol/properties.ts'
import { ResponseCode, responseCodeName } from '../protocol/response-code.ts'
import type { Topic } from './codec.ts'
import { CometError } from './errors.ts'
import type { Instance, Member } from './instance.ts'
import { NEW_TOPIC_QUEUES, type Queue, type Route } from './routes.ts'

export interface ProducerOptions {
  /** Producer group. Default `DEFAULT_COMETMQ_PRODUCER`. */
  group?: string
  /** For a whole send, retries included, in ms. Default 3,000. */
  timeoutMs?: number
  /** Attempts after the first, on other brokers where there are. Default 2. */
  retries?: number
}

export interface SendOptions {
  tag?: string
  keys?: readonly string[]
  properties?: Readonly<Record<string, string>>
  /** Messages of one key go to one queue, by Java's hash. */
  orderKey?: string
  /** A queue by number, on the broker the route names first. */
  queueId?: number
  /** false: the broker answers before it flushes or replicates. Default true. */
  waitStore?: boolean
  signal?: AbortSignal
}

/** Where a message lies. `status` is `OK`, or what a broker says of a message that it stored but could not make sure. */
export interface Receipt {
  status: 'OK' | 'FLUSH_DISK_TIMEOUT' | 'FLUSH_SLAVE_TIMEOUT' | 'SLAVE_NOT_AVAILABLE'
  /** Client-made id; a batch's are joined by commas. */
  id: string
  offsetId: string
  topic: string
  brokerName: string
  queueId: number
  queueOffset: number
}

interface Outgoing {
  body: Buffer
  properties: string
  ids: string
  batch: boolean
}

const RETRIABLE: readonly number[] = [
  ResponseCode.TOPIC_NOT_EXIST,
  ResponseCode.SERVICE_NOT_AVAILABLE,
  ResponseCode.SYSTEM_ERROR,
  ResponseCode.SYSTEM_BUSY,
  ResponseCode.NO_PERMISSION,
  ResponseCode.GO_AWAY,
]

/** Sends messages. Closed by `close()` or `await using`. */
export class Producer implements Member, AsyncDisposable {
  readonly group: string
  readonly #instance: Instance
  readonly #timeoutMs: number
  readonly #retries: number
  readonly #next = new Map<string, number>()
  /** Sends under way; who closes waits for them. */
  #flying = 0
  #landed: (() => void) | undefined
  #closing: Promise<void> | undefined
  #joined: Promise<void> | undefined

  constructor(instance: Instance, options: ProducerOptions = {}) {
    this.#instance = instance
    this.group = options.group ?? 'DEFAULT_COMETMQ_PRODUCER'
    this.#timeoutMs = options.timeoutMs ?? 3_000
    this.#retries = options.retries ?? 2
  }

  get producerData(): ProducerData {
    return { groupName: this.group }
  }
  get consumerData(): undefined {
    return undefined
  }
  membersChanged(): void {}
  routesChanged(): void {}

  /** @throws CometError `TOPIC_NOT_FOUND`, `TOPIC_UNAVAILABLE`, `SEND_REFUSED`, `SEND_FAILED`, `SEND_TIMEOUT` */
  async send<T>(topic: Topic<T>, value: T, options: SendOptions = {}): Promise<Receipt> {
    return this.#fly(topic.name, this.#outgoing([topic.codec.encode(value)], options, false), options)
  }

  /** All or none: one request, consecutive offsets in one queue. */
  async sendBatch<T>(topic: Topic<T>, values: readonly T[], options: SendOptions = {}): Promise<Receipt> {
    if (values.length === 0) throw new CometError('a batch needs a message', { code: 'EMPTY_BATCH', topic: topic.name })
    const bodies = values.map((value) => topic.codec.encode(value))
    return this.#fly(topic.name, this.#outgoing(bodies, options, true), options)
  }

  /** Hands the message to the connection and forgets it: no answer, no retry. */
  async sendOneWay<T>(topic: Topic<T>, value: T, options: SendOptions = {}): Promise<void> {
    const outgoing = this.#outgoing([topic.codec.encode(value)], options, false)
    this.#takeOff()
    try {
      const route = await this.#route(topic.name)
      const queue = this.#choose(topic.name, route, options, undefined)
      const address = route.brokers.get(queue.brokerName)!.get(0)!
      const connection = await this.#instance.remoting.connection(address)
      connection.oneWay(SendMessageV2, this.#header(queue, outgoing), outgoing.body)
    } finally {
      this.#land()
    }
  }

  /** Takes no more, waits for the sends under way, and leaves the group. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    if (this.#flying > 0) await new Promise<void>((resolve) => (this.#landed = resolve))
    this.#instance.release(this)
    if (this.#joined === undefined) return
    await this.#joined.catch(() => {})
    await this.#instance.leave(this)
  }

  #takeOff(): void {
    if (this.#closing !== undefined) throw new CometError('this producer is closed', { code: 'CLIENT_CLOSED' })
    this.#flying++
  }

  #land(): void {
    if (--this.#flying === 0) this.#landed?.()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #route(topic: string): Promise<Route> {
    const route = await this.#instance.routes.toPublish(topic)
    this.#joined ??= this.#instance.join(this)
    await this.#joined
    return route
  }

  async #fly(topic: string, outgoing: Outgoing, options: SendOptions): Promise<Receipt> {
    this.#takeOff()
    try {
      return await this.#send(topic, outgoing, options)
    } finally {
      this.#land()
    }
  }

  async #send(topic: string, outgoing: Outgoing, options: SendOptions): Promise<Receipt> {
    const { scheduler, remoting, routes } = this.#instance
    const deadline = scheduler.monotonic() + this.#timeoutMs
    const tried: string[] = []
    let failure: CometError | undefined
    let avoid: string | undefined
    for (let attempt = 0; attempt <= this.#retries; attempt++) {
      options.signal?.throwIfAborted()
      const timeoutMs = deadline - scheduler.monotonic()
      if (timeoutMs <= 0) break
      const route = await this.#route(topic)
      const queue = this.#choose(topic, route, options, avoid)
      const brokerAddr = route.brokers.get(queue.brokerName)!.get(0)!
      tried.push(queue.brokerName)
      avoid = queue.brokerName
      try {
        const command = outgoing.batch ? SendBatchMessage : SendMessageV2
        const header = this.#header(queue, outgoing)
        const answer = await remoting.request(brokerAddr, command, header, {
          body: outgoing.body,
          timeoutMs,
          anyCode: true,
        })
        const status = statusOf(answer.code)
        if (status !== undefined && answer.header !== undefined) {
          const { msgId, queueId, queueOffset } = answer.header
          // The first message of a topic may have created it.
          if (routes.known(topic) === undefined) void routes.refresh(topic).catch(() => {})
          const { brokerName } = queue
          return { status, id: outgoing.ids, offsetId: msgId, topic, brokerName, queueId, queueOffset }
        }
        failure = new CometError(`${queue.brokerName} refused: ${answer.remark ?? responseCodeName(answer.code)}`, {
          code: 'SEND_REFUSED',
          responseCode: answer.code,
          retriable: RETRIABLE.includes(answer.code),
          topic,
          brokerAddr,
        })
        if (!failure.retriable) throw failure
      } catch (cause) {
        if (cause instanceof CometError) failure = cause
        else
          failure = new CometError(`could not send to ${queue.brokerName}`, {
            code: 'SEND_FAILED',
            retriable: true,
            topic,
            brokerAddr,
            cause,
          })
        if (!failure.retriable) throw failure
        await routes.refresh(topic).catch(() => {})
      }
    }
    throw (
      failure ??
      new CometError(`not sent within ${this.#timeoutMs} ms; tried ${tried.join(', ')}`, {
        code: 'SEND_TIMEOUT',
        retriable: true,
        topic,
      })
    )
  }

  #choose(topic: string, route: Route, options: SendOptions, avoid: string | undefined): Queue {
    const { publish } = route
    if (options.queueId !== undefined) {
      const queue = publish.find(({ queueId }) => queueId === options.queueId)
      if (queue !== undefined) return queue
      throw new CometError(`${topic} has no queue ${options.queueId}`, { code: 'NO_SUCH_QUEUE', topic })
    }
    if (options.orderKey !== undefined) {
      const hash = Math.abs(javaHashCode(options.orderKey))
      return publish[hash % publish.length]!
    }
    const start = this.#next.get(topic) ?? this.#instance.random.below(publish.length)
    for (let step = 0; step < publish.length; step++) {
      const queue = publish[(start + step) % publish.length]!
      if (queue.brokerName === avoid && step < publish.length - 1) continue
      this.#next.set(topic, (start + step + 1) % publish.length)
      return queue
    }
    return publish[start % publish.length]!
  }

  #outgoing(bodies: readonly Uint8Array[], options: SendOptions, batch: boolean): Outgoing {
    const ids = bodies.map(() => this.#instance.ids.next())
    const encoded = bodies.map((body, at) => {
      if (body.length === 0) throw new CometError('a message needs a body', { code: 'EMPTY_BODY' })
      return {
        body: Buffer.from(body.buffer, body.byteOffset, body.length),
        properties: propertiesOf(options, ids[at]!),
      }
    })
    if (!batch) return { ...encoded[0]!, ids: ids[0]!, batch }
    const body = encodeBatch(
      encoded.map(({ body, properties }) => ({ flag: 0, body, properties: Buffer.from(properties) })),
    )
    return {
      body,
      properties: encodeProperties(new Map([['WAIT', String(options.waitStore ?? true)]])),
      ids: ids.join(','),
      batch,
    }
  }

  #header({ topic, brokerName, queueId }: Queue, { properties, batch }: Outgoing): Request<typeof SendMessageV2> {
    return {
      producerGroup: this.group,
      topic,
      defaultTopic: AUTO_CREATE_TOPIC,
      defaultTopicQueueNums: NEW_TOPIC_QUEUES,
      queueId,
      sysFlag: 0,
      bornTimestamp: this.#instance.scheduler.now(),
      flag: 0,
      properties: Buffer.from(properties),
      reconsumeTimes: 0,
      unitMode: false,
      batch,
      brokerName,
    }
  }
}

function propertiesOf(options: SendOptions, id: string): string {
  const properties = new Map<string, string>(Object.entries(options.properties ?? {}))
  if (options.tag !== undefined) properties.set('TAGS', options.tag)
  if (options.keys !== undefined && options.keys.length > 0) properties.set('KEYS', options.keys.join(' '))
  properties.set('UNIQ_KEY', id)
  properties.set('WAIT', String(options.waitStore ?? true))
  for (const [name, value] of properties) {
    if (/[\u0001\u0002]/.test(name + value)) {
      throw new CometError(`property '${name}' holds a separator (U+0001 or U+0002)`, { code: 'BAD_PROPERTY' })
    }
  }
  return encodeProperties(properties)
}

function statusOf(code: number): Receipt['status'] | undefined {
  switch (code) {
    case ResponseCode.SUCCESS:
      return 'OK'
    case ResponseCode.FLUSH_DISK_TIMEOUT:
      return 'FLUSH_DISK_TIMEOUT'
    case ResponseCode.FLUSH_SLAVE_TIMEOUT:
      return 'FLUSH_SLAVE_TIMEOUT'
    case ResponseCode.SLAVE_NOT_AVAILABLE:
      return 'SLAVE_NOT_AVAILABLE'
    default:
      return undefined
  }
}
