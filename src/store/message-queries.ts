import type { Log } from '../base/log.ts'
import type { Scheduler } from '../base/scheduler.ts'
import { checkRecord, readPosition } from '../protocol/message.ts'
import { checkPropertyCrc } from '../protocol/property-crc.ts'
import type { CommitLog } from './commit-log.ts'
import type { DeletedTopics } from './deleted-topics.ts'
import { indexHash, isIndexedUnder } from './index-keys.ts'
import { mayHold, positionsIn } from './index-search.ts'
import type { KeyIndex } from './key-index.ts'

export interface MessageQuery {
  topic: string
  /** A key, a unique key, or a whole tag. */
  key: string
  isTag: boolean
  maxCount: number
  /** Store times, both included; the index tells them to a second. */
  beginTimestamp: number
  endTimestamp: number
}

export interface QueriedMessages {
  /** Whole records, the oldest first. */
  records: Buffer[]
  /** Of the newest record in the index; 0 when nothing was found. */
  lastTimestamp: number
  lastPosition: number
}

const NOTHING: QueriedMessages = { records: [], lastTimestamp: 0, lastPosition: 0 }

/** A query looks so long at most, and answers with what it has found. */
const QUERY_MS = 5_000
/** … of it, so long for messages that are not in the index yet. */
const CATCH_UP_MS = 2_000
/** Running at the same time. */
const QUERIES = 4
/** What one answer may hold; clients refuse frames of 16 MiB. */
const ANSWER_BYTES = 12_582_912
/** Most records are whole in it. */
const FIRST_BYTES = 4096
const SMALLEST_RECORD = 91
const LARGEST_RECORD = 134_217_728

/**
 * Answers queries by key. All that must be read from a disk is read off the loop, and the number of queries, their time
 * and their answers are bounded. Each record is looked at: another key may have the same hash.
 */
export class MessageQueries {
  readonly #index: KeyIndex | undefined
  readonly #commitLog: CommitLog
  readonly #deletedTopics: DeletedTopics
  readonly #scheduler: Scheduler
  readonly #log: Log
  readonly #settings: { maxMsgsNumBatch: number; enabledAppendPropCRC: boolean }
  readonly #readable: () => number
  readonly probe = { queries: 0, queriedMessages: 0, queryCollisions: 0, queriesCut: 0 }
  #running = 0
  #waiting: (() => void)[] = []

  constructor(parts: {
    index: KeyIndex | undefined
    commitLog: CommitLog
    deletedTopics: DeletedTopics
    scheduler: Scheduler
    log: Log
    /** Read anew by each query. */
    settings: { maxMsgsNumBatch: number; enabledAppendPropCRC: boolean }
    /** End of what consumers may see. */
    readable: () => number
  }) {
    this.#index = parts.index
    this.#commitLog = parts.commitLog
    this.#deletedTopics = parts.deletedTopics
    this.#scheduler = parts.scheduler
    this.#log = parts.log
    this.#settings = parts.settings
    this.#readable = parts.readable
  }

  async query(query: MessageQuery): Promise<QueriedMessages> {
    const index = this.#index
    if (index === undefined) return NOTHING
    const deadline = this.#scheduler.monotonic() + QUERY_MS
    this.probe.queries++
    if (this.#running >= QUERIES) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    else this.#running++
    try {
      const catchUp = Math.min(deadline, this.#scheduler.monotonic() + CATCH_UP_MS)
      await index.awaitPosition(this.#readable(), catchUp)
      return await this.#search(index, query, deadline)
    } finally {
      const next = this.#waiting.shift()
      if (next !== undefined) next()
      else if (--this.#running === 0) index.closeIdle()
    }
  }

  async #search(index: KeyIndex, query: MessageQuery, deadline: number): Promise<QueriedMessages> {
    const maxCount = Math.min(query.maxCount, this.#settings.maxMsgsNumBatch)
    const question = { ...query, hash: indexHash(query.topic, query.key, query.isTag), deadline }
    const files = [...index.files].reverse()
    const found = new Map<number, Buffer>()
    const newest = files[0]?.header
    const end = { lastTimestamp: newest?.endTimestamp ?? 0, lastPosition: newest?.endPosition ?? 0 }
    let answerBytes = 0
    for (const file of files) {
      if (found.size >= maxCount || answerBytes >= ANSWER_BYTES || this.#isLate(deadline)) break
      if (file.header.endPosition < this.#commitLog.min) break
      if (mayHold(file, query.beginTimestamp, query.endTimestamp)) {
        try {
          for await (const position of positionsIn(file, question, this.#scheduler)) {
            if (position < this.#commitLog.min) break
            const record = found.has(position) ? undefined : await this.#matching(position, query)
            if (record !== undefined) {
              if (answerBytes + record.length > ANSWER_BYTES && found.size > 0) {
                answerBytes = ANSWER_BYTES
                break
              }
              answerBytes += record.length
              found.set(position, record)
            }
            if (found.size >= maxCount || this.#isLate(deadline)) break
          }
        } catch (cause) {
          if (index.files.includes(file)) {
            this.#log.error('index file left out of a query', { path: file.path, cause })
          }
        }
      }
      if (file.header.beginTimestamp < query.beginTimestamp) break
    }
    if (this.#isLate(deadline)) this.probe.queriesCut++
    if (found.size === 0) return NOTHING
    this.probe.queriedMessages += found.size
    const records = [...found].sort(([left], [right]) => left - right).map(([, record]) => record)
    return { records, ...end }
  }

  #isLate(deadline: number): boolean {
    return this.#scheduler.monotonic() > deadline
  }

  /** The record, if it is truly what is asked for. */
  async #matching(position: number, { topic, key, isTag }: MessageQuery): Promise<Buffer | undefined> {
    if (this.#deletedTopics.holds(topic, position)) return undefined
    const record = await this.#recordAt(position).catch((error) => {
      if (position < this.#commitLog.min) return undefined // expired while it was read
      throw error
    })
    if (record === undefined) return undefined
    if (isIndexedUnder(record, topic, key, isTag)) return record
    this.probe.queryCollisions++
    return undefined
  }

  /** One whole record, verified; from memory as a view, from the disk off the loop. */
  async #recordAt(position: number): Promise<Buffer | undefined> {
    const readable = this.#readable()
    if (position + SMALLEST_RECORD > readable) return undefined
    const head = await this.#bytesAt(position, Math.min(FIRST_BYTES, readable - position))
    if (head.length < SMALLEST_RECORD || readPosition(head, 0) !== position) return undefined
    const sizeBytes = head.readInt32BE(0)
    if (sizeBytes < SMALLEST_RECORD || sizeBytes > LARGEST_RECORD || position + sizeBytes > readable) return undefined
    const record = sizeBytes <= head.length ? head.subarray(0, sizeBytes) : await this.#bytesAt(position, sizeBytes)
    const isWhole = checkRecord(record, 0, record.length, { crc: true }) === sizeBytes
    const isRight = !this.#settings.enabledAppendPropCRC || checkPropertyCrc(record, 0, sizeBytes) !== 'wrong'
    if (isWhole && isRight) return record
    this.#log.error('damaged record not served', { position, path: this.#commitLog.segmentAt(position)?.path })
    return undefined
  }

  #bytesAt(position: number, sizeBytes: number): Promise<Buffer> {
    const size = this.#commitLog.view(position, 4)?.readInt32BE(0) ?? 0
    if (size >= SMALLEST_RECORD && size <= LARGEST_RECORD) {
      const view = this.#commitLog.view(position, size)
      if (view !== undefined) return Promise.resolve(view)
    }
    const segment = this.#commitLog.segmentAt(position)
    if (segment === undefined) return Promise.resolve(Buffer.alloc(0))
    const bytes = Buffer.allocUnsafe(Math.min(sizeBytes, segment.end - position))
    return new Promise((resolve, reject) => {
      segment.read(bytes, position, (error, count) =>
        error === null ? resolve(bytes.subarray(0, count)) : reject(error),
      )
    })
  }
}
