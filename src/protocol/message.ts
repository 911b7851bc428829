import './native-buffer.ts'
import { crc32 } from 'node:zlib'
import { offsetMessageId } from './message-id.ts'
import { MessageSysFlag } from './names.ts'
import { parseProperties } from './properties.ts'

/**
 * A stored message, on disk and in the bodies of pull answers:
 * ```text
 * totalSize 0 · magic 4 · bodyCRC 8 · queueId 12 · flag 16 · queueOffset 20 · position 28 · sysFlag 36 ·
 * bornTimestamp 40 · bornHost 48 (8, or 20 with IPv6) · storeTimestamp · storeHost (8 or 20) · reconsumeTimes ·
 * preparedTransactionOffset · bodyLength · body · topicLength (1, or 2 in V2) · topic · propertiesLength 2 · properties
 * ```
 * Offsets below are those of IPv4 hosts.
 *
 * @source MessageDecoder.java, CommitLog.java
 */
export const MAGIC_V1: number = 0xdaa320a7 | 0
export const MAGIC_V2: number = 0xdaa320ab | 0
/** Of what fills the rest of a segment. */
export const MAGIC_BLANK: number = 0xcbd43194 | 0

const V6_MORE = 12
/** Of a V1 record with IPv4 hosts and empty body, topic and properties. */
const SMALLEST_RECORD = 91

export interface HostAddress {
  /** 4 or 16 bytes. */
  address: Uint8Array
  port: number
}

/** What a record is made of. Offsets, position and store time may be patched later. */
export interface RecordFields {
  queueId: number
  flag: number
  queueOffset: number
  position: number
  /** Without the bits that tell IPv6 hosts; they are set by the hosts. */
  sysFlag: number
  bornTimestamp: number
  bornHost: HostAddress
  storeTimestamp: number
  storeHost: HostAddress
  reconsumeTimes: number
  preparedTransactionOffset: number
  body: Uint8Array
  topic: Uint8Array
  properties: Uint8Array
  /** 2: the topic's length takes two bytes. */
  version: 1 | 2
}

/** Bytes a record takes. */
export function recordSize(
  bodyBytes: number,
  topicBytes: number,
  propertiesBytes: number,
  version: 1 | 2,
  bornV6: boolean,
  storeV6: boolean,
): number {
  return (
    SMALLEST_RECORD +
    (version === 2 ? 1 : 0) +
    (bornV6 ? V6_MORE : 0) +
    (storeV6 ? V6_MORE : 0) +
    bodyBytes +
    topicBytes +
    propertiesBytes
  )
}

/** CRC-32 of a body in 31 bits, as records carry it. */
export function bodyCrc(body: Uint8Array): number {
  return body.length === 0 ? 0 : crc32(body) & 0x7fff_ffff
}

/**
 * Writes a record into room that the caller made.
 *
 * @returns its size
 */
export function encodeRecord(target: Uint8Array, view: DataView, at: number, fields: RecordFields): number {
  const { bornHost, storeHost, body, topic, properties, version } = fields
  const bornV6 = bornHost.address.length === 16
  const storeV6 = storeHost.address.length === 16
  const size = recordSize(body.length, topic.length, properties.length, version, bornV6, storeV6)
  view.setInt32(at, size)
  view.setInt32(at + 4, version === 2 ? MAGIC_V2 : MAGIC_V1)
  view.setInt32(at + 8, bodyCrc(body))
  view.setInt32(at + 12, fields.queueId)
  view.setInt32(at + 16, fields.flag)
  setLong(view, at + 20, fields.queueOffset)
  setLong(view, at + 28, fields.position)
  view.setInt32(at + 36, hostFlags(fields.sysFlag, bornV6, storeV6))
  setLong(view, at + 40, fields.bornTimestamp)
  let to = setHost(target, view, at + 48, bornHost)
  setLong(view, to, fields.storeTimestamp)
  to = setHost(target, view, to + 8, storeHost)
  view.setInt32(to, fields.reconsumeTimes)
  setLong(view, to + 4, fields.preparedTransactionOffset)
  view.setInt32(to + 12, body.length)
  to += 16
  target.set(body, to)
  to += body.length
  if (version === 2) {
    view.setInt16(to, topic.length)
    to += 2
  } else target[to++] = topic.length
  target.set(topic, to)
  to += topic.length
  view.setInt16(to, properties.length)
  target.set(properties, to + 2)
  return size
}

/** The sysFlag with the bits of IPv6 hosts as the hosts are. */
export function hostFlags(sysFlag: number, bornV6: boolean, storeV6: boolean): number {
  const plain = sysFlag & ~(MessageSysFlag.BORN_HOST_V6 | MessageSysFlag.STORE_HOST_V6)
  return plain | (bornV6 ? MessageSysFlag.BORN_HOST_V6 : 0) | (storeV6 ? MessageSysFlag.STORE_HOST_V6 : 0)
}

function setHost(target: Uint8Array, view: DataView, at: number, { address, port }: HostAddress): number {
  for (let index = 0; index < address.length; index++) target[at + index] = address[index]!
  view.setInt32(at + address.length, port)
  return at + address.length + 4
}

/** Two halves instead of a BigInt: 60 times cheaper. */
export function setLong(view: DataView, at: number, value: number): void {
  view.setInt32(at, Math.floor(value / 0x1_0000_0000))
  view.setUint32(at + 4, value >>> 0)
}

export function readLong(bytes: Buffer, at: number): number {
  return bytes.readInt32BE(at) * 0x1_0000_0000 + bytes.readUInt32BE(at + 4)
}

export const readSize = (bytes: Buffer, at: number): number => bytes.readInt32BE(at)
export const readMagic = (bytes: Buffer, at: number): number => bytes.readInt32BE(at + 4)
export const readQueueId = (bytes: Buffer, at: number): number => bytes.readInt32BE(at + 12)
export const readQueueOffset = (bytes: Buffer, at: number): number => readLong(bytes, at + 20)
export const readPosition = (bytes: Buffer, at: number): number => readLong(bytes, at + 28)
export const readSysFlag = (bytes: Buffer, at: number): number => bytes.readInt32BE(at + 36)

export function readStoreTimestamp(bytes: Buffer, at: number): number {
  return readLong(bytes, at + 56 + bornMore(readSysFlag(bytes, at)))
}

export interface Range {
  start: number
  end: number
}

/** Where the body lies in the buffer. */
export function bodyRange(bytes: Buffer, at: number): Range {
  const lengthAt = bodyLengthAt(bytes, at)
  return { start: lengthAt + 4, end: lengthAt + 4 + bytes.readInt32BE(lengthAt) }
}

/** Where the topic lies in the buffer. */
export function topicRange(bytes: Buffer, at: number): Range {
  const { end } = bodyRange(bytes, at)
  if (readMagic(bytes, at) === MAGIC_V2) return { start: end + 2, end: end + 2 + bytes.readInt16BE(end) }
  return { start: end + 1, end: end + 1 + bytes.readInt8(end) }
}

/** Where the encoded properties lie in the buffer. */
export function propertiesRange(bytes: Buffer, at: number): Range {
  const { end } = topicRange(bytes, at)
  return { start: end + 2, end: end + 2 + bytes.readInt16BE(end) }
}

function bodyLengthAt(bytes: Buffer, at: number): number {
  const sysFlag = readSysFlag(bytes, at)
  return at + 84 + bornMore(sysFlag) + ((sysFlag & MessageSysFlag.STORE_HOST_V6) === 0 ? 0 : V6_MORE)
}

function bornMore(sysFlag: number): number {
  return (sysFlag & MessageSysFlag.BORN_HOST_V6) === 0 ? 0 : V6_MORE
}

/**
 * Whether a whole record begins at `at`: magic, lengths that add up within `end`, and the body's checksum if asked for.
 *
 * @returns its size, or -1
 */
export function checkRecord(bytes: Buffer, at: number, end: number, options: { crc: boolean }): number {
  if (end - at < SMALLEST_RECORD) return -1
  const size = readSize(bytes, at)
  const magic = readMagic(bytes, at)
  if ((magic !== MAGIC_V1 && magic !== MAGIC_V2) || size < SMALLEST_RECORD || size > end - at) return -1
  const recordEnd = at + size
  const lengthAt = bodyLengthAt(bytes, at)
  if (lengthAt + 4 > recordEnd) return -1
  const bodyBytes = bytes.readInt32BE(lengthAt)
  const bodyStart = lengthAt + 4
  const topicLengthBytes = magic === MAGIC_V2 ? 2 : 1
  if (bodyBytes < 0 || bodyBytes > recordEnd - bodyStart - topicLengthBytes) return -1
  const topicAt = bodyStart + bodyBytes
  const topicBytes = magic === MAGIC_V2 ? bytes.readInt16BE(topicAt) : bytes.readInt8(topicAt)
  const propertiesAt = topicAt + topicLengthBytes + topicBytes
  if (topicBytes < 0 || propertiesAt + 2 > recordEnd) return -1
  const propertiesBytes = bytes.readInt16BE(propertiesAt)
  if (propertiesBytes < 0 || propertiesAt + 2 + propertiesBytes !== recordEnd) return -1
  if (options.crc && bodyCrc(bytes.subarray(bodyStart, topicAt)) !== bytes.readInt32BE(at + 8)) return -1
  return size
}

/** A record, decoded: what clients and tools see. */
export interface StoredMessage {
  sizeBytes: number
  magic: number
  bodyCrc: number
  queueId: number
  flag: number
  queueOffset: number
  position: number
  sysFlag: number
  bornTimestamp: number
  bornHost: { host: string; port: number }
  storeTimestamp: number
  storeHost: { host: string; port: number }
  reconsumeTimes: number
  preparedTransactionOffset: number
  /** As stored: perhaps compressed. A view. */
  body: Buffer
  topic: string
  properties: Map<string, string>
  offsetMessageId: string
}

/** @throws RangeError when no whole record begins at `at` */
export function decodeMessage(bytes: Buffer, at: number): StoredMessage {
  const sizeBytes = checkRecord(bytes, at, bytes.length, { crc: false })
  if (sizeBytes < 0) throw new RangeError(`no message begins at byte ${at} of ${bytes.length}`)
  const sysFlag = readSysFlag(bytes, at)
  const born = readHost(bytes, at + 48, (sysFlag & MessageSysFlag.BORN_HOST_V6) !== 0)
  const storeAt = born.end + 8
  const store = readHost(bytes, storeAt, (sysFlag & MessageSysFlag.STORE_HOST_V6) !== 0)
  const body = bodyRange(bytes, at)
  const topic = topicRange(bytes, at)
  const properties = propertiesRange(bytes, at)
  const position = readPosition(bytes, at)
  return {
    sizeBytes,
    magic: readMagic(bytes, at),
    bodyCrc: bytes.readInt32BE(at + 8),
    queueId: readQueueId(bytes, at),
    flag: bytes.readInt32BE(at + 16),
    queueOffset: readQueueOffset(bytes, at),
    position,
    sysFlag,
    bornTimestamp: readLong(bytes, at + 40),
    bornHost: { host: hostText(born.address), port: born.port },
    storeTimestamp: readLong(bytes, born.end),
    storeHost: { host: hostText(store.address), port: store.port },
    reconsumeTimes: bytes.readInt32BE(store.end),
    preparedTransactionOffset: readLong(bytes, store.end + 4),
    body: bytes.subarray(body.start, body.end),
    topic: bytes.utf8Slice(topic.start, topic.end),
    properties: parseProperties(bytes.utf8Slice(properties.start, properties.end)),
    offsetMessageId: offsetMessageId(store, position),
  }
}

/** Every record of a pull answer's body; stops at the first that is none, as clients do. */
export function decodeMessages(bytes: Buffer): StoredMessage[] {
  const messages: StoredMessage[] = []
  for (let at = 0; at < bytes.length && checkRecord(bytes, at, bytes.length, { crc: false }) > 0; ) {
    const message = decodeMessage(bytes, at)
    messages.push(message)
    at += message.sizeBytes
  }
  return messages
}

function readHost(bytes: Buffer, at: number, isV6: boolean): HostAddress & { end: number } {
  const length = isV6 ? 16 : 4
  return { address: bytes.subarray(at, at + length), port: bytes.readInt32BE(at + length), end: at + length + 4 }
}

/** `10.0.0.1`, or Java's form of IPv6: eight groups without leading zeros, nothing shortened. */
export function hostText(address: Uint8Array): string {
  if (address.length === 4) return address.join('.')
  const groups: string[] = []
  for (let at = 0; at < 16; at += 2) groups.push(((address[at]! << 8) | address[at + 1]!).toString(16))
  return groups.join(':')
}
