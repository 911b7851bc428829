import { ConfigFile } from '../base/config-file.ts'
import type { Disk } from '../base/disk.ts'
import type { Log } from '../base/log.ts'
import type { Scheduler, Timer } from '../base/scheduler.ts'
import { type DataVersion, nextDataVersion, numberOf, objectOf, readDataVersion } from '../protocol/bodies.ts'
import { NumberKeyMap, parseJavaObject, stringifyJavaJson } from '../protocol/java-json.ts'
import type { BrokerSettings } from './settings.ts'

type QueueOffsets = NumberKeyMap<number>

export interface OffsetTableOptions {
  settings: BrokerSettings
  disk: Disk
  root: string
  scheduler: Scheduler
  log: Log
}

/** Where each group stands on each queue; written to `config/consumerOffset.json` by the clock and at the end. */
export class OffsetTable {
  readonly #settings: BrokerSettings
  readonly #scheduler: Scheduler
  readonly #file: ConfigFile
  /** group → topic → queue → next offset to consume. */
  readonly #committed = new Map<string, Map<string, QueueOffsets>>()
  /** The same of what was last pulled, which tools show. */
  readonly #pulled = new Map<string, Map<string, QueueOffsets>>()
  readonly #timer: Timer
  #dataVersion: DataVersion
  #commits = 0
  #dirty = false

  constructor({ settings, disk, root, scheduler, log }: OffsetTableOptions) {
    this.#settings = settings
    this.#scheduler = scheduler
    this.#file = new ConfigFile(disk, `${root}/config/consumerOffset.json`, log)
    this.#dataVersion = { stateVersion: 0, timestamp: scheduler.now(), counter: 0 }
    const loaded = this.#file.loadAs(parseJavaObject)
    if (loaded !== undefined) {
      read(loaded['offsetTable'], this.#committed)
      read(loaded['pullOffsetTable'], this.#pulled)
      this.#dataVersion = readDataVersion(loaded['dataVersion'])
    }
    this.#timer = scheduler.every(settings.flushConsumerOffsetInterval, () => {
      if (!this.#dirty) return
      this.#dirty = false
      this.#file.saveLater(this.#text())
    })
  }

  /** undefined when the group never committed. */
  get(group: string, topic: string, queueId: number): number | undefined {
    return this.#committed.get(group)?.get(topic)?.get(queueId)
  }

  pulled(group: string, topic: string, queueId: number): number | undefined {
    return this.#pulled.get(group)?.get(topic)?.get(queueId)
  }

  /** A lower offset is taken too: that is how a group goes back. */
  commit(group: string, topic: string, queueId: number, offset: number): void {
    set(this.#committed, group, topic, queueId, offset)
    this.#dirty = true
    if (++this.#commits % this.#settings.consumerOffsetUpdateVersionStep === 0) {
      this.#dataVersion = nextDataVersion(this.#dataVersion, this.#scheduler.now())
    }
  }

  pull(group: string, topic: string, queueId: number, offset: number): void {
    set(this.#pulled, group, topic, queueId, offset)
    this.#dirty = true
  }

  topicsOf(group: string): string[] {
    return [...(this.#committed.get(group)?.keys() ?? [])]
  }

  groupsOf(topic: string): string[] {
    const groups: string[] = []
    for (const [group, topics] of this.#committed) if (topics.has(topic)) groups.push(group)
    return groups
  }

  groups(): string[] {
    return [...this.#committed.keys()]
  }

  queuesOf(group: string, topic: string): ReadonlyMap<number, number> | undefined {
    return this.#committed.get(group)?.get(topic)
  }

  deleteTopic(topic: string): void {
    for (const table of [this.#committed, this.#pulled]) {
      for (const [group, topics] of table) {
        if (!topics.delete(topic)) continue
        this.#dirty = true
        if (topics.size === 0) table.delete(group)
      }
    }
  }

  deleteGroup(group: string): void {
    if (this.#committed.delete(group)) this.#dirty = true
    if (this.#pulled.delete(group)) this.#dirty = true
  }

  /** The body of GET_ALL_CONSUMER_OFFSET. */
  toJson(): object {
    return { dataVersion: this.#dataVersion, offsetTable: flat(this.#committed) }
  }

  /** Writes what is not written yet; durable when it returns. */
  close(): void {
    this.#timer.cancel()
    this.#file.save(this.#text())
  }

  #text(): string {
    const groupTopicMap = new Map([...this.#committed].map(([group, topics]) => [group, [...topics.keys()]]))
    return stringifyJavaJson(
      {
        dataVersion: this.#dataVersion,
        groupTopicMap,
        offsetTable: flat(this.#committed),
        pullOffsetTable: flat(this.#pulled),
      },
      { pretty: true },
    )
  }
}

function set(table: Map<string, Map<string, QueueOffsets>>, group: string, topic: string, queueId: number, offset: number): void {
  let topics = table.get(group)
  if (topics === undefined) table.set(group, (topics = new Map()))
  let queues = topics.get(topic)
  if (queues === undefined) topics.set(topic, (queues = new NumberKeyMap()))
  queues.set(queueId, offset)
}

/** `topic@group` → queue → offset, as Java's file has it. A group's name holds no `@`; a topic's neither. */
function flat(table: Map<string, Map<string, QueueOffsets>>): Map<string, QueueOffsets> {
  const result = new Map<string, QueueOffsets>()
  for (const [group, topics] of table) for (const [topic, queues] of topics) result.set(`${topic}@${group}`, queues)
  return result
}

function read(value: unknown, into: Map<string, Map<string, QueueOffsets>>): void {
  for (const [key, queues] of Object.entries(objectOf(value))) {
    const at = key.indexOf('@')
    if (at <= 0) continue
    const topic = key.slice(0, at)
    const group = key.slice(at + 1)
    for (const [queueId, offset] of Object.entries(objectOf(queues))) set(into, group, topic, Number(queueId), numberOf(offset, 0))
  }
}
