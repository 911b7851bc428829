import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import {
  boolOf,
  listOf,
  numberOf,
  objectOf,
  readDataVersion,
  readHeartbeat,
  readMessageQueue,
  readSubscriptionGroupConfig,
  readTopicConfig,
  textOf,
} from './bodies.ts'
import {
  JavaJsonError,
  NumberKeyMap,
  parseJavaJson,
  parseJavaObject,
  QueueKeyMap,
  readQueueKey,
  stringifyJavaJson,
} from './java-json.ts'

interface Row {
  kind: 'decode' | 'encode'
  name: string
  type: string
  input: string
  ok: boolean
  reencoded: string | null
  output: string
}

const rows = readFileSync(resolve(import.meta.dirname, '../../test/vectors/wire/json-dialect.jsonl'), 'utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line) as Row)

/** Bodies read and written again, as Java does with its classes; an empty name of ours is Java's null. */
const classes: Record<string, (value: unknown) => unknown> = {
  TopicConfig(value) {
    const config = readTopicConfig(value)
    return { ...config, topicName: config.topicName || undefined }
  },
  HeartbeatData(value) {
    const data = readHeartbeat(value)
    return { ...data, clientID: data.clientID || undefined }
  },
  ResetOffsetBody(value) {
    const entries = Object.entries(objectOf(objectOf(value)['offsetTable']))
    return { offsetTable: new QueueKeyMap(entries.map(([key, offset]) => [readQueueKey(key), numberOf(offset, 0)])) }
  },
  ConsumerOffsetSerializeWrapper(value) {
    const table = Object.entries(objectOf(objectOf(value)['offsetTable'])).map(([name, offsets]) => [
      name,
      new NumberKeyMap(
        Object.entries(objectOf(offsets)).map(([queue, offset]) => [Number(queue), numberOf(offset, 0)]),
      ),
    ])
    return { offsetTable: Object.fromEntries(table) }
  },
  LockBatchRequestBody(value) {
    const body = objectOf(value)
    const queues = listOf(body['mqSet']).map((queue) => JSON.stringify(readMessageQueue(queue)))
    return {
      clientId: textOf(body['clientId']),
      consumerGroup: textOf(body['consumerGroup']),
      mqSet: [...new Set(queues)].map((queue) => JSON.parse(queue) as unknown),
      onlyThisBroker: boolOf(body['onlyThisBroker'], false),
    }
  },
  TopicRouteData(value) {
    const route = objectOf(value)
    return {
      brokerDatas: listOf(route['brokerDatas']).map((each) => ({
        brokerName: objectOf(each)['brokerName'],
        cluster: objectOf(each)['cluster'],
        enableActingMaster: boolOf(objectOf(each)['enableActingMaster'], false),
        brokerAddrs: new NumberKeyMap(
          Object.entries(objectOf(objectOf(each)['brokerAddrs'])).map(([id, address]) => [Number(id), address]),
        ),
      })),
      filterServerTable: objectOf(route['filterServerTable']),
      queueDatas: listOf(route['queueDatas']).map((each) => {
        const { brokerName, perm, readQueueNums, writeQueueNums, topicSysFlag } = objectOf(each)
        return { brokerName, perm, readQueueNums, writeQueueNums, topicSysFlag: numberOf(topicSysFlag, 0) }
      }),
    }
  },
  BatchAckMessageRequestBody: (value) => value,
}

/** What Java refuses and we take: its classes are stricter than the text, and so are our readers where it matters. */
const WE_TAKE = ['int-overflow', 'array', 'mq-map-4', 'mq-map-5']
/** What Java writes otherwise: null for a topic filter type that it does not know; tags that are null, not empty. */
const WE_WRITE: Record<string, (text: string) => string> = {
  'enum-unknown': (text) => text.replace('"topicFilterType":"SINGLE_TAG",', ''),
  'heartbeat-go': (text) => text.replace('"codeSet":[],', '').replace('"tagsSet":[],', ''),
}
/** POP comes later. */
const NOT_YET = ['batch-ack-long']

describe('texts that Java reads', () => {
  test('are read with the same meaning, and refused alike', () => {
    const seen = { read: 0, refused: 0 }
    for (const { kind, name, type, input, ok, reencoded } of rows) {
      if (kind !== 'decode' || NOT_YET.includes(name)) continue
      if (!ok && !WE_TAKE.includes(name)) {
        assert.throws(() => parseJavaJson(input), JavaJsonError, name)
        seen.refused++
        continue
      }
      seen.read++
      const value = parseJavaJson(input)
      if (!ok) continue
      const text = value === undefined ? null : stringifyJavaJson(classes[type]!(value))
      assert.equal(text === null ? null : (WE_WRITE[name]?.(text) ?? text), reencoded, name)
    }
    assert.deepEqual(seen, { read: 44, refused: 3 })
  })

  const accepted: [name: string, text: string, value: unknown][] = [
    ['single quotes', `{'a':'b"c'}`, { a: 'b"c' }],
    ['trailing commas', '{"a":[1,2,],}', { a: [1, 2] }],
    ['comments', '/* a */ {"a"/**/:// b\n1 // c\n} // d', { a: 1 }],
    ['bare number keys', '{0:"a",-1:"b",10:{2:3}}', { 0: 'a', '-1': 'b', 10: { 2: 3 } }],
    [
      'an object as key',
      '{{"brokerName":"b","queueId":0,"topic":"t"}:5}',
      { '{"brokerName":"b","queueId":0,"topic":"t"}': 5 },
    ],
    ['an object as key, with blanks', '{ { "topic" : "t" } : 5 }', { '{ "topic" : "t" }': 5 }],
    ['blanks of every kind', '\t\r\n\f\b {\t"a"\r:\n[ 1 , 2 ] }\n', { a: [1, 2] }],
    ['escapes of Java', `"\\u4f60\\x41\\v\\'\\0\\7\\F\\/"`, "你A\v'\0\x07\f/"],
    ['backslashes at the end of a string', '["a\\\\","\\\\\\"",\'\\\\\']', ['a\\', '\\"', '\\']],
    ['raw control characters', '"a\u0001\n\tb"', 'a\u0001\n\tb'],
    ['halves of a pair', '"\\ud83d\\ude00 \\ud83d"', '😀 \ud83d'],
    ['numbers of every form', '[1,-1,+1,1.5,.5,1.,1e3,1E-2,0]', [1, -1, 1, 1.5, 0.5, 1, 1_000, 0.01, 0]],
    ['suffixes of Java types', '[1L,2S,3B,4F,5D]', [1, 2, 3, 4, 5]],
    [
      'longs beyond 2^53, which saturate',
      '[9223372036854775807,-9223372036854775808]',
      [Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER],
    ],
    ['duplicate keys, the last of which wins', '{"a":1,"a":2}', { a: 2 }],
    ['words', '[true,false,null]', [true, false, null]],
    ['nothing', '', undefined],
    ['nothing but blanks and comments', ' /* */ // \n', undefined],
  ]
  for (const [name, text, value] of accepted)
    test(`may have ${name}`, () => assert.deepEqual(plain(parseJavaJson(text)), value))

  const refused: [name: string, text: string][] = [
    ['unquoted keys', '{a:1}'],
    ['text behind the document', '{"a":1}x'],
    ['a second document', '{"a":1}{"a":1}'],
    ['a byte-order mark', '\ufeff{}'],
    ['an end in the middle of an object', '{"a":1'],
    ['an end in the middle of an array', '[1,'],
    ['an end behind a key', '{"a"'],
    ['an end in the middle of a string', '"abc'],
    ['an end behind a backslash', '"abc\\"'],
    ['an end in the middle of a comment', '{} /* '],
    ['a missing colon', '{"a" 1}'],
    ['a missing comma', '[1 2]'],
    ['two commas', '[1,,2]'],
    ['a comma and nothing else', '{,}'],
    ['an unknown escape', '"\\q"'],
    ['a \\u of three digits', '"\\u123"'],
    ['a \\u of letters', '"\\u12g4"'],
    ['a \\u with a sign', '"\\u+123"'],
    ['a \\x of one digit', '"\\x4"'],
    ['unknown words', 'nope'],
    ['NaN and Infinity', '[NaN,Infinity]'],
    ['a lone sign', '[-]'],
    ['hexadecimal numbers', '[0x10]'],
    ['a closing bracket of another kind', '[1}'],
  ]
  for (const [name, text] of refused)
    test(`may not have ${name}`, () => assert.throws(() => parseJavaJson(text), JavaJsonError))

  test('may be 512 deep, by arrays, objects and keys, and no more', () => {
    for (const [open, close] of [
      ['[', ']'],
      ['{"a":', '}'],
      ['{', ':1}'],
    ] as const) {
      const nested = (depth: number): string =>
        `${open.repeat(depth)}${open === '{' ? '{}' : '1'}${close.repeat(depth)}`
      assert.ok(parseJavaJson(nested(500)))
      for (const depth of [600, 100_000]) {
        assert.throws(() => parseJavaJson(nested(depth)), { name: 'JavaJsonError', message: /deeper than 512/ })
        assert.throws(() => parseJavaJson(open.repeat(depth)), { name: 'JavaJsonError', message: /deeper than 512/ })
      }
    }
  })

  test('may have as many values as the caller allows', () => {
    assert.deepEqual(parseJavaJson('[1,2,3]', 4), [1, 2, 3])
    assert.throws(() => parseJavaJson('[1,2,3]', 3), { name: 'JavaJsonError', message: /more than 3 values/ })
  })

  test('keep names that mean something to JavaScript as data', () => {
    const value = parseJavaJson('{"__proto__":{"polluted":true},"constructor":1,"toString":2}') as Record<
      string,
      unknown
    >
    assert.deepEqual(Object.keys(value), ['__proto__', 'constructor', 'toString'])
    assert.equal(({} as Record<string, unknown>)['polluted'], undefined)
  })

  test('are all that JSON.parse reads, with its meaning', () => {
    const whole = fc.jsonValue({ stringUnit: 'binary' })
    fc.assert(
      fc.property(whole, fc.constantFrom(undefined, 2, '\t'), (value, space) => {
        const text = JSON.stringify(value, null, space)
        assert.deepEqual(plain(parseJavaJson(text)), saturated(JSON.parse(text)))
      }),
      { numRuns: 500 },
    )
  })

  test('of any characters are read or refused as JavaJsonError', () => {
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
      '/*',
      '*/',
      '//',
      '\n',
      '1',
      '-',
      '.',
      'e',
      'null',
      '"a"',
      '$ref',
    ]
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string({ unit: 'binary' }),
          fc.array(fc.constantFrom(...tokens)).map((parts) => parts.join('')),
        ),
        (text) => {
          try {
            parseJavaJson(text)
          } catch (error) {
            assert.equal((error as Error).name, 'JavaJsonError')
          }
        },
      ),
      { numRuns: 5_000 },
    )
  })
})

/** Objects with a prototype, to compare with literals. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, plain(each)]))
}

function saturated(value: unknown): unknown {
  if (typeof value === 'number') return Math.max(Number.MIN_SAFE_INTEGER, Math.min(Number.MAX_SAFE_INTEGER, value))
  if (Array.isArray(value)) return value.map(saturated)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, saturated(each)]))
}

describe('texts that we write', () => {
  const written: Record<string, () => unknown> = {
    'map-int-long-keys': () =>
      new NumberKeyMap([
        [1, 'a'],
        [2, 'b'],
      ]),
    'map-mq-key': () => new QueueKeyMap([[{ topic: 't', brokerName: 'b', queueId: 0 }, 5]]),
    'string-escapes': () => '你"\\/\b\f\n\r\t\u0001\u007f\u2028😀<>&\'',
    'list-null': () => [1, null, 'x'],
    'empty-topic-config': () => ({ ...readTopicConfig({}), topicName: undefined }),
    'subscription-group-default': () => ({ ...readSubscriptionGroupConfig({}), groupName: undefined }),
    'same-object-twice': () => {
      const queue = { topic: 't', brokerName: 'b', queueId: 0 }
      return [queue, queue]
    },
    'data-version': () => readDataVersion({}),
    'heartbeat-empty': () => ({ ...readHeartbeat({}), clientID: undefined }),
    'bool-object': () => ({ t: true }),
  }
  /** Java's dates, byte arrays and doubles, which no body of ours has; POP comes later. */
  const notOurs = ['map-values', 'batch-ack']

  test('are what Java writes of the same value', () => {
    const expected = rows.filter(({ kind }) => kind === 'encode')
    assert.deepEqual(expected.map(({ name }) => name).sort(), [...Object.keys(written), ...notOurs].sort())
    for (const { name, output } of expected)
      if (!notOurs.includes(name)) assert.equal(stringifyJavaJson(written[name]!()), output, name)
  })

  test('have keys in alphabetical order, no nulls, and Java extremes for what saturated', () => {
    const value = {
      b: null,
      a: undefined,
      d: Number.NaN,
      c: [undefined, Number.NaN],
      B: Number.MAX_SAFE_INTEGER,
      A: Number.MIN_SAFE_INTEGER,
    }
    assert.equal(stringifyJavaJson(value), '{"A":-9223372036854775808,"B":9223372036854775807,"c":[null,null]}')
    assert.equal(stringifyJavaJson(new Set(['x', 'y'])), '["x","y"]')
    assert.equal(
      stringifyJavaJson(
        new Map<string, unknown>([
          ['b', 1],
          ['a', null],
        ]),
      ),
      '{"b":1}',
    )
    assert.equal(stringifyJavaJson(null), 'null')
    assert.equal(stringifyJavaJson({ a: 10n ** 18n, b: {}, c: [] }), '{"a":1000000000000000000,"b":{},"c":[]}')
  })

  test('in standard form have number keys in quotes, and ASCII alone', () => {
    const value = { brokerAddrs: new NumberKeyMap([[0, 'é😀']]) }
    assert.equal(stringifyJavaJson(value, { standard: true }), '{"brokerAddrs":{"0":"\\u00E9\\uD83D\\uDE00"}}')
    assert.deepEqual(JSON.parse(stringifyJavaJson(value, { standard: true })), { brokerAddrs: { 0: 'é😀' } })
  })

  test('in files have a line for each member, with tabs', () => {
    const value = { b: [{ x: 1 }, 'y'], a: new NumberKeyMap([[0, 5]]), c: [1, 2], d: {}, e: [] }
    assert.equal(
      stringifyJavaJson(value, { pretty: true }),
      '{\n\t"a":{\n\t\t0:5\n\t},\n\t"b":[\n\t\t{\n\t\t\t"x":1\n\t\t},\n\t\t"y"\n\t],\n\t"c":[1,2],\n\t"d":{},\n\t"e":[]\n}',
    )
  })

  test('are read back the same, in every form', () => {
    const key = fc.record({
      topic: fc.string({ unit: 'binary' }),
      brokerName: fc.string({ unit: 'binary' }),
      queueId: fc.integer(),
    })
    const spelled = ({ topic, brokerName, queueId }: { topic: string; brokerName: string; queueId: number }): string =>
      JSON.stringify({ topic, brokerName, queueId })
    const form = fc.constantFrom({}, { pretty: true }, { standard: true })
    fc.assert(
      fc.property(
        fc.array(fc.tuple(key, fc.maxSafeInteger())),
        fc.dictionary(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' })),
        form,
        (queues, texts, options) => {
          const value = parseJavaObject(
            stringifyJavaJson({ queues: new QueueKeyMap(queues), texts: new Map(Object.entries(texts)) }, options),
          )
          const found = Object.entries(value['queues'] as object).map(([text, offset]) => [
            JSON.stringify(readQueueKey(text)),
            offset,
          ])
          const last = new Map(queues.map(([each, offset]) => [spelled(each), [spelled(each), offset]]))
          assert.deepEqual(found, [...last.values()])
          assert.deepEqual(plain(value['texts']), plain(Object.assign(Object.create(null), texts)))
        },
      ),
      { numRuns: 300 },
    )
  })
})
