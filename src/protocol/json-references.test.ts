import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { parseJavaJson } from './java-json.ts'

describe('references of old Java peers', () => {
  const read = (text: string): unknown => JSON.parse(JSON.stringify(parseJavaJson(text)))

  test('are the object that they name', () => {
    assert.deepEqual(read('{"a":{"x":1},"b":{"$ref":"$.a"}}'), { a: { x: 1 }, b: { x: 1 } })
    assert.deepEqual(read('[{"x":1},{"$ref":"$[0]"}]'), [{ x: 1 }, { x: 1 }])
    assert.deepEqual(read('{"a":[{"b":{"x":1}}],"c":[{"$ref":"$.a[0].b"}]}'), { a: [{ b: { x: 1 } }], c: [{ x: 1 }] })
    assert.deepEqual(read('{"b":{"$ref":"$.a"},"a":{"x":1}}'), { a: { x: 1 }, b: { x: 1 } })
  })

  test('to what is not there, to what holds references, and upwards stay as they came', () => {
    for (const text of [
      '{"b":{"$ref":"$.a"}}',
      '{"a":{"b":{"$ref":".."}}}',
      '{"a":{"$ref":"@"}}',
      '{"a":{"$ref":"$"}}',
      '{"a":{"$ref":7}}',
    ])
      assert.deepEqual(read(text), JSON.parse(text), text)
    const circle = '{"a":{"x":{"$ref":"$.b"}},"b":{"y":{"$ref":"$.a"}}}'
    assert.deepEqual(read(circle), JSON.parse(circle))
    const bomb = '{"a":{"x":{"$ref":"$.b"},"y":{"$ref":"$.b"}},"b":{"x":{"$ref":"$.c"},"y":{"$ref":"$.c"}},"c":{"z":1}}'
    assert.deepEqual(read(bomb), {
      a: { x: { $ref: '$.b' }, y: { $ref: '$.b' } },
      b: { x: { z: 1 }, y: { z: 1 } },
      c: { z: 1 },
    })
  })

  test('cannot make a small text a large value', () => {
    const big = `{"a":[${'1,'.repeat(2_000)}1],"b":[${'{"$ref":"$.a"},'.repeat(2_000)}1]}`
    assert.throws(() => parseJavaJson(big), { name: 'JavaJsonError', message: /references/ })
  })
})
