import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { readConsumeOptions } from './consume.ts'
import { Failure } from './failure.ts'
import { readProduceOptions } from './produce.ts'

const refuses = (call: () => unknown, message: RegExp): void =>
  assert.throws(call, (error) => {
    assert.ok(error instanceof Failure, String(error))
    assert.match(error.message, message)
    return true
  })

describe('options of produce', () => {
  test('every one is read', () => {
    const words = 'orders -n a:1;b:2 --group g --tag paid --key k1 --key k2 --json'.split(' ')
    assert.deepEqual(readProduceOptions(words), {
      topic: 'orders',
      namesrv: 'a:1;b:2',
      group: 'g',
      tag: 'paid',
      keys: ['k1', 'k2'],
      json: true,
    })
    assert.deepEqual(readProduceOptions(['orders']), {
      topic: 'orders',
      namesrv: '127.0.0.1:9876',
      group: undefined,
      tag: undefined,
      keys: undefined,
      json: false,
    })
    assert.equal(readProduceOptions(['--help']), undefined)
  })

  test('what cannot be is refused', () => {
    refuses(() => readProduceOptions([]), /^produce takes one topic: cometmq produce TOPIC$/)
    refuses(() => readProduceOptions(['a', 'b']), /^produce takes one topic/)
    refuses(() => readProduceOptions(['a', '--tga', 'x']), /^produce has no option --tga; did you mean --tag\?$/)
    refuses(() => readProduceOptions(['a', '--count', '1']), /^produce has no option --count; see/)
  })
})

describe('options of consume', () => {
  test('every one is read', () => {
    const words = 'orders -n a:1 --group g --tag a||b --from last --count 3 --json'.split(' ')
    assert.deepEqual(readConsumeOptions(words), {
      topic: 'orders',
      namesrv: 'a:1',
      group: 'g',
      tag: 'a||b',
      from: 'last',
      count: 3,
      json: true,
    })
    assert.deepEqual(readConsumeOptions(['orders']), {
      topic: 'orders',
      namesrv: '127.0.0.1:9876',
      group: 'cometmq-cli',
      tag: '*',
      from: 'first',
      count: Number.POSITIVE_INFINITY,
      json: false,
    })
    assert.equal(readConsumeOptions(['-h']), undefined)
  })

  test('a beginning is a word or a time', () => {
    const from = (word: string): unknown => readConsumeOptions(['orders', '--from', word])?.from
    assert.equal(from('first'), 'first')
    assert.deepEqual(from('2026-01-31T12:00:00Z'), { time: Date.UTC(2026, 0, 31, 12) })
    assert.deepEqual(from('2026-01-31'), { time: Date.UTC(2026, 0, 31) })
    assert.deepEqual(from('1767225600000'), { time: 1_767_225_600_000 })
    for (const word of ['yesterday', '1', '2026-13-45', '99999999999999999999', 'First']) {
      refuses(() => from(word), new RegExp(`^--from takes first, last, or a time such as .*, not '${word}'$`))
    }
  })

  test('what cannot be is refused', () => {
    refuses(() => readConsumeOptions([]), /^consume takes one topic: cometmq consume TOPIC$/)
    refuses(() => readConsumeOptions(['a', '--count', '0']), /^--count takes a whole number from 1 up, not '0'$/)
    refuses(() => readConsumeOptions(['a', '--key', 'k']), /^consume has no option --key; see cometmq consume --help$/)
  })
})
