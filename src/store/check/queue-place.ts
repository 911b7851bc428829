import {
  propertiesRange,
  readPosition,
  readQueueId,
  readQueueOffset,
  readStoreTimestamp,
  readSysFlag,
  topicRange,
} from '../../protocol/message.ts'
import { MessageSysFlag } from '../../protocol/names.ts'
import type { DeletedTopics } from '../deleted-topics.ts'
import { isPathSafe } from '../dispatch.ts'
import { TagsCode } from '../tags-code.ts'

/** Java's topic of messages that wait in a delay level. */
const SCHEDULE_TOPIC = 'SCHEDULE_TOPIC_XXXX'

/** Reads from a record which consume queue entry it should have; for tools that have no broker. */
export class QueuePlace {
  topic = ''
  queueId = 0
  queueOffset = 0
  tagsLow = 0
  tagsHigh = 0
  storeTimestamp = 0
  /** The tag code is a time that depends on a setting of the broker. */
  isSchedule = false
  readonly #tags: TagsCode
  readonly #deletedTopics: DeletedTopics
  readonly #skippedTopics: ReadonlySet<string>

  constructor(parts: { delayLevels: string; deletedTopics: DeletedTopics; skippedTopics: ReadonlySet<string> }) {
    this.#tags = new TagsCode(parts.delayLevels)
    this.#deletedTopics = parts.deletedTopics
    this.#skippedTopics = parts.skippedTopics
  }

  /** False when the record belongs in no queue. */
  parse(bytes: Buffer, at: number): boolean {
    const topic = topicRange(bytes, at)
    this.topic = bytes.utf8Slice(topic.start, topic.end)
    this.queueId = readQueueId(bytes, at)
    this.queueOffset = readQueueOffset(bytes, at)
    this.storeTimestamp = readStoreTimestamp(bytes, at)
    this.isSchedule = this.topic === SCHEDULE_TOPIC
    const transaction = readSysFlag(bytes, at) & MessageSysFlag.TRANSACTION_MASK
    if (transaction === MessageSysFlag.TRANSACTION_PREPARED || transaction === MessageSysFlag.TRANSACTION_ROLLBACK) {
      return false
    }
    if (!isPathSafe(this.topic) || this.queueId < 0 || this.#skippedTopics.has(this.topic)) return false
    if (this.#deletedTopics.holds(this.topic, readPosition(bytes, at))) return false
    const properties = propertiesRange(bytes, at)
    this.#tags.compute(bytes, properties.start, properties.end, this.isSchedule, this.storeTimestamp)
    this.tagsLow = this.#tags.low
    this.tagsHigh = this.#tags.high
    return true
  }
}
