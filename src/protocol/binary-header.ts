import { type FieldTable, NULL_VALUE } from './field-table.ts'
import { FrameError } from './frame-error.ts'
import type { HeaderFields } from './json-header.ts'
import { languageName } from './language.ts'

/** `| code 0–1 | language 2 | version 3–4 | opaque 5–8 | flag 9–12 | remark length 13–16 | remark | fields length | fields |` */
const FIXED_BYTES = 21

/**
 * Reads a ROCKETMQ (binary) header in place.
 *
 * @throws FrameError when a length points outside
 * @source RocketMQSerializable.java
 */
export function readBinaryHeader(
  bytes: Buffer,
  start: number,
  end: number,
  fields: FieldTable,
  header: HeaderFields,
): void {
  fields.count = 0
  header.parsedFields = undefined
  if (end - start < FIXED_BYTES)
    throw new FrameError(`a binary header of ${end - start} bytes; it has ${FIXED_BYTES} at least`)
  header.code = bytes.readInt16BE(start)
  header.language = languageName(bytes[start + 2]!) === undefined ? -1 : bytes[start + 2]!
  header.version = bytes.readInt16BE(start + 3)
  header.opaque = bytes.readInt32BE(start + 5)
  header.flag = bytes.readInt32BE(start + 9)
  const remarkBytes = bytes.readInt32BE(start + 13)
  let at = start + 17
  if (remarkBytes < 0 || remarkBytes > end - at - 4)
    throw new FrameError(`a remark of ${remarkBytes} bytes in a header of ${end - start}`)
  header.remark = remarkBytes === 0 ? undefined : bytes.utf8Slice(at, at + remarkBytes)
  at += remarkBytes
  const fieldBytes = bytes.readInt32BE(at)
  at += 4
  if (fieldBytes < 0 || fieldBytes > end - at)
    throw new FrameError(`fields of ${fieldBytes} bytes in a header of ${end - start}`)
  header.hasFields = fieldBytes > 0
  const last = at + fieldBytes
  while (at < last) {
    if (last - at < 2) throw new FrameError('a field without its key length')
    const keyBytes = bytes.readUInt16BE(at)
    const keyStart = at + 2
    const keyEnd = keyStart + keyBytes
    if (last - keyEnd < 4) throw new FrameError(`a field key of ${keyBytes} bytes points outside the header`)
    const valueBytes = bytes.readInt32BE(keyEnd)
    const valueStart = keyEnd + 4
    if (valueBytes < 0 || valueBytes > last - valueStart)
      throw new FrameError(`a field value of ${valueBytes} bytes points outside the header`)
    at = valueStart + valueBytes
    // An empty value is read as none, as Java reads it.
    if (!fields.add(keyStart, keyEnd, valueStart, at, valueBytes === 0 ? NULL_VALUE : 0)) {
      throw new FrameError('more header fields than any request has')
    }
  }
}
