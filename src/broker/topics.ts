import type { Disk, DiskError } from '../base/disk.ts'
import { JournaledFile } from '../base/journaled-file.ts'
import type { Log } from '../base/log.ts'
import type { Scheduler } from '../base/scheduler.ts'
import {
  type DataVersion,
  nextDataVersion,
  objectOf,
  readDataVersion,
  readTopicConfig,
  type TopicConfig,
} from '../protocol/bodies.ts'
import { parseJavaObject, stringifyJavaJson } from '../protocol/java-json.ts'
import * as names from '../protocol/names.ts'
import type { BrokerSettings } from './settings.ts'

const { READ, WRITE, INHERIT } = names.Permission
/** Up to so many topics the whole file is written for each change. */
const SMALL_TABLE = 500

export interface TopicTableOptions {
  settings: BrokerSettings
  disk: Disk
  /** Store folder. */
  root: string
  scheduler: Scheduler
  log: Log
}

/** A change in the journal: what the topic is now, or that it is no more. */
interface TopicChange {
  version: unknown
  topics?: unknown[]
  deleted?: string
}

/** The topics of a broker, kept in `config/topics.json`, those of many topics with a journal beside it. */
export class TopicTable {
  readonly #settings: BrokerSettings
  readonly #scheduler: Scheduler
  readonly #file: JournaledFile
  readonly #topics = new Map<string, TopicConfig>()
  readonly #systemTopics = new Set<string>(names.SYSTEM_TOPICS)
  #dataVersion: DataVersion
  #changed: (topics: readonly TopicConfig[]) => void = () => {}
  /** Topics that are not on disk as they are, with the change that made them so. */
  readonly #unsaved = new Map<string, number>()

  constructor({ settings, disk, root, scheduler, log }: TopicTableOptions) {
    this.#settings = settings
    this.#scheduler = scheduler
    this.#file = new JournaledFile({
      disk,
      path: `${root}/config/topics.json`,
      scheduler,
      log,
      pieces: () => this.#pieces(),
      isSmall: () => this.#topics.size <= SMALL_TABLE,
    })
    this.#file.onSaved((changes) => {
      for (const [topic, change] of this.#unsaved) {
        if (change > changes) break
        this.#unsaved.delete(topic)
      }
    })
    this.#dataVersion = { stateVersion: 0, timestamp: scheduler.now(), counter: 0 }
    const { whole, changes } = this.#file.load(parseTopics)
    if (whole !== undefined) {
      for (const [topic, config] of Object.entries(objectOf(whole['topicConfigTable']))) {
        this.#topics.set(topic, { ...readTopicConfig(config), topicName: topic })
      }
      this.#dataVersion = readDataVersion(whole['dataVersion'])
    }
    for (const change of changes) this.#again(JSON.parse(change) as TopicChange)
    if (this.#addSystemTopics() || changes.length > 0) this.#file.saveSync()
  }

  #again({ version, topics = [], deleted }: TopicChange): void {
    for (const config of topics.map(readTopicConfig)) this.#topics.set(config.topicName, config)
    if (deleted !== undefined) this.#topics.delete(deleted)
    this.#dataVersion = readDataVersion(version)
  }

  /** @returns whether one of them was not as it is now */
  #addSystemTopics(): boolean {
    let changed = false
    for (const config of systemTopics(this.#settings)) {
      const { topicName } = config
      this.#systemTopics.add(topicName)
      const existing = this.#topics.get(topicName)
      // The template follows the settings; the others stay as they were changed.
      if (existing !== undefined && (topicName !== names.AUTO_CREATE_TOPIC || sameTopic(existing, config))) continue
      this.#topics.set(topicName, config)
      changed = true
    }
    const template = this.#topics.get(names.AUTO_CREATE_TOPIC)
    if (template !== undefined && !this.#settings.autoCreateTopicEnable && (template.perm & INHERIT) !== 0) {
      this.#topics.set(names.AUTO_CREATE_TOPIC, { ...template, perm: template.perm & ~INHERIT })
      changed = true
    }
    return changed
  }

  get dataVersion(): DataVersion {
    return this.#dataVersion
  }

  get size(): number {
    return this.#topics.size
  }

  /** Called with the topics that changed, to register them. */
  onChange(listener: (topics: readonly TopicConfig[]) => void): void {
    this.#changed = listener
  }

  get(topic: string): TopicConfig | undefined {
    return this.#topics.get(topic)
  }

  all(): ReadonlyMap<string, TopicConfig> {
    return this.#topics
  }

  isSystemTopic(topic: string): boolean {
    return this.#systemTopics.has(topic) || topic.startsWith(names.SYSTEM_TOPIC_PREFIX)
  }

  systemTopics(): string[] {
    return [...this.#systemTopics]
  }

  /**
   * Makes the topic of a message that came for one that does not exist, where that is allowed. It is saved soon: what
   * promises that the topic stays waits by {@link whenSaved}.
   *
   * @returns undefined when it is not
   */
  createForSend(
    topic: string,
    defaultTopic: string,
    defaultTopicQueueNums: number,
    unitMode = false,
  ): TopicConfig | undefined {
    const isRetry = topic.startsWith(names.RETRY_PREFIX)
    const topicSysFlag = !unitMode ? 0 : isRetry ? names.TopicSysFlag.UNIT_SUB : names.TopicSysFlag.UNIT
    const template = this.#topics.get(defaultTopic)
    if (template === undefined || (template.perm & INHERIT) === 0) {
      return isRetry ? this.createSystemLike(topic, 1, { topicSysFlag }) : undefined
    }
    const queues = Math.max(0, Math.min(defaultTopicQueueNums, template.writeQueueNums))
    const config: TopicConfig = {
      topicName: topic,
      readQueueNums: queues,
      writeQueueNums: queues,
      perm: template.perm & ~INHERIT,
      topicFilterType: template.topicFilterType,
      topicSysFlag,
      order: false,
      attributes: {},
    }
    this.#put([config])
    return config
  }

  /** Makes a retry or dead-letter topic, if it is not there; saved soon. */
  createSystemLike(topic: string, queues: number, { order = false, topicSysFlag = 0 } = {}): TopicConfig {
    const existing = this.#topics.get(topic)
    if (existing !== undefined) return existing
    const config: TopicConfig = {
      topicName: topic,
      readQueueNums: queues,
      writeQueueNums: queues,
      perm: READ | WRITE,
      topicFilterType: 'SINGLE_TAG',
      topicSysFlag,
      order,
      attributes: {},
    }
    this.#put([config])
    return config
  }

  /** Creates or replaces topics, soon durably: see {@link whenSaved}. Those that are the same already change nothing. */
  update(configs: readonly TopicConfig[]): void {
    const changed = configs.filter((config) => !sameTopic(this.#topics.get(config.topicName), config))
    if (changed.length === 0) return
    this.#put(changed)
  }

  /** Soon durably: see {@link whenSaved}. @returns false when there is none */
  delete(topic: string): boolean {
    if (!this.#topics.delete(topic)) return false
    this.#bumpVersion()
    this.#unsaved.delete(topic)
    this.#file.add(JSON.stringify({ version: this.#dataVersion, deleted: topic }))
    return true
  }

  /** The body of GET_ALL_TOPIC_CONFIG. */
  toJson(topics: ReadonlyMap<string, TopicConfig> = this.#topics): object {
    return { dataVersion: this.#dataVersion, topicConfigTable: topics }
  }

  /** Whether something is not on disk yet. */
  get isUnsaved(): boolean {
    return this.#file.isUnsaved
  }

  /** Whether this topic is not on disk as it is. */
  isUnsavedTopic(topic: string): boolean {
    return this.#unsaved.has(topic)
  }

  /** Calls back once all that this table holds now is durable, or could not be made so. */
  whenSaved(done: (error: DiskError | null) => void): void {
    this.#file.whenSaved(done)
  }

  /** Resolves once all that this table holds now is durable. @throws DiskError */
  saved(): Promise<void> {
    return new Promise((resolve, reject) => this.whenSaved((error) => (error === null ? resolve() : reject(error))))
  }

  /** Leaves all in the file that Java reads; durable when it returns. */
  close(): void {
    this.#file.close()
  }

  #put(configs: readonly TopicConfig[]): void {
    this.#bumpVersion()
    for (const config of configs) {
      this.#topics.set(config.topicName, config)
      // Behind those that were changed before.
      this.#unsaved.delete(config.topicName)
      this.#unsaved.set(config.topicName, this.#file.changes + 1)
    }
    this.#file.add(JSON.stringify({ version: this.#dataVersion, topics: configs }))
    this.#changed(configs)
  }

  #bumpVersion(): void {
    this.#dataVersion = nextDataVersion(this.#dataVersion, this.#scheduler.now())
  }

  /** The file as Java writes it, a line per topic. */
  *#pieces(): Generator<string, void> {
    yield `{\n\t"dataVersion":${stringifyJavaJson(this.#dataVersion)},\n\t"topicConfigTable":{`
    let separator = '\n'
    for (const config of this.#topics.values()) {
      yield separator + lineOf(config)
      separator = ',\n'
    }
    yield '\n\t}\n}'
  }

  /** A topic as name servers are told of it: its perm is what the broker allows at most. */
  registered(config: TopicConfig): TopicConfig {
    const { brokerPermission } = this.#settings
    if ((brokerPermission & (READ | WRITE)) === (READ | WRITE)) return config
    return { ...config, perm: config.perm & brokerPermission }
  }
}

/** Topics that are there from the start. @source TopicConfigManager.java */
function systemTopics(settings: BrokerSettings): TopicConfig[] {
  const { brokerClusterName: cluster, brokerName } = settings
  const topic = (topicName: string, queues: number, perm: number = READ | WRITE): TopicConfig => ({
    topicName,
    readQueueNums: queues,
    writeQueueNums: queues,
    perm,
    topicFilterType: 'SINGLE_TAG',
    topicSysFlag: 0,
    order: false,
    attributes: {},
  })
  const levels = settings.messageDelayLevel.trim().split(/\s+/).length
  return [
    topic(names.SELF_TEST_TOPIC, 1),
    ...(settings.autoCreateTopicEnable
      ? [topic(names.AUTO_CREATE_TOPIC, settings.defaultTopicQueueNums, READ | WRITE | INHERIT)]
      : []),
    topic(names.BENCHMARK_TOPIC, 1_024),
    topic(cluster, 16, settings.clusterTopicEnable ? READ | WRITE | INHERIT : INHERIT),
    topic(brokerName, 1, settings.brokerTopicEnable ? READ | WRITE | INHERIT : INHERIT),
    topic(names.OFFSET_MOVED_TOPIC, 1),
    topic(names.SCHEDULE_TOPIC, levels),
    ...(settings.traceTopicEnable ? [topic(settings.msgTraceTopicName, 1)] : []),
    topic(cluster + names.REPLY_SUFFIX, 1),
    topic(names.REVIVE_PREFIX + cluster, settings.reviveQueueNum),
    topic(names.SYNC_MEMBER_PREFIX + brokerName, 1, INHERIT),
    topic(names.HALF_TOPIC, 1),
    topic(names.OP_HALF_TOPIC, 1),
    topic('RMQ_SYS_ROCKSDB_TRANS_HALF_TOPIC', 1),
    topic('RMQ_SYS_ROCKSDB_TRANS_OP_HALF_TOPIC', 1),
    ...(settings.timerWheelEnable ? [topic(names.TIMER_TOPIC, 1)] : []),
  ]
}

/** Plain JSON, as this file mostly is, is read by the engine ten times as fast as the dialect, which an operator may use. */
function parseTopics(text: string): Record<string, unknown> {
  try {
    if (!text.includes('"$ref"')) return objectOf(JSON.parse(text))
  } catch {
    // Then it is read as Java reads it, or the reason said.
  }
  return parseJavaObject(text)
}

/** A line of the file, keys as Java orders them; by hand, since there may be a hundred thousand of them. */
function lineOf(config: TopicConfig): string {
  const { topicName, readQueueNums, writeQueueNums, perm, topicFilterType, topicSysFlag, order, attributes } = config
  const name = JSON.stringify(topicName)
  return `\t\t${name}:{"attributes":${stringifyJavaJson(attributes)},"order":${order},"perm":${perm},"readQueueNums":${readQueueNums},"topicFilterType":${JSON.stringify(topicFilterType)},"topicName":${name},"topicSysFlag":${topicSysFlag},"writeQueueNums":${writeQueueNums}}`
}

function sameTopic(a: TopicConfig | undefined, b: TopicConfig): boolean {
  return (
    a !== undefined &&
    a.readQueueNums === b.readQueueNums &&
    a.writeQueueNums === b.writeQueueNums &&
    a.perm === b.perm &&
    a.topicFilterType === b.topicFilterType &&
    a.topicSysFlag === b.topicSysFlag &&
    a.order === b.order &&
    sameAttributes(a.attributes, b.attributes)
  )
}

function sameAttributes(a: Record<string, string>, b: Record<string, string>): boolean {
  const keys = Object.keys(a)
  return keys.length === Object.keys(b).length && keys.every((key) => a[key] === b[key])
}
