import { crc32 } from 'node:zlib'
import type { Log } from '../base/log.ts'
import type { Scheduler } from '../base/scheduler.ts'
import type { DataVersion, TopicConfig } from '../protocol/bodies.ts'
import { QueryDataVersion, RegisterBroker, UnregisterBroker } from '../protocol/commands/nameserver.ts'
import { stringifyJavaJson } from '../protocol/java-json.ts'
import type { RemotingClient } from '../remoting/client.ts'

/** What a broker tells name servers of itself, beside its topics. */
export interface BrokerIdentity {
  brokerName: string
  clusterName: string
  brokerId: number
  brokerAddr: string
  haServerAddr: string
}

export interface RegistrationOptions {
  nameServers: readonly string[]
  client: RemotingClient
  identity: BrokerIdentity
  /** All topics, as they are. */
  topics: () => ReadonlyMap<string, TopicConfig>
  dataVersion: () => DataVersion
  /** A topic as name servers are told of it. */
  toldOf: (topic: TopicConfig) => TopicConfig
  /** Called for each topic of {@link Registration.topicsChanged}, once it is registered or could not be. */
  told: (topic: string) => void
  scheduler: Scheduler
  log: Log
  periodMs: number
  timeoutMs: number
  /** Topics of one registration at most. */
  splitSize: number
}

/** How long a broker that stops waits for a name server. */
const FAREWELL_MS = 1_000
/** With more topics a registration is split, so that neither side stands still over one body. */
const MANY_TOPICS = 4_000
/** A registration's body stays well below the largest frame. */
const MAX_BODY_BYTES = 12 * 1024 * 1024
/** Of many topics a name server that knows the version is told anew in every so manieth round only. */
const WHOLE_ROUNDS = 20

export interface RegistrationProbe {
  registrations: number
  failures: number
}

/** Keeps a broker registered at every name server: at once, when topics change, and by the clock. */
export class Registration {
  readonly #options: RegistrationOptions
  readonly #probe: RegistrationProbe
  readonly #stop = new AbortController()
  /** Name servers that the last registration failed at; said once when it begins and when it ends. */
  readonly #failing = new Set<string>()
  #running: Promise<void> | undefined
  /** Name servers that were not told of something since the last whole registration. */
  readonly #incomplete = new Set<string>()
  #rounds = 0
  #changed: TopicConfig[] = []
  #changeScheduled = false

  constructor(options: RegistrationOptions, probe: RegistrationProbe) {
    this.#options = options
    this.#probe = probe
  }

  /** Registers everywhere once, then goes on by the clock. Resolves after the first round, whatever came of it. */
  async start(): Promise<void> {
    await this.registerAll()
    this.#running = this.#keepRegistered()
  }

  /** Topics changed: name servers learn of them in this turn, all changes of a turn together. */
  topicsChanged(topics: readonly TopicConfig[]): void {
    for (const topic of topics) this.#changed.push(topic)
    if (this.#changeScheduled) return
    this.#changeScheduled = true
    this.#options.scheduler.soon(() => {
      this.#changeScheduled = false
      void this.#registerChanged(this.#changed.splice(0))
    })
  }

  async #registerChanged(topics: readonly TopicConfig[]): Promise<void> {
    const changed = new Map(topics.map((topic) => [topic.topicName, topic]))
    // One topic alone would look like the registration of a broker that is not known, which is refused.
    if (!this.#stop.signal.aborted)
      await this.#registerWith(changed.size === 1 ? this.#withNeighbour(changed) : changed, this.#options.nameServers)
    for (const { topicName } of topics) this.#options.told(topicName)
  }

  /** Everywhere; of many topics only where their version is not known. */
  async registerAll(): Promise<void> {
    const { nameServers, topics } = this.#options
    const isWhole = topics().size <= MANY_TOPICS || this.#rounds++ % WHOLE_ROUNDS === 0
    const known = isWhole ? [] : await Promise.all(nameServers.map((address) => this.#isKnownAt(address)))
    await this.#registerWith(
      topics(),
      nameServers.filter((_, index) => known[index] !== true),
      true,
    )
  }

  /** Also a sign of life. */
  async #isKnownAt(address: string): Promise<boolean> {
    const { client, dataVersion, identity, timeoutMs } = this.#options
    if (this.#incomplete.has(address)) return false
    const { brokerName, clusterName, brokerId, brokerAddr } = identity
    const body = Buffer.from(stringifyJavaJson(dataVersion()), 'utf8')
    const header = { brokerName, brokerAddr, clusterName, brokerId }
    try {
      const answer = await client.request(address, QueryDataVersion, header, { body, timeoutMs })
      return answer.header?.changed === false
    } catch {
      return false
    }
  }

  async close(): Promise<void> {
    if (this.#stop.signal.aborted) return
    this.#stop.abort()
    const { identity, nameServers, client, scheduler, log } = this.#options
    const { brokerName, clusterName, brokerId, brokerAddr } = identity
    const header = { brokerName, brokerAddr, clusterName, brokerId }
    // A registration under way comes first, unless its name server does not answer.
    const patience = new AbortController()
    await Promise.race([this.#running, scheduler.sleep(FAREWELL_MS, patience.signal).catch(() => {})])
    patience.abort()
    await Promise.all(
      nameServers.map((address) =>
        client
          .request(address, UnregisterBroker, header, { timeoutMs: FAREWELL_MS })
          .catch((cause: unknown) => log.debug('not unregistered', { address, cause })),
      ),
    )
  }

  async #keepRegistered(): Promise<void> {
    const { scheduler, periodMs } = this.#options
    while (!this.#stop.signal.aborted) {
      try {
        await scheduler.sleep(periodMs, this.#stop.signal)
      } catch {
        return // stopped
      }
      await this.registerAll()
    }
  }

  #withNeighbour(changed: Map<string, TopicConfig>): ReadonlyMap<string, TopicConfig> {
    for (const [topic, config] of this.#options.topics()) {
      if (changed.has(topic)) continue
      return new Map([...changed, [topic, config]])
    }
    return changed
  }

  async #registerWith(
    topics: ReadonlyMap<string, TopicConfig>,
    nameServers: readonly string[],
    isWhole = false,
  ): Promise<void> {
    const failed = new Set<string>()
    for await (const body of this.#bodies(topics)) {
      if (this.#stop.signal.aborted) return
      await Promise.all(
        nameServers.map(async (address) => {
          if (failed.has(address) || (await this.#registerAt(address, body))) return
          failed.add(address)
          this.#incomplete.add(address)
        }),
      )
      if (failed.size === nameServers.length) return
    }
    if (!isWhole) return
    for (const address of nameServers) if (!failed.has(address)) this.#incomplete.delete(address)
  }

  async #registerAt(address: string, body: Buffer): Promise<boolean> {
    const { client, log, timeoutMs } = this.#options
    const { brokerName, clusterName, brokerId, brokerAddr, haServerAddr } = this.#options.identity
    const header = {
      brokerName,
      brokerAddr,
      clusterName,
      haServerAddr,
      brokerId,
      enableActingMaster: false,
      compressed: false,
      bodyCrc32: crc32(body) & 0x7fff_ffff,
    }
    this.#probe.registrations++
    try {
      await client.request(address, RegisterBroker, header, { body, timeoutMs })
      if (this.#failing.delete(address)) log.info('registered again', { nameServer: address })
      return true
    } catch (cause) {
      this.#probe.failures++
      if (!this.#failing.has(address) && !this.#stop.signal.aborted) {
        this.#failing.add(address)
        log.warn('not registered: clients of this name server do not find the broker', { nameServer: address, cause })
      }
      return false
    }
  }

  /** One body, or of many topics several, each in a turn of its own. */
  async *#bodies(topics: ReadonlyMap<string, TopicConfig>): AsyncGenerator<Buffer, void> {
    const { toldOf, dataVersion, splitSize, scheduler } = this.#options
    // Said with each part: what changes meanwhile is told by a registration of its own, which may come before.
    const version = dataVersion()
    if (topics.size <= MANY_TOPICS) {
      const whole = encode(topics, version, toldOf)
      if (whole.length <= MAX_BODY_BYTES) {
        yield whole
        return
      }
    }
    let left = Math.ceil(topics.size / splitSize)
    // A part of the version that is known already would change nothing: only the last has the one that is meant.
    const versionOfPart = (): DataVersion => ({ ...version, counter: version.counter - Math.max(0, --left) })
    let part = new Map<string, TopicConfig>()
    for (const [topic, config] of topics) {
      part.set(topic, config)
      if (part.size < splitSize) continue
      yield encode(part, versionOfPart(), toldOf)
      part = new Map()
      await new Promise<void>((resolve) => scheduler.defer(resolve))
    }
    if (part.size > 0) yield encode(part, version, toldOf)
  }
}

function encode(
  topics: ReadonlyMap<string, TopicConfig>,
  dataVersion: DataVersion,
  toldOf: (topic: TopicConfig) => TopicConfig,
): Buffer {
  const topicConfigTable = new Map<string, TopicConfig>()
  for (const [topic, config] of topics) topicConfigTable.set(topic, toldOf(config))
  return Buffer.from(
    stringifyJavaJson({
      filterServerList: [],
      topicConfigSerializeWrapper: {
        dataVersion,
        mappingDataVersion: { stateVersion: 0, timestamp: dataVersion.timestamp, counter: 0 },
        topicConfigTable,
        topicQueueMappingDetailMap: {},
        topicQueueMappingInfoMap: {},
      },
    }),
    'utf8',
  )
}
