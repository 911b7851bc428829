import type { DiskError } from '../base/disk.ts'
import type { Scheduler } from '../base/scheduler.ts'
import { type BatchElement, newBatchElement, readBatchElement } from '../protocol/batch.ts'
import { encodeRecord, type RecordFields, recordSize } from '../protocol/message.ts'
import { MessageSysFlag, RETRY_PREFIX } from '../protocol/names.ts'
import { propertyCrcBytes, withPropertyCrc, writePropertyCrc } from '../protocol/property-crc.ts'
import { type Appended, PutStatus } from './appended.ts'
import type { CommitLog } from './commit-log.ts'
import type { DiskSpace } from './disk-space.ts'
import { isPathSafe } from './dispatch.ts'
import type { LogWriter } from './log-writer.ts'
import type { Host, MessageDraft } from './message-draft.ts'
import type { PendingRecords } from './pending-records.ts'
import type { QueueTable, TopicEntry } from './queue-table.ts'
import type { StoreStats } from './store-stats.ts'
import type { TagsCode } from './tags-code.ts'
import type { WriteGate } from './write-gate.ts'

/** Unwritten bytes beyond which the store says that it is busy. */
const BACKLOG_BYTES = 67_108_864
const PROPERTIES_BYTES = 32_767
/** What a record may have beside its body. */
const RECORD_EXTRA_BYTES = 65_536
const TOPIC_BYTES = 127
const RETRY_TOPIC_BYTES = 255
const IPV6_BYTES = 16
const EMPTY = new Uint8Array(0)

export interface AppenderParts {
  commitLog: CommitLog
  table: QueueTable
  pending: PendingRecords
  tags: TagsCode
  writer: LogWriter
  gate: WriteGate
  space: DiskSpace
  stats: StoreStats
  scheduler: Scheduler
  storeHost: Host
  maxMessageSize: number
  longTopics: boolean
  /** Each record carries a checksum of the whole of it, as its last property. */
  recordChecksums: boolean
  busyMs: number
  /** Store time of the last record, which the next may not precede. */
  lastStoreTimestamp: number
}

/** Puts drafts at the end of the log, in memory: checks, queue offset, and the record's bytes into the chunk. */
export class Appender {
  lastStoreTimestamp: number
  readonly #parts: AppenderParts
  readonly #fields: RecordFields
  readonly #element: BatchElement = newBatchElement()
  #bornV6 = false
  #storeV6 = false
  readonly #result: Appended = {
    status: PutStatus.PUT_OK,
    remark: undefined,
    position: 0,
    endPosition: 0,
    sizeBytes: 0,
    queueOffset: 0,
    storeTimestamp: 0,
    count: 0,
    positions: undefined,
  }

  constructor(parts: AppenderParts) {
    this.#parts = parts
    this.lastStoreTimestamp = parts.lastStoreTimestamp
    this.#fields = {
      version: 1,
      topic: EMPTY,
      queueId: 0,
      flag: 0,
      queueOffset: 0,
      position: 0,
      sysFlag: 0,
      bornTimestamp: 0,
      bornHost: parts.storeHost,
      storeTimestamp: 0,
      storeHost: parts.storeHost,
      reconsumeTimes: 0,
      preparedTransactionOffset: 0,
      body: EMPTY,
      properties: EMPTY,
    }
  }

  append(draft: MessageDraft): Appended {
    const { commitLog, table, gate, stats, maxMessageSize, storeHost } = this.#parts
    if (!gate.isOpen) return this.#refuse(PutStatus.SERVICE_NOT_AVAILABLE, gate.reason!)
    const entry = table.topic(draft.topic) ?? this.#newTopic(draft.topic)
    if (entry === undefined) return this.#result
    if (draft.queueId < 0) return this.#refuse(PutStatus.MESSAGE_ILLEGAL, `the queue id ${draft.queueId} is negative`)
    if (this.#isBusy()) return this.#refuse(PutStatus.OS_PAGE_CACHE_BUSY, 'the disk does not keep up')
    if (draft.properties.length + this.#checksumBytes(draft.properties) > PROPERTIES_BYTES) {
      return this.#refuse(PutStatus.PROPERTIES_SIZE_EXCEEDED, `properties of ${draft.properties.length} bytes`)
    }
    if (endsInZero(draft.properties)) return this.#refuse(PutStatus.MESSAGE_ILLEGAL, ZERO_END)
    if (draft.body.length > maxMessageSize) {
      return this.#refuse(
        PutStatus.MESSAGE_ILLEGAL,
        `body of ${draft.body.length} bytes, allowed are ${maxMessageSize}`,
      )
    }
    const fields = this.#fields
    fields.version = entry.bytes.length > TOPIC_BYTES ? 2 : 1
    fields.topic = entry.bytes
    fields.queueId = draft.queueId
    fields.sysFlag = draft.sysFlag
    this.#bornV6 = draft.bornHost.address.length === IPV6_BYTES
    this.#storeV6 = storeHost.address.length === IPV6_BYTES
    fields.bornTimestamp = draft.bornTimestamp
    fields.bornHost = draft.bornHost
    fields.reconsumeTimes = draft.reconsumeTimes
    fields.preparedTransactionOffset = draft.preparedTransactionOffset
    const now = this.#parts.scheduler.now()
    if (now > this.lastStoreTimestamp) this.lastStoreTimestamp = now
    fields.storeTimestamp = this.lastStoreTimestamp

    const bytes = draft.batch ? this.#measureBatch(draft) : this.#measureOne(draft)
    if (bytes < 0) return this.#result
    if (!commitLog.fits(bytes)) {
      return this.#refuse(
        PutStatus.MESSAGE_ILLEGAL,
        `${bytes} bytes do not fit into a segment of ${commitLog.segmentBytes}`,
      )
    }
    try {
      commitLog.makeRoom(bytes)
    } catch (error) {
      if (this.#parts.space.isNoSpace(error as DiskError, commitLog.directory)) {
        return this.#refuse(PutStatus.SERVICE_NOT_AVAILABLE, gate.reason!)
      }
      return this.#refuse(PutStatus.CREATE_MAPPED_FILE_FAILED, `no new segment: ${(error as Error).message}`)
    }
    const queue = table.intern(entry, draft.queueId)
    const result = this.#result
    result.status = PutStatus.PUT_OK
    result.remark = undefined
    result.position = commitLog.appended
    result.storeTimestamp = fields.storeTimestamp
    result.sizeBytes = bytes
    result.count = 1
    result.positions = undefined
    result.queueOffset = isInQueue(fields.sysFlag) ? table.next[queue]! : 0
    if (draft.batch) this.#putBatch(draft, queue, entry)
    else {
      fields.flag = draft.flag
      fields.body = draft.body
      fields.properties = this.#withChecksum(draft.properties)
      this.#put(queue, entry, bytes)
    }
    result.endPosition = commitLog.appended
    // Views of the caller's buffer are not held on to.
    fields.body = EMPTY
    fields.properties = EMPTY
    stats.puts += result.count
    stats.putBytes += bytes
    this.#parts.writer.ask()
    return result
  }

  #newTopic(topic: string): TopicEntry | undefined {
    const bytes = Buffer.byteLength(topic)
    const most = topic.startsWith(RETRY_PREFIX) ? RETRY_TOPIC_BYTES : TOPIC_BYTES
    if (bytes > most || (bytes > TOPIC_BYTES && !this.#parts.longTopics)) {
      this.#refuse(PutStatus.MESSAGE_ILLEGAL, `topic of ${bytes} bytes, allowed are ${most}`)
      return undefined
    }
    if (!isPathSafe(topic)) {
      this.#refuse(PutStatus.MESSAGE_ILLEGAL, 'the topic cannot be the name of a folder')
      return undefined
    }
    return this.#parts.table.internTopic(topic)
  }

  #isBusy(): boolean {
    const { commitLog, writer, busyMs } = this.#parts
    return commitLog.appended - commitLog.written > BACKLOG_BYTES || writer.waitingMs > busyMs
  }

  #measureOne(draft: MessageDraft): number {
    const size = this.#sizeOf(draft.body.length, draft.properties.length + this.#checksumBytes(draft.properties))
    const most = this.#parts.maxMessageSize + RECORD_EXTRA_BYTES
    if (size <= most) return size
    this.#refuse(PutStatus.MESSAGE_ILLEGAL, `record of ${size} bytes, allowed are ${most}`)
    return -1
  }

  /** Bytes of all records of a batch, each seen to be well formed; -1 when refused. */
  #measureBatch(draft: MessageDraft): number {
    if ((draft.sysFlag & MessageSysFlag.TRANSACTION_MASK) !== 0) {
      this.#refuse(PutStatus.MESSAGE_ILLEGAL, 'a batch cannot be part of a transaction')
      return -1
    }
    const body = bufferOf(draft.body)
    const element = this.#element
    const most = this.#parts.maxMessageSize + RECORD_EXTRA_BYTES
    let bytes = 0
    for (let at = 0; at < body.length; at = element.end) {
      const fault = readBatchElement(body, at, element)
      if (fault !== undefined) {
        this.#refuse(PutStatus.MESSAGE_ILLEGAL, fault)
        return -1
      }
      const properties = body.subarray(element.propertiesStart, element.propertiesEnd)
      const propertiesBytes = properties.length + this.#checksumBytes(properties)
      if (propertiesBytes > PROPERTIES_BYTES) {
        this.#refuse(PutStatus.PROPERTIES_SIZE_EXCEEDED, `properties of ${propertiesBytes} bytes`)
        return -1
      }
      if (endsInZero(properties)) {
        this.#refuse(PutStatus.MESSAGE_ILLEGAL, ZERO_END)
        return -1
      }
      bytes += this.#sizeOf(element.bodyEnd - element.bodyStart, propertiesBytes)
      // Tiny elements grow fivefold in the log, and their ids fill an answer: Java's buffer has an end too.
      if (bytes <= most) continue
      this.#refuse(PutStatus.MESSAGE_ILLEGAL, `a batch of more than ${most} bytes of records`)
      return -1
    }
    if (bytes > 0) return bytes
    this.#refuse(PutStatus.MESSAGE_ILLEGAL, 'the batch is empty')
    return -1
  }

  #checksumBytes(properties: Uint8Array): number {
    return this.#parts.recordChecksums ? propertyCrcBytes(properties) : 0
  }

  #withChecksum(properties: Uint8Array): Uint8Array {
    return this.#parts.recordChecksums ? withPropertyCrc(properties) : properties
  }

  #sizeOf(bodyBytes: number, propertiesBytes: number): number {
    const { topic, version } = this.#fields
    return recordSize(bodyBytes, topic.length, propertiesBytes, version, this.#bornV6, this.#storeV6)
  }

  #putBatch(draft: MessageDraft, queue: number, entry: TopicEntry): void {
    const { commitLog } = this.#parts
    const fields = this.#fields
    const body = bufferOf(draft.body)
    const element = this.#element
    const positions: number[] = []
    for (let at = 0; at < body.length; at = element.end) {
      readBatchElement(body, at, element)
      positions.push(commitLog.appended)
      fields.flag = element.flag
      fields.body = body.subarray(element.bodyStart, element.bodyEnd)
      fields.properties = this.#withChecksum(body.subarray(element.propertiesStart, element.propertiesEnd))
      this.#put(queue, entry, this.#sizeOf(fields.body.length, fields.properties.length))
    }
    this.#result.count = positions.length
    this.#result.positions = positions
  }

  /** Encodes one record straight into the chunk. */
  #put(queue: number, entry: TopicEntry, bytes: number): void {
    const { commitLog, table, pending, tags } = this.#parts
    const fields = this.#fields
    const inQueue = isInQueue(fields.sysFlag)
    const position = commitLog.appended
    fields.position = position
    fields.queueOffset = inQueue ? table.next[queue]! : 0
    const chunk = commitLog.chunkFor(bytes)
    encodeRecord(chunk.bytes, chunk.view, chunk.length, fields)
    if (this.#parts.recordChecksums) writePropertyCrc(chunk.bytes, chunk.length, bytes)
    chunk.length += bytes
    commitLog.appended = position + bytes
    if (!inQueue) return
    table.next[queue] = fields.queueOffset + 1
    tags.compute(fields.properties, 0, fields.properties.length, entry.isSchedule, fields.storeTimestamp)
    pending.push(queue, fields.queueOffset, position, bytes, tags.low, tags.high)
  }

  #refuse(status: PutStatus, remark: string): Appended {
    const result = this.#result
    result.status = status
    result.remark = remark
    result.position = -1
    result.endPosition = 0
    result.sizeBytes = 0
    result.queueOffset = 0
    result.storeTimestamp = 0
    result.count = 0
    result.positions = undefined
    this.#parts.stats.failedPuts++
    return result
  }
}

const bufferOf = (bytes: Uint8Array): Buffer =>
  Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)

const ZERO_END = 'the properties end in a zero byte'

/** Such a record, the last of the log, could not be told from one whose last bytes never came. */
function endsInZero(properties: Uint8Array): boolean {
  return properties.length > 0 && properties[properties.length - 1] === 0
}

/** Half messages and rollbacks are in no queue. */
function isInQueue(sysFlag: number): boolean {
  const type = sysFlag & MessageSysFlag.TRANSACTION_MASK
  return type === 0 || type === MessageSysFlag.TRANSACTION_COMMIT
}
