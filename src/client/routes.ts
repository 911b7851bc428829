import type { TopicRouteData } from '../protocol/bodies.ts'
import { GetRouteInfoByTopic } from '../protocol/commands/nameserver.ts'
import { parseJavaJson } from '../protocol/java-json.ts'
import { AUTO_CREATE_TOPIC, Permission } from '../protocol/names.ts'
import { ResponseCode } from '../protocol/response-code.ts'
import { CometError } from './errors.ts'
import type { NameServers } from './name-servers.ts'

/** One queue of a topic on one broker. */
export interface Queue {
  readonly topic: string
  readonly brokerName: string
  readonly queueId: number
}

/** What a name server knows of a topic, as a client uses it. */
export interface Route {
  /** Queues that take messages: writable, with a master. */
  publish: Queue[]
  /** Queues that can be read. */
  subscribe: Queue[]
  /** Broker name → broker id → `host:port`; id 0 is the master. */
  brokers: Map<string, Map<number, string>>
}

/** Queues asked for of a topic that does not exist yet, as Java's `defaultTopicQueueNums`. */
export const NEW_TOPIC_QUEUES = 4

/** Routes by topic, asked for when first needed and refreshed by the client's timer. */
export class Routes {
  readonly #nameServers: NameServers
  readonly #routes = new Map<string, Route>()
  /** Topics that had a route once. */
  readonly #seen = new Set<string>()
  readonly #asking = new Map<string, Promise<Route | undefined>>()

  constructor(nameServers: NameServers) {
    this.#nameServers = nameServers
  }

  get topics(): string[] {
    return [...this.#routes.keys()]
  }

  known(topic: string): Route | undefined {
    return this.#routes.get(topic)
  }

  /** The route to publish to: of the topic, or, where brokers create topics, of the template. */
  async toPublish(topic: string): Promise<Route> {
    const route = this.#routes.get(topic) ?? (await this.refresh(topic))
    if (route !== undefined && route.publish.length > 0) return route
    const template = await this.#ask(AUTO_CREATE_TOPIC)
    if (template !== undefined && template.publish.length > 0) return newTopicRoute(topic, template)
    throw this.#missing(topic)
  }

  /** The route to read from; fails when the topic does not exist. */
  async toSubscribe(topic: string): Promise<Route> {
    const route = this.#routes.get(topic) ?? (await this.refresh(topic))
    if (route === undefined) throw this.#missing(topic)
    return route
  }

  /** Asks again. A name server that cannot be reached leaves what is known. */
  async refresh(topic: string): Promise<Route | undefined> {
    const asking = this.#asking.get(topic) ?? this.#ask(topic)
    this.#asking.set(topic, asking)
    try {
      const route = await asking
      if (route === undefined) this.#routes.delete(topic)
      else this.#routes.set(topic, route)
      if (route !== undefined) this.#seen.add(topic)
      return route
    } finally {
      this.#asking.delete(topic)
    }
  }

  /** Every broker address of every known route. */
  addresses(): Set<string> {
    const found = new Set<string>()
    for (const route of this.#routes.values()) {
      for (const byId of route.brokers.values()) for (const address of byId.values()) found.add(address)
    }
    return found
  }

  master(brokerName: string): string | undefined {
    for (const route of this.#routes.values()) {
      const address = route.brokers.get(brokerName)?.get(0)
      if (address !== undefined) return address
    }
    return undefined
  }

  async #ask(topic: string): Promise<Route | undefined> {
    const answer = await this.#nameServers.request(GetRouteInfoByTopic, { topic, acceptStandardJsonOnly: true })
    if (answer.code === ResponseCode.TOPIC_NOT_EXIST) return undefined
    if (answer.code !== ResponseCode.SUCCESS) {
      throw new CometError(`the name server refused the route of ${topic}: ${answer.remark ?? ''}`, {
        code: 'ROUTE_REFUSED',
        responseCode: answer.code,
        retriable: true,
        topic,
      })
    }
    return readRoute(topic, parseJavaJson(answer.body.toString('utf8')) as TopicRouteData)
  }

  #missing(topic: string): CometError {
    const asked = `asked ${this.#nameServers.addresses.join(', ')}`
    if (this.#seen.has(topic)) {
      return new CometError(`no broker serves topic '${topic}' any more; ${asked}`, {
        code: 'TOPIC_UNAVAILABLE',
        responseCode: ResponseCode.TOPIC_NOT_EXIST,
        retriable: true,
        topic,
        hint: 'its broker may be restarting; else the topic was deleted',
      })
    }
    return new CometError(`topic '${topic}' does not exist; ${asked}`, {
      code: 'TOPIC_NOT_FOUND',
      responseCode: ResponseCode.TOPIC_NOT_EXIST,
      topic,
      hint: 'create it, or start the broker with autoCreateTopicEnable=true; no broker may be registered yet',
    })
  }
}

/** @source MQClientInstance.java, topicRouteData2TopicPublishInfo, topicRouteData2TopicSubscribeInfo */
export function readRoute(topic: string, data: TopicRouteData): Route {
  const brokers = new Map<string, Map<number, string>>()
  for (const broker of data.brokerDatas ?? []) {
    const byId = new Map<number, string>()
    for (const [id, address] of Object.entries(broker.brokerAddrs ?? {})) byId.set(Number(id), String(address))
    brokers.set(broker.brokerName, byId)
  }
  const publish: Queue[] = []
  const subscribe: Queue[] = []
  const sorted = [...(data.queueDatas ?? [])].sort((a, b) => (a.brokerName < b.brokerName ? -1 : 1))
  for (const { brokerName, perm, readQueueNums, writeQueueNums } of sorted) {
    if ((perm & Permission.READ) !== 0) {
      for (let queueId = 0; queueId < readQueueNums; queueId++) subscribe.push({ topic, brokerName, queueId })
    }
    if ((perm & Permission.WRITE) !== 0 && brokers.get(brokerName)?.has(0) === true) {
      for (let queueId = 0; queueId < writeQueueNums; queueId++) publish.push({ topic, brokerName, queueId })
    }
  }
  return { publish, subscribe, brokers }
}

function newTopicRoute(topic: string, template: Route): Route {
  const publish = template.publish
    .filter(({ queueId }) => queueId < NEW_TOPIC_QUEUES)
    .map((queue) => ({ ...queue, topic }))
  return { publish, subscribe: [], brokers: template.brokers }
}
