import { ConfigFile } from '../base/config-file.ts'
import type { Disk } from '../base/disk.ts'
import type { Log } from '../base/log.ts'
import type { Scheduler } from '../base/scheduler.ts'
import {
  type DataVersion,
  nextDataVersion,
  numberOf,
  objectOf,
  readDataVersion,
  readSubscriptionGroupConfig,
  type SubscriptionGroupConfig,
} from '../protocol/bodies.ts'
import { parseJavaObject, stringifyJavaJson } from '../protocol/java-json.ts'
import { groupNameFault, isSystemGroup, Permission, PREDEFINED_GROUPS } from '../protocol/names.ts'
import type { BrokerSettings } from './settings.ts'

/** Bit of the forbidden table that forbids reading: numbered as in `perm`. */
const READ_FORBIDDEN = Permission.READ

export interface GroupTableOptions {
  settings: BrokerSettings
  disk: Disk
  root: string
  scheduler: Scheduler
  log: Log
}

/** The consumer groups of a broker, kept in `config/subscriptionGroup.json`. */
export class GroupTable {
  readonly #settings: BrokerSettings
  readonly #scheduler: Scheduler
  readonly #file: ConfigFile
  readonly #groups = new Map<string, SubscriptionGroupConfig>()
  readonly #forbidden = new Map<string, Map<string, number>>()
  /** What the file says of each group, made once. */
  readonly #lines = new WeakMap<SubscriptionGroupConfig, string>()
  #dataVersion: DataVersion
  #dirty = false
  #isSaving = false

  constructor({ settings, disk, root, scheduler, log }: GroupTableOptions) {
    this.#settings = settings
    this.#scheduler = scheduler
    this.#file = new ConfigFile(disk, `${root}/config/subscriptionGroup.json`, log)
    this.#dataVersion = { stateVersion: 0, timestamp: scheduler.now(), counter: 0 }
    const loaded = this.#file.loadAs(parseJavaObject)
    if (loaded !== undefined) {
      for (const [group, config] of Object.entries(objectOf(loaded['subscriptionGroupTable']))) {
        this.#groups.set(group, { ...readSubscriptionGroupConfig(config), groupName: group })
      }
      for (const [group, topics] of Object.entries(objectOf(loaded['forbiddenTable']))) {
        this.#forbidden.set(
          group,
          new Map(Object.entries(objectOf(topics)).map(([topic, bits]) => [topic, numberOf(bits, 0)])),
        )
      }
      this.#dataVersion = readDataVersion(loaded['dataVersion'])
    }
    for (const group of PREDEFINED_GROUPS) {
      if (!this.#groups.has(group)) this.#groups.set(group, { ...readSubscriptionGroupConfig({}), groupName: group })
    }
  }

  get dataVersion(): DataVersion {
    return this.#dataVersion
  }

  get size(): number {
    return this.#groups.size
  }

  get(group: string): SubscriptionGroupConfig | undefined {
    return this.#groups.get(group)
  }

  all(): ReadonlyMap<string, SubscriptionGroupConfig> {
    return this.#groups
  }

  /** The group, made if it may be; undefined when it is not there and may not. */
  find(group: string): SubscriptionGroupConfig | undefined {
    const existing = this.#groups.get(group)
    if (existing !== undefined) return existing
    if (!this.#settings.autoCreateSubscriptionGroup && !isSystemGroup(group)) return undefined
    if (groupNameFault(group) !== undefined) return undefined
    const config = { ...readSubscriptionGroupConfig({}), groupName: group }
    this.#groups.set(group, config)
    this.#changedByUse()
    return config
  }

  /** Durable when it returns. */
  update(configs: readonly SubscriptionGroupConfig[]): void {
    for (const config of configs) this.#groups.set(config.groupName, config)
    this.#changed()
  }

  /** Durable when it returns. @returns false when there is none */
  delete(group: string): boolean {
    const forgot = this.#forbidden.delete(group)
    if (!this.#groups.delete(group)) {
      if (forgot) this.#changed()
      return false
    }
    this.#changed()
    return true
  }

  readForbidden(group: string, topic: string): boolean {
    return ((this.#forbidden.get(group)?.get(topic) ?? 0) & READ_FORBIDDEN) !== 0
  }

  setReadForbidden(group: string, topic: string, forbidden: boolean): void {
    let topics = this.#forbidden.get(group)
    if (topics === undefined) this.#forbidden.set(group, (topics = new Map()))
    const bits = topics.get(topic) ?? 0
    const changed = forbidden ? bits | READ_FORBIDDEN : bits & ~READ_FORBIDDEN
    if (changed === 0) topics.delete(topic)
    else topics.set(topic, changed)
    if (topics.size === 0) this.#forbidden.delete(group)
    this.#changed()
  }

  /** The body of GET_ALL_SUBSCRIPTIONGROUP_CONFIG, and of the file. */
  toJson(groups: ReadonlyMap<string, SubscriptionGroupConfig> = this.#groups): object {
    return { dataVersion: this.#dataVersion, forbiddenTable: this.#forbidden, subscriptionGroupTable: groups }
  }

  /** Writes what is not written yet; durable when it returns. */
  close(): void {
    if (this.#dirty) this.#save()
  }

  #changed(): void {
    this.#dataVersion = nextDataVersion(this.#dataVersion, this.#scheduler.now())
    this.#save()
  }

  /** Groups that come by being used need not be durable before their first answer. */
  #changedByUse(): void {
    this.#dataVersion = nextDataVersion(this.#dataVersion, this.#scheduler.now())
    this.#dirty = true
    this.#saveSoon()
  }

  /** One write for all groups of a turn, and for all that come while the write before is under way. */
  #saveSoon(): void {
    if (this.#isSaving) return
    this.#isSaving = true
    this.#scheduler.soon(() => {
      this.#isSaving = this.#dirty
      if (!this.#dirty) return
      this.#dirty = false
      this.#file.saveLater(this.#text(), (error) => {
        this.#isSaving = false
        // After a failure the next change or the end tries again.
        if (error !== null) this.#dirty = true
        else if (this.#dirty) this.#saveSoon()
      })
    })
  }

  #save(): void {
    this.#file.save(this.#text())
    this.#dirty = false
  }

  /** A line per group, so that one more does not put all others into words again. */
  #text(): string {
    const lines: string[] = []
    for (const [group, config] of this.#groups) {
      let line = this.#lines.get(config)
      if (line === undefined) {
        line = `\t\t${JSON.stringify(group)}:${stringifyJavaJson(config)}`
        this.#lines.set(config, line)
      }
      lines.push(line)
    }
    const version = stringifyJavaJson(this.#dataVersion)
    const forbidden = stringifyJavaJson(this.#forbidden)
    return `{\n\t"dataVersion":${version},\n\t"forbiddenTable":${forbidden},\n\t"subscriptionGroupTable":{\n${lines.join(',\n')}\n\t}\n}`
  }
}
