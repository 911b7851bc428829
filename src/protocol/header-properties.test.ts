import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import type { AnyCommand } from './command.ts'
import { allCommands } from './commands/all.ts'
import type { AnyFields, Field } from './fields.ts'
import { type Frame, FrameReader, Serialize } from './frame.ts'
import { encodeRequestFrame, encodeResponseFrame } from './frame-encoder.ts'
import { LanguageCode } from './language.ts'
import { OutputBuffer } from './output-buffer.ts'

type Values = Record<string, unknown>

const anyText = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({
    unit: fc.constantFrom('"', '\\', '/', '\n', '\u0000', '\u0001', '\u0002', '\u001f', '\u007f', 'é', '😀', 'a'),
  }),
  fc.constantFrom('', ' ', 'null', 'true', '0', '\\u0041', '\u2028', '\ufeff', 'a'.repeat(300)),
)
const anyInt = fc.oneof(fc.integer(), fc.constantFrom(0, -1, 0x7fff_ffff, -0x8000_0000))
const anyLong = fc.oneof(
  fc.maxSafeInteger(),
  fc.constantFrom(0, -1, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER, 999_999_999_999_999, 1_000_000_000_000_000),
)

function valueArbitrary({ kind, absence }: Field<unknown>): fc.Arbitrary<unknown> {
  const present: fc.Arbitrary<unknown> =
    kind === 'int'
      ? anyInt
      : kind === 'long'
        ? anyLong
        : kind === 'bool'
          ? fc.boolean()
          : kind === 'bytes'
            ? anyText.map((text) => Buffer.from(text))
            : anyText
  return absence === 'refused' ? present : fc.option(present, { nil: undefined, freq: 3 })
}

const valuesArbitrary = (fields: AnyFields): fc.Arbitrary<Values> =>
  fc.record(Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, valueArbitrary(field)])))

/** Fields that no command declares. */
const extraArbitrary = fc.dictionary(
  anyText.map((text) => `?${text}`),
  anyText,
  { maxKeys: 4, noNullPrototype: true },
)

const frameArbitrary = fc.record({
  opaque: anyInt,
  language: fc.constantFrom(...Object.values(LanguageCode)),
  version: fc.integer({ min: -0x8000, max: 0x7fff }),
  oneWay: fc.boolean(),
  remark: fc.option(anyText, { nil: undefined }),
})

function frameOf(bytes: Buffer): Frame {
  const frames: Frame[] = []
  new FrameReader().push(bytes, (frame) => frames.push(frame))
  assert.equal(frames.length, 1)
  return frames[0]!
}

/** A frame of these header bytes. What lies behind it in memory is a body that looks like more header. */
function framed(header: Buffer, serialize: number): Buffer {
  const body = Buffer.from('"}},"a":"b","extFields":{"a":"b"}}')
  const bytes = Buffer.concat([Buffer.alloc(8), header, body])
  bytes.writeInt32BE(bytes.length - 4, 0)
  bytes.writeUIntBE(header.length, 5, 3)
  bytes[4] = serialize
  return bytes
}

/** What must come out again: an absent field's default; nothing, for what is empty in a binary header. */
function expectedOf(fields: AnyFields, values: Values, serialize: Serialize): { values: Values; missing?: string } {
  const expected: Values = {}
  let missing: string | undefined
  for (const [name, field] of Object.entries(fields)) {
    const value = values[name]
    const isEmpty = (value as { length?: number } | undefined)?.length === 0
    expected[name] = value === undefined || (serialize === Serialize.ROCKETMQ && isEmpty) ? field.fallback : value
    if (expected[name] === undefined && field.absence === 'refused') missing ??= name
  }
  return missing === undefined ? { values: expected } : { values: expected, missing }
}

/** Views as buffers of their own, so that they compare. */
const settled = (values: object): Values =>
  Object.fromEntries(
    Object.entries(values).map(([name, value]) => [name, value instanceof Uint8Array ? Buffer.from(value) : value]),
  )

/** Every declared header: a command's request and, where it has fields, its response. */
interface Header {
  name: string
  command: AnyCommand
  fields: AnyFields
  isRequest: boolean
  decode: (frame: Frame) => Values
}
const headers: Header[] = allCommands.flatMap((command): Header[] => [
  {
    name: `${command.name} request`,
    command,
    fields: command.request,
    isRequest: true,
    decode: (frame) => settled(command.decodeRequest(frame)),
  },
  {
    name: `${command.name} response`,
    command,
    fields: command.response,
    isRequest: false,
    decode: (frame) => settled(command.decodeResponse(frame)),
  },
])
const withFields = headers.filter(({ fields }) => Object.keys(fields).length > 0)

function checkDecode({ decode, command }: Header, frame: Frame, expected: { values: Values; missing?: string }): void {
  if (expected.missing === undefined) assert.deepEqual(decode(frame), expected.values)
  else {
    const message = `${command.name} needs the header field '${expected.missing}'`
    assert.throws(() => decode(frame), { name: 'BadHeader', message })
  }
}

describe('a header that we write', () => {
  for (const serialize of [Serialize.JSON, Serialize.ROCKETMQ]) {
    test(`comes back the same, for every command, ${serialize === Serialize.JSON ? 'JSON' : 'binary'}`, () => {
      for (const header of headers) {
        const { command, fields, isRequest } = header
        const roundTrip = fc.property(
          valuesArbitrary(fields),
          extraArbitrary,
          frameArbitrary,
          (values, extra, with_) => {
            const { opaque, remark, language, version, oneWay } = with_
            const output = new OutputBuffer(8)
            const common = { opaque, serialize, extra, bodySize: 3, ...(remark === undefined ? {} : { remark }) }
            if (isRequest) encodeRequestFrame(output, command, values, { ...common, language, version, oneWay })
            else encodeResponseFrame(output, command, { ...common, code: 17, header: values })
            output.writeBytes(Buffer.from('end'))
            const frame = frameOf(output.take())
            assert.equal(frame.body.toString(), 'end')
            assert.equal(frame.code, isRequest ? command.code : 17)
            assert.equal(frame.opaque, opaque)
            assert.equal(frame.isResponse, !isRequest)
            assert.equal(frame.isOneWay, isRequest && oneWay)
            assert.equal(frame.remark, serialize === Serialize.ROCKETMQ && remark === '' ? undefined : remark)
            if (isRequest) assert.deepEqual([frame.language, frame.version], [language, version])
            checkDecode(header, frame, expectedOf(fields, values, serialize))
            for (const [key, value] of Object.entries(extra)) {
              assert.equal(frame.extFields()!.get(key), serialize === Serialize.ROCKETMQ && value === '' ? null : value)
            }
          },
        )
        fc.assert(roundTrip, { numRuns: Object.keys(fields).length > 4 ? 40 : 15 })
      }
    })
  }
})

describe('a JSON header that others write', () => {
  /** Numbers for choices, the same again when a case is shrunk. */
  const dice = fc.array(fc.nat(997), { minLength: 64, maxLength: 64 })
  type Roll = (sides: number) => number
  const rolling = (numbers: readonly number[]): Roll => {
    let at = 0
    return (sides) => numbers[at++ % numbers.length]! % sides
  }
  const blank = (roll: Roll): string => ['', '', '', ' ', '\n', '\t', '\r\n  ', '/* c */', '// c\n'][roll(9)]!

  function string(text: string, roll: Roll): string {
    if (roll(3) === 0) return JSON.stringify(text)
    const escaped = [...text].map((char) => {
      const units = [...Array(char.length).keys()].map(
        (at) => `\\u${char.charCodeAt(at).toString(16).padStart(4, '0')}`,
      )
      if (roll(4) === 0) return roll(2) === 0 ? units.join('') : units.join('').toUpperCase().replaceAll('U', 'u')
      return char === '/' && roll(2) === 0 ? '\\/' : JSON.stringify(char).slice(1, -1)
    })
    return `"${escaped.join('')}"`
  }

  function object(members: [string, string][], roll: Roll): string {
    const rest = [...members]
    const shuffled: string[] = []
    while (rest.length > 0) {
      const [[key, value]] = rest.splice(roll(rest.length), 1) as [[string, string]]
      shuffled.push(`${blank(roll)}${string(key, roll)}${blank(roll)}:${blank(roll)}${value}${blank(roll)}`)
    }
    return `{${shuffled.join(',')}${shuffled.length > 0 && roll(5) === 0 ? ',' : blank(roll)}}`
  }

  /** A value as Java would print it: a string; a number or boolean may stand bare. */
  function fieldValue({ kind }: Field<unknown>, value: unknown, roll: Roll): string {
    if (kind === 'bytes') return string((value as Buffer).toString(), roll)
    if (kind === 'text' || kind === 'name') return string(value as string, roll)
    if (kind === 'bool' && roll(3) === 0) return `"${String(value).toUpperCase()}"`
    const bare = kind !== 'long' || Math.abs(value as number) < Number.MAX_SAFE_INTEGER
    return bare && roll(2) === 0 ? String(value) : `"${value}"`
  }

  /** Keys as long as the known ones, and beginning alike. */
  const NEAR = ['cost', 'coda', 'flog', 'opaquE', 'origin', 'vintage', 'remake', 'Remark', 'encodings', 'locality']
  const STRANGE = [
    '1',
    'true',
    'null',
    '"x"',
    '"JAVA"',
    '"GO"',
    '[1,{"a":[]}]',
    '{}',
    '{"a":"b"}',
    '{"topic":"wrong"}',
    '-7',
  ]

  test('with keys in any order, blanks, escapes, unknown keys, numbers as strings and strings as numbers, and nulls', () => {
    const any = fc
      .constantFrom(...headers)
      .chain((header) => fc.tuple(fc.constant(header), valuesArbitrary(header.fields)))
    fc.assert(
      fc.property(
        any,
        dice,
        fc.option(anyText, { nil: undefined }),
        anyInt,
        ([header, values], numbers, remark, opaque) => {
          const roll = rolling(numbers)
          const members: [string, string][] = []
          for (const [name, field] of Object.entries(header.fields)) {
            if (values[name] !== undefined) members.push([field.key ?? name, fieldValue(field, values[name], roll)])
            else if (roll(3) === 0) members.push([field.key ?? name, 'null'])
          }
          for (let more = roll(3); more > 0; more--) members.push([`unknown${more}`, ['"x"', '5', 'null'][roll(3)]!])
          const top: [string, string][] = [
            ['code', roll(3) === 0 ? `"${header.command.code}"` : String(header.command.code)],
            ['opaque', roll(3) === 0 ? `"${opaque}"` : String(opaque)],
            ['extFields', object(members, roll)],
            ['language', ['"GO"', '"go"', '9', '"Go"'][roll(4)]!],
          ]
          if (remark !== undefined) top.push(['remark', string(remark, roll)])
          else if (roll(3) === 0) top.push(['remark', 'null'])
          for (let more = roll(4); more > 0; more--)
            top.push([NEAR[roll(NEAR.length)]!, STRANGE[roll(STRANGE.length)]!])
          const frame = frameOf(framed(Buffer.from(blank(roll) + object(top, roll) + blank(roll)), Serialize.JSON))
          assert.equal(frame.code, header.command.code)
          assert.equal(frame.opaque, opaque)
          assert.equal(frame.language, LanguageCode.GO)
          assert.equal(frame.remark, remark)
          checkDecode(header, frame, expectedOf(header.fields, values, Serialize.JSON))
        },
      ),
      { numRuns: 1_500 },
    )
  })

  /** All that can be learnt of a header, or what it is refused with. */
  function learnt(header: Buffer, { decode }: Header): unknown {
    try {
      const frame = frameOf(framed(header, Serialize.JSON))
      const { code, flag, opaque, version, language, remark, hasFields } = frame
      const fixed = [code, flag, opaque, version, language, hasFields].map((each) => Number(each) + 0)
      let values: unknown
      try {
        // Bytes that are no UTF-8 stay what they are when read in place.
        values = Object.entries(decode(frame)).map(([name, value]) => [
          name,
          Buffer.isBuffer(value) ? `${value}` : value,
        ])
      } catch (error) {
        values = (error as Error).name
      }
      return { fixed, remark, values, fields: frame.extFields() }
    } catch (error) {
      return (error as Error).name
    }
  }

  test('means the same read in place as by the tolerant parser, also when it is damaged', () => {
    const any = fc
      .constantFrom(...withFields)
      .chain((header) => fc.tuple(fc.constant(header), valuesArbitrary(header.fields)))
    const damage = fc.array(
      fc.tuple(fc.nat(), fc.constantFrom(...Buffer.from('"\\{}[]:,0-9axyzu u\n\u0001\u00c3\u00ff'))),
      {
        maxLength: 2,
      },
    )
    let inPlace = 0
    fc.assert(
      fc.property(
        any,
        damage,
        fc.oneof({ weight: 4, arbitrary: fc.constant('') }, fc.constantFrom(...NEAR)),
        fc.constantFrom(...STRANGE),
        ([header, values], places, key, value) => {
          const output = new OutputBuffer(64)
          encodeRequestFrame(
            output,
            {
              ...header.command,
              code: 5,
              requestEncoder: header.isRequest ? header.command.requestEncoder : header.command.responseEncoder,
            } as AnyCommand,
            values,
            { opaque: 7, bodySize: 0 },
          )
          const whole = output.take().subarray(8)
          const bytes = key === '' ? whole : Buffer.from(`{"${key}":${value},${whole.toString('utf8', 1)}`)
          for (const [at, byte] of places) bytes[at % bytes.length] = byte
          const loose = Buffer.concat([Buffer.from(' '), bytes])
          assert.deepEqual(learnt(bytes, header), learnt(loose, header), bytes.toString('latin1'))
          if (!bytes.includes('\n') && frameIsInPlace(bytes)) inPlace++
        },
      ),
      { numRuns: 6_000 },
    )
    assert.ok(inPlace > 1_000, `${inPlace} were read in place`)
  })

  function frameIsInPlace(bytes: Buffer): boolean {
    try {
      return frameOf(framed(bytes, Serialize.JSON)).parsedFields === undefined
    } catch {
      return false
    }
  }
})
