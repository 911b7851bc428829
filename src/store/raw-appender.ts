import { checkRecord, MAGIC_BLANK } from '../protocol/message.ts'
import { BLANK_BYTES, type CommitLog } from './commit-log.ts'
import type { Dispatcher } from './dispatch.ts'
import type { Chunk } from './log-chunks.ts'
import type { PendingRecords } from './pending-records.ts'
import type { QueueTable } from './queue-table.ts'

/** Another log sent what is not its continuation. */
export class RawBytesRefused extends Error {
  override readonly name = 'RawBytesRefused'
}

/**
 * Appends the bytes of another log just as they are, cut wherever the wire cut them. A record is dispatched once it is
 * whole and verified.
 */
export class RawAppender {
  readonly #commitLog: CommitLog
  readonly #table: QueueTable
  readonly #pending: PendingRecords
  readonly #dispatcher: Dispatcher
  /** Where the first record begins that is not whole yet. */
  #parsed: number

  constructor(commitLog: CommitLog, table: QueueTable, pending: PendingRecords, dispatcher: Dispatcher) {
    this.#commitLog = commitLog
    this.#table = table
    this.#pending = pending
    this.#dispatcher = dispatcher
    this.#parsed = commitLog.appended
  }

  /** All before it is whole records. */
  get parsed(): number {
    return this.#parsed
  }

  /** The log ends elsewhere now: after an append of our own, a truncation, a failed write. */
  restart(position: number): void {
    this.#parsed = position
  }

  append(position: number, bytes: Uint8Array): void {
    const log = this.#commitLog
    if (log.segments.length === 0 && log.appended === 0 && position % log.segmentBytes === 0) {
      log.startAt(position)
      this.#parsed = position
    }
    if (position !== log.appended) {
      throw new RawBytesRefused(`bytes for position ${position}, but the log ends at ${log.appended}`)
    }
    try {
      for (let done = 0; done < bytes.length; ) done += this.#appendSome(bytes.subarray(done))
    } finally {
      log.partialBytes = Math.max(0, log.appended - this.#parsed)
    }
  }

  /** Up to the end of the segment. */
  #appendSome(bytes: Uint8Array): number {
    const log = this.#commitLog
    if (log.segmentAt(log.appended) === undefined) {
      log.addSegment(log.appended - (log.appended % log.segmentBytes))
      log.chunks.seal()
    }
    const { end } = log.segmentAt(log.appended)!
    const count = Math.min(bytes.length, end - log.appended)
    const chunk = this.#chunkFor(count)
    chunk.bytes.set(bytes.subarray(0, count), chunk.length)
    chunk.length += count
    log.appended += count
    this.#parse(chunk, end)
    return count
  }

  /** A new chunk begins with the unfinished record, so that every record is whole in one chunk. */
  #chunkFor(count: number): Chunk {
    const { chunks, appended } = this.#commitLog
    const last = chunks.last
    const isFill = this.#parsed > appended
    if (last?.isRaw === true && last.isFill === isFill && last.end === appended && last.free >= count) return last
    const begun = Math.max(0, appended - this.#parsed)
    const start = appended - begun
    const begunBytes = begun === 0 ? undefined : Buffer.from(this.#commitLog.bytesAt(start, begun))
    if (last !== undefined && last.end > start) last.length = Math.max(0, start - last.base)
    const chunk = chunks.open(start, begun + count)
    chunk.isRaw = true
    chunk.isFill = isFill
    if (begunBytes !== undefined) {
      chunk.bytes.set(begunBytes)
      chunk.length = begun
    }
    return chunk
  }

  #parse(chunk: Chunk, segmentEnd: number): void {
    while (this.#parsed < chunk.end && chunk.end - this.#parsed >= BLANK_BYTES) {
      const at = this.#parsed - chunk.base
      const size = chunk.view.getInt32(at)
      if (chunk.view.getInt32(at + 4) === MAGIC_BLANK && size === segmentEnd - this.#parsed) {
        this.#parsed = segmentEnd
        return
      }
      if (size <= 0 || size > segmentEnd - this.#parsed) {
        throw new RawBytesRefused(`no record at position ${this.#parsed}`)
      }
      if (size > chunk.end - this.#parsed) return // the rest is still to come
      if (checkRecord(chunk.bytes, at, at + size, { crc: true }) !== size) {
        throw new RawBytesRefused(`invalid record at position ${this.#parsed}`)
      }
      const dispatcher = this.#dispatcher
      if (dispatcher.parse(chunk.bytes, at)) {
        const { queue, queueOffset, tagsLow, tagsHigh } = dispatcher
        this.#table.next[queue] = queueOffset + 1
        this.#pending.push(queue, queueOffset, this.#parsed, size, tagsLow, tagsHigh)
      }
      this.#parsed += size
    }
  }
}
