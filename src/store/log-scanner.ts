import { checkRecord, MAGIC_BLANK, propertiesRange, readPosition, topicRange } from '../protocol/message.ts'
import { BLANK_BYTES, type CommitLog } from './commit-log.ts'
import type { Segment } from './segment.ts'

const WINDOW_BYTES = 4_194_304
const SMALLEST_RECORD = 91
/** What a device writes whole or not at all. */
const SECTOR_BYTES = 512
/** Beyond this a length is not believed. */
const LARGEST_RECORD = 134_217_728
/** How the magic numbers of both record versions begin. */
const MAGIC_START = Buffer.from([0xda, 0xa3, 0x20])

export type ScanStep = 'record' | 'invalid' | 'end'

/** Reads the log from the disk, record after record, believing nothing. */
export class LogScanner {
  /** Of the record found, or of what is not one. */
  position = 0
  sizeBytes = 0
  /** The record begins at `at` in `bytes`. */
  bytes: Buffer
  at = 0
  /** Why the last step found no valid record. */
  fault = ''
  /**
   * From here on a record may be torn: what was lost of it is zero. The checksum covers the body only, so topic and
   * properties are looked at. A kill takes only the end of the last write; a power loss any sector.
   */
  tornFrom = Number.POSITIVE_INFINITY
  anySectorTorn = false
  readonly #log: CommitLog
  readonly #crc: boolean
  #windowBase = 0
  #windowLength = 0
  #next = 0

  constructor(log: CommitLog, crc: boolean) {
    this.#log = log
    this.#crc = crc
    this.bytes = Buffer.allocUnsafeSlow(Math.min(WINDOW_BYTES, log.segmentBytes))
  }

  seek(position: number): void {
    this.#next = position
    this.#windowLength = 0
  }

  /** Steps to the next record; after `invalid` or `end`, `position` is where the log ends. */
  step(): ScanStep {
    for (;;) {
      this.position = this.#next
      const segment = this.#log.segmentAt(this.#next)
      if (segment === undefined) return 'end'
      const left = segment.end - this.#next
      if (!this.#fill(segment, BLANK_BYTES)) return this.#invalid('the end of the file is missing')
      const size = this.bytes.readInt32BE(this.at)
      const magic = this.bytes.readInt32BE(this.at + 4)
      if (magic === MAGIC_BLANK && size === left) {
        this.#next = segment.end
        continue
      }
      if (size < SMALLEST_RECORD || size > left || size > LARGEST_RECORD) return this.#invalid('no record')
      if (!this.#fill(segment, size)) return this.#invalid('the end of a record is missing')
      if (checkRecord(this.bytes, this.at, this.at + size, { crc: this.#crc }) !== size) {
        return this.#invalid('an invalid record')
      }
      if (readPosition(this.bytes, this.at) !== this.#next) return this.#invalid('a record of another position')
      if (this.#next >= this.tornFrom && this.#isTorn(segment, size)) return this.#invalid('a torn record')
      this.sizeBytes = size
      this.#next += size
      return 'record'
    }
  }

  #isTorn(segment: Segment, size: number): boolean {
    const properties = propertiesRange(this.bytes, this.at)
    // A write that ended early, and nothing came after it.
    if (properties.start < properties.end && this.bytes[this.at + size - 1] === 0) {
      const behind = Buffer.alloc(BLANK_BYTES)
      segment.readSync(behind.subarray(0, Math.min(BLANK_BYTES, segment.end - this.#next - size)), this.#next + size)
      if (behind.equals(Buffer.alloc(BLANK_BYTES))) return true
    }
    if (!this.anySectorTorn) return false
    const topic = topicRange(this.bytes, this.at)
    const fileByte = this.#next - segment.base - this.at
    const zeros = Buffer.alloc(SECTOR_BYTES)
    // A sector that was lost is zero as far as the record reaches into it; a zero byte alone is somebody's property.
    for (let at = topic.start; at < properties.end; ) {
      const start = Math.max(this.at, at - ((fileByte + at) % SECTOR_BYTES))
      const end = Math.min(properties.end, at + SECTOR_BYTES - ((fileByte + at) % SECTOR_BYTES))
      // Between topic and properties stands a length, whose bytes may be zero.
      const holdsText = at < topic.end || end > properties.start
      if (holdsText && this.bytes.compare(zeros, 0, end - start, start, end) === 0) return true
      at = end
    }
    return false
  }

  #invalid(fault: string): ScanStep {
    this.fault = fault
    return 'invalid'
  }

  /** Has `count` bytes from the next position on in the window, at `at`. */
  #fill(segment: Segment, count: number): boolean {
    const within = this.#next - this.#windowBase
    if (within >= 0 && within + count <= this.#windowLength) {
      this.at = within
      return true
    }
    if (count > this.bytes.length) this.bytes = Buffer.allocUnsafeSlow(count)
    const wanted = Math.min(this.bytes.length, segment.end - this.#next)
    this.#windowBase = this.#next
    this.#windowLength = segment.readSync(this.bytes.subarray(0, wanted), this.#next)
    this.at = 0
    return this.#windowLength >= count
  }

  /**
   * What stands behind the end: the first valid record, if any, and whether anything but zeros does.
   *
   * @param reach nothing was written behind it
   */
  examineBehind(position: number, reach: number): { validPosition: number | undefined; isZero: boolean } {
    const window = Buffer.allocUnsafe(Math.min(WINDOW_BYTES, this.#log.segmentBytes))
    const zeros = Buffer.alloc(window.length)
    let isZero = true
    for (let at = position; ; ) {
      const segment = this.#log.segmentAt(at)
      if (segment === undefined || at >= reach) return { validPosition: undefined, isZero }
      // Beyond the reach as far as a record might that begins before it.
      const end = Math.min(segment.end, reach + MAGIC_START.length + 4)
      const count = segment.readSync(window.subarray(0, Math.min(window.length, end - at)), at)
      if (isZero && window.compare(zeros, 0, count, 0, count) !== 0) isZero = false
      // A magic number stands at byte 4 of its record; the windows overlap so that none is cut.
      for (let found = window.indexOf(MAGIC_START); found >= 0 && found < count; ) {
        const start = at + found - 4
        if (start > position && this.isRecordAt(start)) return { validPosition: start, isZero: false }
        found = window.indexOf(MAGIC_START, found + 1)
      }
      const reachedEnd = count === 0 || at + count >= end
      at = reachedEnd ? segment.end : at + count - MAGIC_START.length - 4
    }
  }

  isRecordAt(position: number): boolean {
    const segment = this.#log.segmentAt(position)
    if (segment === undefined) return false
    const left = segment.end - position
    if (left < SMALLEST_RECORD) return false
    const head = Buffer.alloc(4)
    segment.readSync(head, position)
    const size = head.readInt32BE(0)
    if (size < SMALLEST_RECORD || size > left || size > LARGEST_RECORD) return false
    const record = Buffer.allocUnsafe(size)
    if (segment.readSync(record, position) < size) return false
    return checkRecord(record, 0, size, { crc: true }) === size && readPosition(record, 0) === position
  }
}
