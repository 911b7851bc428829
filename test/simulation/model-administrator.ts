import { GetTopicConfig, UpdateAndCreateTopic } from '../../src/protocol/commands/topic.ts'
import { parseJavaObject } from '../../src/protocol/java-json.ts'
import { ResponseCode } from '../../src/protocol/response-code.ts'
import { ModelClient, type ModelWorld } from './model-clients.ts'

/** Changes the configuration of topics; each version of one can be told from the others. */
export class ModelAdministrator extends ModelClient {
  readonly #topics: readonly string[]
  #version = 0

  constructor(name: string, world: ModelWorld, topics: readonly string[]) {
    super(name, world)
    this.#topics = topics
  }

  protected override get thinkMs(): number {
    return 50 + this.world.random.below(400)
  }

  protected async step(): Promise<void> {
    await this.change(this.#topics[this.world.random.below(this.#topics.length)]!)
  }

  async change(topic: string): Promise<void> {
    const { history, broker } = this.world
    const change = history.topicChange(this.name, topic, ++this.#version)
    try {
      const { code, remark } = await this.remoting.request(
        broker,
        UpdateAndCreateTopic,
        {
          topic,
          readQueueNums: 4,
          writeQueueNums: 4,
          perm: 6,
          topicFilterType: 'SINGLE_TAG',
          topicSysFlag: change.version,
          order: false,
          force: false,
        },
        { anyCode: true },
      )
      history.end(change, code === ResponseCode.SUCCESS ? 'ok' : 'unknown', remark)
    } catch (error) {
      this.lost(error)
      history.end(change, 'unknown', (error as Error).message)
    }
  }

  /** The version that the broker has; undefined when it has no such topic. */
  async versionOf(topic: string): Promise<number | undefined> {
    const { code, body } = await this.insist(() =>
      this.remoting.request(this.world.broker, GetTopicConfig, { topic }, { anyCode: true }),
    )
    if (code !== ResponseCode.SUCCESS) return undefined
    return Number(parseJavaObject(body.toString('utf8'))['topicSysFlag'])
  }
}
