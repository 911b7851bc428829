import {
  propertiesRange,
  readPosition,
  readQueueId,
  readQueueOffset,
  readStoreTimestamp,
  readSysFlag,
  topicRange,
} from '../protocol/message.ts'
import { MessageSysFlag } from '../protocol/names.ts'
import type { ConsumeQueues } from './consume-queue.ts'
import type { DeletedTopics } from './deleted-topics.ts'
import type { QueueTable } from './queue-table.ts'
import type { TagsCode } from './tags-code.ts'

/** Called in the turn in which a message becomes readable. Must not throw. */
export type Arrival = (
  topic: string,
  queueId: number,
  queueOffset: number,
  tagsCodeLow: number,
  tagsCodeHigh: number,
  record: Buffer | undefined,
) => void

/**
 * The one place where a record that has become readable gets its consume queue entry and wakes who waits for it. Fed
 * by appends, which know already what a record holds, and by scans, which read it from the record.
 */
export class Dispatcher {
  /** Position behind the last record dispatched, and its beginning. */
  dispatched = 0
  lastPosition = 0
  /** What {@link parse} found. */
  queue = -1
  queueOffset = 0
  tagsLow = 0
  tagsHigh = 0
  storeTimestamp = 0
  readonly #table: QueueTable
  readonly #queues: ConsumeQueues
  readonly #tags: TagsCode
  readonly #deletedTopics: DeletedTopics
  readonly #skippedTopics: ReadonlySet<string>
  #listeners: Arrival[] = []

  constructor(parts: {
    table: QueueTable
    queues: ConsumeQueues
    tags: TagsCode
    deletedTopics: DeletedTopics
    /** Batch topics, whose queues have another form. */
    skippedTopics: ReadonlySet<string>
  }) {
    this.#table = parts.table
    this.#queues = parts.queues
    this.#tags = parts.tags
    this.#deletedTopics = parts.deletedTopics
    this.#skippedTopics = parts.skippedTopics
  }

  onArrival(listener: Arrival): void {
    this.#listeners.push(listener)
  }

  readonly dispatch = (
    queue: number,
    queueOffset: number,
    position: number,
    sizeBytes: number,
    tagsLow: number,
    tagsHigh: number,
  ): void => {
    const topic = this.#table.topicOf(queue)
    this.dispatched = position + sizeBytes
    this.lastPosition = position
    if (topic === undefined) return // deleted since it was appended
    this.#queues.put(queue, queueOffset, position, sizeBytes, tagsLow, tagsHigh)
    const listeners = this.#listeners
    for (let index = 0; index < listeners.length; index++) {
      listeners[index]!(topic.name, this.#table.queueId[queue]!, queueOffset, tagsLow, tagsHigh, undefined)
    }
  }

  /** Reads what dispatch needs from a valid record; false when it belongs in no queue. */
  parse(bytes: Buffer, at: number): boolean {
    this.storeTimestamp = readStoreTimestamp(bytes, at)
    const transaction = readSysFlag(bytes, at) & MessageSysFlag.TRANSACTION_MASK
    if (transaction === MessageSysFlag.TRANSACTION_PREPARED || transaction === MessageSysFlag.TRANSACTION_ROLLBACK) {
      return false
    }
    const topic = topicRange(bytes, at)
    const name = bytes.utf8Slice(topic.start, topic.end)
    const queueId = readQueueId(bytes, at)
    if (!isPathSafe(name) || queueId < 0 || this.#skippedTopics.has(name)) return false
    if (this.#deletedTopics.holds(name, readPosition(bytes, at))) return false
    const entry = this.#table.internTopic(name)
    const properties = propertiesRange(bytes, at)
    this.queue = this.#table.intern(entry, queueId)
    this.queueOffset = readQueueOffset(bytes, at)
    this.#tags.compute(bytes, properties.start, properties.end, entry.isSchedule, this.storeTimestamp)
    this.tagsLow = this.#tags.low
    this.tagsHigh = this.#tags.high
    return true
  }
}

/** A topic names a folder: nothing may lead out of it. */
export function isPathSafe(topic: string): boolean {
  return topic !== '' && topic !== '.' && topic !== '..' && !topic.includes('/') && !topic.includes('\0')
}
