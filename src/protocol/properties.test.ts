import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { encodeProperties, findProperty, type PropertyPlace, parseProperties } from './properties.ts'

const newPlace = (): PropertyPlace => ({ start: 0, valueStart: 0, valueEnd: 0, end: 0 })

/** The value that is found in place, or undefined. */
function found(bytes: Buffer, name: string, start = 0, end = bytes.length): string | undefined {
  const place = newPlace()
  if (!findProperty(bytes, start, end, Buffer.from(name), place)) return undefined
  assert.ok(start <= place.start && place.end <= end)
  assert.equal(bytes.toString('utf8', place.start, place.valueStart - 1), name)
  assert.equal(place.end, Math.min(end, place.valueEnd + 1))
  return bytes.toString('utf8', place.valueStart, place.valueEnd)
}

const word = fc.string({ unit: fc.constantFrom(...'abAB_.$ 键😀\n\u0003'), minLength: 1, maxLength: 6 })
const properties = fc.array(fc.tuple(word, word), { maxLength: 8 }).map((entries) => new Map(entries))
/** Entries, whole ones and broken ones, as peers may send them. */
const anyText = fc
  .array(fc.oneof(word, fc.constantFrom('\u0001', '\u0002', '\u0001\u0001', '\u0002\u0002', 'TAGS\u0001t\u0002')), {
    maxLength: 20,
  })
  .map((parts) => parts.join(''))

describe('encoded properties', () => {
  test('are read as Java reads them', () => {
    const lines = readFileSync(resolve(import.meta.dirname, '../../test/vectors/wire/message-encode.jsonl'), 'utf8')
      .trim()
      .split('\n')
    const rows = lines
      .map((line) => JSON.parse(line) as { kind: string; input: string; output: Record<string, string> })
      .filter(({ kind }) => kind === 'propertiesDecode')
    assert.equal(rows.length, 12)
    for (const { input, output } of rows) {
      assert.deepEqual(Object.fromEntries(parseProperties(input)), output, JSON.stringify(input))
      for (const [name, value] of Object.entries(output)) {
        // Java's map keeps the last of a name, the bytes are searched for the first.
        if (input !== 'a\u0001b\u0002a\u0001c\u0002') assert.equal(found(Buffer.from(input), name), value)
      }
    }
  })

  test('come back the same, and each is found in its bytes', () => {
    fc.assert(
      fc.property(properties, word, (map, other) => {
        const text = encodeProperties(map)
        assert.deepEqual(parseProperties(text), map)
        assert.deepEqual(parseProperties(text.slice(0, -1)), map)
        const bytes = Buffer.from(text)
        for (const [name, value] of map) {
          assert.equal(found(bytes, name), value)
          assert.equal(found(bytes, name, 0, Math.max(0, bytes.length - 1)), value)
        }
        assert.equal(found(bytes, other), map.get(other))
      }),
      { numRuns: 500 },
    )
  })

  test('are the same map after one is cut out in place and another put behind', () => {
    fc.assert(
      fc.property(properties, fc.nat(), word, word, (map, which, name, value) => {
        const model = new Map(map)
        let bytes = Buffer.from(encodeProperties(map))
        const doomed = [...map.keys()][which % Math.max(1, map.size)]
        if (doomed !== undefined) {
          const place = newPlace()
          assert.ok(findProperty(bytes, 0, bytes.length, Buffer.from(doomed), place))
          bytes = Buffer.concat([bytes.subarray(0, place.start), bytes.subarray(place.end)])
          model.delete(doomed)
          assert.equal(found(bytes, doomed), undefined)
        }
        bytes = Buffer.concat([bytes, Buffer.from(encodeProperties(new Map([[name, value]])))])
        assert.equal(found(bytes, name), model.get(name) ?? value)
        assert.deepEqual(parseProperties(bytes.toString('utf8')), model.set(name, value))
      }),
      { numRuns: 500 },
    )
  })

  test('of any text: what is found in place is the first entry of the name with a value', () => {
    fc.assert(
      fc.property(anyText, fc.constantFrom('TAGS', 'a', '键', 'ab'), fc.nat(3), (text, name, before) => {
        const bytes = Buffer.from('\u0002'.repeat(before) + text)
        const entries = text.split('\u0002').map((entry) => [entry.indexOf('\u0001'), entry] as const)
        const values = entries
          .filter(([split, entry]) => split > 0 && entry.slice(0, split) === name)
          .map(([split, entry]) => entry.slice(split + 1))
        assert.equal(
          found(bytes, name, before),
          values.find((value) => value !== ''),
        )
        const last = values.filter((value) => value !== '').at(-1)
        assert.equal(parseProperties(text).get(name), last)
      }),
      { numRuns: 2_000 },
    )
  })

  test('are looked at within their bounds only', () => {
    const bytes = Buffer.from('A\u0001x\u0002TAGS\u0001t\u0002B\u0001y\u0002')
    assert.equal(found(bytes, 'TAGS'), 't')
    assert.equal(found(bytes, 'TAGS', 4, 11), 't')
    assert.equal(found(bytes, 'TAGS', 5), undefined)
    assert.equal(found(bytes, 'TAGS', 0, 9), undefined)
    assert.equal(found(bytes, 'TAG'), undefined)
    assert.equal(found(bytes, 'TAGSS'), undefined)
    assert.equal(found(bytes, 'A', 4), undefined)
    assert.equal(found(Buffer.alloc(0), 'A'), undefined)
  })
})
