import type { Disk, DiskFile } from '../base/disk.ts'
import type { Log } from '../base/log.ts'
import { readPosition, readStoreTimestamp } from '../protocol/message.ts'
import type { CommitLog } from './commit-log.ts'
import { IndexFile } from './index-file.ts'
import {
  decodeHeader,
  HEADER_BYTES,
  type IndexHeader,
  type IndexShape,
  indexFileBytes,
  indexFileName,
  isIndexFileName,
  readLong,
  secondsSince,
  UNIT_BYTES,
  unitAt,
} from './index-layout.ts'

/** Units looked at together when those of the last record are counted. */
const TAIL_UNITS = 128
/** What a record tells before its body, with the longest hosts. */
const HEAD_BYTES = 112
const SMALLEST_RECORD = 91

/** What a start may believe. */
export interface IndexTrust {
  /** The last run did not end in order: only files that were full and are known to be synced are what they seem. */
  unclean: boolean
  /** `indexMsgTimestamp` of the checkpoint. */
  syncedTimestamp: number
  /** End of the log: nothing is behind it. */
  logEnd: number
}

/**
 * The files of the index, the oldest first. All of them follow from the log, so what cannot be believed is removed, with
 * all behind it, and made again.
 */
export class IndexFolder {
  readonly files: IndexFile[] = []
  readonly #disk: Disk
  readonly #directory: string
  readonly #shape: IndexShape
  readonly #log: Log
  readonly #commitLog: CommitLog

  constructor(parts: { disk: Disk; directory: string; shape: IndexShape; log: Log; commitLog: CommitLog }) {
    this.#disk = parts.disk
    this.#directory = parts.directory
    this.#shape = parts.shape
    this.#log = parts.log
    this.#commitLog = parts.commitLog
  }

  get last(): IndexFile | undefined {
    return this.files[this.files.length - 1]
  }

  /** Finds the files that can be believed, and removes the others. */
  load(trust: IndexTrust): void {
    const names = this.#disk.listSync(this.#directory).sort()
    const refused: string[] = []
    for (const name of names) {
      const path = `${this.#directory}/${name}`
      if (!isIndexFileName(name) || this.#disk.statSync(path)?.isDirectory === true) {
        this.#log.warn('not an index file, ignored', { path })
        continue
      }
      const fault = refused.length > 0 ? 'it stands behind such a file' : this.#take(name, path, trust)
      if (fault === undefined) continue
      refused.push(path)
      const word = fault === UNFINISHED ? 'info' : 'warn'
      this.#log[word]('index file is built again from the log', { path, fault })
    }
    for (const path of refused) this.#remove(path)
    if (refused.length > 0) this.#syncDirectory()
  }

  /** Why the file cannot be believed; undefined when it can. */
  #take(name: string, path: string, trust: IndexTrust): string | undefined {
    let file: DiskFile | undefined
    try {
      file = this.#disk.openSync(path, 'read')
      const sizeBytes = file.sizeSync()
      const wanted = indexFileBytes(this.#shape)
      if (sizeBytes !== wanted)
        return `${sizeBytes} bytes long, and not ${wanted} as maxHashSlotNum and maxIndexNum say`
      const bytes = Buffer.alloc(HEADER_BYTES)
      file.readSync(bytes, 0)
      const header = decodeHeader(bytes)
      if (trust.unclean && (header.nextUnit < this.#shape.units || header.endTimestamp > trust.syncedTimestamp)) {
        return UNFINISHED
      }
      const fault = this.#faultOf(header, file, trust)
      if (fault !== undefined) return fault
      const taken = new IndexFile(this.#disk, this.#directory, name, this.#shape, header, false)
      taken.unitsOfLast = this.#countLast(file, header)
      this.files.push(taken)
      return undefined
    } catch (error) {
      return `it cannot be read: ${(error as Error).message}`
    } finally {
      file?.closeSync()
    }
  }

  /** What in the header does not fit the units, the file before, or the log. */
  #faultOf(header: IndexHeader, file: DiskFile, { logEnd }: IndexTrust): string | undefined {
    const { beginTimestamp, endTimestamp, beginPosition, endPosition, nextUnit, usedSlots } = header
    if (nextUnit > this.#shape.units) return `it says that unit ${nextUnit} is the next`
    if (nextUnit <= 1) return 'it holds nothing'
    if (usedSlots < 1 || usedSlots >= nextUnit) return `it says that ${usedSlots} slots are in use`
    if (beginPosition < (this.last?.header.endPosition ?? 0) || endPosition < beginPosition) {
      return `it says that it begins at ${beginPosition} and ends at ${endPosition}`
    }
    if (endPosition >= logEnd) return `it points to ${endPosition}, and the log ends at ${logEnd}`
    if (beginTimestamp <= 0 || endTimestamp <= 0) return 'it has no times'
    const first = this.#unit(file, 1)
    const last = this.#unit(file, nextUnit - 1)
    if (readLong(first, 4) !== beginPosition) return `its first unit is not of position ${beginPosition}`
    if (readLong(last, 4) !== endPosition) return `its last unit is not of position ${endPosition}`
    if (nextUnit > 2 && last.readInt32BE(12) !== secondsSince(beginTimestamp, endTimestamp)) {
      return `its last unit is not of time ${endTimestamp}`
    }
    if (!this.#isOf(beginPosition, beginTimestamp)) return `no message of ${beginTimestamp} stands at ${beginPosition}`
    if (!this.#isOf(endPosition, endTimestamp)) return `no message of ${endTimestamp} stands at ${endPosition}`
    // The unit behind the last was never used, if there is one.
    if (nextUnit < this.#shape.units && !this.#unit(file, nextUnit).equals(Buffer.alloc(UNIT_BYTES))) {
      return `unit ${nextUnit} is in use, and the header says that it is the next`
    }
    return undefined
  }

  #unit(file: DiskFile, unit: number): Buffer {
    const bytes = Buffer.alloc(UNIT_BYTES)
    file.readSync(bytes, unitAt(this.#shape, unit))
    return bytes
  }

  /** Whether the log has a record of that store time there; what has expired is believed. */
  #isOf(position: number, storeTimestamp: number): boolean {
    if (position < this.#commitLog.min) return true
    const head = this.#commitLog.bytesAt(position, HEAD_BYTES)
    if (head.length < SMALLEST_RECORD) return false
    return readPosition(head, 0) === position && readStoreTimestamp(head, 0) === storeTimestamp
  }

  /** How many of the last units are of the last record. */
  #countLast(file: DiskFile, { nextUnit, endPosition }: IndexHeader): number {
    let count = 0
    for (let end = nextUnit; end > 1; ) {
      const start = Math.max(1, end - TAIL_UNITS)
      const bytes = Buffer.alloc((end - start) * UNIT_BYTES)
      file.readSync(bytes, unitAt(this.#shape, start))
      for (let at = bytes.length - UNIT_BYTES; at >= 0; at -= UNIT_BYTES) {
        if (readLong(bytes, at + 4) !== endPosition) return count
        count++
      }
      end = start
    }
    return count
  }

  /** How many keys of the last record are in the files: those of one record may fill more than one. */
  get unitsOfLast(): number {
    let count = 0
    for (let index = this.files.length - 1; index >= 0; index--) {
      const { header, unitsOfLast } = this.files[index]!
      if (header.endPosition !== this.last!.header.endPosition) break
      count += unitsOfLast
    }
    return count
  }

  /**
   * A new last file.
   *
   * @throws DiskError; then nothing has changed
   */
  add(nowMs: number): IndexFile {
    if (this.#disk.statSync(this.#directory) === undefined) this.#disk.makeDirectorySync(this.#directory)
    const { last } = this
    const before = last?.header
    const header: IndexHeader = {
      // The first unit counts its seconds from the end of the file before, as Java's does.
      beginTimestamp: before?.endTimestamp ?? 0,
      endTimestamp: before?.endTimestamp ?? 0,
      beginPosition: before?.endPosition ?? 0,
      endPosition: before?.endPosition ?? 0,
      usedSlots: 0,
      nextUnit: 1,
    }
    const name = this.#nameAfter(nowMs, last?.name)
    const file = new IndexFile(this.#disk, this.#directory, name, this.#shape, header, true)
    file.create()
    this.files.push(file)
    return file
  }

  /** Something else may have a name of ours already. */
  #nameAfter(nowMs: number, last: string | undefined): string {
    for (let name = indexFileName(nowMs, last); ; name = indexFileName(nowMs, name)) {
      if (this.#disk.statSync(`${this.#directory}/${name}`) === undefined) return name
    }
  }

  /** Removes a file and all behind it, durably. */
  dropFrom(index: number): void {
    const dropped = this.files.splice(index)
    for (const file of dropped.reverse()) file.remove()
    if (dropped.length > 0) this.#syncDirectory()
  }

  /** The same without holding up the loop. */
  async dropFromLater(index: number): Promise<void> {
    for (const file of this.files.splice(index).reverse()) await file.removeLater()
    this.#syncDirectory()
  }

  /** Removes files of which the log holds nothing any more; the last one stays, as in Java. */
  async dropBefore(position: number): Promise<void> {
    while (this.files.length > 1 && this.files[0]!.header.endPosition < position) {
      const file = this.files.shift()!
      await file.removeLater().catch((cause) => this.#log.warn('index file not removed', { path: file.path, cause }))
    }
  }

  #remove(path: string): void {
    try {
      this.#disk.removeSync(path)
    } catch (cause) {
      this.#log.warn('index file not removed', { path, cause })
    }
  }

  #syncDirectory(): void {
    this.#disk.syncDirectorySync(this.#directory)
  }

  /** The names of the files are on the device when this returns. */
  syncNames(): void {
    if (this.files.length > 0) this.#syncDirectory()
  }

  close(): void {
    for (const file of this.files) file.close()
  }
}

const UNFINISHED = 'it was being filled when the last run ended'
