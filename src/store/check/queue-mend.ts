import type { Disk, DiskFile } from '../../base/disk.ts'
import {
  FILLER_SIZE,
  isExtensionAddress,
  UNIT_BYTES,
  unitPosition,
  unitPresent,
  unitSize,
  writeUnit,
} from '../queue-unit.ts'
import { fileNameOf } from '../store-paths.ts'
import { keyOf } from './queue-check.ts'
import type { QueuePlace } from './queue-place.ts'
import { QueueUnits } from './queue-units.ts'
import type { StoreDirectory } from './store-directory.ts'

/** Behind the last entry so many are made absent. */
const BEHIND_UNITS = 4096
/** Byte of an entry at which its tag code stands. */
const TAGS_AT = 12

interface Mending {
  topic: string
  queueId: number
  next: number
  path: string
  file: DiskFile | undefined
}

/** Writes the entries of chosen queues anew, while somebody walks over the log. */
export class QueueMend {
  written = 0
  readonly #disk: Disk
  readonly #directory: StoreDirectory
  readonly #place: QueuePlace
  readonly #chosen: ReadonlySet<string>
  readonly #extendedTopics: ReadonlySet<string>
  readonly #queues = new Map<string, Mending>()
  readonly #unit = Buffer.alloc(UNIT_BYTES)
  readonly #there = Buffer.alloc(UNIT_BYTES)

  constructor(parts: { directory: StoreDirectory; place: QueuePlace; chosen: ReadonlySet<string> }) {
    this.#disk = parts.directory.disk
    this.#directory = parts.directory
    this.#place = parts.place
    this.#chosen = parts.chosen
    this.#extendedTopics = new Set(this.#disk.listSync(parts.directory.paths.consumeQueueExtensions))
  }

  /** A record whose place was just parsed. */
  record(position: number, sizeBytes: number): void {
    const { topic, queueId, queueOffset, tagsLow, tagsHigh } = this.#place
    const key = keyOf(topic, queueId)
    if (!this.#chosen.has(key)) return
    let queue = this.#queues.get(key)
    if (queue === undefined) {
      queue = { topic, queueId, next: queueOffset, path: '', file: undefined }
      this.#queues.set(key, queue)
    }
    const view = new DataView(this.#unit.buffer, this.#unit.byteOffset, UNIT_BYTES)
    // A hole would end the queue for both brokers.
    for (; queue.next < queueOffset; queue.next++) {
      writeUnit(view, 0, 0, FILLER_SIZE, 0, 0)
      this.#put(queue, queue.next, true)
    }
    writeUnit(view, 0, position, sizeBytes, tagsLow, tagsHigh)
    this.#put(queue, queueOffset, false)
    queue.next = queueOffset + 1
  }

  /** @param isGap leaves an entry that is there */
  #put(queue: Mending, queueOffset: number, isGap: boolean): void {
    const file = this.#fileAt(queue, queueOffset)
    const byte = this.#byteOf(queueOffset)
    this.#there.fill(0)
    file.readSync(this.#there, byte)
    const isThere = unitPresent(new DataView(this.#there.buffer, this.#there.byteOffset, UNIT_BYTES), 0)
    if (isGap ? isThere : this.#isSame(queue.topic)) return
    file.writeSync(this.#unit, byte)
    this.written++
  }

  /** Times of delivery depend on a setting; and an address in Java's extension files may stand in place of a tag code. */
  #isSame(topic: string): boolean {
    const there = this.#there
    if (there.compare(this.#unit, 0, TAGS_AT, 0, TAGS_AT) !== 0) return false
    const isExtended =
      this.#extendedTopics.has(topic) && isExtensionAddress(there.readInt32BE(TAGS_AT + 4), there.readInt32BE(TAGS_AT))
    return isExtended || this.#place.isSchedule || there.equals(this.#unit)
  }

  /** Makes absent what stands behind the ends, and durable what was written. */
  finish(logEnd: number): void {
    this.#addUnmet(logEnd)
    const zeros = Buffer.alloc(BEHIND_UNITS * UNIT_BYTES)
    for (const queue of this.#queues.values()) {
      const file = this.#fileAt(queue, queue.next)
      const byte = this.#byteOf(queue.next)
      file.writeSync(zeros.subarray(0, Math.min(zeros.length, this.#directory.queueFileBytes - byte)), byte)
      this.#close(queue)
      this.#disk.syncDirectorySync(this.#folderOf(queue))
    }
  }

  /** Chosen queues of which the log holds nothing: their entries of messages that expired stay. */
  #addUnmet(logEnd: number): void {
    const units = new QueueUnits(this.#disk, this.#directory.queueFileBytes)
    for (const queue of this.#directory.queues) {
      const { topic, queueId, files } = queue
      const key = keyOf(topic, queueId)
      if (!this.#chosen.has(key) || this.#queues.has(key) || files.length === 0) continue
      let next = units.first(queue)
      for (let found = units.find(queue, next); found !== undefined; found = units.find(queue, ++next)) {
        if (unitSize(found.view, found.at) !== FILLER_SIZE && unitPosition(found.view, found.at) >= logEnd) break
      }
      this.#queues.set(key, { topic, queueId, next, path: '', file: undefined })
    }
    units.close()
  }

  #folderOf({ topic, queueId }: Mending): string {
    return `${this.#directory.paths.consumeQueues}/${topic}/${queueId}`
  }

  #byteOf(queueOffset: number): number {
    return (queueOffset * UNIT_BYTES) % this.#directory.queueFileBytes
  }

  #fileAt(queue: Mending, queueOffset: number): DiskFile {
    const { queueFileBytes } = this.#directory
    const base = Math.floor((queueOffset * UNIT_BYTES) / queueFileBytes) * queueFileBytes
    const path = `${this.#folderOf(queue)}/${fileNameOf(base)}`
    if (queue.path === path) return queue.file!
    this.#close(queue)
    if (this.#disk.statSync(this.#folderOf(queue)) === undefined) this.#disk.makeDirectorySync(this.#folderOf(queue))
    queue.path = path
    queue.file = this.#disk.openSync(path, 'write')
    if (queue.file.sizeSync() !== queueFileBytes) queue.file.truncateSync(queueFileBytes)
    return queue.file
  }

  #close(queue: Mending): void {
    queue.file?.datasyncSync()
    queue.file?.closeSync()
    queue.file = undefined
    queue.path = ''
  }
}
