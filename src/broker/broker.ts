import type { Log } from '../base/log.ts'
import type { Probes } from '../base/probe.ts'
import type { Random } from '../base/random.ts'
import type { Scheduler } from '../base/scheduler.ts'
import type { UniqueIds } from '../protocol/message-id.ts'
import type { Connection } from '../remoting/connection.ts'
import { type Address, formatAddress } from '../remoting/transport.ts'
import type { Host, MessageStore } from '../store/message-store.ts'
import type { Announcements } from './announcements.ts'
import type { ConsumerRegistry } from './consumers.ts'
import type { Counts } from './counts.ts'
import type { GroupTable } from './groups.ts'
import type { BornHosts } from './hosts.ts'
import type { QueueLocks } from './locks.ts'
import type { LongPoll } from './long-poll.ts'
import type { OffsetTable } from './offsets.ts'
import type { ProducerRegistry } from './producers.ts'
import type { BrokerIdentity } from './registration.ts'
import { type BrokerSettings, brokerSettings } from './settings.ts'
import type { Stats } from './stats.ts'
import type { TopicTable } from './topics.ts'

export interface BrokerParts {
  settings: BrokerSettings
  scheduler: Scheduler
  random: Random
  log: Log
  probes: Probes
  store: MessageStore
  /** Written into records, and part of message ids. */
  storeHost: Host
  topics: TopicTable
  announcements: Announcements
  groups: GroupTable
  offsets: OffsetTable
  consumers: ConsumerRegistry
  producers: ProducerRegistry
  locks: QueueLocks
  longPoll: LongPoll
  stats: Stats
  counts: Counts
  uniqueIds: UniqueIds
  bornHosts: BornHosts
  memoryBytes: number
  /** Told to clients. */
  advertised: Address
  /** Told to replicas. */
  haAdvertised: Address
}

/** The parts of a broker that handlers work with; `start.ts` builds them in order. */
export class Broker {
  readonly settings: BrokerSettings
  readonly scheduler: Scheduler
  readonly random: Random
  readonly log: Log
  readonly probes: Probes
  readonly store: MessageStore
  readonly storeHost: Host
  readonly topics: TopicTable
  readonly announcements: Announcements
  readonly groups: GroupTable
  readonly offsets: OffsetTable
  readonly consumers: ConsumerRegistry
  readonly producers: ProducerRegistry
  readonly locks: QueueLocks
  readonly longPoll: LongPoll
  readonly stats: Stats
  readonly counts: Counts
  readonly uniqueIds: UniqueIds
  readonly bornHosts: BornHosts
  readonly startedAtMs: number
  readonly host: string
  /** `host:port` told to clients. */
  readonly address: string
  /** `host:port` told to replicas. */
  readonly haAddress: string
  /** Requests whose answer is awaited; set once the router exists. */
  readInFlight: () => number = () => 0
  readonly #recentBytes: number

  constructor(parts: BrokerParts) {
    this.settings = parts.settings
    this.scheduler = parts.scheduler
    this.random = parts.random
    this.log = parts.log
    this.probes = parts.probes
    this.store = parts.store
    this.storeHost = parts.storeHost
    this.topics = parts.topics
    this.announcements = parts.announcements
    this.groups = parts.groups
    this.offsets = parts.offsets
    this.consumers = parts.consumers
    this.producers = parts.producers
    this.locks = parts.locks
    this.longPoll = parts.longPoll
    this.stats = parts.stats
    this.counts = parts.counts
    this.uniqueIds = parts.uniqueIds
    this.bornHosts = parts.bornHosts
    this.startedAtMs = parts.scheduler.now()
    this.host = parts.advertised.host
    this.address = formatAddress(parts.advertised)
    this.haAddress = formatAddress(parts.haAdvertised)
    this.#recentBytes = (parts.memoryBytes * parts.settings.accessMessageInMemoryMaxRatio) / 100
  }

  get inFlight(): number {
    return this.readInFlight()
  }

  /** Whether a position lies so near the end of the log that it is taken to be in memory. */
  readonly isRecent = (position: number | undefined): boolean =>
    position !== undefined && this.store.positions.written - position <= this.#recentBytes

  /** Java's properties text of all settings. */
  describeSettings(): string {
    return brokerSettings.format(this.settings)
  }

  /**
   * Changes what the allow-list permits: never a path, never a command. The object stays the same, since handlers hold it.
   *
   * @throws SettingsError naming what may not be changed, or a value that cannot be used
   */
  updateSettings(changes: Readonly<Record<string, string>>): void {
    Object.assign(this.settings, brokerSettings.update(this.settings, changes))
  }

  /** What name servers are told beside the topics. */
  get identity(): BrokerIdentity {
    const { brokerName, brokerClusterName, brokerId } = this.settings
    return {
      brokerName,
      clusterName: brokerClusterName,
      brokerId,
      brokerAddr: this.address,
      haServerAddr: this.haAddress,
    }
  }

  connectionLost(connection: Connection): void {
    this.longPoll.connectionLost()
    this.consumers.connectionLost(connection)
    this.producers.connectionLost(connection)
  }
}
