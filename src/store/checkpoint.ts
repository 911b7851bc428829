import { crc32 } from 'node:zlib'
import type { Disk, DiskError } from '../base/disk.ts'
import type { Scheduler, Timer } from '../base/scheduler.ts'
import { FileHandle } from './file-handle.ts'

const FILE_BYTES = 4096
const JAVA_BYTES = 48
/** Our own note stands twice behind Java's fields, in sectors of its own: one survives a torn write of the other. */
const NOTE_AT = [1024, 2048]
const NOTE_BYTES = 160
const NOTE_MAGIC = 0x434d5131
const BOOT_ID_BYTES = 64
/** Shortest time between two writes. */
const INTERVAL_MS = 1000

/**
 * What a crash must not make us guess. Java's six fields stand where Java has them; the rest of the page, which Java
 * leaves alone, holds a note of our own.
 */
export interface CheckpointNote {
  /** Bytes of the log that are on the device for certain. */
  flushedPosition: number
  /** Boot of the machine that wrote the note: page cache lives as long. */
  bootId: string
  /** The store was closed in order: the next three are exact. */
  clean: boolean
  logEnd: number
  queueCount: number
  /** Entries of all queues, counted from offset 0. */
  entryCount: number
  segmentBytes: number
  /** A truncation to this position has begun, and must be ended by whoever starts next; -1 for none. */
  truncatingTo: number
  /** Nothing was written to the log from here on: see `log-reach.ts`. 0 for unknown. */
  reach: number
  /** Who wrote the note. */
  processId: number
}

/**
 * The `checkpoint` file: `| physicMsgTimestamp 0 | logicsMsgTimestamp 8 | indexMsgTimestamp 16 | masterFlushedOffset 24
 * | confirmPhyOffset 32 | logicsPhysicalOffset 40 |`, big-endian, in a page of 4096 bytes. No stamp is ever newer
 * than what is durable.
 */
export class Checkpoint {
  /** Store time of the last message that is on the device. */
  physicMsgTimestamp = 0
  /** Store time of the last message whose consume queue entry is on the device. */
  logicsMsgTimestamp = 0
  indexMsgTimestamp = 0
  masterFlushedOffset = 0
  confirmPhyOffset = 0
  /** Position of the last record whose consume queue entry is on the device; 0 for unknown. */
  logicsPhysicalOffset = 0
  /** As found at start; undefined when Java wrote the file, or nobody. */
  note: CheckpointNote | undefined
  /** Java's fields are what they were when the note was written: no Java broker has written since. */
  isUntouched = false
  /** The newest note of this run that is on the device. */
  durable: CheckpointNote | undefined
  #durableSequence = 0
  #sequence = 0
  readonly #path: string
  readonly #disk: Disk
  readonly #scheduler: Scheduler
  #handle: FileHandle | undefined
  #timer: Timer | undefined
  #writing = false
  #again = false
  #atOnce = false
  #retryAt = 0
  #frozen = false

  constructor(disk: Disk, path: string, scheduler: Scheduler) {
    this.#disk = disk
    this.#path = path
    this.#scheduler = scheduler
  }

  load(): void {
    const page = Buffer.alloc(FILE_BYTES)
    const stat = this.#disk.statSync(this.#path)
    if (stat === undefined) return
    const file = this.#disk.openSync(this.#path, 'read')
    try {
      file.readSync(page, 0)
    } finally {
      file.closeSync()
    }
    this.physicMsgTimestamp = readLong(page, 0)
    this.logicsMsgTimestamp = readLong(page, 8)
    this.indexMsgTimestamp = readLong(page, 16)
    this.masterFlushedOffset = readLong(page, 24)
    this.confirmPhyOffset = readLong(page, 32)
    this.logicsPhysicalOffset = readLong(page, 40)
    for (const at of NOTE_AT) {
      const note = decodeNote(page.subarray(at, at + NOTE_BYTES))
      if (note === undefined || note.sequence <= this.#sequence) continue
      this.#sequence = note.sequence
      this.note = note
      this.isUntouched = note.javaCrc === crc32(page.subarray(0, JAVA_BYTES))
    }
  }

  /** Nothing more is written: what stands there must be acted on by the next start. */
  freeze(): void {
    this.stop()
    this.#frozen = true
  }

  /** Durable when it returns: at the start, and as the last act of a clean stop. */
  saveSync(note: CheckpointNote): void {
    if (this.#frozen) return
    const sequence = this.#write(note)
    this.#handle!.file.datasyncSync()
    this.#synced(note, sequence)
  }

  #synced(note: CheckpointNote, sequence: number): void {
    if (sequence < this.#durableSequence) return
    this.#durableSequence = sequence
    this.durable = note
  }

  /** Soon, off the loop, at most once a second: what has become durable in the meantime is noted together. */
  saveSoon(describe: () => CheckpointNote, failed: (error: DiskError) => void): void {
    if (this.#timer !== undefined || this.#frozen) return
    if (this.#writing) {
      this.#again = true
      return
    }
    this.#timer = this.#scheduler.after(INTERVAL_MS, () => this.#save(describe, failed))
  }

  /** Off the loop as well, but at once, or when the save that is under way is done; not at once after one that failed. */
  saveNow(describe: () => CheckpointNote, failed: (error: DiskError) => void): void {
    if (this.#frozen || this.#scheduler.monotonic() < this.#retryAt) return
    if (this.#writing) {
      this.#again = true
      this.#atOnce = true
    } else this.#save(describe, failed)
  }

  #save(describe: () => CheckpointNote, failed: (error: DiskError) => void): void {
    this.stop()
    this.#writing = true
    let note: CheckpointNote
    let sequence = 0
    const done = (error: DiskError | null): void => {
      this.#writing = false
      if (error !== null) {
        this.#retryAt = this.#scheduler.monotonic() + INTERVAL_MS
        return failed(error)
      }
      this.#synced(note, sequence)
      if (!this.#again) return
      this.#again = false
      if (this.#atOnce) this.saveNow(describe, failed)
      else this.saveSoon(describe, failed)
    }
    try {
      note = describe()
      sequence = this.#write(note)
      this.#handle!.datasync(done)
    } catch (error) {
      done(error as DiskError)
    }
  }

  /** @returns the number of this version */
  #write(note: CheckpointNote): number {
    if (this.#handle === undefined) {
      const isNew = this.#disk.statSync(this.#path) === undefined
      const file = this.#disk.openSync(this.#path, 'write')
      this.#handle = new FileHandle(file)
      if (file.sizeSync() !== FILE_BYTES) file.truncateSync(FILE_BYTES)
      if (isNew) this.#disk.syncDirectorySync(this.#path.slice(0, this.#path.lastIndexOf('/')))
    }
    const java = Buffer.alloc(JAVA_BYTES)
    writeLong(java, 0, this.physicMsgTimestamp)
    writeLong(java, 8, this.logicsMsgTimestamp)
    writeLong(java, 16, this.indexMsgTimestamp)
    writeLong(java, 24, this.masterFlushedOffset)
    writeLong(java, 32, this.confirmPhyOffset)
    writeLong(java, 40, this.logicsPhysicalOffset)
    this.#handle.file.writeSync(java, 0)
    this.#sequence++
    this.note = note
    this.#handle.file.writeSync(encodeNote(note, this.#sequence, crc32(java)), NOTE_AT[this.#sequence % 2]!)
    return this.#sequence
  }

  stop(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    this.#again = false
    this.#atOnce = false
  }

  close(): void {
    this.stop()
    this.#handle?.close()
    this.#handle = undefined
  }
}

/** `| magic 0 | crc 4 | sequence 8 | flushed 16 | logEnd 24 | entries 32 | segment 40 | queues 48 | clean 52 | boot id 56 |
 * truncatingTo 120 | reach 128 | crc of Java's fields 136 | process id 140 |` */
function encodeNote(note: CheckpointNote, sequence: number, javaCrc: number): Buffer {
  const bytes = Buffer.alloc(NOTE_BYTES)
  bytes.writeUInt32BE(NOTE_MAGIC, 0)
  writeLong(bytes, 8, sequence)
  writeLong(bytes, 16, note.flushedPosition)
  writeLong(bytes, 24, note.logEnd)
  writeLong(bytes, 32, note.entryCount)
  writeLong(bytes, 40, note.segmentBytes)
  bytes.writeUInt32BE(note.queueCount, 48)
  bytes.writeUInt32BE(note.clean ? 1 : 0, 52)
  bytes.write(note.bootId.slice(0, BOOT_ID_BYTES), 56, 'latin1')
  writeLong(bytes, 120, note.truncatingTo)
  writeLong(bytes, 128, note.reach)
  bytes.writeUInt32BE(javaCrc, 136)
  bytes.writeUInt32BE(note.processId, 140)
  bytes.writeUInt32BE(crc32(bytes.subarray(8)), 4)
  return bytes
}

function decodeNote(bytes: Buffer): (CheckpointNote & { sequence: number; javaCrc: number }) | undefined {
  if (bytes.readUInt32BE(0) !== NOTE_MAGIC || bytes.readUInt32BE(4) !== crc32(bytes.subarray(8))) return undefined
  const bootId = bytes.latin1Slice(56, 56 + BOOT_ID_BYTES)
  return {
    sequence: readLong(bytes, 8),
    flushedPosition: readLong(bytes, 16),
    logEnd: readLong(bytes, 24),
    entryCount: readLong(bytes, 32),
    segmentBytes: readLong(bytes, 40),
    queueCount: bytes.readUInt32BE(48),
    clean: bytes.readUInt32BE(52) === 1,
    truncatingTo: readLong(bytes, 120),
    reach: readLong(bytes, 128),
    javaCrc: bytes.readUInt32BE(136),
    processId: bytes.readUInt32BE(140),
    bootId: bootId.replace(/\0+$/, ''),
  }
}

const HIGH = 0x1_0000_0000
const readLong = (bytes: Buffer, at: number): number => bytes.readInt32BE(at) * HIGH + bytes.readUInt32BE(at + 4)

function writeLong(bytes: Buffer, at: number, value: number): void {
  bytes.writeInt32BE(Math.floor(value / HIGH), at)
  bytes.writeUInt32BE(value >>> 0, at + 4)
}
