import { crc32 } from 'node:zlib'
import type { Disk } from '../base/disk.ts'
import type { QueueTable, TopicEntry } from './queue-table.ts'

const MAGIC = 0x434d5151
const VERSION = 1
const HEAD_BYTES = 64
const QUEUE_BYTES = 36
/** Up to so many queues each file is looked at; beyond that a missing one is found when it is used. */
const CHECKED_QUEUES = 4096

/** What must be the same at the next start for the list to be believed. */
export interface QueueListMark {
  /** First and last position of the log. */
  logMin: number
  logEnd: number
  /** Of the checkpoint: a Java broker that ran in between has moved them. */
  logicsPhysicalOffset: number
  physicMsgTimestamp: number
  fileBytes: number
}

/**
 * What a clean stop writes down of every queue, in `cometmq.queues`: with it a start asks the disk for one listing and
 * one file, and without it for some calls per queue, which is most of a minute for a million of them. Nothing depends
 * on it: whatever does not agree with it is read from the queues' own files, as ever.
 *
 * `| magic 0 | crc 4 | version 8 | topics 12 | queues 16 | logMin 24 | logEnd 32 | logicsPhysicalOffset 40 |
 * physicMsgTimestamp 48 | fileBytes 56 |`, for each topic `| bytes 2 | name | queues 4 |` and for each queue
 * `| queueId 4 | firstFile 4 | lastFile 4 | max 8 | min 8 | lastPosition 8 |`.
 */
export class QueueList {
  readonly path: string
  readonly #disk: Disk
  readonly #directory: string
  readonly #table: QueueTable

  /** @param directory of the consume queues */
  constructor(options: { disk: Disk; path: string; directory: string; table: QueueTable }) {
    this.#disk = options.disk
    this.path = options.path
    this.#directory = options.directory
    this.#table = options.table
  }

  /** Fills the table from the list; false, and the table as it was, when there is none that fits. */
  load(mark: QueueListMark, pathOf: (topic: string, queueId: number, file: number) => string): boolean {
    const bytes = this.#read()
    if (bytes === undefined || !isIntact(bytes) || !agrees(bytes, mark)) return false
    this.#fill(bytes)
    if (this.#foldersAgree() && this.#filesAgree(mark.fileBytes, pathOf)) return true
    this.#table.clear()
    return false
  }

  /** Durable when it returns. */
  save(mark: QueueListMark): void {
    const bytes = this.#encode(mark)
    const temporary = `${this.path}.tmp`
    const file = this.#disk.openSync(temporary, 'write')
    try {
      file.truncateSync(bytes.length)
      file.writeSync(bytes, 0)
      file.datasyncSync()
    } finally {
      file.closeSync()
    }
    this.#disk.renameSync(temporary, this.path)
    this.#disk.syncDirectorySync(this.path.slice(0, this.path.lastIndexOf('/')))
  }

  /** Once the store runs it is out of date. */
  remove(): void {
    this.#disk.removeSync(this.path)
  }

  #read(): Buffer | undefined {
    if (this.#disk.statSync(this.path) === undefined) return undefined
    const file = this.#disk.openSync(this.path, 'read')
    try {
      const bytes = Buffer.allocUnsafe(file.sizeSync())
      return file.readSync(bytes, 0) === bytes.length ? bytes : undefined
    } finally {
      file.closeSync()
    }
  }

  #fill(bytes: Buffer): void {
    const table = this.#table
    let at = HEAD_BYTES
    for (let topics = bytes.readUInt32BE(12); topics > 0; topics--) {
      const nameBytes = bytes.readUInt16BE(at)
      const entry = table.internTopic(bytes.utf8Slice(at + 2, at + 2 + nameBytes))
      at += 2 + nameBytes
      const queues = bytes.readUInt32BE(at)
      at += 4
      for (let index = 0; index < queues; index++, at += QUEUE_BYTES) {
        const queue = table.intern(entry, bytes.readInt32BE(at))
        table.firstFile[queue] = bytes.readInt32BE(at + 4)
        table.lastFile[queue] = bytes.readInt32BE(at + 8)
        table.max[queue] = bytes.readDoubleBE(at + 12)
        table.min[queue] = bytes.readDoubleBE(at + 20)
        table.lastPosition[queue] = bytes.readDoubleBE(at + 28)
      }
    }
  }

  /** Whether each topic that has files has its folder, and no other folder is there. */
  #foldersAgree(): boolean {
    const hasFiles = (entry: TopicEntry): boolean =>
      this.#table.queuesOf(entry).some((queue) => this.#table.lastFile[queue]! >= 0)
    let missing = 0
    for (const entry of this.#table.topics) if (hasFiles(entry)) missing++
    for (const name of this.#disk.listSync(this.#directory)) {
      const entry = this.#table.topic(name)
      if (entry === undefined) {
        if (this.#disk.statSync(`${this.#directory}/${name}`)?.isDirectory === true) return false
      } else if (hasFiles(entry)) missing--
    }
    return missing === 0
  }

  #filesAgree(fileBytes: number, pathOf: (topic: string, queueId: number, file: number) => string): boolean {
    const table = this.#table
    if (table.count > CHECKED_QUEUES) return true
    for (let queue = 0; queue < table.count; queue++) {
      const [first, last] = [table.firstFile[queue]!, table.lastFile[queue]!]
      for (let file = Math.max(first, last - 1); file <= last && last >= 0; file++) {
        const path = pathOf(table.topicOf(queue)!.name, table.queueId[queue]!, file)
        if (this.#disk.statSync(path)?.sizeBytes !== fileBytes) return false
      }
    }
    return true
  }

  #encode(mark: QueueListMark): Buffer {
    const table = this.#table
    let sizeBytes = HEAD_BYTES
    let topics = 0
    let queues = 0
    const numbers: number[][] = []
    for (const entry of table.topics) {
      const own = table.queuesOf(entry)
      numbers.push(own)
      sizeBytes += 6 + entry.bytes.length + own.length * QUEUE_BYTES
      topics++
      queues += own.length
    }
    const bytes = Buffer.alloc(sizeBytes)
    bytes.writeUInt32BE(MAGIC, 0)
    bytes.writeUInt32BE(VERSION, 8)
    bytes.writeUInt32BE(topics, 12)
    bytes.writeUInt32BE(queues, 16)
    for (const [index, value] of valuesOf(mark).entries()) bytes.writeDoubleBE(value, 24 + index * 8)
    let at = HEAD_BYTES
    let topic = 0
    for (const entry of table.topics) {
      const own = numbers[topic++]!
      bytes.writeUInt16BE(entry.bytes.length, at)
      entry.bytes.copy(bytes, at + 2)
      at += 2 + entry.bytes.length
      bytes.writeUInt32BE(own.length, at)
      at += 4
      for (const queue of own) {
        bytes.writeInt32BE(table.queueId[queue]!, at)
        bytes.writeInt32BE(table.firstFile[queue]!, at + 4)
        bytes.writeInt32BE(table.lastFile[queue]!, at + 8)
        bytes.writeDoubleBE(table.max[queue]!, at + 12)
        bytes.writeDoubleBE(table.min[queue]!, at + 20)
        bytes.writeDoubleBE(table.lastPosition[queue]!, at + 28)
        at += QUEUE_BYTES
      }
    }
    bytes.writeUInt32BE(crc32(bytes.subarray(8)), 4)
    return bytes
  }
}

function isIntact(bytes: Buffer): boolean {
  return (
    bytes.length >= HEAD_BYTES &&
    bytes.readUInt32BE(0) === MAGIC &&
    bytes.readUInt32BE(8) === VERSION &&
    bytes.readUInt32BE(4) === crc32(bytes.subarray(8))
  )
}

const agrees = (bytes: Buffer, mark: QueueListMark): boolean =>
  valuesOf(mark).every((value, index) => bytes.readDoubleBE(24 + index * 8) === value)

const valuesOf = (mark: QueueListMark): number[] => [
  mark.logMin,
  mark.logEnd,
  mark.logicsPhysicalOffset,
  mark.physicMsgTimestamp,
  mark.fileBytes,
]
