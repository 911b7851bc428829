import type { Disk, DiskFile } from '../../base/disk.ts'
import { checkRecord, MAGIC_BLANK, readPosition } from '../../protocol/message.ts'
import { BLANK_BYTES } from '../commit-log.ts'
import type { FoundSegment } from './store-directory.ts'

const WINDOW_BYTES = 4_194_304
const SMALLEST_RECORD = 91
/** Beyond this a length is not believed. */
const LARGEST_RECORD = 134_217_728
const MAGIC_START = Buffer.from([0xda, 0xa3, 0x20])
const BLANK_START = Buffer.alloc(4)
BLANK_START.writeInt32BE(MAGIC_BLANK)

/** Bytes of the log that do not read as records, with something valid behind them. */
export interface DamagedRange {
  position: number
  /** Within one segment: where the next record or the blank record begins, or the end of the segment. */
  end: number
  /** undefined when the whole file is missing. */
  segment: FoundSegment | undefined
  what: string
  /** Of the message before it, or of the one behind when it is the first. */
  storeTimestamp: number
}

export interface LogVisitor {
  /** The bytes are valid during the call. @returns why it cannot be what it seems: then it is damaged after all */
  record(bytes: Buffer, at: number, position: number, sizeBytes: number): string | undefined
  damage(range: Omit<DamagedRange, 'storeTimestamp'>): void
  progress(doneBytes: number): void
}

export interface LogTail {
  /** Where the log ends. */
  end: number
  /** Whether nothing but zeros stands behind the end. */
  isZero: boolean
  /** Why the next record is none; '' behind zeros. */
  what: string
}

/**
 * Reads a log offline from its first byte to its last, over damage and missing files. The end is where nothing valid
 * follows; what lies before it and cannot be read is damage.
 */
export class LogWalk {
  readonly #disk: Disk
  readonly #segments: readonly FoundSegment[]
  readonly #segmentBytes: number
  readonly #crc: boolean
  #window = Buffer.allocUnsafeSlow(WINDOW_BYTES)
  #windowBase = 0
  #windowLength = 0
  #file: DiskFile | undefined
  #segment: FoundSegment | undefined
  #done = 0
  #what = ''
  #visitor: LogVisitor | undefined

  constructor(parts: { disk: Disk; segments: readonly FoundSegment[]; segmentBytes: number; crc: boolean }) {
    this.#disk = parts.disk
    this.#segments = parts.segments.filter(({ sizeBytes }) => sizeBytes > 0)
    this.#segmentBytes = parts.segmentBytes
    this.#crc = parts.crc
  }

  run(visitor: LogVisitor): LogTail {
    this.#visitor = visitor
    try {
      return this.#run(visitor)
    } finally {
      this.#close()
    }
  }

  #run(visitor: LogVisitor): LogTail {
    let tail: LogTail = { end: this.#segments[0]?.base ?? 0, isZero: true, what: '' }
    for (const [index, segment] of this.#segments.entries()) {
      const before = this.#segments[index - 1]
      if (before !== undefined && before.base + this.#segmentBytes < segment.base) {
        for (let base = before.base + this.#segmentBytes; base < segment.base; base += this.#segmentBytes) {
          const end = Math.min(segment.base, base + this.#segmentBytes)
          visitor.damage({ position: base, end, segment: undefined, what: 'a segment is missing' })
        }
      }
      this.#openSegment(segment)
      const end = this.#walkSegment(index, segment, visitor)
      if (end !== undefined) {
        tail = { end, isZero: this.#isZeroFrom(index, end), what: this.#what }
        break
      }
      this.#done += segment.sizeBytes
      tail = { end: segment.base + this.#segmentBytes, isZero: true, what: '' }
    }
    visitor.progress(this.#segments.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0))
    return tail
  }

  /** @returns where the log ends, when it ends in this segment */
  #walkSegment(index: number, segment: FoundSegment, visitor: LogVisitor): number | undefined {
    const end = segment.base + this.#segmentBytes
    for (let position = segment.base; position < end; ) {
      const size = this.#sizeAt(position, end)
      if (size === 'blank') return undefined
      if (size > 0) {
        const fault = visitor.record(this.#window, position - this.#windowBase, position, size)
        if (fault !== undefined) visitor.damage({ position, end: position + size, segment, what: fault })
        position += size
        continue
      }
      const what = this.#what
      const next = this.#nextValid(index, position)
      this.#what = what
      if (next === undefined) return position
      const isHere = next < end
      const to = isHere ? next : end
      visitor.damage({ position, end: to, segment, what })
      if (!isHere) return undefined
      this.#openSegment(segment)
      position = to
    }
    return undefined
  }

  /** Of the record at a position; 0 when none is valid there. */
  #sizeAt(position: number, end: number): number | 'blank' {
    const left = end - position
    if (left < BLANK_BYTES) return this.#fault('no blank record ends the segment')
    if (!this.#fill(position, BLANK_BYTES)) return this.#fault('the file ends here')
    const at = position - this.#windowBase
    const size = this.#window.readInt32BE(at)
    if (this.#window.readInt32BE(at + 4) === MAGIC_BLANK && size === left) return 'blank'
    if (size === 0 && this.#window.readInt32BE(at + 4) === 0) return this.#fault('zeros instead of a record')
    if (size < SMALLEST_RECORD || size > left || size > LARGEST_RECORD) return this.#fault('no record begins here')
    if (!this.#fill(position, size)) return this.#fault('the file ends within a record')
    return this.#faultIn(this.#window, position - this.#windowBase, size, position) ? 0 : size
  }

  #faultIn(bytes: Buffer, at: number, size: number, position: number): boolean {
    if (checkRecord(bytes, at, at + size, { crc: false }) !== size) this.#what = 'the lengths of a record do not add up'
    else if (readPosition(bytes, at) !== position) this.#what = 'a record says that it belongs elsewhere'
    else if (this.#crc && checkRecord(bytes, at, at + size, { crc: true }) !== size) {
      this.#what = 'the checksum of a body is wrong'
    } else return false
    return true
  }

  #fault(what: string): 0 {
    this.#what = what
    return 0
  }

  /** The first valid record, or blank record, behind a position, in this segment or a later one. */
  #nextValid(index: number, position: number): number | undefined {
    const window = Buffer.allocUnsafeSlow(Math.min(WINDOW_BYTES, this.#segmentBytes))
    for (let current = index; current < this.#segments.length; current++) {
      const segment = this.#segments[current]!
      const file = this.#openSegment(segment)
      const from = current === index ? position + 1 : segment.base
      for (let at = from; at < segment.base + segment.sizeBytes; ) {
        const count = file.readSync(window, at - segment.base)
        const found = this.#firstValidIn(window.subarray(0, count), at, segment)
        if (found !== undefined) return found
        if (count < window.length) break
        at += count - BLANK_BYTES + 1
        this.#tell(at)
      }
    }
    return undefined
  }

  /** Magic numbers stand at byte 4, of records as of blank records. */
  #firstValidIn(window: Buffer, base: number, segment: FoundSegment): number | undefined {
    const end = segment.base + this.#segmentBytes
    let record = window.indexOf(MAGIC_START)
    let blank = window.indexOf(BLANK_START)
    while (record >= 0 || blank >= 0) {
      const isRecord = record >= 0 && (blank < 0 || record < blank)
      const found = isRecord ? record : blank
      const position = base + found - 4
      if (found >= 4) {
        const size = this.#sizeAt(position, end)
        if (size === 'blank' || size > 0) return position
      }
      if (isRecord) record = window.indexOf(MAGIC_START, found + 1)
      else blank = window.indexOf(BLANK_START, found + 1)
    }
    return undefined
  }

  #isZeroFrom(index: number, position: number): boolean {
    const window = Buffer.allocUnsafeSlow(Math.min(WINDOW_BYTES, this.#segmentBytes))
    const zeros = Buffer.alloc(window.length)
    for (const segment of this.#segments.slice(index)) {
      const file = this.#openSegment(segment)
      for (let at = Math.max(position, segment.base); at < segment.base + segment.sizeBytes; ) {
        const count = file.readSync(window, at - segment.base)
        if (count === 0) break
        if (window.compare(zeros, 0, count, 0, count) !== 0) return false
        at += count
        this.#tell(at)
      }
    }
    return true
  }

  #openSegment(segment: FoundSegment): DiskFile {
    if (this.#segment === segment) return this.#file!
    this.#close()
    this.#segment = segment
    this.#file = this.#disk.openSync(segment.path, 'read')
    this.#windowLength = 0
    return this.#file
  }

  #close(): void {
    this.#file?.closeSync()
    this.#file = undefined
    this.#segment = undefined
  }

  #tell(position: number): void {
    this.#visitor?.progress(this.#done + position - this.#segment!.base)
  }

  /** Has `count` bytes from `position` on in the window; false when the file does not. */
  #fill(position: number, count: number): boolean {
    const within = position - this.#windowBase
    if (within >= 0 && within + count <= this.#windowLength) return true
    if (count > this.#window.length) this.#window = Buffer.allocUnsafeSlow(count)
    this.#windowBase = position
    this.#windowLength = this.#file!.readSync(this.#window, position - this.#segment!.base)
    this.#tell(position)
    return this.#windowLength >= count
  }
}
