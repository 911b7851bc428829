import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import {
  bodyCrc,
  checkRecord,
  decodeMessage,
  encodeRecord,
  type HostAddress,
  hostFlags,
  hostText,
  MAGIC_V1,
  MAGIC_V2,
  type RecordFields,
  readLong,
  recordSize,
  setLong,
} from './message.ts'
import { MessageSysFlag } from './names.ts'
import { encodeProperties } from './properties.ts'

const viewOf = (bytes: Buffer): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.length)

function sizeOf({ body, topic, properties, version, bornHost, storeHost }: RecordFields): number {
  const [bornV6, storeV6] = [bornHost.address.length === 16, storeHost.address.length === 16]
  return recordSize(body.length, topic.length, properties.length, version, bornV6, storeV6)
}

/** What the layout in the shared specification was written out for, byte by byte. */
const worked: RecordFields = {
  version: 1,
  queueId: 3,
  flag: 0,
  queueOffset: 7,
  position: 4_096,
  sysFlag: 0,
  bornTimestamp: 1_700_000_000_000,
  bornHost: { address: Buffer.from([10, 0, 0, 1]), port: 50_000 },
  storeTimestamp: 1_700_000_000_001,
  storeHost: { address: Buffer.from([10, 0, 0, 2]), port: 10_911 },
  reconsumeTimes: 0,
  preparedTransactionOffset: 0,
  body: Buffer.from('hello'),
  topic: Buffer.from('TopicTest'),
  properties: Buffer.from('KEYS\u0001k1\u0002TAGS\u0001TagA\u0002'),
}
const workedHex = `
  0000007b daa320a7 3610a686 00000003 00000000 0000000000000007 0000000000001000 00000000
  0000018bcfe56800 0a000001 0000c350 0000018bcfe56801 0a000002 00002a9f 00000000 0000000000000000
  00000005 68656c6c6f 09 546f70696354657374 0012 4b455953016b3102544147530154616741 02`

const text = (maxLength: number): fc.Arbitrary<string> => fc.string({ unit: 'binary', maxLength })
const word = fc.string({ unit: fc.constantFrom(...'abc%_键 '), minLength: 1, maxLength: 12 })
const host: fc.Arbitrary<HostAddress> = fc.record({
  address: fc.constantFrom(4, 16).chain((size) => fc.uint8Array({ minLength: size, maxLength: size })),
  port: fc.oneof(fc.nat(65_535), fc.integer()),
})
const anyRecord: fc.Arbitrary<RecordFields> = fc.record({
  version: fc.constantFrom(1 as const, 2 as const),
  queueId: fc.integer(),
  flag: fc.integer(),
  queueOffset: fc.maxSafeInteger(),
  position: fc.maxSafeInteger(),
  sysFlag: fc.integer(),
  bornTimestamp: fc.maxSafeInteger(),
  bornHost: host,
  storeTimestamp: fc.maxSafeInteger(),
  storeHost: host,
  reconsumeTimes: fc.integer(),
  preparedTransactionOffset: fc.maxSafeInteger(),
  body: fc.uint8Array({ maxLength: 300 }),
  topic: text(30).map((topic) => Buffer.from(topic).subarray(0, 127)),
  properties: fc
    .dictionary(word, word)
    .map((properties) => Buffer.from(encodeProperties(new Map(Object.entries(properties))))),
})

describe('a record that we write', () => {
  test('has every byte where the layout says', () => {
    const bytes = Buffer.alloc(123)
    assert.equal(encodeRecord(bytes, viewOf(bytes), 0, worked), 123)
    assert.equal(bytes.toString('hex'), workedHex.replaceAll(/\s/g, ''))
    assert.equal(decodeMessage(bytes, 0).offsetMessageId, '0A00000200002A9F0000000000001000')
  })

  test('is read back the same, in both versions, with hosts of both kinds, and touches no byte beside it', () => {
    fc.assert(
      fc.property(anyRecord, fc.nat(40), (fields, at) => {
        const size = sizeOf(fields)
        const bytes = Buffer.alloc(at + size + 9, 0x5a)
        assert.equal(encodeRecord(bytes, viewOf(bytes), at, fields), size)
        assert.ok([...bytes.subarray(0, at), ...bytes.subarray(at + size)].every((byte) => byte === 0x5a))
        assert.equal(checkRecord(bytes, at, at + size, { crc: true }), size)
        const message = decodeMessage(bytes, at)
        const { bornHost, storeHost, version } = fields
        const [bornV6, storeV6] = [bornHost.address.length === 16, storeHost.address.length === 16]
        assert.equal(message.sizeBytes, size)
        assert.equal(message.magic, version === 2 ? MAGIC_V2 : MAGIC_V1)
        assert.equal(message.sysFlag, hostFlags(fields.sysFlag, bornV6, storeV6))
        assert.equal(message.sysFlag & ~0x30, fields.sysFlag & ~0x30)
        assert.deepEqual(message.bornHost, { host: hostText(bornHost.address), port: bornHost.port })
        assert.deepEqual(message.storeHost, { host: hostText(storeHost.address), port: storeHost.port })
        assert.equal(message.topic, Buffer.from(fields.topic).toString('utf8'))
        assert.equal(encodeProperties(message.properties), Buffer.from(fields.properties).toString('utf8'))
        assert.deepEqual(message.body, Buffer.from(fields.body))
        const numbers = ['queueId', 'flag', 'queueOffset', 'position', 'bornTimestamp', 'storeTimestamp'] as const
        for (const name of [...numbers, 'reconsumeTimes', 'preparedTransactionOffset'] as const) {
          assert.equal(message[name] + 0, fields[name] + 0, name)
        }
      }),
      { numRuns: 600 },
    )
  })

  test('of version 2 takes topics of any length, of version 1 up to 127 bytes', () => {
    for (const [version, length, valid] of [
      [1, 127, true],
      [1, 128, false],
      [1, 255, false],
      [2, 128, true],
      [2, 255, true],
      [2, 32_767, true],
    ] as const) {
      const fields = { ...worked, version, topic: Buffer.alloc(length, 0x74) }
      const size = sizeOf(fields)
      const bytes = Buffer.alloc(size)
      encodeRecord(bytes, viewOf(bytes), 0, fields)
      assert.equal(checkRecord(bytes, 0, size, { crc: true }), valid ? size : -1, `V${version}, ${length}`)
      if (valid) assert.equal(decodeMessage(bytes, 0).topic.length, length)
    }
  })

  test('carries the greatest properties that there are', () => {
    const properties = Buffer.from(`K\u0001${'v'.repeat(32_767 - 3)}\u0002`)
    const fields = { ...worked, properties }
    const bytes = Buffer.alloc(sizeOf(fields))
    encodeRecord(bytes, viewOf(bytes), 0, fields)
    assert.equal(checkRecord(bytes, 0, bytes.length, { crc: true }), bytes.length)
    assert.equal(decodeMessage(bytes, 0).properties.get('K')!.length, 32_764)
  })

  test('says the kinds of its hosts, whatever the flag said before', () => {
    const v6 = MessageSysFlag.BORN_HOST_V6 | MessageSysFlag.STORE_HOST_V6
    assert.equal(hostFlags(-1, false, false), ~v6)
    assert.equal(hostFlags(0, true, false), MessageSysFlag.BORN_HOST_V6)
    assert.equal(hostFlags(0x101, false, true), 0x101 | MessageSysFlag.STORE_HOST_V6)
    assert.equal(hostFlags(0, true, true), v6)
  })
})

describe('parts of a record', () => {
  test('the checksum of a body is that of Java, in 31 bits', () => {
    const lines = readFileSync(resolve(import.meta.dirname, '../../test/vectors/wire/hash-and-ids.jsonl'), 'utf8')
      .trim()
      .split('\n')
    const rows = lines
      .map((line) => JSON.parse(line) as { kind: string; inputBase64: string; crc32: number })
      .filter(({ kind }) => kind === 'crc32')
    assert.equal(rows.length, 8)
    for (const { inputBase64, crc32 } of rows) assert.equal(bodyCrc(Buffer.from(inputBase64, 'base64')), crc32)
  })

  test('64 bits go through two halves as they go through a BigInt', () => {
    const bytes = Buffer.alloc(8)
    const check = (value: number): void => {
      setLong(viewOf(bytes), 0, value)
      assert.equal(bytes.readBigInt64BE(0), BigInt(value))
      assert.equal(readLong(bytes, 0) + 0, value + 0)
    }
    for (const value of [0, -1, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0x1_0000_0000, -0x1_0000_0000, -0x8000_0001])
      check(value)
    fc.assert(fc.property(fc.maxSafeInteger(), check))
  })

  test('hosts are spelled as Java spells them', () => {
    const v6 = (groups: number[]): Buffer => {
      const address = Buffer.alloc(16)
      groups.forEach((group, index) => {
        address.writeUInt16BE(group, index * 2)
      })
      return address
    }
    assert.equal(hostText(Buffer.from([127, 0, 0, 1])), '127.0.0.1')
    assert.equal(hostText(Buffer.from([255, 255, 255, 255])), '255.255.255.255')
    assert.equal(hostText(v6([0, 0, 0, 0, 0, 0, 0, 1])), '0:0:0:0:0:0:0:1')
    assert.equal(hostText(v6([0xfe80, 0, 0, 0, 0xa, 0xbc, 0xdef, 0xffff])), 'fe80:0:0:0:a:bc:def:ffff')
  })
})
