import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { bool, bytes, command, int, long, name, optional, type Request, text } from './command.ts'
import { type Frame, FrameReader } from './frame.ts'

/** A frame of this JSON header. */
function frameOf(header: Buffer): Frame {
  const whole = Buffer.concat([Buffer.alloc(8), header])
  whole.writeInt32BE(whole.length - 4, 0)
  whole.writeInt32BE(header.length, 4)
  const frames: Frame[] = []
  new FrameReader().push(whole, (frame) => frames.push(frame))
  return frames[0]!
}

describe('a header field', () => {
  const probe = command({
    name: 'PROBE',
    code: 1,
    about: 'Has a field of each kind.',
    source: 'none',
    request: {
      i: optional(int('int')),
      l: optional(long('long')),
      b: optional(bool('bool')),
      t: optional(text('text')),
      n: optional(name('name')),
      y: optional(bytes('bytes')),
    },
  })
  /** The field as read in place, and by the tolerant parser. */
  function read(key: keyof Request<typeof probe>, json: string): unknown[] {
    return ['', ' '].map((before) => {
      const frame = frameOf(Buffer.from(`${before}{"code":1,"extFields":{"${key}":${json}}}`))
      assert.equal(frame.parsedFields === undefined, before === '' && json.startsWith('"'))
      const value = probe.decodeRequest(frame)[key]
      return value instanceof Uint8Array ? Buffer.from(value).toString('utf8') : value
    })
  }

  const max = Number.MAX_SAFE_INTEGER
  const good: [keyof Request<typeof probe>, string, unknown][] = [
    ['i', '"2147483647"', 2_147_483_647],
    ['i', '"-2147483648"', -2_147_483_648],
    ['i', '"007"', 7],
    ['l', '"9007199254740993"', max],
    ['l', '"9223372036854775807"', max],
    ['l', '"-9223372036854775808"', -max],
    ['l', '"999999999999999"', 999_999_999_999_999],
    ['l', '"-1000000000000000"', -1_000_000_000_000_000],
    ['l', '"+5"', 5],
    ['b', '"TRUE"', true],
    ['b', '"True"', true],
    ['b', '"true "', false],
    ['b', '"1"', false],
    ['b', '""', false],
    ['t', '""', ''],
    ['n', '""', ''],
    ['t', '"\\ud83d\\ude00 \\u00e9\\/"', '😀 é/'],
    ['n', '"\\ud83d\\ude00 \\u00e9\\/"', '😀 é/'],
    ['y', '"\\ud83d\\ude00 \\u00E9\\/\\u0001\\u4f60"', '😀 é/\u0001你'],
    ['y', '"a\\ud83d|\\ude00|\\ud83d\\ud83d\\ude00"', 'a?|?|?😀'],
  ]
  for (const [key, json, value] of good)
    test(`${key} of ${json} is ${JSON.stringify(value)}`, () => assert.deepEqual(read(key, json), [value, value]))

  const bad: [keyof Request<typeof probe>, string][] = [
    ...['2147483648', '-2147483649', '', ' 1', '1 ', '1.0', '1e3', '0x1', '-', '--1', 'x'].map(
      (value) => ['i', value] as ['i', string],
    ),
    ...['9223372036854775808', '-9223372036854775809', '', '-', '1.5', '1'.repeat(21)].map(
      (value) => ['l', value] as ['l', string],
    ),
  ]
  for (const [key, value] of bad) {
    test(`${key} of '${value}' is refused by name`, () => {
      for (const before of ['', ' ']) {
        const header = Buffer.from(`${before}{"code":1,"extFields":{"${key}":"${value}"}}`)
        const message = new RegExp(`^PROBE: the header field '${key}' takes a whole number.*, not '${value}'$`)
        assert.throws(() => probe.decodeRequest(frameOf(header)), {
          name: 'BadHeader',
          message,
        })
      }
    })
  }

  test('counts as it is said last, in the map that is said last', () => {
    const topOf = (text: string): Request<typeof probe> => probe.decodeRequest(frameOf(Buffer.from(text)))
    assert.equal(topOf('{"extFields":{"t":"a","t":"b"}}').t, 'b')
    assert.deepEqual(
      { ...topOf('{"extFields":{"t":"a"},"extFields":{"n":"b"}}') },
      { ...topOf('{"extFields":{"n":"b"}}') },
    )
    assert.equal(topOf('{"extFields":{"t":"a"},"extFields":null}').t, undefined)
  })
})
