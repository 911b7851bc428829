import type { DiskError } from '../base/disk.ts'
import type { Log } from '../base/log.ts'
import type { Timer } from '../base/scheduler.ts'
import { Watermark } from '../base/watermark.ts'
import { checkRecord, readPosition, readStoreTimestamp } from '../protocol/message.ts'
import { checkPropertyCrc } from '../protocol/property-crc.ts'
import type { AbortFile } from './abort-file.ts'
import type { Appended } from './appended.ts'
import { Appender } from './appender.ts'
import type { Checkpoint, CheckpointNote } from './checkpoint.ts'
import type { CommitLog } from './commit-log.ts'
import type { ConsumeQueues } from './consume-queue.ts'
import type { DeletedTopics } from './deleted-topics.ts'
import type { DiskSpace } from './disk-space.ts'
import type { Arrival, Dispatcher } from './dispatch.ts'
import { Flusher } from './flusher.ts'
import type { ReadRequest, ReadResult } from './get-message.ts'
import type { KeyIndex } from './key-index.ts'
import { LogReach } from './log-reach.ts'
import { LogWriter } from './log-writer.ts'
import type { MessageDraft } from './message-draft.ts'
import { MessageQueries, type MessageQuery, type QueriedMessages } from './message-queries.ts'
import { MessageReader } from './message-reader.ts'
import type { MessageStore, Positions, QueueEntry, StoreOptions } from './message-store.ts'
import { type Boundary, offsetByTime } from './offset-by-time.ts'
import { PendingRecords } from './pending-records.ts'
import { entriesOf } from './queue-entries.ts'
import type { QueueFiles } from './queue-files.ts'
import type { QueueList } from './queue-list.ts'
import { type DestroyedQueue, QueueRetention } from './queue-retention.ts'
import type { QueueTable } from './queue-table.ts'
import { unitPosition, unitPresent } from './queue-unit.ts'
import { RawAppender } from './raw-appender.ts'
import { countEntries, markOf, type Recovered } from './recovery.ts'
import { Retention } from './retention.ts'
import { sizeText, usedRatio } from './space-text.ts'
import type { StoreLock } from './store-lock.ts'
import type { StorePaths } from './store-paths.ts'
import { StoreStats } from './store-stats.ts'
import type { TagsCode } from './tags-code.ts'
import { WarmLimit } from './warm-limit.ts'
import type { WriteGate } from './write-gate.ts'
import { WriteGuard } from './write-guard.ts'

/** How exactly deadlines of waiters are kept. */
const DEADLINE_MS = 100
/** After a failed write the store tries again when this has passed. */
const RESUME_MS = 1000
/** What a record tells before its body, with the longest hosts. */
const HEAD_BYTES = 112
const SMALLEST_RECORD = 91

export interface FileStoreParts {
  options: StoreOptions
  memoryBytes: number
  paths: StorePaths
  lock: StoreLock
  abort: AbortFile
  checkpoint: Checkpoint
  commitLog: CommitLog
  table: QueueTable
  files: QueueFiles
  list: QueueList
  queues: ConsumeQueues
  dispatcher: Dispatcher
  deletedTopics: DeletedTopics
  tags: TagsCode
  gate: WriteGate
  space: DiskSpace
  recovered: Recovered
  /** undefined: messages are not indexed. */
  index: KeyIndex | undefined
}

/**
 * The store that runs: appends flow through memory, write and sync, and at each step those who wait are told.
 *
 * `appended ≤ written ≤ flushed` does not hold backwards: each position only follows the one before it. Consumers see
 * up to `readable`, which is written (ASYNC_FLUSH) or flushed (SYNC_FLUSH).
 */
export class FileStore implements MessageStore {
  readonly written: Watermark
  readonly flushed: Watermark
  readonly confirmed: Watermark
  readonly durable: Watermark
  readonly syncFlushTimeoutMs: number
  readonly #parts: FileStoreParts
  readonly #log: Log
  readonly #isSync: boolean
  readonly #pending = new PendingRecords()
  readonly #appender: Appender
  readonly #raw: RawAppender
  readonly #writer: LogWriter
  readonly #flusher: Flusher
  readonly #reader: MessageReader
  readonly #queries: MessageQueries
  readonly #reach: LogReach
  readonly #stats: StoreStats
  readonly #queueRetention: QueueRetention
  readonly #retention: Retention
  readonly #probe = { writes: 0, writtenBytes: 0, failedWrites: 0, datasyncs: 0, datasyncMaxMs: 0, failedSyncs: 0 }
  readonly #readProbe = { found: 0, missed: 0, coldReads: 0, damagedRecords: 0 }
  #readable: number
  /** Store time of the record that ends at this position: for the checkpoint, once that is synced. */
  #stamped = { position: 0, storeTimestamp: 0 }
  #deadlineTimer: Timer | undefined
  #resumeTimer: Timer | undefined
  #thoroughTimer: Timer | undefined
  #thoroughRuns = false
  #queuesUnsyncable = false
  #turnStarted: number | undefined
  #turnMessages = 0
  #closing: Promise<void> | undefined

  constructor(parts: FileStoreParts) {
    this.#parts = parts
    const { commitLog, table, queues, files, dispatcher, gate, space, checkpoint, recovered, memoryBytes } = parts
    const { settings, scheduler, log, storeHost, writePolicy } = parts.options
    this.#log = log
    this.#isSync = settings.flushDiskType === 'SYNC_FLUSH'
    this.syncFlushTimeoutMs = settings.syncFlushTimeout
    this.#readable = recovered.end
    this.written = new Watermark(recovered.end)
    this.flushed = new Watermark(recovered.end)
    this.confirmed = new Watermark(recovered.end)
    this.durable = this.#isSync ? this.flushed : this.written
    this.#reach = new LogReach(checkpoint, commitLog.segmentBytes)
    this.#stats = new StoreStats(scheduler)
    this.#writer = new LogWriter({
      log: commitLog,
      scheduler,
      guard: new WriteGuard(writePolicy),
      probe: this.#probe,
      reserve: this.#reserve,
      onWritten: this.#onWritten,
      onFailed: this.#onWriteFailed,
    })
    this.#flusher = new Flusher({
      log: commitLog,
      scheduler,
      atOnce: this.#isSync,
      intervalMs: settings.flushIntervalCommitLog,
      probe: this.#probe,
      onFlushed: this.#onFlushed,
      onFailed: this.#onFlushFailed,
    })
    this.#flusher.reset(recovered.end)
    commitLog.onSyncFailed = (error) => this.#flusher.fail(error)
    files.onLost = this.#onQueueLost
    this.#appender = new Appender({
      commitLog,
      table,
      pending: this.#pending,
      tags: parts.tags,
      writer: this.#writer,
      gate,
      space,
      stats: this.#stats,
      scheduler,
      storeHost,
      maxMessageSize: settings.maxMessageSize,
      longTopics: settings.autoMessageVersionOnTopicLen,
      recordChecksums: settings.enabledAppendPropCRC,
      busyMs: settings.osPageCacheBusyTimeOutMills,
      lastStoreTimestamp: recovered.lastStoreTimestamp,
    })
    this.#raw = new RawAppender(commitLog, table, this.#pending, dispatcher)
    this.#reader = new MessageReader({
      commitLog,
      table,
      queues,
      dispatcher,
      scheduler,
      log,
      limits: {
        memoryBytes: settings.maxTransferBytesOnMessageInMemory,
        memoryCount: settings.maxTransferCountOnMessageInMemory,
        diskBytes: settings.maxTransferBytesOnMessageInDisk,
        diskCount: settings.maxTransferCountOnMessageInDisk,
        filterBytes: settings.maxFilterMessageSize,
        recentBytes: (memoryBytes * settings.accessMessageInMemoryMaxRatio) / 100,
      },
      unitsPerFile: files.unitsPerFile,
      warmLimit: new WarmLimit(memoryBytes / 4),
      recordChecksums: settings.enabledAppendPropCRC,
      probe: this.#readProbe,
      onRead: (result) => this.#stats.read(result.count),
    })
    const { disk } = parts.options
    this.#queueRetention = new QueueRetention({
      table,
      queues,
      files,
      disk,
      scheduler,
      log,
      pauseMs: () => settings.deleteConsumeQueueFilesInterval,
    })
    this.#retention = new Retention({
      commitLog,
      queues: this.#queueRetention,
      space,
      disk,
      scheduler,
      log,
      settings,
      settled: () => Math.min(this.#readable, this.#flusher.flushed),
    })
    // The index drops what lies before the log's beginning whenever it looks at the log.
    this.#retention.onDeleted(() => parts.index?.readable(this.#readable))
    this.#queries = new MessageQueries({
      index: parts.index,
      commitLog,
      deletedTopics: parts.deletedTopics,
      scheduler,
      log,
      settings,
      readable: () => this.#readable,
    })
    if (parts.index !== undefined) parts.index.onSealed = () => this.#noteIndex()
    this.#noteIndex()
    parts.index?.readable(recovered.end)
    checkpoint.saveSync(this.#describeNote())
    this.#registerProbes()
  }

  /** What runs by the clock, once the store is open. */
  start(): void {
    this.#parts.space.onRoom = () => {
      if (this.#resumeTimer === undefined || this.#parts.gate.closed) return
      this.#resumeTimer.cancel()
      this.#resume()
    }
    this.#parts.space.start(this.#parts.commitLog.written)
    this.#retention.start()
  }

  append(draft: MessageDraft): Appended {
    this.#parts.commitLog.dropPartial()
    const appended = this.#appender.append(draft)
    if (appended.count === 0) return appended
    this.#turnStarted ??= this.#parts.options.scheduler.monotonic()
    this.#turnMessages += appended.count
    this.#raw.restart(appended.endPosition)
    this.#deadlineTimer ??= this.#parts.options.scheduler.after(DEADLINE_MS, this.#expire)
    return appended
  }

  /** What is behind the reach that is noted durably must not be written. */
  readonly #reserve = (end: number): void => {
    if (end <= this.#reach.durable) return
    this.#parts.checkpoint.saveSync(this.#describeNote())
    if (end > this.#reach.durable) throw new Error('the checkpoint is not written any more')
  }

  readonly #onWritten = (): void => {
    const { commitLog, options, checkpoint } = this.#parts
    if (this.#turnStarted !== undefined) {
      this.#stats.written(this.#turnMessages, options.scheduler.monotonic() - this.#turnStarted)
      this.#turnStarted = undefined
      this.#turnMessages = 0
    }
    const position = commitLog.written
    if (position === commitLog.whole) {
      this.#stamped = { position, storeTimestamp: this.#appender.lastStoreTimestamp }
    }
    if (!this.#isSync) this.#makeReadable(position)
    this.written.advance(position)
    this.#parts.space.written(position)
    this.#flusher.written()
    commitLog.chunks.trim(position)
    commitLog.prepareNext()
    if (this.#reach.isShortAt(position)) checkpoint.saveNow(this.#describe, this.#onCheckpointFailed)
  }

  readonly #onFlushed = (): void => {
    const { checkpoint } = this.#parts
    const position = this.#flusher.flushed
    if (this.#stamped.position <= position) checkpoint.physicMsgTimestamp = this.#stamped.storeTimestamp
    if (this.#isSync) this.#makeReadable(position)
    this.flushed.advance(position)
    this.#noteIndex()
    checkpoint.saveSoon(this.#describe, this.#onCheckpointFailed)
  }

  /** The checkpoint tells how much of the index is durable, as far as the log is. */
  #noteIndex(): void {
    const { checkpoint, index } = this.#parts
    if (index === undefined) return
    const before = checkpoint.indexMsgTimestamp
    checkpoint.indexMsgTimestamp = index.durableTimestamp(this.#flusher.flushed)
    if (checkpoint.indexMsgTimestamp > before) checkpoint.saveSoon(this.#describe, this.#onCheckpointFailed)
  }

  /** Entries first, so that whoever is told of a message finds it in its queue. */
  #makeReadable(position: number): void {
    this.#readable = position
    this.#pending.takeUpTo(position, this.#parts.dispatcher.dispatch)
    this.#parts.index?.readable(position)
    this.confirmed.advance(position)
    this.#syncQueuesIn(this.#parts.options.settings.flushConsumeQueueThoroughInterval)
  }

  #syncQueuesIn(ms: number): void {
    if (this.#parts.gate.closed) return
    this.#thoroughTimer ??= this.#parts.options.scheduler.after(ms, this.#syncQueues)
  }

  #resumeSoon(): void {
    if (this.#parts.gate.closed) return
    this.#resumeTimer ??= this.#parts.options.scheduler.after(RESUME_MS, this.#resume)
  }

  /** Takes back what is not in the file: queue offsets, waiters, bytes. What was written before stays promised. */
  readonly #onWriteFailed = (error: DiskError): void => {
    const { commitLog, gate, table, space } = this.#parts
    const isFull = space.isNoSpace(error, commitLog.directory)
    this.#onWritten()
    const position = commitLog.written
    const lostBytes = commitLog.appended - position
    if (!isFull) this.#log.error('commit log not written', { position, lostBytes, cause: error })
    gate.pausedByLog = isFull ? gate.pausedByDisk : `the commit log cannot be written: ${error.message}`
    this.#pending.takeBack(position, (queue, queueOffset) => {
      table.next[queue] = queueOffset
    })
    commitLog.takeBack()
    this.#raw.restart(position)
    this.written.failBehind(position, 'write failed')
    this.flushed.failBehind(position, 'write failed')
    this.confirmed.failBehind(position, 'write failed')
    this.#resumeSoon()
  }

  /** Tries to take up the log again after a failed write. */
  readonly #resume = (): void => {
    this.#resumeTimer = undefined
    if (!this.#cleanEnd() && this.#parts.gate.fatal === undefined) this.#resumeSoon()
  }

  #cleanEnd(): boolean {
    const { commitLog, checkpoint, gate, deletedTopics, space } = this.#parts
    const position = commitLog.appended
    try {
      // A topic deleted in the meantime ends here, not where its last messages would have been.
      deletedTopics.cut(position)
      checkpoint.saveSync(this.#describeNote())
      commitLog.cleanEnd(this.#reach.durable)
      if (!this.#syncEnd()) return false
      checkpoint.saveSync({ ...this.#describeNote(), truncatingTo: -1 })
      gate.pausedByLog = undefined
      if (!space.isFull) this.#log.info('commit log taken up again', { position })
      return true
    } catch (cause) {
      if (!space.isNoSpace(cause as DiskError, commitLog.directory)) {
        this.#log.warn('commit log still not writable', { position, cause })
      }
      return false
    }
  }

  /** What was cleaned away must not come back behind later messages. */
  #syncEnd(): boolean {
    const { commitLog } = this.#parts
    try {
      commitLog.segmentAt(commitLog.appended)?.file.datasyncSync()
      return true
    } catch (error) {
      this.#flusher.fail(error as DiskError)
      return false
    }
  }

  readonly #onFlushFailed = (error: DiskError): void => {
    this.#probe.failedSyncs++
    this.#parts.gate.fatal =
      `fdatasync of the commit log failed (${error.message}): what is on the device is no longer known. ` +
      'Check the disk and start the broker again'
    this.#log.error('commit log not synced: no message is taken until a restart', {
      flushed: this.#flusher.flushed,
      written: this.#parts.commitLog.written,
      cause: error,
    })
    this.flushed.failAll('sync failed')
    if (this.#isSync) this.confirmed.failAll('sync failed')
  }

  /** The next scan begins where the log does: only there are the entries of such a queue. */
  readonly #onQueueLost = (): void => {
    const { checkpoint } = this.#parts
    this.#queuesUnsyncable = true
    checkpoint.logicsPhysicalOffset = 0
    checkpoint.logicsMsgTimestamp = 0
    try {
      checkpoint.saveSync(this.#describeNote())
    } catch (error) {
      this.#onCheckpointFailed(error as DiskError)
    }
  }

  readonly #onCheckpointFailed = (error: DiskError): void => {
    if (!this.#parts.space.explains(error)) this.#log.error('checkpoint not written', { cause: error })
  }

  readonly #describe = (): CheckpointNote => this.#describeNote()

  #describeNote(): CheckpointNote {
    const { commitLog, lock, gate } = this.#parts
    return {
      flushedPosition: this.#flusher.flushed,
      bootId: lock.bootId,
      clean: false,
      logEnd: 0,
      queueCount: 0,
      entryCount: 0,
      segmentBytes: commitLog.segmentBytes,
      // A kill while what failed to be written is cleaned away must not leave half of it: that would look like damage.
      truncatingTo: gate.pausedByLog === undefined ? -1 : commitLog.appended,
      reach: this.#reach.from(commitLog.appended),
      processId: lock.processId,
    }
  }

  /** One timer for all who wait: it runs while anything is on its way. */
  readonly #expire = (): void => {
    const { scheduler } = this.#parts.options
    const now = scheduler.monotonic()
    const marks = [this.written, this.flushed, this.confirmed]
    for (const mark of marks) mark.expire(now)
    const waits = marks.some((mark) => mark.waiting > 0)
    this.#deadlineTimer = waits ? scheduler.after(DEADLINE_MS, this.#expire) : undefined
  }

  /** Makes the consume queues durable, so that the next scan may begin later in the log. */
  readonly #syncQueues = (): void => {
    this.#thoroughTimer = undefined
    if (this.#thoroughRuns || this.#queuesUnsyncable) return
    const { queues, dispatcher, checkpoint, commitLog } = this.#parts
    const { dispatched, lastPosition } = dispatcher
    this.#thoroughRuns = true
    queues.sync((error) => {
      this.#thoroughRuns = false
      if (error !== null && error === queues.failure) {
        // Not written is not dropped: what waits is written once there is room.
        this.#syncQueuesIn(RESUME_MS)
        return
      }
      if (error !== null) {
        // Dropped pages would be missed by a scan that begins behind them.
        this.#queuesUnsyncable = true
        this.#log.error('consume queues not synced: the next start scans more of the log', { cause: error })
        return
      }
      if (this.#queuesUnsyncable || lastPosition <= checkpoint.logicsPhysicalOffset) return
      if (this.#flusher.flushed < dispatched) {
        this.#syncQueuesIn(RESUME_MS)
        return
      }
      const head = lastPosition < commitLog.min ? undefined : this.#headAt(lastPosition)
      if (head === undefined) return
      checkpoint.logicsPhysicalOffset = lastPosition
      checkpoint.logicsMsgTimestamp = readStoreTimestamp(head, 0)
      checkpoint.saveSoon(this.#describe, this.#onCheckpointFailed)
    })
  }

  get positions(): Positions {
    const { commitLog } = this.#parts
    return {
      min: commitLog.min,
      appended: commitLog.appended,
      written: commitLog.written,
      flushed: this.#flusher.flushed,
      readable: this.#readable,
    }
  }

  get writable(): boolean {
    return this.#parts.gate.isOpen
  }

  get notWritableReason(): string | undefined {
    return this.#parts.gate.reason
  }

  read(request: ReadRequest, done: (result: ReadResult) => void): void {
    this.#reader.read(request, done)
  }

  minOffset(topic: string, queueId: number): number {
    const queue = this.#parts.table.find(topic, queueId)
    return queue < 0 ? 0 : this.#parts.table.min[queue]!
  }

  maxOffset(topic: string, queueId: number): number {
    const queue = this.#parts.table.find(topic, queueId)
    return queue < 0 ? 0 : this.#parts.table.max[queue]!
  }

  queueExists(topic: string, queueId: number): boolean {
    return this.#parts.table.find(topic, queueId) >= 0
  }

  offsetByTime(topic: string, queueId: number, timestampMs: number, boundary: Boundary): number {
    const { table } = this.#parts
    const queue = table.find(topic, queueId)
    if (queue < 0) return 0
    return offsetByTime(table.min[queue]!, table.max[queue]!, timestampMs, boundary, (queueOffset) =>
      this.#storeTimestampOf(queue, queueOffset),
    )
  }

  storeTimestampAt(topic: string, queueId: number, queueOffset: number): number {
    const queue = this.#parts.table.find(topic, queueId)
    return queue < 0 ? -1 : this.#storeTimestampOf(queue, queueOffset)
  }

  #storeTimestampOf(queue: number, queueOffset: number): number {
    const { table, queues, commitLog } = this.#parts
    if (queueOffset < table.min[queue]! || queueOffset >= table.max[queue]!) return -1
    const units = queues.units(queue, queueOffset, 1)
    if (units.count === 0 || !unitPresent(units.view, units.at)) return -1
    const position = unitPosition(units.view, units.at)
    if (position < commitLog.min) return -1
    const head = this.#headAt(position)
    return head === undefined ? -1 : readStoreTimestamp(head, 0)
  }

  earliestStoreTimestamp(topic?: string, queueId?: number): number {
    if (topic !== undefined) return this.storeTimestampAt(topic, queueId ?? 0, this.minOffset(topic, queueId ?? 0))
    const head = this.#headAt(this.#parts.commitLog.min)
    return head === undefined ? -1 : readStoreTimestamp(head, 0)
  }

  /** The beginning of the record at a position; undefined when none is. */
  #headAt(position: number): Buffer | undefined {
    const { commitLog } = this.#parts
    if (position < commitLog.min || position + SMALLEST_RECORD > commitLog.written) return undefined
    const head = commitLog.bytesAt(position, Math.min(HEAD_BYTES, commitLog.written - position))
    return head.length >= SMALLEST_RECORD && readPosition(head, 0) === position ? head : undefined
  }

  recordAt(position: number): Buffer | undefined {
    const { commitLog } = this.#parts
    if (!Number.isSafeInteger(position) || position < commitLog.min || position >= this.#readable) return undefined
    const head = this.#headAt(position)
    if (head === undefined) return undefined
    const sizeBytes = head.readInt32BE(0)
    if (sizeBytes < SMALLEST_RECORD || position + sizeBytes > this.#readable) return undefined
    const record = commitLog.bytesAt(position, sizeBytes)
    if (checkRecord(record, 0, record.length, { crc: true }) !== sizeBytes) return undefined
    const { enabledAppendPropCRC } = this.#parts.options.settings
    return enabledAppendPropCRC && checkPropertyCrc(record, 0, sizeBytes) === 'wrong' ? undefined : record
  }

  /** Until all that is stored by now is indexed, or cannot be. */
  async awaitIndex(): Promise<void> {
    await this.#parts.index?.awaitPosition(this.#readable, Number.POSITIVE_INFINITY)
  }

  queryMessages(query: MessageQuery): Promise<QueriedMessages> {
    return this.#queries.query(query)
  }

  entries(topic: string, queueId: number, fromOffset: number, count: number): QueueEntry[] {
    const queue = this.#parts.table.find(topic, queueId)
    if (queue < 0) return []
    return entriesOf(this.#parts.queues, queue, Math.max(fromOffset, this.#parts.table.min[queue]!), count)
  }

  deleteTopic(topic: string): void {
    const { table, queues, deletedTopics, commitLog } = this.#parts
    const entry = table.topic(topic)
    if (entry === undefined) return
    // Noted first: a scan of the log would find the records again, and make the topic anew.
    deletedTopics.add(topic, commitLog.appended, commitLog.min)
    const numbers = table.queuesOf(entry)
    table.delete(entry)
    queues.removeTopic(topic, numbers)
  }

  get topics(): string[] {
    return [...this.#parts.table.topics].map(({ name }) => name)
  }

  deleteExpiredLog(): void {
    this.#retention.deleteExpired()
  }

  destroyExpiredQueues(isKept: (topic: string) => boolean): Promise<DestroyedQueue[]> {
    return this.#retention.destroyExpiredQueues(isKept)
  }

  onArrival(listener: Arrival): void {
    this.#parts.dispatcher.onArrival(listener)
  }

  appendRaw(position: number, bytes: Uint8Array): void {
    if (!this.writable) throw new Error(this.notWritableReason)
    try {
      this.#raw.append(position, bytes)
    } catch (error) {
      // What came after the last whole record is not kept.
      this.#parts.commitLog.dropPartial()
      throw error
    } finally {
      this.#appender.lastStoreTimestamp = Math.max(
        this.#appender.lastStoreTimestamp,
        this.#parts.dispatcher.storeTimestamp,
      )
      this.#writer.ask()
    }
  }

  truncateTo(position: number): void {
    const { commitLog, gate } = this.#parts
    commitLog.dropPartial()
    if (position >= commitLog.appended) return
    if (gate.fatal !== undefined) throw new Error(gate.fatal)
    if (position < commitLog.min)
      throw new RangeError(`position ${position} is before the log's first, ${commitLog.min}`)
    if (this.#writer.isWriting || !this.#writer.writeAllNow())
      throw new Error('the log is being written: truncate later')
    try {
      this.#truncateTo(position)
    } catch (error) {
      // The note of it must outlast this run: half of a truncation would look like damage.
      this.#parts.checkpoint.freeze()
      gate.fatal = `truncation to ${position} failed (${(error as Error).message}): start the broker again`
      throw error
    }
  }

  #truncateTo(position: number): void {
    const { commitLog, checkpoint, table, queues, dispatcher, deletedTopics } = this.#parts
    this.#parts.index?.truncateTo(position)
    this.#noteIndex()
    // First the intent, then the bytes: a crash in between must not look like damage.
    checkpoint.logicsPhysicalOffset = 0
    checkpoint.logicsMsgTimestamp = 0
    checkpoint.physicMsgTimestamp = 0
    checkpoint.confirmPhyOffset = Math.min(checkpoint.confirmPhyOffset, position)
    const flushed = Math.min(this.#flusher.flushed, position)
    checkpoint.saveSync({ ...this.#describeNote(), flushedPosition: flushed, truncatingTo: position })
    this.#pending.takeBack(position, () => {})
    commitLog.truncateTo(position, this.#reach.durable)
    commitLog.syncFrom(flushed)
    deletedTopics.cut(position)
    this.#flusher.reset(position)
    this.#readable = position
    this.#pending.takeUpTo(position, dispatcher.dispatch)
    for (let queue = 0; queue < table.count; queue++) {
      if (table.topicOf(queue) === undefined) continue
      if (table.lastPosition[queue]! >= position) queues.cut(queue, this.#firstEntryFrom(queue, position))
      table.next[queue] = table.max[queue]!
      table.min[queue] = Math.min(table.min[queue]!, table.max[queue]!)
    }
    this.#raw.restart(position)
    dispatcher.dispatched = position
    dispatcher.lastPosition = 0
    for (const mark of [this.written, this.flushed, this.confirmed]) mark.reset(position)
    checkpoint.saveSync(this.#describeNote())
  }

  #firstEntryFrom(queue: number, position: number): number {
    const { table, queues } = this.#parts
    let low = table.min[queue]!
    let high = table.max[queue]!
    while (low < high) {
      const middle = Math.floor((low + high) / 2)
      const units = queues.units(queue, middle, 1)
      if (units.count === 1 && unitPosition(units.view, units.at) >= position) high = middle
      else low = middle + 1
    }
    return low
  }

  runtimeInfo(): Record<string, string> {
    const { commitLog, options, paths, dispatcher } = this.#parts
    const space = options.disk.spaceSync(paths.commitLog)
    const logRatio = usedRatio(space)
    return {
      ...this.#stats.describe(),
      commitLogDiskRatio: logRatio,
      [`commitLogDiskRatio_${paths.commitLog}`]: logRatio,
      consumeQueueDiskRatio: usedRatio(options.disk.spaceSync(paths.consumeQueues)),
      commitLogMinOffset: String(commitLog.min),
      commitLogMaxOffset: String(this.#readable),
      commitLogDirCapacity: `Total : ${sizeText(space.totalBytes)}, Free : ${sizeText(space.freeBytes)}.`,
      dispatchBehindBytes: String(Math.max(0, this.#readable - Math.max(dispatcher.dispatched, this.#readable))),
      pageCacheLockTimeMills: String(Math.round(this.#writer.waitingMs)),
      earliestMessageTimeStamp: String(this.earliestStoreTimestamp()),
      remainHowManyDataToFlush: sizeText(commitLog.written - this.#flusher.flushed),
    }
  }

  #registerProbes(): void {
    const { commitLog, queues, table, recovered, options, index } = this.#parts
    const { guard } = this.#writer
    options.probes.register('store', this.#probe)
    for (const probe of [this.#readProbe, this.#retention.probe, this.#queueRetention.probe, this.#parts.space.probe]) {
      options.probes.register('store', probe)
    }
    options.probes.register('store', this.#queries.probe)
    if (index !== undefined) options.probes.register('store', index.probe)
    options.probes.register('store', {
      appendedMessages: () => this.#stats.puts,
      appendedBytes: () => this.#stats.putBytes,
      refusedMessages: () => this.#stats.failedPuts,
      minPosition: () => commitLog.min,
      appendedPosition: () => commitLog.appended,
      writtenPosition: () => commitLog.written,
      flushedPosition: () => this.#flusher.flushed,
      readablePosition: () => this.#readable,
      waiting: () => this.durable.waiting,
      writeMaxMs: () => guard.takeMaxMs(),
      writeAverageMs: () => guard.averageMs,
      writesAsync: () => (guard.policy === 'async' ? 1 : 0),
      policySwitches: () => guard.switches,
      queues: () => table.count,
      queueTails: () => queues.tails,
      chunkBytes: () => commitLog.chunks.heldBytes,
      segments: () => commitLog.segments.length,
      recoveryMs: recovered.durationMs,
      recoveredRecords: recovered.scannedRecords,
      rewrittenEntries: recovered.rewrittenEntries,
      writable: () => (this.writable ? 1 : 0),
    })
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    const { gate, commitLog, queues, checkpoint, lock, space, index } = this.#parts
    gate.closed = true
    for (const timer of [this.#resumeTimer, this.#thoroughTimer]) timer?.cancel()
    await this.#retention.stop()
    commitLog.dropPartial()
    await new Promise<void>((resolve) => this.#writer.whenIdle(resolve))
    await new Promise<void>((resolve) => this.#flusher.finish(resolve))
    this.#writer.stop()
    this.#flusher.stop()
    space.stop()
    const syncFailure = await new Promise<DiskError | null>((resolve) => queues.sync(resolve, true))
    for (const mark of [this.written, this.flushed, this.confirmed]) mark.failAll('closed')
    this.#deadlineTimer?.cancel()
    checkpoint.stop()
    const isEndClean = gate.pausedByLog === undefined || this.#cleanEnd()
    const isWhole =
      isEndClean &&
      gate.fatal === undefined &&
      this.#flusher.flushed === commitLog.appended &&
      this.#pending.length === 0
    commitLog.dropPrepared()
    // Java never builds an index after a clean stop: it must be whole before the stop may be called that.
    const indexFault = isWhole ? await index?.finish() : undefined
    let reason: string | undefined = gate.fatal ?? gate.pausedByLog ?? syncFailure?.message ?? indexFault
    let isClean = isWhole && syncFailure === null && !this.#queuesUnsyncable && indexFault === undefined
    try {
      if (isClean) this.#noteCleanEnd()
    } catch (error) {
      isClean = false
      reason = (error as DiskError).message
    }
    if (!isClean) this.#log.error('store not closed in order: the next start recovers it', { reason })
    index?.close()
    queues.close()
    checkpoint.close()
    commitLog.close()
    lock.release()
  }

  #noteCleanEnd(): void {
    const { commitLog, checkpoint, abort, dispatcher, table, files, list } = this.#parts
    this.#noteIndex()
    const head = this.#headAt(dispatcher.lastPosition)
    if (head !== undefined && dispatcher.lastPosition > checkpoint.logicsPhysicalOffset) {
      checkpoint.logicsPhysicalOffset = dispatcher.lastPosition
      checkpoint.logicsMsgTimestamp = readStoreTimestamp(head, 0)
    }
    try {
      list.save(markOf(commitLog, checkpoint, files, commitLog.appended))
    } catch (cause) {
      this.#log.warn('list of queues not written: the next start looks at each', { cause })
    }
    const { queues: queueCount, entries: entryCount } = countEntries(table)
    checkpoint.saveSync({ ...this.#describeNote(), clean: true, logEnd: commitLog.appended, queueCount, entryCount })
    abort.remove()
  }
}
