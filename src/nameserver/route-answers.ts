import type { BrokerData } from '../protocol/bodies.ts'
import { NumberKeyMap, stringifyJavaJson } from '../protocol/java-json.ts'
import { ORDER_TOPIC_NAMESPACE } from '../protocol/names.ts'
import { formatAddress, parseAddress } from '../remoting/transport.ts'
import type { KvConfig } from './kv-config.ts'
import type { RouteTable, TopicRoute } from './route-table.ts'
import type { NameServerSettings } from './settings.ts'

/** Encoded answers kept at most; a topic has one per JSON flavour and per address it is asked at. */
const MAX_ANSWERS = 65_536

/** What an answer is made of. */
export interface RouteSources {
  /** As they are now: they may be updated. */
  readonly settings: NameServerSettings
  readonly kv: KvConfig
  readonly routes: RouteTable
  readonly probe: { routeCacheHits: number }
  readonly isLocalBroker: (address: string) => boolean
}

/** Route answers, encoded once and handed out until something changes. */
export class RouteAnswers {
  readonly #sources: RouteSources
  readonly #answers = new Map<string, Map<string, Buffer>>()
  #count = 0

  constructor(sources: RouteSources) {
    this.#sources = sources
  }

  drop(topic: string): void {
    const answers = this.#answers.get(topic)
    if (answers === undefined) return
    this.#count -= answers.size
    this.#answers.delete(topic)
  }

  dropAll(): void {
    this.#answers.clear()
    this.#count = 0
  }

  /**
   * @param standard number keys in quotes, only ASCII
   * @param reachedAt host by which the client reached us, told for brokers of this process
   * @returns undefined when the topic is not known
   */
  answer(topic: string, standard: boolean, reachedAt: string): Buffer | undefined {
    const flavour = `${standard ? 's' : 'j'}${reachedAt}`
    const cached = this.#answers.get(topic)?.get(flavour)
    if (cached !== undefined) {
      this.#sources.probe.routeCacheHits++
      return cached
    }
    const route = this.#sources.routes.route(topic, this.#sources.settings.supportActingMaster)
    if (route === undefined) return undefined
    const encoded = this.encode(topic, route, standard, reachedAt)
    if (this.#count >= MAX_ANSWERS) this.dropAll()
    let answers = this.#answers.get(topic)
    if (answers === undefined) this.#answers.set(topic, (answers = new Map()))
    answers.set(flavour, encoded)
    this.#count++
    return encoded
  }

  encode(topic: string, route: TopicRoute, standard: boolean, reachedAt: string): Buffer {
    const { settings, kv } = this.#sources
    const body = {
      brokerDatas: route.brokerDatas.map((broker) => ({ ...broker, brokerAddrs: this.addresses(broker, reachedAt) })),
      filterServerTable: route.filterServerTable,
      orderTopicConf: settings.orderMessageEnable ? kv.get(ORDER_TOPIC_NAMESPACE, topic) : undefined,
      queueDatas: route.queueDatas,
      topicQueueMappingByBroker: route.topicQueueMappingByBroker,
    }
    return Buffer.from(stringifyJavaJson(body, { standard }), 'utf8')
  }

  /** Addresses as this client can reach them: see docs/decisions/0004. */
  addresses(broker: BrokerData, reachedAt: string): NumberKeyMap<string> {
    const addresses = new NumberKeyMap<string>()
    for (const [id, address] of Object.entries(broker.brokerAddrs)) {
      addresses.set(Number(id), this.#sources.isLocalBroker(address) ? withHost(address, reachedAt) : address)
    }
    return addresses
  }
}

function withHost(address: string, host: string): string {
  return formatAddress({ host, port: parseAddress(address).port })
}
