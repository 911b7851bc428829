import type { DiskError } from '../base/disk.ts'
import type { Log } from '../base/log.ts'
import type { Scheduler } from '../base/scheduler.ts'
import { checkRecord, readPosition, readQueueOffset, readSize } from '../protocol/message.ts'
import type { CommitLog } from './commit-log.ts'
import type { ConsumeQueues } from './consume-queue.ts'
import { DamageLog } from './damage-log.ts'
import type { Dispatcher } from './dispatch.ts'
import { EntryRepair } from './entry-repair.ts'
import { GetStatus, type ReadRequest, type ReadResult } from './get-message.ts'
import { isPlaceholder } from './lost-records.ts'
import type { QueueTable } from './queue-table.ts'
import {
  FILLER_SIZE,
  isExtensionAddress,
  UNIT_BYTES,
  type Units,
  unitPosition,
  unitPresent,
  unitSize,
  unitTagsHigh,
  unitTagsLow,
} from './queue-unit.ts'
import { ReadGate } from './read-gate.ts'
import type { Segment } from './segment.ts'
import type { WarmLimit } from './warm-limit.ts'

/** Neighbouring records are read together when not more than this lies between them: as dear as one more call. */
const GAP_BYTES = 16_384
/** Longest span of one read, unless a single record is longer. */
const SPAN_BYTES = 131_072
const SMALLEST_RECORD = 91
/** Entries fetched from the consume queue in one step when no filter makes more of them likely to be needed. */
const STEP_UNITS = 64
/** Reads from far back on their way at once. */
const COLD_READS = 16

export interface ReadLimits {
  memoryBytes: number
  memoryCount: number
  diskBytes: number
  diskCount: number
  /** Consume queue entries that one read examines, in bytes. */
  filterBytes: number
  /** Distance from the end of the log within which a message counts as in memory. */
  recentBytes: number
}

export interface ReaderProbe {
  found: number
  missed: number
  coldReads: number
  damagedRecords: number
}

export interface ReaderParts {
  commitLog: CommitLog
  table: QueueTable
  queues: ConsumeQueues
  dispatcher: Dispatcher
  scheduler: Scheduler
  log: Log
  limits: ReadLimits
  unitsPerFile: number
  warmLimit: WarmLimit
  /** Records carry a checksum of the whole, which is verified when they come from the disk. */
  recordChecksums: boolean
  probe: ReaderProbe
  onRead: (result: ReadResult) => void
}

/** Answers reads: from memory as views, from warm files by merged reads, from far back without holding up the loop. */
export class MessageReader {
  readonly #parts: ReaderParts
  readonly #coldReads = new ReadGate(COLD_READS)
  readonly #damage: DamageLog
  readonly #repair: EntryRepair

  constructor(parts: ReaderParts) {
    this.#parts = parts
    this.#damage = new DamageLog(parts.log)
    this.#repair = new EntryRepair({ ...parts, damage: this.#damage })
  }

  read(request: ReadRequest, done: (result: ReadResult) => void): void {
    const { table, probe, onRead } = this.#parts
    const queue = table.find(request.topic, request.queueId)
    const min = queue < 0 ? 0 : table.min[queue]!
    const max = queue < 0 ? 0 : table.max[queue]!
    const outside = statusOutside(queue, request.offset, min, max)
    if (outside === undefined) {
      const tools = { coldReads: this.#coldReads, damage: this.#damage, repair: this.#repair }
      new Reading(this.#parts, tools, request, queue, min, max, done).run()
      return
    }
    probe.missed++
    const nextOffset =
      outside === GetStatus.OFFSET_TOO_SMALL ? min : outside === GetStatus.OFFSET_OVERFLOW_ONE ? request.offset : max
    const result = emptyResult(outside, nextOffset, min, max)
    onRead(result)
    done(result)
  }
}

function statusOutside(queue: number, offset: number, min: number, max: number): GetStatus | undefined {
  if (queue < 0) return GetStatus.NO_MATCHED_LOGIC_QUEUE
  if (max === 0) return GetStatus.NO_MESSAGE_IN_QUEUE
  if (offset < min) return GetStatus.OFFSET_TOO_SMALL
  if (offset === max) return GetStatus.OFFSET_OVERFLOW_ONE
  if (offset > max) return GetStatus.OFFSET_OVERFLOW_BADLY
  return undefined
}

function emptyResult(status: GetStatus, nextOffset: number, minOffset: number, maxOffset: number): ReadResult {
  return { status, nextOffset, minOffset, maxOffset, records: [], count: 0, sizeBytes: 0, suggestReplica: false }
}

/** What all reads share. */
interface Tools {
  coldReads: ReadGate
  damage: DamageLog
  repair: EntryRepair
}

/** One read on its way: choose entries, fetch their records, look at them, and again until enough or at the end. */
class Reading {
  readonly #parts: ReaderParts
  readonly #tools: Tools
  readonly #request: ReadRequest
  readonly #queue: number
  readonly #done: (result: ReadResult) => void
  readonly #result: ReadResult
  /** First offset not examined. */
  #next: number
  /** Examine no entry from here on. */
  readonly #end: number
  #lastPosition = 0
  /** Chosen and not yet fetched. */
  #positions: number[] = []
  #sizes: number[] = []
  #offsets: number[] = []
  #fetched = 0
  #chosenBytes = 0
  #chosenCount = 0
  #isFull = false
  #removedSeen = false
  #holeSeen = false
  #failedAt = -1
  /** The entry that was last looked for in the log. */
  #mendedAt = -1

  constructor(
    parts: ReaderParts,
    tools: Tools,
    request: ReadRequest,
    queue: number,
    min: number,
    max: number,
    done: (result: ReadResult) => void,
  ) {
    this.#parts = parts
    this.#tools = tools
    this.#request = request
    this.#queue = queue
    this.#done = done
    this.#next = request.offset
    const examined = Math.ceil(Math.max(parts.limits.filterBytes, request.maxCount * UNIT_BYTES) / UNIT_BYTES)
    this.#end = Math.min(max, request.offset + examined)
    this.#result = emptyResult(GetStatus.NO_MATCHED_MESSAGE, request.offset, min, max)
  }

  run(): void {
    this.#choose()
    this.#goOn()
  }

  /** Fetches what is chosen, and chooses again while a record filter leaves room. */
  #goOn(): void {
    for (;;) {
      if (!this.#fetch()) return // a callback goes on
      const isOver = this.#failedAt >= 0 || this.#holeSeen || this.#next >= this.#end
      if (isOver || this.#request.filter?.matchesRecord === undefined) {
        this.#finish()
        return
      }
      // The record filter may have refused some of what was chosen: perhaps there is room again.
      this.#chosenBytes = this.#result.sizeBytes
      this.#chosenCount = this.#result.count
      this.#choose()
      if (this.#positions.length === 0 && this.#isFull) {
        this.#finish()
        return
      }
    }
  }

  /** Takes entries that pass the tag filter, until the answer would be full. */
  #choose(): void {
    const { commitLog } = this.#parts
    const filter = this.#request.filter
    const step =
      filter === undefined ? Math.min(STEP_UNITS, Math.max(1, this.#request.maxCount)) : this.#end - this.#next
    this.#positions.length = 0
    this.#sizes.length = 0
    this.#offsets.length = 0
    this.#isFull = false
    this.#fetched = 0
    while (this.#next < this.#end) {
      const units = this.#unitsFrom(Math.min(step, this.#end - this.#next))
      if (units === undefined) return
      const { view, at: start, count } = units
      for (let index = 0; index < count; index++) {
        const at = start + index * UNIT_BYTES
        const position = unitPosition(view, at)
        const sizeBytes = unitSize(view, at)
        if (this.#isWrong(position, sizeBytes) && this.#mends(this.#next)) break // and is read again
        if (!unitPresent(view, at)) {
          this.#holeSeen = true
          return
        }
        if (sizeBytes === FILLER_SIZE || position < commitLog.min) {
          this.#removedSeen = true
        } else {
          if (this.#wouldOverflow(position, sizeBytes)) {
            this.#isFull = true
            return
          }
          this.#lastPosition = position
          const low = unitTagsLow(view, at)
          const high = unitTagsHigh(view, at)
          if (filter === undefined || isExtensionAddress(low, high) || filter.matchesTagsCode(low, high)) {
            this.#positions.push(position)
            this.#sizes.push(sizeBytes)
            this.#offsets.push(this.#next)
            this.#chosenBytes += sizeBytes
            this.#chosenCount++
          }
        }
        this.#next++
      }
    }
  }

  /** Entries that cannot be right: a queue has no holes, its messages stand one behind the other in the log. */
  #isWrong(position: number, sizeBytes: number): boolean {
    if (sizeBytes === FILLER_SIZE) return false
    const { commitLog } = this.#parts
    if (position < 0 || sizeBytes < SMALLEST_RECORD || position >= commitLog.written) return true
    return position < commitLog.min && this.#lastPosition >= commitLog.min
  }

  /** Whether an entry has been found again in the log; tried once. */
  #mends(queueOffset: number): boolean {
    if (this.#mendedAt === queueOffset) return false
    this.#mendedAt = queueOffset
    try {
      return this.#tools.repair.repair(this.#queue, queueOffset) !== undefined
    } catch (cause) {
      this.#parts.log.error('consume queue not repaired', { topic: this.#request.topic, queueOffset, cause })
      return false
    }
  }

  /** The next entries; undefined where there are none, or where the disk does not give them. */
  #unitsFrom(wanted: number): Units | undefined {
    try {
      const units = this.#parts.queues.units(this.#queue, this.#next, wanted)
      if (units.count > 0) return units
      this.#holeSeen = true
    } catch (cause) {
      this.#parts.log.error('consume queue not read', { ...this.#request, filter: undefined, cause })
      this.#failedAt = this.#next
    }
    return undefined
  }

  /** Tested only once something is chosen: a message larger than the limits is still delivered. */
  #wouldOverflow(position: number, sizeBytes: number): boolean {
    if (this.#chosenCount === 0) return false
    const { limits, commitLog } = this.#parts
    const isRecent = commitLog.appended - position <= limits.recentBytes
    const bytes = this.#chosenBytes + sizeBytes
    const count = this.#chosenCount + 1
    if (count > this.#request.maxCount || bytes > this.#request.maxBytes) return true
    return isRecent
      ? count > limits.memoryCount || bytes > limits.memoryBytes
      : count > limits.diskCount || bytes > limits.diskBytes
  }

  /** Gets the bytes of what was chosen; false when a callback will go on. */
  #fetch(): boolean {
    const { commitLog, warmLimit, scheduler } = this.#parts
    while (this.#fetched < this.#positions.length) {
      const position = this.#positions[this.#fetched]!
      const sizeBytes = this.#sizes[this.#fetched]!
      const view = commitLog.view(position, sizeBytes)
      if (view !== undefined) {
        const isIt = readPosition(view, 0) === position && readSize(view, 0) === sizeBytes
        if (isIt && readQueueOffset(view, 0) === this.#offsets[this.#fetched]) this.#take(view, true)
        else this.#suspect(this.#fetched)
        this.#fetched++
        continue
      }
      const segment = commitLog.segmentAt(position)
      if (segment === undefined || position + sizeBytes > segment.end || this.#isTooLarge(position, sizeBytes)) {
        if (position < commitLog.min) this.#removedSeen = true
        else this.#suspect(this.#fetched)
        this.#fetched++
        continue
      }
      const last = this.#spanFrom(this.#fetched)
      const length = this.#positions[last]! + this.#sizes[last]! - position
      if (commitLog.appended - position > warmLimit.bytes) {
        this.#parts.probe.coldReads++
        this.#tools.coldReads.enter(() => this.#fetchLater(segment, position, length, last))
        return false
      }
      const bytes = Buffer.allocUnsafe(length)
      const started = scheduler.monotonic()
      try {
        const count = segment.readSync(bytes, position)
        warmLimit.measured(scheduler.monotonic() - started, commitLog.appended - position)
        this.#takeSpan(bytes.subarray(0, count), last)
      } catch (error) {
        this.#failed(error as DiskError)
      }
    }
    return true
  }

  /** A large record is asked for its size first: a damaged entry must not make room for a gigabyte. */
  #isTooLarge(position: number, sizeBytes: number): boolean {
    if (sizeBytes <= SPAN_BYTES) return false
    try {
      return readSize(this.#parts.commitLog.bytesAt(position, 4), 0) !== sizeBytes
    } catch {
      return false // what cannot be read is said by the read itself
    }
  }

  /** Off the loop, which goes on; then this read does. */
  #fetchLater(segment: Segment, position: number, length: number, last: number): void {
    const bytes = Buffer.allocUnsafe(length)
    const done = (error: DiskError | null, count: number): void => {
      this.#tools.coldReads.leave()
      if (error === null) this.#takeSpan(bytes.subarray(0, count), last)
      else this.#failed(error)
      this.#goOn()
    }
    try {
      segment.read(bytes, position, done)
    } catch (error) {
      done(error as DiskError, 0)
    }
  }

  /** Index of the last chosen record that one read can bring together with the one at `first`. */
  #spanFrom(first: number): number {
    const { commitLog } = this.#parts
    const start = this.#positions[first]!
    const segmentEnd = commitLog.segmentAt(start)?.end ?? 0
    const inMemory = commitLog.chunks.firstPosition
    let last = first
    let end = start + this.#sizes[first]!
    for (let index = first + 1; index < this.#positions.length; index++) {
      const position = this.#positions[index]!
      const next = position + this.#sizes[index]!
      if (
        position < end ||
        position - end > GAP_BYTES ||
        next - start > SPAN_BYTES ||
        next > segmentEnd ||
        position >= inMemory
      )
        break
      last = index
      end = next
    }
    return last
  }

  #takeSpan(bytes: Buffer, last: number): void {
    const start = this.#positions[this.#fetched]!
    for (; this.#fetched <= last; this.#fetched++) {
      const position = this.#positions[this.#fetched]!
      const at = position - start
      const sizeBytes = this.#sizes[this.#fetched]!
      const isWhole =
        at + sizeBytes <= bytes.length && checkRecord(bytes, at, at + sizeBytes, { crc: true }) === sizeBytes
      const { repair } = this.#tools
      if (isWhole && repair.isMessage(bytes, at, this.#queue, this.#offsets[this.#fetched]!, position)) {
        // What a repair left in place of a lost message is nobody's to consume.
        if (!isPlaceholder(bytes, at)) this.#take(bytes.subarray(at, at + sizeBytes), false)
      } else this.#suspect(this.#fetched)
    }
  }

  /** Never a wrong message: what does not verify is looked for in the log, or else left out, and said aloud. */
  #suspect(index: number): void {
    const { commitLog, probe } = this.#parts
    const { damage, repair } = this.#tools
    const position = this.#positions[index]!
    const path = commitLog.segmentAt(position)?.path ?? commitLog.directory
    if (!damage.knows(path, position)) {
      try {
        const found = repair.repair(this.#queue, this.#offsets[index]!)
        if (found !== undefined) {
          this.#take(commitLog.bytesAt(found.position, found.sizeBytes), false)
          return
        }
      } catch (cause) {
        this.#parts.log.error('consume queue not repaired', { position, path, cause })
      }
    }
    probe.damagedRecords++
    damage.say('damaged record not served', path, position)
  }

  /** Ends the read before the record that the disk did not give: the consumer asks again from there. */
  #failed(error: DiskError): void {
    this.#parts.log.error('records not read', { position: this.#positions[this.#fetched], cause: error })
    this.#failedAt = this.#offsets[this.#fetched]!
    this.#fetched = this.#positions.length
  }

  #take(record: Buffer, isMemory: boolean): void {
    const matches = this.#request.filter?.matchesRecord
    if (matches !== undefined && !matches(record)) return
    const { records } = this.#result
    this.#result.count++
    this.#result.sizeBytes += record.length
    const before = records[records.length - 1]
    // Records of one queue that also follow each other in memory leave as one view.
    if (
      isMemory &&
      before !== undefined &&
      before.buffer === record.buffer &&
      before.byteOffset + before.length === record.byteOffset
    ) {
      records[records.length - 1] = Buffer.from(record.buffer, before.byteOffset, before.length + record.length)
    } else records.push(record)
  }

  #finish(): void {
    const { commitLog, limits, probe, onRead, unitsPerFile } = this.#parts
    const result = this.#result
    result.nextOffset = this.#failedAt >= 0 ? this.#failedAt : this.#next
    if (result.count > 0) result.status = GetStatus.FOUND
    else if (this.#failedAt >= 0) result.status = GetStatus.OFFSET_FOUND_NULL
    else if (this.#holeSeen && this.#next === this.#request.offset) {
      result.status = GetStatus.OFFSET_FOUND_NULL
      result.nextOffset = Math.min(result.maxOffset, (Math.floor(this.#next / unitsPerFile) + 1) * unitsPerFile)
    } else if (this.#removedSeen) result.status = GetStatus.MESSAGE_WAS_REMOVING
    result.suggestReplica = commitLog.appended - this.#lastPosition > limits.recentBytes
    if (result.count > 0) probe.found++
    else probe.missed++
    onRead(result)
    this.#done(result)
  }
}
