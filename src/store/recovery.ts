import type { Log } from '../base/log.ts'
import type { Scheduler } from '../base/scheduler.ts'
import { readPosition, readQueueId, readQueueOffset } from '../protocol/message.ts'
import type { Checkpoint } from './checkpoint.ts'
import type { CommitLog } from './commit-log.ts'
import type { ConsumeQueues } from './consume-queue.ts'
import type { Dispatcher } from './dispatch.ts'
import { LogScanner } from './log-scanner.ts'
import type { QueueFiles } from './queue-files.ts'
import type { QueueList, QueueListMark } from './queue-list.ts'
import type { QueueTable } from './queue-table.ts'
import { FILLER_SIZE, unitPosition, unitPresent, unitSize } from './queue-unit.ts'
import { RecoveryProgress } from './recovery-progress.ts'
import { StoreCorrupt, StoreRefused } from './store-errors.ts'

export interface RecoveryParts {
  commitLog: CommitLog
  table: QueueTable
  files: QueueFiles
  /** undefined: the files of every queue are looked at. */
  list?: QueueList
  queues: ConsumeQueues
  dispatcher: Dispatcher
  checkpoint: Checkpoint
  scheduler: Scheduler
  log: Log
  /** The abort file was there: the last run did not end in order. */
  unclean: boolean
  /** Of this boot of the machine; '' where nobody tells. */
  bootId: string
  crc: boolean
  /** Nothing was written to the log from here on; Infinity when nobody knows. */
  reach: number
}

export interface Recovered {
  end: number
  /** Store time of the last record; 0 for an empty log. */
  lastStoreTimestamp: number
  scannedFrom: number
  scannedRecords: number
  rewrittenEntries: number
  durationMs: number
}

/**
 * Finds the end of the log, and brings the consume queues to agree with it.
 *
 * Only a torn tail is cut: bytes that no flush had promised. Anything else that does not read as the log it was is
 * damage, and then the store does not open and the log is not touched. Recovery that was itself cut short, or runs
 * twice, ends in the same state: all it writes follows from the log.
 */
export class Recovery {
  readonly #parts: RecoveryParts
  readonly #scanner: LogScanner
  /** The note in the checkpoint describes the run that ended last: no Java broker came in between. */
  readonly #ours: boolean
  /** The queues were read from the list of a clean stop, not from their files. */
  #isListed = false
  /** Queue → first offset that the scan met. */
  #firstOffsets = new Map<number, number>()
  #loadedMax: Float64Array = new Float64Array(0)
  /** The files do not hold what a stop left in them. */
  #isRebuilding = false
  #scannedRecords = 0
  #lastStoreTimestamp = 0

  constructor(parts: RecoveryParts) {
    this.#parts = parts
    const note = parts.checkpoint.note
    this.#ours = note !== undefined && note.clean === !parts.unclean
    this.#scanner = new LogScanner(parts.commitLog, parts.crc)
    if (this.#ours && parts.unclean) this.#scanner.tornFrom = this.#floor
    this.#scanner.anySectorTorn = this.#mayHaveLostPower
  }

  run(): Recovered {
    const { commitLog, queues, table, files, scheduler, log } = this.#parts
    const started = scheduler.monotonic()
    this.#endTruncation()
    this.#isListed = this.#loadList()
    if (!this.#isListed) files.load()
    this.#refuseLostLog()
    queues.verifying = true
    queues.rewriting = this.#parts.unclean
    let from = this.#chooseStart()
    let agrees = this.#scan(from)
    if (this.#isListed && this.#scanner.position !== this.#parts.checkpoint.note!.logEnd) {
      // Another broker went on from there.
      this.#isListed = false
      queues.forgetTails()
      table.clear()
      files.load()
      from = this.#chooseStart()
      agrees = this.#scan(from)
    }
    if (!agrees) {
      this.#isListed = false
      this.#isRebuilding = true
      log.warn('consume queues do not agree with the log: rebuilding them from its beginning', { from: commitLog.min })
      queues.forgetTails()
      table.clear()
      files.load()
      from = commitLog.min
      this.#scan(from)
    }
    const end = this.#scanner.position
    this.#settleEnd(end)
    this.#settleQueues(from)
    queues.writeAll()
    // What was written of queues it does not tell.
    if (!this.#isListed || queues.rewritten > 0) this.#parts.list?.remove()
    queues.verifying = false
    queues.rewriting = false
    files.isListed = this.#isListed
    commitLog.startAt(end)
    const recovered: Recovered = {
      end,
      lastStoreTimestamp: this.#lastStoreTimestamp,
      scannedFrom: from,
      scannedRecords: this.#scannedRecords,
      rewrittenEntries: queues.rewritten,
      durationMs: scheduler.monotonic() - started,
    }
    if (this.#parts.unclean || queues.rewritten > 0) {
      log.info('store recovered', { unclean: this.#parts.unclean, ours: this.#ours, ...recovered })
    }
    return recovered
  }

  /** After a clean stop of ours: what every queue was then, from one file. */
  #loadList(): boolean {
    const { checkpoint, commitLog, files, list, unclean } = this.#parts
    const note = checkpoint.note
    if (list === undefined || note === undefined || unclean || !note.clean || note.truncatingTo >= 0) return false
    return list.load(markOf(commitLog, checkpoint, files, note.logEnd), (topic, queueId, file) =>
      files.pathIn(topic, queueId, file),
    )
  }

  /** A truncation that a crash interrupted is brought to its end: half of it would look like damage. */
  #endTruncation(): void {
    const { commitLog, checkpoint, log } = this.#parts
    const to = this.#truncatingTo
    if (to < 0) return
    if (checkpoint.logicsPhysicalOffset >= to) {
      // Of the intent and the stamps beside it a power loss may have kept the one without the other.
      checkpoint.logicsPhysicalOffset = 0
      checkpoint.logicsMsgTimestamp = 0
      checkpoint.physicMsgTimestamp = 0
    }
    if (commitLog.segmentAt(to) === undefined) return
    log.warn('an interrupted truncation is brought to its end', { position: to })
    commitLog.truncateTo(to, this.#parts.reach)
  }

  /** Beyond it a queue's files have no numbers. */
  get #mostOffset(): number {
    return this.#parts.files.unitsPerFile * 0x7fff_fffe
  }

  get #truncatingTo(): number {
    return this.#ours ? (this.#parts.checkpoint.note?.truncatingTo ?? -1) : -1
  }

  /** Without a power loss the page cache keeps all that was written, in order. */
  get #mayHaveLostPower(): boolean {
    const { unclean, bootId, checkpoint } = this.#parts
    return this.#ours && unclean && (bootId === '' || checkpoint.note?.bootId !== bootId)
  }

  /** Entries of records that are gone may stand behind a hole, where the search for a queue's end does not see them. */
  get #mayHoldStrays(): boolean {
    return this.#isRebuilding || (this.#parts.unclean && (!this.#ours || this.#mayHaveLostPower))
  }

  /** Bytes up to here were on the device: when they are not there now, something else than a crash took them. */
  get #floor(): number {
    const { checkpoint } = this.#parts
    // Our note, which has a checksum, lies behind whatever is dispatched; Java's field has none.
    const isNoted = this.#ours || checkpoint.logicsPhysicalOffset <= 0
    const dispatched = isNoted ? 0 : checkpoint.logicsPhysicalOffset + 1
    return Math.max(checkpoint.note?.flushedPosition ?? 0, dispatched)
  }

  #refuseLostLog(): void {
    const { commitLog, files, table, log } = this.#parts
    if (commitLog.segments.length > 0) return
    const hasEntries = table.max.some((max, queue) => queue < table.count && max > 0)
    if (this.#floor > 0 || (hasEntries && !this.#ours)) {
      throw new StoreRefused(
        `the commit log in ${commitLog.directory} is gone, but ${this.#floor > 0 ? `${this.#floor} bytes of it had been synced` : 'consume queues point into it'}. ` +
          'Restore it; or, to begin an empty store, move the whole folder away',
      )
    }
    if (!hasEntries) return
    log.warn('consume queues without a log removed: nothing had been promised yet')
    files.removeAll()
    table.clear()
  }

  #chooseStart(): number {
    const { commitLog, checkpoint, table, unclean } = this.#parts
    const note = checkpoint.note
    if (table.count === 0) return commitLog.min
    if (this.#ours && !unclean && note !== undefined) {
      const counted = countEntries(table)
      if (counted.queues !== note.queueCount || counted.entries !== note.entryCount) {
        this.#isRebuilding = true
        return commitLog.min
      }
    }
    const last = checkpoint.logicsPhysicalOffset
    return last > commitLog.min && this.#scanner.isRecordAt(last) ? last : commitLog.min
  }

  /** Dispatches every valid record; false when entries before `from` are missing too. */
  #scan(from: number): boolean {
    const { table, dispatcher, commitLog, scheduler, log, reach } = this.#parts
    const scanner = this.#scanner
    this.#firstOffsets = new Map()
    this.#loadedMax = table.max.slice(0, table.count)
    this.#scannedRecords = 0
    this.#lastStoreTimestamp = 0
    scanner.seek(from)
    const progress = new RecoveryProgress(scheduler, log, from, Math.min(reach, lastEndOf(commitLog)))
    while (scanner.step() === 'record') {
      this.#scannedRecords++
      progress.at(scanner.position)
      const inQueue = dispatcher.parse(scanner.bytes, scanner.at)
      if (dispatcher.storeTimestamp > this.#lastStoreTimestamp) this.#lastStoreTimestamp = dispatcher.storeTimestamp
      if (!inQueue) continue
      const { queue, queueOffset, tagsLow, tagsHigh } = dispatcher
      const fit = this.#fit(queue, queueOffset, from)
      if (fit === 'behind a gap') return false
      if (fit === 'impossible') break
      if (fit === 'taken') continue
      table.next[queue] = queueOffset + 1
      dispatcher.dispatch(queue, queueOffset, scanner.position, scanner.sizeBytes, tagsLow, tagsHigh)
    }
    return from === commitLog.min || this.#areOthersRight(from)
  }

  /**
   * Whether a record can be that of its queue offset, for which the log has no checksum. The first message with an offset
   * keeps it, as in Java; but at 0 a queue may have been made anew.
   */
  #fit(queue: number, queueOffset: number, from: number): 'next' | 'taken' | 'behind a gap' | 'impossible' {
    const { table, files, queues, commitLog, log } = this.#parts
    const isFirst = !this.#firstOffsets.has(queue)
    const isTaken = isFirst && from > commitLog.min && queueOffset > 0 && this.#isTaken(queue, queueOffset, from)
    if (isFirst && from > commitLog.min && queueOffset > 0 && !isTaken && !this.#isEntryRight(queue, queueOffset - 1)) {
      return 'behind a gap'
    }
    // What stood before the oldest record that is kept is unknown.
    const expected = isTaken ? table.max[queue]! : !isFirst ? table.next[queue]! : from > 0 ? queueOffset : 0
    if (queueOffset !== expected || queueOffset < 0 || queueOffset > this.#mostOffset) {
      const where = `${table.topicOf(queue)?.name}/${table.queueId[queue]}`
      if (queueOffset < 0 || queueOffset > Math.min(expected + files.unitsPerFile, this.#mostOffset)) {
        this.#scanner.fault = `a record of queue offset ${queueOffset} where ${where} is at ${expected}`
        return 'impossible'
      }
      const { position } = this.#scanner
      log.warn('queue offsets are not dense', { where, expected, found: queueOffset, position })
      if (queueOffset > 0 && queueOffset < expected) return 'taken'
      for (let gap = expected; gap < queueOffset; gap++) queues.put(queue, gap, 0, FILLER_SIZE, 0, 0)
    }
    if (isFirst) this.#firstOffsets.set(queue, Math.min(expected, queueOffset))
    return 'next'
  }

  /** Whether a message before `from` has the offset. */
  #isTaken(queue: number, queueOffset: number, from: number): boolean {
    if (!this.#isEntryRight(queue, queueOffset)) return false
    const { view, at, count } = this.#parts.queues.units(queue, queueOffset, 1)
    if (count === 0 || unitSize(view, at) === FILLER_SIZE) return false
    return unitPosition(view, at) < from && unitPosition(view, at) >= this.#parts.commitLog.min
  }

  /** The last entries of queues that the scan did not meet. */
  #areOthersRight(from: number): boolean {
    const { table, unclean } = this.#parts
    const mayBeLost = !this.#ours || this.#mayHaveLostPower || this.#truncatingTo >= 0
    const isCounted = this.#ours && !unclean
    for (let queue = 0; queue < this.#loadedMax.length; queue++) {
      // What is too much here may have hidden from the count what is missing there.
      if (isCounted && this.#loadedMax[queue] !== table.max[queue]) return false
      if (this.#firstOffsets.has(queue) || this.#loadedMax[queue] === 0) continue
      // It points to what was scanned, or to an end that nothing took: then it is damaged, and its message is elsewhere.
      const position = table.lastPosition[queue]!
      if (position >= from && (position < this.#scanner.position || !mayBeLost)) return false
      if (isCounted) continue
      const end = this.#firstEntryFrom(queue, from)
      const isFirst = end === this.#parts.files.unitsPerFile * Math.max(0, table.firstFile[queue]!)
      if (end > 0 && !isFirst && !this.#isEntryRight(queue, end - 1)) return false
    }
    return true
  }

  /** Whether an entry points to the message that should stand there; one that has expired is believed. */
  #isEntryRight(queue: number, queueOffset: number): boolean {
    const { queues, commitLog, table } = this.#parts
    const max = table.max[queue]!
    // The search for the end of a queue stops at a hole, so look beyond it.
    table.max[queue] = Math.max(max, queueOffset + 1)
    const units = queues.units(queue, queueOffset, 1)
    table.max[queue] = max
    if (units.count === 0 || !unitPresent(units.view, units.at)) return false
    if (unitSize(units.view, units.at) === FILLER_SIZE) return true
    const position = unitPosition(units.view, units.at)
    if (position < commitLog.min) return true
    const head = commitLog.bytesAt(position, 48)
    return (
      head.length === 48 &&
      readPosition(head, 0) === position &&
      readQueueId(head, 0) === table.queueId[queue] &&
      readQueueOffset(head, 0) === queueOffset
    )
  }

  /** Decides what the end of the scan is, and makes it the end of the log. */
  #settleEnd(end: number): void {
    const { commitLog, unclean, checkpoint, reach, log } = this.#parts
    const segment = commitLog.segmentAt(end) ?? commitLog.segments[commitLog.segments.length - 1]
    if (segment === undefined) return
    const corrupt = (what: string): StoreCorrupt => new StoreCorrupt(what, segment.path, end, end - segment.base)
    if (end < this.#floor) throw corrupt(`${this.#scanner.fault}; the log had been synced up to ${this.#floor}`)
    const note = checkpoint.note
    const isWhole = this.#ours && !unclean && note?.logEnd === end && checkpoint.isUntouched
    const behind = isWhole ? { validPosition: undefined, isZero: true } : this.#scanner.examineBehind(end, reach)
    if (behind.validPosition !== undefined) {
      // After a power loss what was not yet synced may survive in any order; nothing behind the floor was promised.
      if (!this.#mayHaveLostPower) {
        throw corrupt(`${this.#scanner.fault}, with valid ones behind it, the first at ${behind.validPosition}`)
      }
      log.warn('unsynced end of the log was torn by a power loss', { position: end, validBehind: behind.validPosition })
    } else if (!behind.isZero) {
      log.warn('torn end of the log cut', { position: end, path: segment.path, fault: this.#scanner.fault })
    }
    const hasLater = commitLog.segments.some(({ base }) => base > end)
    if (hasLater || !behind.isZero) commitLog.truncateTo(end, reach)
    // What was only in the page cache is promised from now on. It is written again before it is synced: when an earlier
    // sync has failed, the kernel takes pages for clean that never reached the device.
    if (this.#ours && unclean) commitLog.persistFrom(this.#floor, end)
    else if (!this.#ours) commitLog.syncFrom(this.#floor)
  }

  /** Ends every queue where the log says, and finds where it begins. */
  #settleQueues(from: number): void {
    const { table, files, queues, commitLog } = this.#parts
    for (let queue = 0; queue < table.count; queue++) {
      if (table.topicOf(queue) === undefined) continue
      const loaded = this.#loadedMax[queue] ?? 0
      if (this.#firstOffsets.has(queue)) {
        const max = table.max[queue]!
        const isLonger = loaded > max || table.lastFile[queue]! * files.unitsPerFile > max
        if (isLonger || this.#mayHoldStrays) queues.cut(queue, max)
      } else if (table.lastPosition[queue]! >= from) {
        queues.cut(queue, this.#firstEntryFrom(queue, from))
      } else if (this.#mayHoldStrays) {
        queues.cut(queue, table.max[queue]!)
      }
      table.next[queue] = table.max[queue]!
      if (this.#isListed) continue
      table.min[queue] =
        table.lastPosition[queue]! < commitLog.min ? table.max[queue]! : this.#firstEntryFrom(queue, commitLog.min)
    }
  }

  /** Offset of the first entry that points to `position` or behind; the end of the queue when none does. */
  #firstEntryFrom(queue: number, position: number): number {
    const { table, files, queues } = this.#parts
    // What was scanned may begin before the first file, which then is still to be written.
    const scanned = this.#firstOffsets.get(queue)
    let low = Math.max(0, table.firstFile[queue]!) * files.unitsPerFile
    if (scanned !== undefined && (table.firstFile[queue]! < 0 || scanned < low)) low = scanned
    let high = table.max[queue]!
    if (position === 0) return low
    while (low < high) {
      const middle = Math.floor((low + high) / 2)
      const units = queues.units(queue, middle, 1)
      const there = units.count === 1 && unitSize(units.view, units.at) !== FILLER_SIZE
      if (there && unitPosition(units.view, units.at) >= position) high = middle
      else low = middle + 1
    }
    return low
  }
}

/** What the list of queues goes with. */
export function markOf(commitLog: CommitLog, checkpoint: Checkpoint, files: QueueFiles, logEnd: number): QueueListMark {
  const { logicsPhysicalOffset, physicMsgTimestamp } = checkpoint
  return { logMin: commitLog.min, logEnd, logicsPhysicalOffset, physicMsgTimestamp, fileBytes: files.fileBytes }
}

const lastEndOf = ({ segments }: CommitLog): number => segments[segments.length - 1]?.end ?? 0

/** What a clean stop notes of the queues, so that a lost folder is missed at the next start. */
export function countEntries(table: QueueTable): { queues: number; entries: number } {
  let queues = 0
  let entries = 0
  for (let queue = 0; queue < table.count; queue++) {
    if (table.topicOf(queue) === undefined || table.max[queue] === 0) continue
    queues++
    entries += table.max[queue]!
  }
  return { queues, entries }
}
