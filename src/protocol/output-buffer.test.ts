import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fastCheck from 'fast-check'
import { OutputBuffer } from './output-buffer.ts'

/** What is written behind a byte of something else, in a buffer that must grow. */
function written(write: (output: OutputBuffer) => void): string {
  const output = new OutputBuffer(1)
  output.writeByte(0x2e)
  write(output)
  const bytes = output.copy()
  assert.equal(bytes[0], 0x2e)
  return bytes.toString('utf8', 1)
}

describe('an output buffer', () => {
  test('writes numbers as JavaScript does', () => {
    for (const value of [0, 1, 9, 10, 99, 100, 2 ** 31 - 1, 2 ** 31, 2 ** 32, Number.MAX_SAFE_INTEGER, -1, 1.5, 1e300])
      assert.equal(
        written((output) => output.writeNumber(value)),
        String(value),
      )
    const numbers = fastCheck.oneof(fastCheck.maxSafeInteger(), fastCheck.integer(), fastCheck.double())
    fastCheck.assert(
      fastCheck.property(numbers, (value) => {
        assert.equal(
          written((output) => output.writeNumber(value)),
          String(value),
        )
      }),
    )
  })

  test('writes text as JSON.stringify does, without its quotes', () => {
    const texts = fastCheck.oneof(
      fastCheck.string({ maxLength: 300 }),
      fastCheck.string({ unit: 'binary', maxLength: 300 }),
    )
    fastCheck.assert(
      fastCheck.property(texts, (text) => {
        assert.equal(`"${written((output) => output.writeJsonText(text))}"`, JSON.stringify(text))
      }),
      { numRuns: 1_000 },
    )
    for (const text of ['"', '\\', '\u0000', '\u007f', 'ü', '订单', '\ud800', `${'a'.repeat(99)}"`, 'a'.repeat(101)])
      assert.equal(`"${written((output) => output.writeJsonText(text))}"`, JSON.stringify(text))
  })

  test('writes constants, and hands over what was written without touching it again', () => {
    const output = new OutputBuffer(2)
    output.writeConstant(Buffer.from('abcdef'))
    const taken = output.take()
    output.writeConstant(Buffer.from('ghijkl'))
    assert.equal(taken.toString(), 'abcdef')
    assert.equal(output.copy().toString(), 'ghijkl')
  })
})
