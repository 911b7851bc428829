import { ConfigFile } from '../base/config-file.ts'
import type { Disk, DiskError } from '../base/disk.ts'
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
/** Topics put into words in one turn. */
const SLICE = 2_000

export interface TopicTableOptions {
  settings: BrokerSettings
  disk: Disk
  /** Store folder. */
  root: string
  scheduler: Scheduler
  log: Log
}

/** The topics of a broker, kept in `config/topics.json`. */
export class TopicTable {
  readonly #settings: BrokerSettings
  readonly #scheduler: Scheduler
  readonly #file: ConfigFile
  readonly #topics = new Map<string, TopicConfig>()
  readonly #systemTopics = new Set<string>(names.SYSTEM_TOPICS)
  #dataVersion: DataVersion
  #changed: (topics: readonly TopicConfig[]) => void = () => {}
  /** Changes so far, and how many of them the file holds. */
  #changes = 0
  #saved = 0
  #isSaving = false
  /** Topics that the file does not hold as they are, with the change that made them so. */
  readonly #unsaved = new Map<string, number>()
  /** Told when the file holds so many changes, or could not be written. */
  #waiting: { changes: number; done: (error: DiskError | null) => void }[] = []

  constructor({ settings, disk, root, scheduler, log }: TopicTableOptions) {
    this.#settings = settings
    this.#scheduler = scheduler
    this.#file = new ConfigFile(disk, `${root}/config/topics.json`, log)
    this.#dataVersion = { stateVersion: 0, timestamp: scheduler.now(), counter: 0 }
    const loaded = this.#file.loadAs(parseJavaObject)
    if (loaded !== undefined) {
      for (const [topic, config] of Object.entries(objectOf(loaded['topicConfigTable']))) {
        this.#topics.set(topic, { ...readTopicConfig(config), topicName: topic })
      }
      this.#dataVersion = readDataVersion(loaded['dataVersion'])
    }
    if (this.#addSystemTopics()) this.#save()
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
    this.#putSoon(config)
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
    this.#putSoon(config)
    return config
  }

  /** Creates or replaces topics, durably; those that are the same already change nothing. */
  update(configs: readonly TopicConfig[]): void {
    const changed = configs.filter((config) => !sameTopic(this.#topics.get(config.topicName), config))
    if (changed.length === 0) return
    for (const config of changed) this.#topics.set(config.topicName, config)
    this.#bumpVersion()
    this.#save()
    this.#changed(changed)
  }

  /** Durable when it returns. @returns false when there is none */
  delete(topic: string): boolean {
    if (!this.#topics.delete(topic)) return false
    this.#bumpVersion()
    this.#save()
    return true
  }

  /** The body of GET_ALL_TOPIC_CONFIG. */
  toJson(topics: ReadonlyMap<string, TopicConfig> = this.#topics): object {
    return { dataVersion: this.#dataVersion, topicConfigTable: topics }
  }

  /** Whether the file lacks something that this table holds. */
  get isUnsaved(): boolean {
    return this.#saved < this.#changes
  }

  /** Whether the file lacks this topic, or holds an older one. */
  isUnsavedTopic(topic: string): boolean {
    return this.#unsaved.has(topic)
  }

  /** Calls back once the file holds all that this table holds now, or could not be written. */
  whenSaved(done: (error: DiskError | null) => void): void {
    if (!this.isUnsaved) return done(null)
    this.#waiting.push({ changes: this.#changes, done })
    this.#saveSoon()
  }

  /** Writes what is not written yet; durable when it returns. */
  close(): void {
    if (this.isUnsaved) this.#save()
  }

  #putSoon(config: TopicConfig): void {
    this.#topics.set(config.topicName, config)
    this.#bumpVersion()
    this.#unsaved.set(config.topicName, this.#changes)
    this.#saveSoon()
    this.#changed([config])
  }

  #bumpVersion(): void {
    this.#dataVersion = nextDataVersion(this.#dataVersion, this.#scheduler.now())
    this.#changes++
  }

  #save(): void {
    const lines: string[] = []
    for (const config of this.#topics.values()) lines.push(lineOf(config))
    this.#file.save(this.#text(lines))
    this.#told(this.#changes, null)
  }

  /** One write for all topics that a turn brings, put into words slice by slice, with the sync off the loop. */
  #saveSoon(): void {
    if (this.#isSaving) return
    this.#isSaving = true
    this.#scheduler.soon(() => this.#saveSliced(this.#changes, this.#saved, this.#topics.values(), []))
  }

  #saveSliced(changes: number, saved: number, rest: Iterator<TopicConfig>, lines: string[]): void {
    for (let count = 0; count < SLICE; count++) {
      const next = rest.next()
      if (next.done === true) return this.#saveLines(changes, saved, lines)
      lines.push(lineOf(next.value))
    }
    this.#scheduler.defer(() => this.#saveSliced(changes, saved, rest, lines))
  }

  #saveLines(changes: number, saved: number, lines: string[]): void {
    // All was saved meanwhile: lines from before must not follow it.
    if (saved !== this.#saved) return this.#savedSoon()
    this.#file.saveLater(this.#text(lines), (error) => {
      this.#told(changes, error)
      // After a failure the next change, the next who waits, or the end tries again.
      if (error === null) this.#savedSoon()
      else this.#isSaving = false
    })
  }

  #savedSoon(): void {
    this.#isSaving = false
    if (this.isUnsaved) this.#saveSoon()
  }

  #told(changes: number, error: DiskError | null): void {
    if (error === null && changes > this.#saved) {
      this.#saved = changes
      for (const [topic, change] of this.#unsaved) if (change <= changes) this.#unsaved.delete(topic)
    }
    const told = this.#waiting.filter((each) => each.changes <= changes)
    this.#waiting = this.#waiting.filter((each) => each.changes > changes)
    for (const { done } of told) done(error)
  }

  #text(lines: readonly string[]): string {
    const version = stringifyJavaJson(this.#dataVersion)
    return `{\n\t"dataVersion":${version},\n\t"topicConfigTable":{\n${lines.join(',\n')}\n\t}\n}`
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
