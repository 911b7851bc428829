import { encodeBatch } from '../../src/protocol/batch.ts'
import { GetRouteInfoByTopic } from '../../src/protocol/commands/nameserver.ts'
import { SendBatchMessage, SendMessageV2 } from '../../src/protocol/commands/send.ts'
import { ResponseCode } from '../../src/protocol/response-code.ts'
import type { Outcome, Send } from './history.ts'
import { ModelClient, type ModelWorld } from './model-clients.ts'
import { modelMessage } from './model-message.ts'

/** Codes that say that nothing was stored. */
const REFUSALS: ReadonlySet<number> = new Set([
  ResponseCode.MESSAGE_ILLEGAL,
  ResponseCode.INVALID_PARAMETER,
  ResponseCode.TOPIC_NOT_EXIST,
  ResponseCode.NO_PERMISSION,
])
const QUEUES = 2

/** Sends single messages, batches and one-way messages, several at a time, to topics that exist and to new ones. */
export class ModelProducer extends ModelClient {
  readonly #topics: readonly string[]

  constructor(name: string, world: ModelWorld, topics: readonly string[]) {
    super(name, world)
    this.#topics = topics
  }

  protected async step(): Promise<void> {
    const { random } = this.world
    const sends: Promise<void>[] = []
    for (let count = 1 + random.below(5); count > 0; count--) sends.push(this.sendSome())
    await Promise.all(sends)
  }

  async sendSome(topic?: string): Promise<void> {
    const { random, history, broker, nextId } = this.world
    const dice = random.below(100)
    const isBatch = dice < 12
    const isOneWay = dice >= 12 && dice < 20
    const waits = random.below(100) < 85
    const ids = Array.from({ length: isBatch ? 2 + random.below(5) : 1 }, () => nextId())
    const send = history.send(this.name, {
      kind: isBatch ? 'batch' : isOneWay ? 'one-way' : 'sync',
      topic: topic ?? this.#pickTopic(),
      queueId: random.below(QUEUES),
      ids,
      // The broker reads WAIT of the batch as a whole, which has no properties of its own here.
      waits: isBatch || waits,
    })
    const messages = ids.map((id) => modelMessage(id, send.waits))
    const header = {
      producerGroup: 'producers',
      topic: send.topic,
      defaultTopic: 'TBW102',
      defaultTopicQueueNums: 4,
      queueId: send.queueId,
      sysFlag: 0,
      bornTimestamp: this.world.scheduler.now(),
      flag: 0,
      properties: isBatch ? Buffer.alloc(0) : messages[0]!.properties,
      reconsumeTimes: 0,
      unitMode: false,
      batch: isBatch,
    }
    const body = isBatch ? encodeBatch(messages.map((message) => ({ flag: 0, ...message }))) : messages[0]!.body
    const command = isBatch ? SendBatchMessage : SendMessageV2
    if (isOneWay) {
      this.remoting.oneWay(broker, command, header, body)
      return history.end(send, 'unknown', 'one-way')
    }
    try {
      const {
        code,
        remark,
        header: answer,
      } = await this.remoting.request(broker, command, header, {
        body,
        anyCode: true,
      })
      if (code === ResponseCode.SUCCESS && answer !== undefined) send.queueOffset = answer.queueOffset
      history.end(send, outcomeOf(code), code === ResponseCode.SUCCESS ? undefined : `${code} ${remark}`)
    } catch (error) {
      this.lost(error)
      history.end(send, 'unknown', (error as Error).message)
    }
  }

  #pickTopic(): string {
    const { random } = this.world
    if (random.below(100) < 2) return `new-${random.below(4)}`
    return this.#topics[random.below(this.#topics.length)]!
  }

  /** Whether the name server knows where the topic is. */
  async findsRoute(topic: string): Promise<boolean> {
    const { nameServer } = this.world
    try {
      const { code, body } = await this.remoting.request(
        nameServer,
        GetRouteInfoByTopic,
        { topic, acceptStandardJsonOnly: false },
        { anyCode: true },
      )
      return code === ResponseCode.SUCCESS && body.includes(this.world.broker)
    } catch (error) {
      this.lost(error)
      return false
    }
  }
}

function outcomeOf(code: number): Outcome {
  if (code === ResponseCode.SUCCESS) return 'ok'
  return REFUSALS.has(code) ? 'refused' : 'unknown'
}

export type { Send }
