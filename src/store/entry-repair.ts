import { checkRecord, readPosition, readQueueId, readQueueOffset, readSize, topicRange } from '../protocol/message.ts'
import { checkPropertyCrc } from '../protocol/property-crc.ts'
import type { CommitLog } from './commit-log.ts'
import type { ConsumeQueues } from './consume-queue.ts'
import type { DamageLog } from './damage-log.ts'
import type { Dispatcher } from './dispatch.ts'
import { LogScanner } from './log-scanner.ts'
import type { QueueTable } from './queue-table.ts'
import { FILLER_SIZE, unitPosition, unitPresent, unitSize } from './queue-unit.ts'

/** How many neighbours of an entry are looked at for the places between which its record stands. */
const NEIGHBOURS = 16
/** As much of the log is searched for one record; a queue that is used more rarely must be repaired at rest. */
const SEARCH_BYTES = 16_777_216

export interface Found {
  position: number
  sizeBytes: number
}

/**
 * A consume queue is derived from the log: an entry that points to something else than its message is found again
 * between the records of its neighbours, and written as it should be.
 */
export class EntryRepair {
  readonly #commitLog: CommitLog
  readonly #table: QueueTable
  readonly #queues: ConsumeQueues
  readonly #dispatcher: Dispatcher
  readonly #damage: DamageLog
  /** Records carry a checksum of the whole, unless they were stored before they did. */
  readonly #recordChecksums: boolean

  constructor(parts: {
    commitLog: CommitLog
    table: QueueTable
    queues: ConsumeQueues
    dispatcher: Dispatcher
    damage: DamageLog
    recordChecksums: boolean
  }) {
    this.#commitLog = parts.commitLog
    this.#table = parts.table
    this.#queues = parts.queues
    this.#dispatcher = parts.dispatcher
    this.#damage = parts.damage
    this.#recordChecksums = parts.recordChecksums
  }

  /** Whether the record that begins at `at` is the message of this queue and offset, at this position. */
  isMessage(record: Buffer, at: number, queue: number, queueOffset: number, position: number): boolean {
    if (readPosition(record, at) !== position || readQueueOffset(record, at) !== queueOffset) return false
    if (readQueueId(record, at) !== this.#table.queueId[queue]) return false
    const topic = this.#table.topicOf(queue)
    const { start, end } = topicRange(record, at)
    if (topic !== undefined && record.compare(topic.bytes, 0, topic.bytes.length, start, end) !== 0) return false
    return !this.#recordChecksums || checkPropertyCrc(record, at, readSize(record, at)) !== 'wrong'
  }

  /** Where the message truly stands; undefined when the log does not have it whole. @throws DiskError */
  repair(queue: number, queueOffset: number): Found | undefined {
    const from = this.#neighbour(queue, queueOffset, -1) ?? this.#commitLog.min
    const end = this.#neighbour(queue, queueOffset, 1) ?? this.#commitLog.written
    const scanner = new LogScanner(this.#commitLog, true)
    scanner.seek(from)
    while (scanner.step() === 'record' && scanner.position < end && scanner.position - from < SEARCH_BYTES) {
      const { position, sizeBytes } = scanner
      if (!this.isMessage(scanner.bytes, scanner.at, queue, queueOffset, position)) continue
      const dispatcher = this.#dispatcher
      if (!dispatcher.parse(scanner.bytes, scanner.at) || dispatcher.queue !== queue) return undefined
      this.#queues.restore(queue, queueOffset, position, sizeBytes, dispatcher.tagsLow, dispatcher.tagsHigh)
      const topic = this.#table.topicOf(queue)?.name
      this.#damage.say(
        'damaged entry of a consume queue written again from the log',
        `${topic}/${this.#table.queueId[queue]}`,
        queueOffset,
      )
      return { position, sizeBytes }
    }
    return undefined
  }

  /** Of the nearest neighbour that points to its own message: where the search begins behind it, or ends before it. */
  #neighbour(queue: number, queueOffset: number, step: 1 | -1): number | undefined {
    const { min, max } = this.#table
    for (let away = 1; away <= NEIGHBOURS; away++) {
      const offset = queueOffset + step * away
      if (offset < min[queue]! || offset >= max[queue]!) return undefined
      const units = this.#queues.units(queue, offset, 1)
      if (units.count === 0 || !unitPresent(units.view, units.at)) continue
      const position = unitPosition(units.view, units.at)
      const sizeBytes = unitSize(units.view, units.at)
      if (sizeBytes === FILLER_SIZE || position < this.#commitLog.min) continue
      const record = this.#recordAt(position, sizeBytes)
      if (record !== undefined && this.isMessage(record, 0, queue, offset, position)) {
        return step < 0 ? position + sizeBytes : position
      }
    }
    return undefined
  }

  #recordAt(position: number, sizeBytes: number): Buffer | undefined {
    const segment = this.#commitLog.segmentAt(position)
    if (segment === undefined || position + sizeBytes > segment.end) return undefined
    if (this.#commitLog.bytesAt(position, 4).readInt32BE(0) !== sizeBytes) return undefined
    const record = this.#commitLog.bytesAt(position, sizeBytes)
    return checkRecord(record, 0, record.length, { crc: false }) === sizeBytes ? record : undefined
  }
}
