import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { describe, test } from 'node:test'
import { inflateSync, zstdDecompressSync } from 'node:zlib'
import fc from 'fast-check'
import {
  bodyRange,
  checkRecord,
  decodeMessage,
  decodeMessages,
  encodeRecord,
  MAGIC_BLANK,
  MAGIC_V2,
  propertiesRange,
  type RecordFields,
  readPosition,
  readQueueId,
  readQueueOffset,
  readSize,
  readStoreTimestamp,
  readSysFlag,
  recordSize,
  type StoredMessage,
  topicRange,
} from './message.ts'
import { MessageSysFlag } from './names.ts'

interface Decoded {
  topic: string
  queueId: number
  queueOffset: string
  commitLogOffset: string
  msgId: string
  offsetMsgId: string
  bornHost: string
  bornTimestamp: string
  storeHost: string
  storeTimestamp: string
  sysFlag: number
  flag: number
  reconsumeTimes: number
  preparedTransactionOffset: string
  bodyCRC: number
  storeSize: number
  messageVersion: number
  properties: Record<string, string>
  bodyBase64: string
}

interface Recorded {
  name: string
  storedBase64: string
  decoded: Decoded | null
  compressed?: boolean
}

function vectors<Row>(file: string): Row[] {
  const text = readFileSync(resolve(import.meta.dirname, `../../test/vectors/wire/${file}.jsonl`), 'utf8')
  return text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Row)
}

const recorded = vectors<Recorded>('message-decode').map((row) => ({
  ...row,
  bytes: Buffer.from(row.storedBase64, 'base64'),
}))
/** Those that Java stored, or would have. */
const valid = recorded.filter(({ name }) => !name.startsWith('corrupt-'))

/** The record of a decoded message. */
function fieldsOf(message: StoredMessage, bytes: Buffer): RecordFields {
  const properties = propertiesRange(bytes, 0)
  return {
    ...message,
    version: message.magic === MAGIC_V2 ? 2 : 1,
    bornHost: { address: addressOf(message.bornHost.host), port: message.bornHost.port },
    storeHost: { address: addressOf(message.storeHost.host), port: message.storeHost.port },
    topic: Buffer.from(message.topic),
    properties: bytes.subarray(properties.start, properties.end),
  }
}

function addressOf(host: string): Buffer {
  if (!host.includes(':')) return Buffer.from(host.split('.').map(Number))
  const address = Buffer.alloc(16)
  host.split(':').forEach((group, index) => {
    address.writeUInt16BE(Number.parseInt(group, 16), index * 2)
  })
  return address
}

function encode(fields: RecordFields): Buffer {
  const { body, topic, properties, version, bornHost, storeHost } = fields
  const [bornV6, storeV6] = [bornHost.address.length === 16, storeHost.address.length === 16]
  const size = recordSize(body.length, topic.length, properties.length, version, bornV6, storeV6)
  const bytes = Buffer.alloc(size)
  assert.equal(encodeRecord(bytes, new DataView(bytes.buffer, bytes.byteOffset, size), 0, fields), size)
  return bytes
}

describe('a record that Java stored', () => {
  test('says what Java reads in it', () => {
    assert.deepEqual([recorded.length, valid.length], [93, 91])
    const unread: string[] = []
    for (const { name, bytes, decoded } of recorded) {
      if (decoded === null) {
        assert.equal(checkRecord(bytes, 0, bytes.length, { crc: false }), -1, name)
        assert.throws(() => decodeMessage(bytes, 0), RangeError, name)
        continue
      }
      const message = decodeMessage(bytes, 0)
      const spoken = {
        topic: message.topic,
        queueId: message.queueId,
        queueOffset: message.queueOffset,
        commitLogOffset: message.position,
        offsetMsgId: message.offsetMessageId,
        bornHost: `${message.bornHost.host} ${message.bornHost.port}`,
        bornTimestamp: message.bornTimestamp,
        storeHost: `${message.storeHost.host} ${message.storeHost.port}`,
        storeTimestamp: message.storeTimestamp,
        // Java clears the bit when it has inflated the body.
        sysFlag: message.sysFlag & ~MessageSysFlag.COMPRESSED,
        flag: message.flag,
        reconsumeTimes: message.reconsumeTimes,
        preparedTransactionOffset: message.preparedTransactionOffset,
        bodyCRC: message.bodyCrc,
        storeSize: message.sizeBytes,
        messageVersion: message.magic === MAGIC_V2 ? 2 : 1,
        properties: Object.fromEntries(message.properties),
        msgId: message.properties.get('UNIQ_KEY') ?? message.offsetMessageId,
      }
      const { bodyBase64, ...expected } = decoded
      const { keys: _keys, tags: _tags, ...said } = expected as typeof expected & { keys: unknown; tags: unknown }
      assert.deepEqual(spoken, {
        ...said,
        queueOffset: Number(said.queueOffset),
        commitLogOffset: Number(said.commitLogOffset),
        bornTimestamp: Number(said.bornTimestamp),
        storeTimestamp: Number(said.storeTimestamp),
        preparedTransactionOffset: Number(said.preparedTransactionOffset),
      })
      const body = plainBody(message)
      if (body === undefined) unread.push(name)
      else assert.deepEqual(body, Buffer.from(bodyBase64, 'base64'), name)
    }
    assert.deepEqual(unread, ['broadcast-start/11#2'])
  })

  /** The body that a consumer sees; undefined for LZ4, which Node cannot read, and the broker never does. */
  function plainBody({ sysFlag, body }: StoredMessage): Buffer | undefined {
    if ((sysFlag & MessageSysFlag.COMPRESSED) === 0) return body
    const type = sysFlag & MessageSysFlag.COMPRESSION_TYPE_MASK
    if (type === MessageSysFlag.COMPRESSION_ZSTD) return zstdDecompressSync(body)
    return type === MessageSysFlag.COMPRESSION_ZLIB ? inflateSync(body) : undefined
  }

  test('is written by us with the same bytes', () => {
    for (const { name, bytes } of valid) {
      const fields = fieldsOf(decodeMessage(bytes, 0), bytes)
      const ours = encode(fields)
      // Made up, and beyond what a number holds.
      if (fields.queueOffset > Number.MAX_SAFE_INTEGER) bytes.copy(ours, 20, 20, 28)
      assert.deepEqual(ours, bytes, name)
    }
  })

  test('is found where it lies, and its fields without decoding it', () => {
    const [before, after] = [Buffer.alloc(13, 0xda), Buffer.alloc(7, 0xda)]
    for (const { name, bytes } of valid) {
      const within = Buffer.concat([before, bytes, after])
      assert.equal(checkRecord(within, 13, within.length, { crc: true }), bytes.length, name)
      const message = decodeMessage(within, 13)
      assert.equal(readSize(within, 13), bytes.length)
      assert.equal(readQueueId(within, 13), message.queueId)
      assert.equal(readQueueOffset(within, 13), message.queueOffset)
      assert.equal(readPosition(within, 13), message.position)
      assert.equal(readSysFlag(within, 13), message.sysFlag)
      assert.equal(readStoreTimestamp(within, 13), message.storeTimestamp)
      const text = ({ start, end }: { start: number; end: number }): string => within.toString('utf8', start, end)
      assert.equal(text(topicRange(within, 13)), message.topic)
      assert.equal(text(bodyRange(within, 13)), message.body.toString('utf8'))
      assert.equal(propertiesRange(within, 13).end, 13 + bytes.length)
    }
  })

  test('comes out of an answer of many, up to the first bytes that are none', () => {
    const all = Buffer.concat(valid.map(({ bytes }) => bytes))
    const names = (bytes: Buffer): string[] =>
      decodeMessages(bytes).map(({ topic, position }) => `${topic} ${position}`)
    const expected = valid.map(({ decoded }) => `${decoded!.topic} ${Number(decoded!.commitLogOffset)}`)
    assert.deepEqual(names(all), expected)
    assert.deepEqual(names(Buffer.concat([all, Buffer.alloc(100)])), expected)
    assert.deepEqual(names(all.subarray(0, -1)), expected.slice(0, -1))
    assert.deepEqual(names(Buffer.alloc(0)), [])
  })
})

describe('a damaged record', () => {
  test('is refused when any of its end is missing, whatever its length says', () => {
    for (const { name, bytes } of valid) {
      const shortened = Buffer.from(bytes)
      for (let end = 0; end < bytes.length; end++) {
        if (checkRecord(bytes, 0, end, { crc: false }) !== -1) assert.fail(`${name}: ${end} bytes pass`)
        if (end >= 4) shortened.writeInt32BE(end, 0)
        if (checkRecord(shortened, 0, end, { crc: false }) !== -1)
          assert.fail(`${name}: ${end} bytes said to be all pass`)
      }
      assert.throws(() => decodeMessage(bytes.subarray(0, -1), 0), RangeError)
    }
  })

  /** What each byte of a record belongs to, said apart from the code that reads it. */
  function layoutOf(bytes: Buffer): string[] {
    const sysFlag = bytes.readInt32BE(36)
    const names: string[] = []
    const take = (name: string, size: number): number => {
      const at = names.length
      for (let more = 0; more < size; more++) names.push(name)
      return at
    }
    for (const [name, size] of [
      ['size', 4],
      ['magic', 4],
      ['bodyCrc', 4],
      ['queueId', 4],
      ['flag', 4],
    ] as const)
      take(name, size)
    for (const [name, size] of [
      ['queueOffset', 8],
      ['position', 8],
      ['sysFlag', 4],
      ['bornTimestamp', 8],
    ] as const)
      take(name, size)
    take('bornHost', (sysFlag & 0x10) === 0 ? 8 : 20)
    take('storeTimestamp', 8)
    take('storeHost', (sysFlag & 0x20) === 0 ? 8 : 20)
    take('reconsumeTimes', 4)
    take('preparedTransactionOffset', 8)
    take('body', bytes.readInt32BE(take('bodyLength', 4)))
    const isV2 = bytes.readInt32BE(4) === MAGIC_V2
    const topicAt = take('topicLength', isV2 ? 2 : 1)
    take('topic', isV2 ? bytes.readInt16BE(topicAt) : bytes[topicAt]!)
    take('properties', bytes.readInt16BE(take('propertiesLength', 2)))
    assert.equal(names.length, bytes.length)
    return names
  }

  test('is found by the body checksum and the lengths; the checksum does not cover where and when it was stored, nor topic and properties', () => {
    const found = new Set<string>()
    const passed = new Set<string>()
    for (const { bytes } of valid) {
      const layout = layoutOf(bytes)
      const flipped = Buffer.from(bytes)
      for (let bit = 0; bit < bytes.length * 8; bit++) {
        const at = bit >> 3
        flipped[at]! ^= 1 << (bit & 7)
        const check = checkRecord(flipped, 0, flipped.length, { crc: true })
        const isHostBit = layout[at] === 'sysFlag' && (readSysFlag(flipped, 0) ^ readSysFlag(bytes, 0)) & 0x30
        const name = isHostBit ? 'sysFlag, kind of host' : layout[at]!
        if (check === -1) found.add(name)
        else if (check === bytes.length) passed.add(name)
        else assert.fail(`${name}: ${check}`)
        flipped[at]! ^= 1 << (bit & 7)
      }
    }
    const covered = [
      'body',
      'bodyCrc',
      'bodyLength',
      'magic',
      'propertiesLength',
      'size',
      'sysFlag, kind of host',
      'topicLength',
    ]
    assert.deepEqual([...found].sort(), covered)
    assert.deepEqual([...passed].sort(), [
      'bornHost',
      'bornTimestamp',
      'flag',
      'position',
      'preparedTransactionOffset',
      'properties',
      'queueId',
      'queueOffset',
      'reconsumeTimes',
      'storeHost',
      'storeTimestamp',
      'sysFlag',
      'topic',
    ])
  })

  test('of a changed body passes only where nobody asks for the checksum, as with Java clients', () => {
    const { bytes } = recorded.find(({ name }) => name === 'corrupt-body-crc')!
    assert.equal(checkRecord(bytes, 0, bytes.length, { crc: false }), bytes.length)
    assert.equal(checkRecord(bytes, 0, bytes.length, { crc: true }), -1)
  })

  test('of any bytes throws nothing', () => {
    const base = valid[0]!.bytes
    const patches = fc.array(
      fc.tuple(fc.nat(base.length - 4), fc.oneof(fc.integer(), fc.constantFrom(-1, 0x7fff_ffff, 0))),
      { maxLength: 3 },
    )
    fc.assert(
      fc.property(patches, fc.nat(base.length), (changes, end) => {
        const bytes = Buffer.from(base)
        for (const [at, value] of changes) bytes.writeInt32BE(value, at)
        const size = checkRecord(bytes, 0, end, { crc: false })
        if (size < 0) assert.throws(() => decodeMessage(bytes.subarray(0, end), 0), RangeError)
        else assert.equal(decodeMessage(bytes.subarray(0, end), 0).sizeBytes, size)
      }),
      { numRuns: 2_000 },
    )
  })

  test('that fills the rest of a segment is no message', () => {
    const blank = Buffer.alloc(200)
    blank.writeInt32BE(200, 0)
    blank.writeInt32BE(MAGIC_BLANK, 4)
    assert.equal(checkRecord(blank, 0, 200, { crc: true }), -1)
  })
})
