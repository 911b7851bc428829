import { crc32 } from 'node:zlib'

/**
 * What a stored record is, read in another way than the store reads it: the fields from front to back, each checked
 * before the next.
 *
 * @returns why no whole record of `size` bytes stands at `at`; undefined when one does
 */
export function recordFault(bytes: Buffer, at: number, size: number): string | undefined {
  if (at < 0 || at + size > bytes.length) return 'it goes past the end'
  let next = at
  const take = (count: number): number => {
    const from = next
    next += count
    return from
  }
  if (bytes.readInt32BE(take(4)) !== size) return 'its length is another'
  const magic = bytes.readUInt32BE(take(4))
  if (magic !== 0xdaa320a7 && magic !== 0xdaa320ab) return 'its magic number is another'
  const crc = bytes.readUInt32BE(take(4))
  take(4 + 4 + 8 + 8) // queue, flag, queue offset, position
  const sysFlag = bytes.readUInt32BE(take(4))
  take(8 + ((sysFlag & 0x10) === 0 ? 8 : 20) + 8 + ((sysFlag & 0x20) === 0 ? 8 : 20) + 4 + 8)
  if (next + 4 > at + size) return 'its head goes past its end'
  const bodyBytes = bytes.readInt32BE(take(4))
  if (bodyBytes < 0 || next + bodyBytes > at + size) return 'its body goes past its end'
  const body = bytes.subarray(next, take(bodyBytes) + bodyBytes)
  if (crc !== (bodyBytes === 0 ? 0 : crc32(body) & 0x7fff_ffff)) return 'its checksum is wrong'
  const lengthBytes = magic === 0xdaa320a7 ? 1 : 2
  if (next + lengthBytes > at + size) return 'its topic is missing'
  const topicBytes = bytes.readIntBE(take(lengthBytes), lengthBytes)
  if (topicBytes < 0 || next + topicBytes + 2 > at + size) return 'its topic goes past its end'
  take(topicBytes)
  const propertiesBytes = bytes.readInt16BE(take(2))
  if (propertiesBytes < 0) return 'its properties have a negative length'
  return next + propertiesBytes === at + size ? undefined : 'its parts do not add up to its length'
}
