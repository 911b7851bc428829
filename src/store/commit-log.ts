import type { Disk, DiskError } from '../base/disk.ts'
import type { Log } from '../base/log.ts'
import { type Chunk, LogChunks } from './log-chunks.ts'
import { Segment } from './segment.ts'
import { StoreRefused } from './store-errors.ts'
import { firstByteOf, repairCommand } from './store-paths.ts'

/** A blank record, `| bytesLeft 0–3 | magic 4–7 |`, ends every segment that is full. */
export const BLANK_BYTES = 8
const MAGIC_BLANK = 0xcbd43194

export interface CommitLogOptions {
  disk: Disk
  directory: string
  segmentBytes: number
  chunkBytes: number
  chunkBudgetBytes: number
  log: Log
}

/**
 * The one log that all messages enter: its segments on disk, its end in memory, and how far each has got. Who writes,
 * syncs and reads it stands in other files; here is where bytes belong.
 */
export class CommitLog {
  readonly directory: string
  readonly segmentBytes: number
  readonly chunks: LogChunks
  /** End of what was appended: in memory, promised to nobody. */
  appended = 0
  /** Of what was appended last: a record of another log whose rest is still to come. It is not written before. */
  partialBytes = 0
  /** End of what `write()` has returned for. */
  written = 0
  /** A sync of a segment in use has failed that nobody waits for. */
  onSyncFailed: (error: DiskError) => void = () => {}
  readonly #disk: Disk
  readonly #log: Log
  #segments: Segment[] = []
  /** The segment after the last one, created ahead so that no append waits for it. */
  #prepared: Segment | undefined
  #preparedDurable = false
  /** Once is enough: the next try is made when the segment is needed. */
  #preparingFailed = false

  constructor(options: CommitLogOptions) {
    this.#disk = options.disk
    this.directory = options.directory
    this.segmentBytes = options.segmentBytes
    this.chunks = new LogChunks(options.chunkBytes, options.chunkBudgetBytes)
    this.#log = options.log
  }

  /** First position that is kept. */
  get min(): number {
    return this.#segments[0]?.base ?? this.appended
  }

  /** End of the last whole record appended. */
  get whole(): number {
    return this.appended - this.partialBytes
  }

  get segments(): readonly Segment[] {
    return this.#segments
  }

  /** Finds the segments; what stands in them is recovery's to find out. */
  load(): void {
    const names = this.#disk.listSync(this.directory).sort()
    for (const [index, name] of names.entries()) {
      const path = `${this.directory}/${name}`
      const stat = this.#disk.statSync(path)
      if (stat === undefined || stat.isDirectory) continue
      const base = firstByteOf(name)
      if (base === undefined) {
        throw new StoreRefused(`${path} does not belong in a commit log: move it away; only segments may be there`)
      }
      if (stat.sizeBytes === 0 && index === names.length - 1) {
        this.#disk.removeSync(path)
        this.#disk.syncDirectorySync(this.directory)
        this.#log.warn('empty last segment removed', { path })
        continue
      }
      if (base % this.segmentBytes !== 0 || stat.sizeBytes > this.segmentBytes) {
        throw new StoreRefused(
          `${path} of ${stat.sizeBytes} bytes does not fit mappedFileSizeCommitLog=${this.segmentBytes}: ` +
            'set it to the size with which this store was written',
        )
      }
      if (stat.sizeBytes < this.segmentBytes) {
        throw new StoreRefused(
          `${path} is short: ${stat.sizeBytes} of ${this.segmentBytes} bytes. Restore the file from a copy, ` +
            `or see what can be kept with: ${repairCommand(this.directory)}`,
        )
      }
      const before = this.#segments[this.#segments.length - 1]
      if (before !== undefined && before.end !== base) {
        throw new StoreRefused(
          `the commit log has a gap: ${before.path} ends at ${before.end}, and the next segment is ${path}. ` +
            `Restore what is missing, or see what can be kept with: ${repairCommand(this.directory)}`,
        )
      }
      this.#segments.push(new Segment(this.#disk, this.directory, base, this.segmentBytes))
    }
  }

  segmentAt(position: number): Segment | undefined {
    const first = this.#segments[0]
    if (first === undefined || position < first.base) return undefined
    return this.#segments[Math.floor((position - first.base) / this.segmentBytes)]
  }

  /** Takes the oldest segment out of the log, never the last one; its file is the caller's to remove. */
  retireFirst(): Segment {
    if (this.#segments.length < 2) throw new Error('the segment in use is not deleted')
    return this.#segments.shift()!
  }

  /** Sets the end of log that recovery found; nothing is in memory. */
  startAt(position: number): void {
    this.appended = position
    this.partialBytes = 0
    this.written = position
    this.chunks.clear()
  }

  /** Whether a record (or a whole batch) of `bytes` can stand in one segment at all. */
  fits(bytes: number): boolean {
    return bytes + BLANK_BYTES <= this.segmentBytes
  }

  /**
   * Goes to the next segment when `bytes` and a blank record do not fit into this one.
   *
   * @throws DiskError when the next segment cannot be created; then nothing has changed
   */
  makeRoom(bytes: number): void {
    const last = this.#segments[this.#segments.length - 1]
    if (last !== undefined && this.appended + bytes + BLANK_BYTES <= last.end) return
    if (last === undefined || this.appended >= last.end) {
      this.addSegment(this.appended - (this.appended % this.segmentBytes))
    } else {
      this.addSegment(last.end)
      this.#appendBlank(last.end - this.appended)
      this.appended = last.end
    }
    this.chunks.seal()
  }

  #appendBlank(bytesLeft: number): void {
    let chunk = this.chunks.last
    if (chunk === undefined || chunk.free < BLANK_BYTES || chunk.end !== this.appended) {
      chunk = this.chunks.openSmall(this.appended, BLANK_BYTES)
    }
    chunk.view.setInt32(chunk.length, bytesLeft)
    chunk.view.setUint32(chunk.length + 4, MAGIC_BLANK)
    chunk.length += BLANK_BYTES
  }

  /** The chunk in which the next `bytes` go, at `chunk.length`; after {@link makeRoom}. */
  chunkFor(bytes: number): Chunk {
    const chunk = this.chunks.last
    if (chunk !== undefined && chunk.free >= bytes && chunk.end === this.appended) return chunk
    return this.chunks.open(this.appended, bytes)
  }

  /** @throws DiskError */
  addSegment(base: number): void {
    let segment = this.#prepared
    if (segment?.base === base) {
      try {
        if (!this.#preparedDurable) this.#makeDurable(segment)
      } catch (error) {
        // A second try on the same file would prove nothing.
        this.dropPrepared()
        throw error
      }
    } else {
      this.dropPrepared()
      segment = this.#create(base)
      try {
        this.#makeDurable(segment)
      } catch (error) {
        this.#discard(segment)
        throw error
      }
    }
    this.#prepared = undefined
    this.#preparingFailed = false
    this.#segments.push(segment)
  }

  /** Creates the next segment ahead when this one is half full; its sync runs off the loop. */
  prepareNext(): void {
    const last = this.#segments[this.#segments.length - 1]
    if (last === undefined || this.#prepared !== undefined || this.#preparingFailed) return
    if (this.appended < last.base + this.segmentBytes / 2) return
    let segment: Segment
    try {
      segment = this.#create(last.end)
    } catch (cause) {
      this.#preparingFailed = true
      this.#log.warn('next segment not prepared', { path: this.directory, cause })
      return
    }
    this.#prepared = segment
    this.#preparedDurable = false
    segment.datasync((error: DiskError | null) => {
      if (this.#prepared !== segment) {
        // In use in the meantime: what the kernel drops with this includes records, and no later sync would tell.
        if (error !== null && this.#segments.includes(segment)) this.onSyncFailed(error)
        return
      }
      try {
        if (error !== null) throw error
        this.#disk.syncDirectorySync(this.directory)
        this.#preparedDurable = true
      } catch (cause) {
        this.#preparingFailed = true
        this.#log.warn('next segment not prepared', { path: segment.path, cause })
        this.dropPrepared()
      }
    })
  }

  /** A clean stop leaves no empty segment behind. */
  dropPrepared(): void {
    if (this.#prepared === undefined) return
    this.#discard(this.#prepared)
    this.#prepared = undefined
  }

  #create(base: number): Segment {
    if (this.#disk.statSync(this.directory) === undefined) this.#disk.makeDirectorySync(this.directory)
    const segment = new Segment(this.#disk, this.directory, base, this.segmentBytes)
    try {
      segment.create()
    } catch (error) {
      this.#discard(segment)
      throw error
    }
    return segment
  }

  /** Length and name are on the device before the first record is, so no crash leaves a short segment. */
  #makeDurable(segment: Segment): void {
    segment.file.datasyncSync()
    this.#disk.syncDirectorySync(this.directory)
  }

  #discard(segment: Segment): void {
    try {
      segment.remove()
    } catch (cause) {
      this.#log.warn('empty segment not removed', { path: segment.path, cause })
    }
  }

  /** Bytes from memory, which stay as they are; undefined when they are not (all) there. */
  view(position: number, sizeBytes: number): Buffer | undefined {
    const chunk = this.chunks.find(position)
    if (chunk === undefined || position + sizeBytes > chunk.end) return undefined
    const at = position - chunk.base
    chunk.isShared = true
    return chunk.bytes.subarray(at, at + sizeBytes)
  }

  /** Bytes from memory or the file, up to what is written; shorter at the end of a segment. */
  bytesAt(position: number, sizeBytes: number): Buffer {
    const view = this.view(position, sizeBytes)
    if (view !== undefined) return view
    const segment = this.segmentAt(position)
    if (segment === undefined) return Buffer.alloc(0)
    const bytes = Buffer.allocUnsafe(Math.min(sizeBytes, segment.end - position))
    return bytes.subarray(0, segment.readSync(bytes, position))
  }

  /** Forgets the beginning of a record whose rest does not come. */
  dropPartial(): void {
    if (this.partialBytes === 0) return
    this.appended = this.whole
    this.partialBytes = 0
    this.chunks.cut(this.appended)
  }

  /** Makes durable what stands behind `position`. */
  syncFrom(position: number): void {
    for (const segment of this.#segments) if (segment.end > position) segment.file.datasyncSync()
  }

  /** Takes back what was appended but never written, after a failed write. */
  takeBack(): void {
    this.chunks.cut(this.written)
    this.appended = this.written
    this.partialBytes = 0
    this.dropPrepared()
    while (this.#segments.length > 1 && this.#segments[this.#segments.length - 1]!.base >= this.appended) {
      this.#discard(this.#segments.pop()!)
    }
  }

  /**
   * Makes zero what a failed write may have left behind the end, through a new descriptor.
   *
   * @param reach nothing was written behind it
   */
  cleanEnd(reach: number): void {
    const segment = this.segmentAt(this.appended)
    if (segment === undefined) return
    segment.reopen()
    zeroFrom(segment, this.appended, reach)
  }

  /** Writes a range again as it stands, and syncs it. */
  persistFrom(position: number, end: number): void {
    const piece = Buffer.allocUnsafe(Math.min(PIECE_BYTES, this.segmentBytes))
    for (const segment of this.#segments) {
      if (segment.end <= position) continue
      for (let at = Math.max(position, segment.base); at < Math.min(end, segment.end); at += piece.length) {
        const wanted = Math.min(piece.length, Math.min(end, segment.end) - at)
        segment.writeSync(piece.subarray(0, segment.readSync(piece.subarray(0, wanted), at)), at)
      }
      segment.file.datasyncSync()
    }
  }

  /**
   * Drops everything from `position` on: later segments first, so that a crash in between leaves no gap. Durable.
   *
   * @param reach nothing was written behind it
   */
  truncateTo(position: number, reach: number): void {
    this.dropPrepared()
    while (this.#segments.length > 0 && this.#segments[this.#segments.length - 1]!.base >= position) {
      // The very first segment stays, empty, so that its address is not forgotten.
      if (this.#segments.length === 1 && this.#segments[0]!.base === position) break
      const segment = this.#segments.pop()!
      segment.remove()
      this.#disk.syncDirectorySync(this.directory)
    }
    const last = this.#segments[this.#segments.length - 1]
    if (last !== undefined && position < last.end) {
      zeroFrom(last, position, reach)
      last.file.datasyncSync()
    }
    this.startAt(position)
  }

  close(): void {
    this.dropPrepared()
    for (const segment of this.#segments) segment.close()
  }
}

const PIECE_BYTES = 262_144
const PAGE_BYTES = 4096

/** Overwrites what is not zero from `position` to the end of the segment, or to `reach`. */
function zeroFrom(segment: Segment, position: number, reach: number): void {
  const end = Math.min(segment.end, reach)
  if (position >= end) return
  const piece = Buffer.allocUnsafe(Math.min(PIECE_BYTES, end - position))
  const zeros = Buffer.alloc(piece.length)
  for (let at = position; at < end; at += piece.length) {
    const count = segment.readSync(piece, at)
    if (count === 0) return
    // Page by page: a page that is a hole would need space, which a full disk has not.
    for (let start = 0, end = 0; start < count; start = end) {
      end = Math.min(count, start + PAGE_BYTES - ((at + start - segment.base) % PAGE_BYTES))
      if (piece.compare(zeros, 0, end - start, start, end) !== 0)
        segment.writeSync(zeros.subarray(start, end), at + start)
    }
  }
}
