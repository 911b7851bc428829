import { QueryConsumerOffset, UpdateConsumerOffset } from '../../src/protocol/commands/offset.ts'
import { PullMessage } from '../../src/protocol/commands/pull.ts'
import { decodeMessages, type StoredMessage } from '../../src/protocol/message.ts'
import { PullSysFlag } from '../../src/protocol/names.ts'
import { ResponseCode } from '../../src/protocol/response-code.ts'
import type { Connection } from '../../src/remoting/connection.ts'
import { isOfTheNetwork, ModelClient, type ModelWorld } from './model-clients.ts'
import type { QueueRead } from './queue-checker.ts'

interface Queue {
  topic: string
  queueId: number
}

/** What one pull brought. */
export interface Pulled {
  code: number
  messages: StoredMessage[]
  nextOffset: number
  minOffset: number
  maxOffset: number
}

/** The one member of a group: pulls each queue from where the group stands, and commits what it was handed. */
export class ModelConsumer extends ModelClient {
  readonly group: string
  readonly #queues: () => readonly Queue[]
  readonly #check: (message: StoredMessage, queue: Queue, queueOffset: number) => number
  /** Where it stands; asked of the broker after each loss of the connection. */
  readonly #offsets = new Map<string, number>()
  /** Over which it learned where it stands. */
  #connection: Connection | undefined
  /** Queues at whose end it was when it last looked. */
  readonly #atEnd = new Set<string>()

  constructor(
    group: string,
    world: ModelWorld,
    queues: () => readonly Queue[],
    /** @returns the number of a message that is as it was sent */
    check: (message: StoredMessage, queue: Queue, queueOffset: number) => number,
  ) {
    super(group, world)
    this.group = group
    this.#queues = queues
    this.#check = check
  }

  /** Forgets where it stands, as after a restart. */
  forget(): void {
    this.#offsets.clear()
    this.#atEnd.clear()
  }

  /** Whether it has seen the end of every queue. */
  get hasCaughtUp(): boolean {
    return this.#queues().every((queue) => this.#atEnd.has(keyOf(queue)))
  }

  protected override get thinkMs(): number {
    return 10 + this.world.random.below(120)
  }

  protected async step(): Promise<void> {
    for (const queue of this.#queues()) {
      try {
        const connection = await this.remoting.connection(this.world.broker)
        if (connection !== this.#connection) this.forget()
        this.#connection = connection
        await this.#pullOnce(queue, connection)
      } catch (error) {
        if (!isOfTheNetwork(error)) throw error
        this.lost(error)
        this.forget()
        return
      }
    }
  }

  /** All over one connection: a broker that has lost the end of its log must not be told of offsets it had before. */
  async #pullOnce(queue: Queue, connection: Connection): Promise<void> {
    const { random } = this.world
    const key = keyOf(queue)
    const offset = this.#offsets.get(key) ?? (await this.#committed(queue, connection))
    if (offset === undefined) return
    const pulled = await this.#pull(connection, queue, offset, random.below(4) === 0 ? 300 : 0)
    for (const [index, message] of pulled.messages.entries()) {
      const id = this.#check(message, queue, offset + index)
      this.world.history.deliver({ group: this.group, ...queue, queueOffset: message.queueOffset, id })
    }
    if (pulled.code === ResponseCode.PULL_NOT_FOUND) this.#atEnd.add(key)
    else this.#atEnd.delete(key)
    const moved = pulled.code === ResponseCode.PULL_OFFSET_MOVED
    const next = pulled.messages.length > 0 || moved ? pulled.nextOffset : offset
    this.#offsets.set(key, next)
    if (next !== offset && !moved) await this.#commit(queue, next, connection)
  }

  /** All that is in a queue now, from its first message on. */
  async readWhole({ topic, queueId }: Queue): Promise<QueueRead> {
    const messages: StoredMessage[] = []
    let minOffset = 0
    for (let offset = 0, isFirst = true; ; isFirst = false) {
      const pulled = await this.insist(() => this.pull({ topic, queueId }, offset))
      if (isFirst) minOffset = pulled.minOffset
      messages.push(...pulled.messages)
      if (pulled.messages.length === 0 && pulled.nextOffset <= offset) {
        const isKnown = pulled.code !== ResponseCode.TOPIC_NOT_EXIST
        return { topic, queueId, minOffset, maxOffset: pulled.maxOffset, messages, isKnown }
      }
      offset = pulled.nextOffset
    }
  }

  async pull(queue: Queue, offset: number): Promise<Pulled> {
    return this.#pull(await this.remoting.connection(this.world.broker), queue, offset, 0)
  }

  async #pull(connection: Connection, queue: Queue, offset: number, waitMs: number): Promise<Pulled> {
    const { code, header, body } = await connection.request(
      PullMessage,
      {
        consumerGroup: this.group,
        ...queue,
        queueOffset: offset,
        maxMsgNums: 1 + this.world.random.below(32),
        sysFlag: PullSysFlag.SUBSCRIPTION | (waitMs > 0 ? PullSysFlag.SUSPEND : 0),
        commitOffset: 0,
        suspendTimeoutMillis: waitMs,
        subscription: '*',
        subVersion: 0,
        expressionType: 'TAG',
      },
      { anyCode: true },
    )
    return {
      code,
      messages: code === ResponseCode.SUCCESS ? decodeMessages(body) : [],
      nextOffset: header?.nextBeginOffset ?? offset,
      minOffset: header?.minOffset ?? 0,
      maxOffset: header?.maxOffset ?? 0,
    }
  }

  /** Where the broker says the group stands: 0 for a new group, undefined when it does not say. */
  async #committed({ topic, queueId }: Queue, connection: Connection): Promise<number | undefined> {
    const { code, header } = await connection.request(
      QueryConsumerOffset,
      { consumerGroup: this.group, topic, queueId, setZeroIfNotFound: false },
      { anyCode: true },
    )
    if (code === ResponseCode.SUCCESS) return header!.offset
    return code === ResponseCode.QUERY_NOT_FOUND ? 0 : undefined
  }

  async #commit({ topic, queueId }: Queue, offset: number, connection: Connection): Promise<void> {
    const { history } = this.world
    const commit = history.commit(this.name, { group: this.group, topic, queueId, offset })
    try {
      const { code, remark } = await connection.request(
        UpdateConsumerOffset,
        { consumerGroup: this.group, topic, queueId, commitOffset: offset },
        { anyCode: true },
      )
      history.end(commit, code === ResponseCode.SUCCESS ? 'ok' : 'unknown', remark)
    } catch (error) {
      history.end(commit, 'unknown', (error as Error).message)
      throw error
    }
  }
}

const keyOf = ({ topic, queueId }: Queue): string => `${topic} ${queueId}`
