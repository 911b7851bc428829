import { crc32 } from 'node:zlib'
import { VALUE_END } from './properties.ts'

/**
 * The checksum of a whole record, as its last property: `__CRC32# 0x01 digits 0x02`, ten decimal digits, the least
 * significant first. It covers all that stands before it, other than the record's own checksum, which covers the body.
 *
 * @source CommitLog.java, MessageExtEncoder.java
 */
const PROPERTY_CRC_BYTES = 20
const NAME = Buffer.from('__CRC32#\u0001')
const DIGITS = 10
const ZERO = 0x30

/** What the checksum adds to properties: itself, and the separator that they may lack. */
export function propertyCrcBytes(properties: Uint8Array): number {
  const isOpen = properties.length > 0 && properties[properties.length - 1] !== VALUE_END
  return PROPERTY_CRC_BYTES + (isOpen ? 1 : 0)
}

/** Properties with room for the checksum at their end. */
export function withPropertyCrc(properties: Uint8Array): Buffer {
  const size = properties.length + propertyCrcBytes(properties) - PROPERTY_CRC_BYTES
  const room = Buffer.alloc(size + PROPERTY_CRC_BYTES, VALUE_END)
  room.set(properties)
  NAME.copy(room, size)
  return room
}

/** Writes the checksum of a record whose properties have room for it. */
export function writePropertyCrc(bytes: Uint8Array, at: number, sizeBytes: number): void {
  const end = at + sizeBytes
  let rest = crcBefore(bytes, at, end)
  for (let digit = 0, to = end - DIGITS - 1; digit < DIGITS; digit++, to++) {
    bytes[to] = ZERO + (rest % 10)
    rest = Math.floor(rest / 10)
  }
}

/** `absent` when a record does not end in such a property; `wrong` also when all but the property's name is right. */
export function checkPropertyCrc(bytes: Buffer, at: number, sizeBytes: number): 'right' | 'wrong' | 'absent' {
  if (sizeBytes <= PROPERTY_CRC_BYTES) return 'absent'
  const end = at + sizeBytes
  const start = end - PROPERTY_CRC_BYTES
  const isNamed = bytes.compare(NAME, 0, NAME.length, start, start + NAME.length) === 0
  let written = bytes[end - 1] === VALUE_END ? 0 : Number.NaN
  for (let from = end - 2; from > end - DIGITS - 2; from--) {
    const digit = bytes[from]! - ZERO
    if (digit < 0 || digit > 9) written = Number.NaN
    written = written * 10 + digit
  }
  if (!isNamed && Number.isNaN(written)) return 'absent'
  const isEqual = written === crcBefore(bytes, at, end)
  if (isNamed) return isEqual ? 'right' : 'wrong'
  return isEqual ? 'wrong' : 'absent'
}

const crcBefore = (bytes: Uint8Array, at: number, end: number): number =>
  crc32(bytes.subarray(at, end - PROPERTY_CRC_BYTES)) & 0x7fff_ffff
