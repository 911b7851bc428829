import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { javaHashCode, javaHashCodeOfUtf8 } from './java-hash.ts'

describe("Java's hash of a text", () => {
  test('is that of the recorded tags', () => {
    const lines = readFileSync(resolve(import.meta.dirname, '../../test/vectors/wire/hash-and-ids.jsonl'), 'utf8')
      .trim()
      .split('\n')
    const rows = lines
      .map(
        (line) => JSON.parse(line) as { kind: string; input: string | null; stringHashCode: number; tagsCode: string },
      )
      .filter(({ kind, input }) => kind === 'tagsCode' && input !== null)
    assert.equal(rows.length, 22)
    for (const { input, stringHashCode, tagsCode } of rows) {
      assert.equal(javaHashCode(input!), stringHashCode, input!)
      const bytes = Buffer.from(`<${input}>`)
      assert.equal(javaHashCodeOfUtf8(bytes, 1, bytes.length - 1), stringHashCode, input!)
      // The code of a consume queue is the hash with its sign, in 64 bits.
      assert.equal(BigInt(javaHashCode(input!)), BigInt(tagsCode), input!)
    }
  })

  test('is the same of the text and of its UTF-8, wherever that lies', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), fc.string(), (text, before, after) => {
        const whole = Buffer.from(before + text + after)
        const start = Buffer.byteLength(before)
        assert.equal(javaHashCodeOfUtf8(whole, start, start + Buffer.byteLength(text)), javaHashCode(text))
        assert.equal(javaHashCodeOfUtf8(whole.subarray(start), 0, Buffer.byteLength(text)), javaHashCode(text))
      }),
    )
  })

  test('is the sum of its parts, in 32 bits', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        let hash = 0n
        for (let at = 0; at < text.length; at++) hash = BigInt.asIntN(32, hash * 31n + BigInt(text.charCodeAt(at)))
        assert.equal(BigInt(javaHashCode(text)), hash)
      }),
    )
  })
})
