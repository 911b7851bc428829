/**
 * An index file, all big-endian:
 * ```text
 * header 0–39: beginTimestamp 0 · endTimestamp 8 · beginPosition 16 · endPosition 24 · slots in use 32 · next unit 36
 * slots: for each remainder of a hash, the number of the newest unit of its chain (4 bytes); 0 for none
 * units of 20 bytes, the first never used: hash 0 · position 4 · seconds since beginTimestamp 12 · unit before 16
 * ```
 *
 * @see IndexFile.java, IndexHeader.java
 */
export const HEADER_BYTES = 40
export const SLOT_BYTES = 4
export const UNIT_BYTES = 20

/** Of all index files of a store; part of their format, as nothing in the file tells it. */
export interface IndexShape {
  /** maxHashSlotNum */
  slots: number
  /** maxIndexNum; one more than units that can be used. */
  units: number
}

export interface IndexHeader {
  /** Store time of the first record in the file, and of the last. */
  beginTimestamp: number
  endTimestamp: number
  beginPosition: number
  endPosition: number
  usedSlots: number
  /** Number of the unit to be written next, from 1. */
  nextUnit: number
}

export const unitsAt = (shape: IndexShape): number => HEADER_BYTES + shape.slots * SLOT_BYTES
export const unitAt = (shape: IndexShape, unit: number): number => unitsAt(shape) + unit * UNIT_BYTES
export const indexFileBytes = (shape: IndexShape): number => unitAt(shape, shape.units)

const HIGH = 0x1_0000_0000
const MOST_SECONDS = 0x7fff_ffff

export function encodeHeader(header: IndexHeader): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES)
  const view = new DataView(bytes.buffer, bytes.byteOffset, HEADER_BYTES)
  writeLong(view, 0, header.beginTimestamp)
  writeLong(view, 8, header.endTimestamp)
  writeLong(view, 16, header.beginPosition)
  writeLong(view, 24, header.endPosition)
  view.setInt32(32, header.usedSlots)
  view.setInt32(36, header.nextUnit)
  return bytes
}

export function decodeHeader(bytes: Buffer): IndexHeader {
  return {
    beginTimestamp: readLong(bytes, 0),
    endTimestamp: readLong(bytes, 8),
    beginPosition: readLong(bytes, 16),
    endPosition: readLong(bytes, 24),
    usedSlots: bytes.readInt32BE(32),
    nextUnit: Math.max(1, bytes.readInt32BE(36)),
  }
}

export function writeLong(view: DataView, at: number, value: number): void {
  view.setInt32(at, Math.floor(value / HIGH))
  view.setUint32(at + 4, value >>> 0)
}

export function readLong(bytes: Buffer, at: number): number {
  return bytes.readInt32BE(at) * HIGH + bytes.readUInt32BE(at + 4)
}

/** How a unit tells its record's store time; before the first record of a store there is nothing to count from. */
export function secondsSince(beginTimestamp: number, storeTimestamp: number): number {
  if (beginTimestamp <= 0) return 0
  return Math.min(MOST_SECONDS, Math.max(0, Math.trunc((storeTimestamp - beginTimestamp) / 1000)))
}

/** Local time to the millisecond in 17 digits: more than a number holds exactly. */
export function indexFileName(nowMs: number, last: string | undefined): string {
  const date = new Date(nowMs)
  const field = (value: number, digits: number): string => String(value).padStart(digits, '0')
  const name =
    field(date.getFullYear(), 4) +
    field(date.getMonth() + 1, 2) +
    field(date.getDate(), 2) +
    field(date.getHours(), 2) +
    field(date.getMinutes(), 2) +
    field(date.getSeconds(), 2) +
    field(date.getMilliseconds(), 3)
  // Names are in the order of the log, whatever the clock does.
  return last === undefined || name > last ? name : String(BigInt(last) + 1n).padStart(17, '0')
}

export const isIndexFileName = (name: string): boolean => /^\d{17}$/.test(name)
