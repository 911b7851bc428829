import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { type BatchMessage, encodeBatch, newBatchElement, readBatchElement } from './batch.ts'
import { parseProperties } from './properties.ts'

interface Message {
  flag: number
  body: string
  properties: string
}

/** All messages of a batch, or what is wrong with it. */
function read(bytes: Buffer): Message[] | string {
  const element = newBatchElement()
  const messages: Message[] = []
  for (let at = 0; at < bytes.length; ) {
    const fault = readBatchElement(bytes, at, element)
    if (fault !== undefined) return fault
    assert.ok(at < element.bodyStart && element.bodyStart <= element.bodyEnd)
    assert.ok(
      element.bodyEnd < element.propertiesStart && element.propertiesEnd === element.end && element.end <= bytes.length,
    )
    messages.push({
      flag: element.flag,
      body: bytes.toString('base64', element.bodyStart, element.bodyEnd),
      properties: bytes.toString('utf8', element.propertiesStart, element.propertiesEnd),
    })
    at = element.end
  }
  return messages
}

const message: fc.Arbitrary<BatchMessage> = fc.record({
  flag: fc.integer(),
  body: fc.uint8Array({ maxLength: 40 }),
  properties: fc.string({ unit: 'binary', maxLength: 20 }).map((text) => Buffer.from(text)),
})

describe('the body of a batch', () => {
  test('is read as Java reads it, and written as Java writes it', () => {
    interface Row {
      kind: string
      name: string
      messages: { flag: number; propertiesString: string; bodyBase64: string }[]
      encodedBase64: string
      decoded: { flag: number; properties: Record<string, string>; bodyBase64: string }[]
    }
    const lines = readFileSync(resolve(import.meta.dirname, '../../test/vectors/wire/message-encode.jsonl'), 'utf8')
      .trim()
      .split('\n')
    const rows = lines.map((line) => JSON.parse(line) as Row).filter(({ kind }) => kind === 'batchBody')
    assert.equal(rows.length, 3)
    for (const { name, messages, encodedBase64, decoded } of rows) {
      const bytes = Buffer.from(encodedBase64, 'base64')
      const found = read(bytes) as Message[]
      assert.deepEqual(
        found.map(({ flag, body, properties }) => ({
          flag,
          properties: Object.fromEntries(parseProperties(properties)),
          bodyBase64: body,
        })),
        decoded,
        name,
      )
      assert.deepEqual(
        found.map(({ properties }) => properties),
        messages.map(({ propertiesString }) => propertiesString),
        name,
      )
      const ours = messages.map(({ flag, propertiesString, bodyBase64 }) => ({
        flag,
        properties: Buffer.from(propertiesString),
        body: Buffer.from(bodyBase64, 'base64'),
      }))
      assert.deepEqual(encodeBatch(ours), bytes, name)
    }
  })

  test('comes back the same', () => {
    fc.assert(
      fc.property(fc.array(message, { maxLength: 6 }), (messages) => {
        const expected = messages.map(({ flag, body, properties }) => ({
          flag,
          body: Buffer.from(body).toString('base64'),
          properties: Buffer.from(properties).toString('utf8'),
        }))
        assert.deepEqual(read(encodeBatch(messages)), expected)
      }),
    )
  })

  test('of the greatest properties comes back the same', () => {
    const properties = Buffer.alloc(32_767, 0x61)
    assert.deepEqual(read(encodeBatch([{ flag: 1, body: Buffer.from('b'), properties }])), [
      { flag: 1, body: 'Yg==', properties: properties.toString() },
    ])
  })

  test('is refused when it ends anywhere but behind a message', () => {
    const first = { flag: 0, body: Buffer.from('one'), properties: Buffer.from('K\u0001v\u0002') }
    const bytes = encodeBatch([first, { ...first, body: Buffer.from('three'), properties: Buffer.alloc(0) }])
    const boundary = 20 + 3 + 2 + 4
    for (let end = 1; end < bytes.length; end++) {
      const result = read(bytes.subarray(0, end))
      if (end === boundary) assert.equal(result.length, 1)
      else assert.equal(typeof result, 'string', `${end} bytes`)
    }
  })

  const one = encodeBatch([{ flag: 0, body: Buffer.from('body!'), properties: Buffer.from('K\u0001v\u0002') }])
  const changed = (at: number, value: number, size: 2 | 4): Buffer => {
    const bytes = Buffer.concat([one, Buffer.alloc(64)])
    if (size === 4) bytes.writeInt32BE(value, at)
    else bytes.writeInt16BE(value, at)
    return bytes
  }
  const bad: [name: string, bytes: Buffer, says: RegExp][] = [
    ['a size of 0', changed(0, 0, 4), /a message of 0 bytes at 0/],
    ['a size that would go backwards', changed(0, -31, 4), /a message of -31 bytes/],
    ['a size below the smallest message', changed(0, 21, 4), /a message of 21 bytes/],
    ['a size beyond the body', changed(0, one.length + 65, 4), /a message of 96 bytes at 0 of 95/],
    ['the greatest size', changed(0, 0x7fff_ffff, 4), /a message of 2147483647 bytes/],
    [
      'a size one too small',
      changed(0, one.length - 1, 4),
      /properties of 4 bytes do not end where the message of 30 does/,
    ],
    ['a size one too great', changed(0, one.length + 1, 4), /do not end where the message of 32 does/],
    ['a negative body', changed(16, -1, 4), /a body of -1 bytes/],
    ['the greatest body', changed(16, 0x7fff_ffff, 4), /a body of 2147483647 bytes/],
    ['a body one beyond its message', changed(16, one.length - 21, 4), /a body of 10 bytes/],
    ['a body up to the end of its message', changed(16, one.length - 22, 4), /do not end where the message of 31 does/],
    ['negative properties', changed(25, -1, 2), /properties of -1 bytes/],
    ['properties beyond their message', changed(25, 5, 2), /properties of 5 bytes do not end/],
    ['properties short of their message', changed(25, 3, 2), /properties of 3 bytes do not end/],
  ]
  for (const [name, bytes, says] of bad) {
    test(`is refused for ${name}`, () => {
      const result = read(bytes)
      assert.equal(typeof result, 'string')
      assert.match(result as string, says)
    })
  }

  test('of any bytes throws nothing and ends', () => {
    const lengths = fc.array(fc.tuple(fc.nat(one.length * 2 - 4), fc.oneof(fc.integer(), fc.nat(80))), { maxLength: 3 })
    fc.assert(
      fc.property(lengths, fc.nat(one.length * 2), (changes, end) => {
        const bytes = Buffer.concat([one, one])
        for (const [at, value] of changes) bytes.writeInt32BE(value, at)
        read(bytes.subarray(0, end))
      }),
      { numRuns: 2_000 },
    )
  })
})
