import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fastCheck from 'fast-check'
import { encodeProperties, parseProperties } from '../../protocol/properties.ts'
import { propertiesOf } from '../simulated-requests.ts'
import { SendProperties } from './send-properties.ts'

const ADDED = 'MSG_REGION\u0001r\u0002'

function rewritten(source: Uint8Array | undefined): { properties: SendProperties; map: Map<string, string> } {
  const properties = new SendProperties(ADDED)
  properties.rewrite(source, () => 'MADE')
  return { properties, map: parseProperties(Buffer.from(properties.bytes).toString()) }
}

describe('properties of a message on its way in', () => {
  test('stay as they are, with what the broker adds behind them', () => {
    const { properties } = rewritten(propertiesOf('TAGS=a UNIQ_KEY=u 名=值'))
    assert.equal(
      Buffer.from(properties.bytes).toString(),
      `TAGS\u0001a\u0002UNIQ_KEY\u0001u\u0002名\u0001值\u0002${ADDED}`,
    )
    assert.equal(properties.uniqueKey, 'u')
    assert.equal(properties.waitStore, true)
    assert.equal(properties.notServed, undefined)
  })

  test('get a unique key when they have none', () => {
    for (const source of [undefined, new Uint8Array(0), propertiesOf('TAGS=a'), Buffer.from('UNIQ_KEY\u0001\u0002')]) {
      const { properties, map } = rewritten(source)
      assert.equal(properties.uniqueKey, 'MADE')
      assert.equal(map.get('UNIQ_KEY'), 'MADE')
    }
  })

  test('lose what only a broker may say', () => {
    const { map } = rewritten(
      propertiesOf('POP_CK=1 a=b __CRC32#=123 __RMQ.TRANSIENT.TOPIC_SYS_FLAG=1 UNIQ_KEY=u c=d POP_CK_OFFSET=2'),
    )
    assert.deepEqual([...map.keys()], ['a', 'UNIQ_KEY', 'c', 'POP_CK_OFFSET', 'MSG_REGION'])
  })

  test('of a message that was read and is sent on say once where it is now, however often', () => {
    const first = rewritten(propertiesOf('MSG_REGION=elsewhere TRACE_ON=false CLUSTER=other UNIQ_KEY=u a=b'))
    const again = new SendProperties(ADDED)
    again.rewrite(first.properties.bytes, () => 'MADE')
    assert.equal(Buffer.from(again.bytes).toString(), `UNIQ_KEY\u0001u\u0002a\u0001b\u0002${ADDED}`)
  })

  test('say whether the answer waits, as Java reads a boolean', () => {
    for (const [value, waits] of [
      ['true', true],
      ['TRUE', true],
      ['false', false],
      ['no', false],
      ['truetrue', false],
    ] as const) {
      assert.equal(rewritten(propertiesOf(`WAIT=${value}`)).properties.waitStore, waits, value)
    }
    assert.equal(rewritten(propertiesOf('WAITS=false')).properties.waitStore, true)
  })

  test('are read anew for each message', () => {
    const properties = new SendProperties(ADDED)
    const rewrite = (words: string): void => properties.rewrite(propertiesOf(words), () => 'MADE')
    rewrite('WAIT=false DELAY=1 INNER_NUM=2 _SYS_MSG_PRIORITY_=1 UNIQ_KEY=u')
    assert.deepEqual(
      [properties.waitStore, properties.notServed, properties.isInnerBatch, properties.hasPriority],
      [false, 'delayed messages', true, true],
    )
    rewrite(`big=${'x'.repeat(100_000)}`)
    assert.equal(properties.bytes.length, 4 + 100_000 + 1 + 'UNIQ_KEY=MADE '.length + ADDED.length)
    assert.deepEqual(
      [
        properties.waitStore,
        properties.notServed,
        properties.isInnerBatch,
        properties.hasPriority,
        properties.uniqueKey,
      ],
      [true, undefined, false, false, 'MADE'],
    )
  })

  test('come out as Java would read them, whatever comes in', () => {
    const byte = fastCheck.constantFrom(1, 2, 1, 2, 0x41, 0x57, 0x41, 0x49, 0x54, 0xc3, 0xa9)
    fastCheck.assert(
      fastCheck.property(fastCheck.array(byte, { maxLength: 60 }), (bytes) => {
        const source = Buffer.from(bytes)
        const expected = parseProperties(source.toString('latin1'))
        if (!expected.has('UNIQ_KEY')) expected.set('UNIQ_KEY', 'MADE')
        expected.set('MSG_REGION', 'r')
        const properties = new SendProperties(ADDED)
        properties.rewrite(source, () => 'MADE')
        const got = parseProperties(Buffer.from(properties.bytes).toString('latin1'))
        assert.deepEqual(got, expected)
        assert.equal(properties.bytes.at(-1), 2)
      }),
    )
  })

  test('of well-formed messages keep every name and value', () => {
    const word = fastCheck
      .string({ minLength: 1, maxLength: 30, unit: 'grapheme' })
      .filter((text) => !/[\u0001\u0002]/.test(text))
    fastCheck.assert(
      fastCheck.property(fastCheck.dictionary(word, word), (dictionary) => {
        const pairs = Object.entries(dictionary).filter(([name]) => name !== '__proto__')
        const { map } = rewritten(Buffer.from(encodeProperties(new Map(pairs))))
        for (const [name, value] of pairs) assert.equal(map.get(name), value)
      }),
    )
  })
})
