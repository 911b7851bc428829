import { ConfigFile } from '../base/config-file.ts'
import type { Disk } from '../base/disk.ts'
import type { Log } from '../base/log.ts'
import type { Scheduler, Timer } from '../base/scheduler.ts'
import { type DataVersion, nextDataVersion, numberOf, objectOf, readDataVersion } from '../protocol/bodies.ts'
import { parseJavaObject, stringifyJavaJson } from '../protocol/java-json.ts'
import { QueueOffsets } from './queue-offsets.ts'
import type { BrokerSettings } from './settings.ts'

export interface OffsetTableOptions {
  settings: BrokerSettings
  disk: Disk
  /** Store folder. */
  root: string
  scheduler: Scheduler
  log: Log
}

/** The offsets of one group, and what is written of them, kept until one changes. */
interface GroupOffsets {
  readonly topics: Map<string, QueueOffsets>
  text: string | undefined
}

type Table = Map<string, GroupOffsets>

/**
 * Where each group stands on each queue, kept in `config/consumerOffset.json`: written by the clock when something
 * changed, and at the end. Only groups that moved are put into words anew.
 */
export class OffsetTable {
  readonly #settings: BrokerSettings
  readonly #scheduler: Scheduler
  readonly #file: ConfigFile
  /** By group: the next offset to consume. */
  readonly #committed: Table = new Map()
  /** By group: the next offset to pull, which tools show. */
  readonly #pulled: Table = new Map()
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
    this.#timer = scheduler.every(settings.flushConsumerOffsetInterval, () => this.#saveLater())
  }

  /** undefined when the group never committed. */
  get(group: string, topic: string, queueId: number): number | undefined {
    return this.#committed.get(group)?.topics.get(topic)?.get(queueId)
  }

  /** undefined when the group never pulled. */
  pulled(group: string, topic: string, queueId: number): number | undefined {
    return this.#pulled.get(group)?.topics.get(topic)?.get(queueId)
  }

  /** A lower offset is taken too: that is how a group goes back. */
  commit(group: string, topic: string, queueId: number, offset: number): void {
    if (set(this.#committed, group, topic, queueId, offset)) this.#dirty = true
    if (++this.#commits % this.#settings.consumerOffsetUpdateVersionStep === 0) {
      this.#dataVersion = nextDataVersion(this.#dataVersion, this.#scheduler.now())
    }
  }

  pull(group: string, topic: string, queueId: number, offset: number): void {
    if (set(this.#pulled, group, topic, queueId, offset)) this.#dirty = true
  }

  /**
   * Takes back what lies behind the end of a queue: after a loss of power the end of the log may be gone, and a group
   * that stood behind it would miss the messages that come in its place. Durable when it returns, for the same reason.
   *
   * @returns how many were taken back
   */
  limit(maxOffset: (topic: string, queueId: number) => number): number {
    let limited = 0
    for (const table of [this.#committed, this.#pulled]) {
      for (const [group, { topics }] of table) {
        for (const [topic, queues] of topics) {
          for (const [queueId, offset] of queues.entries()) {
            const max = maxOffset(topic, queueId)
            if (offset <= max) continue
            set(table, group, topic, queueId, max)
            limited++
          }
        }
      }
    }
    if (limited > 0) this.#file.save(this.#text())
    return limited
  }

  topicsOf(group: string): string[] {
    return [...(this.#committed.get(group)?.topics.keys() ?? [])]
  }

  groupsOf(topic: string): string[] {
    const groups: string[] = []
    for (const [group, { topics }] of this.#committed) if (topics.has(topic)) groups.push(group)
    return groups
  }

  /** Written at once: a topic of that name that comes later must not inherit them. */
  deleteTopic(topic: string): void {
    for (const table of [this.#committed, this.#pulled]) {
      for (const [group, offsets] of table) {
        if (!offsets.topics.delete(topic)) continue
        offsets.text = undefined
        this.#dirty = true
        if (offsets.topics.size === 0) table.delete(group)
      }
    }
    this.#saveLater()
  }

  /** Written at once, as with topics. */
  deleteGroup(group: string): void {
    const committed = this.#committed.delete(group)
    if (this.#pulled.delete(group) || committed) this.#dirty = true
    this.#saveLater()
  }

  /** The body of GET_ALL_CONSUMER_OFFSET. */
  body(): string {
    return `{"dataVersion":${stringifyJavaJson(this.#dataVersion)},"offsetTable":{${words(this.#committed)}}}`
  }

  /** Writes what is not written yet; durable when it returns. */
  close(): void {
    this.#timer.cancel()
    this.#file.save(this.#text())
    this.#dirty = false
  }

  #saveLater(): void {
    if (!this.#dirty) return
    this.#dirty = false
    this.#file.saveLater(this.#text(), (error) => {
      if (error !== null) this.#dirty = true
    })
  }

  /** As Java writes it: number keys without quotes. `groupTopicMap` tells what the rest tells; Java writes it too. */
  #text(): string {
    const groupTopicMap = stringifyJavaJson(
      Object.fromEntries([...this.#committed].map(([group, { topics }]) => [group, [...topics.keys()]])),
    )
    return `{
\t"dataVersion":${stringifyJavaJson(this.#dataVersion)},
\t"groupTopicMap":${groupTopicMap},
\t"offsetTable":{${words(this.#committed, '\n')}},
\t"pullOffsetTable":{${words(this.#pulled, '\n')}}
}`
  }
}

function set(table: Table, group: string, topic: string, queueId: number, offset: number): boolean {
  let offsets = table.get(group)
  if (offsets === undefined) table.set(group, (offsets = { topics: new Map(), text: undefined }))
  let queues = offsets.topics.get(topic)
  if (queues === undefined) offsets.topics.set(topic, (queues = new QueueOffsets()))
  if (!queues.set(queueId, offset)) return false
  offsets.text = undefined
  return true
}

/** `"topic@group":{0:1,1:2},…`, a line per entry where a line break is given. A topic's name holds no `@`. */
function words(table: Table, lineBreak = ''): string {
  const parts: string[] = []
  for (const [group, offsets] of table) {
    offsets.text ??= wordsOf(group, offsets.topics)
    parts.push(offsets.text)
  }
  const text = parts.join(`,${lineBreak}`)
  return lineBreak === '' || text === '' ? text : `${lineBreak}${text}${lineBreak}`
}

function wordsOf(group: string, topics: ReadonlyMap<string, QueueOffsets>): string {
  const parts: string[] = []
  for (const [topic, queues] of topics) {
    let text = ''
    for (const [queueId, offset] of queues.entries()) text += `${text === '' ? '' : ','}${queueId}:${longText(offset)}`
    parts.push(`${JSON.stringify(`${topic}@${group}`)}:{${text}}`)
  }
  return parts.join(',')
}

const longText = (value: number): string => (value >= Number.MAX_SAFE_INTEGER ? '9223372036854775807' : String(value))

function read(value: unknown, into: Table): void {
  for (const [key, queues] of Object.entries(objectOf(value))) {
    const at = key.indexOf('@')
    if (at <= 0) continue
    const topic = key.slice(0, at)
    const group = key.slice(at + 1)
    for (const [queueId, offset] of Object.entries(objectOf(queues))) {
      const next = numberOf(offset, -1)
      if (/^\d+$/.test(queueId) && next >= 0) set(into, group, topic, Number(queueId), next)
    }
  }
}
