import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { allCommands } from './commands/all.ts'
import { SendMessageV2 } from './commands/send.ts'
import { type Frame, FrameReader, Serialize } from './frame.ts'

/** A frame of these header bytes. What lies behind it in memory is a body that looks like more header. */
function frameOf(header: Buffer, serialize: number): Frame {
  const body = Buffer.from('"}},"a":"b","extFields":{"a":"b"}}')
  const bytes = Buffer.concat([Buffer.alloc(8), header, body])
  bytes.writeInt32BE(bytes.length - 4, 0)
  bytes.writeUIntBE(header.length, 5, 3)
  bytes[4] = serialize
  const frames: Frame[] = []
  new FrameReader().push(bytes, (frame) => frames.push(frame))
  assert.equal(frames.length, 1)
  return frames[0]!
}

type Decode = (frame: Frame) => object
const decoders: Decode[] = allCommands.flatMap((command): Decode[] => [
  (frame) => command.decodeRequest(frame),
  (frame) => command.decodeResponse(frame),
])

describe('bytes that are no header', () => {
  const REFUSALS = new Set(['FrameError', 'BadHeader'])
  const LIMIT_MS = 50

  /** Time of this thread: others use the machine too. */
  function spentMs(since: NodeJS.CpuUsage): number {
    const { user, system } = process.threadCpuUsage(since)
    return (user + system) / 1_000
  }

  /** Everything that a server does with a header. The least of three times, for the garbage of others. */
  function tried(header: Buffer, serialize: number, decode: Decode, what: string): void {
    const times: number[] = []
    do {
      const start = process.threadCpuUsage()
      try {
        const frame = frameOf(header, serialize)
        frame.extFields()
        decode(frame)
      } catch (error) {
        const { name, stack } = error as Error
        assert.ok(REFUSALS.has(name), `${what}: ${stack}`)
      }
      times.push(spentMs(start))
    } while (times.at(-1)! > LIMIT_MS && times.length < 3)
    assert.ok(Math.min(...times) <= LIMIT_MS, `${what}: ${times} ms`)
  }

  test('are refused by name or read, whatever they are', () => {
    const tokens = [
      '{',
      '}',
      '[',
      ']',
      '"',
      "'",
      ':',
      ',',
      '\\',
      '\\u',
      '\\x4',
      '/*',
      '*/',
      '//',
      '\n',
      '0',
      '-',
      '1e9',
      'true',
    ]
    const names = ['null', '"code"', '"extFields"', '"a"', '"topic":"t"', '{"code":1,"extFields":{', '\u0000', 'é']
    const texts = fc
      .array(fc.constantFrom(...tokens, ...names), { maxLength: 40 })
      .map((parts) => Buffer.from(parts.join('')))
    const bytes = fc.uint8Array({ maxLength: 200 }).map((array) => Buffer.from(array))
    const lengths = fc.constantFrom(
      [0, 0, 0, 0],
      [0, 0, 0, 5],
      [0xff, 0xff, 0xff, 0xff],
      [0, 1],
      [0x7f, 0xff, 0xff, 0xff],
      [0, 1, 97],
    )
    const binary = fc.array(fc.oneof(lengths, fc.array(fc.nat(255), { maxLength: 4 })), { maxLength: 20 })
    const like = binary.map((parts) => Buffer.concat([Buffer.alloc(13), ...parts.map((part) => Buffer.from(part))]))
    fc.assert(
      fc.property(fc.oneof(texts, bytes, like), fc.nat(1), fc.constantFrom(...decoders), (header, serialize, command) =>
        tried(header, serialize, command, header.toString('latin1')),
      ),
      { numRuns: 6_000 },
    )
  })

  const send: Decode = (frame) => SendMessageV2.decodeRequest(frame)
  const filled = (unit: string, sizeBytes: number): string => unit.repeat(Math.floor(sizeBytes / unit.length))
  const shapes: Record<string, (size: number) => string> = {
    'a long text': (size) => ` {"remark":"${filled('a', size)}"}`,
    'a text of escapes': (size) => ` {"remark":"${filled('\\n', size)}"}`,
    'a text of unicode escapes': (size) => ` {"remark":"${filled('\\u0001', size)}"}`,
    'a text of backslashes and quotes': (size) => ` {"remark":"${filled('\\"', size)}`,
    'a field of unicode escapes, as bytes': (size) => `{"code":310,"extFields":{"i":"${filled('\\u0001', size)}"}}`,
    'a field of unicode escapes, as text': (size) => `{"code":310,"extFields":{"a":"${filled('\\u0001', size)}"}}`,
    'a field of raw control characters': (size) => `{"code":310,"extFields":{"a":"\\n${filled('\u0001', size)}"}}`,
    'a number of digits': (size) => `{"code":${filled('1', size)}}`,
    'a field of digits': (size) => `{"code":310,"extFields":{"g":"${filled('1', size)}"}}`,
    'a text of digits for a number': (size) => `{"code":"${filled('1', size)}"}`,
    'nested arrays': (size) => `{"a":${filled('[', size)}`,
    'nested object keys': (size) => filled('{', size),
    'many values': (size) => `{"a":[${filled('1,', size)}`,
    'many keys': (size) => `{${filled('"a":1,', size)}`,
    'many fields': (size) => `{"code":310,"extFields":{${filled('"a":"b",', size)}"c":"d"}}`,
    comments: (size) => ` ${filled('/**/', size)}{}`,
    'comments without end': (size) => filled('/*', size),
    blanks: (size) => `${filled(' ', size)}{}`,
  }
  for (const [name, shape] of Object.entries(shapes)) {
    test(`${name}, of any length, take no time`, () => {
      for (const size of [0, 1, 512, 1_024, 65_536, 262_000, 1_000_000])
        tried(Buffer.from(shape(size)), Serialize.JSON, send, `${name} of ${size} bytes`)
    })
  }

  test('a binary header of many small fields takes no time', () => {
    const fields = Buffer.alloc(1_400_000)
    for (let at = 0; at < fields.length; at += 7) fields[at + 1] = 1
    const head = Buffer.alloc(21)
    head.writeInt32BE(fields.length, 17)
    tried(Buffer.concat([head, fields]), Serialize.ROCKETMQ, send, 'many fields')
  })

  test('an unusual shape is read up to 256 KiB, a usual one to the end', () => {
    const usual = (bytes: number): string => `{"code":310,"extFields":{"x":"${'a'.repeat(bytes - 33)}"}}`
    const read = (text: string): number => frameOf(Buffer.from(text), Serialize.JSON).code
    assert.equal(read(usual(1_000_000)), 310)
    assert.equal(read(` ${usual(262_143)}`), 310)
    assert.throws(() => read(` ${usual(262_144)}`), { name: 'FrameError', message: /unusual shape/ })
  })
})
