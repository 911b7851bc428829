import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import zlib from 'node:zlib'
import fc from 'fast-check'
import type { StoredMessage } from '../protocol/message.ts'
import { MessageSysFlag } from '../protocol/names.ts'
import { allocateAveragely } from './allocation.ts'
import { bytes, json, text } from './codec.ts'
import { tagsOf } from './consumer.ts'
import { CometError } from './errors.ts'
import { ReceivedMessage } from './message.ts'
import { parseEndpoints } from './name-servers.ts'
import { readRoute } from './routes.ts'

describe('shares of queues', () => {
  test("are Java's: contiguous, the first ones larger by one", () => {
    const queues = [0, 1, 2, 3, 4, 5, 6, 7]
    const members = ['a', 'b', 'c']
    assert.deepEqual(
      members.map((member) => allocateAveragely(queues, members, member)),
      [
        [0, 1, 2],
        [3, 4, 5],
        [6, 7],
      ],
    )
    assert.deepEqual(allocateAveragely([0, 1], members, 'c'), [], 'more members than queues')
    assert.deepEqual(allocateAveragely(queues, members, 'stranger'), [])
    assert.deepEqual(allocateAveragely([], members, 'a'), [])
  })

  test('hold every queue exactly once, and differ by one at most', () => {
    fc.assert(
      fc.property(fc.nat(64), fc.integer({ min: 1, max: 20 }), (queueCount, memberCount) => {
        const queues = Array.from({ length: queueCount }, (_, at) => at)
        const members = Array.from({ length: memberCount }, (_, at) => `member-${String(at).padStart(2, '0')}`)
        const shares = members.map((member) => allocateAveragely(queues, members, member))
        assert.deepEqual(shares.flat(), queues)
        const sizes = shares.map((share) => share.length)
        assert.ok(Math.max(...sizes) - Math.min(...sizes) <= 1)
      }),
    )
  })
})

describe('codecs', () => {
  test('give back what they were given', () => {
    assert.equal(text.decode(Buffer.from(text.encode('Zürich ✓'))), 'Zürich ✓')
    const order = { id: '7', items: [1, 2], note: null }
    assert.deepEqual(json<typeof order>().decode(Buffer.from(json<typeof order>().encode(order))), order)
    assert.deepEqual([...bytes.decode(Buffer.from([0, 255]))], [0, 255])
  })

  test('bytes that were decoded are the own of who got them', () => {
    const view = Buffer.from([1, 2, 3])
    const decoded = bytes.decode(view)
    view.fill(0)
    assert.deepEqual([...decoded], [1, 2, 3])
  })
})

describe('a received message', () => {
  const stored = (more: Partial<StoredMessage>): StoredMessage => ({
    sizeBytes: 100,
    magic: 0,
    bodyCrc: 0,
    queueId: 1,
    flag: 0,
    queueOffset: 5,
    position: 500,
    sysFlag: 0,
    bornTimestamp: 10,
    bornHost: { host: '127.0.0.1', port: 1 },
    storeTimestamp: 20,
    storeHost: { host: '127.0.0.1', port: 2 },
    reconsumeTimes: 0,
    preparedTransactionOffset: 0,
    body: Buffer.from('body'),
    topic: 'orders',
    properties: new Map(),
    offsetMessageId: 'OFFSET-ID',
    ...more,
  })
  const received = (more: Partial<StoredMessage>): ReceivedMessage<string> =>
    new ReceivedMessage(stored(more), 'broker-a', text)

  test('is named by its producer, or by its place when that gave none', () => {
    assert.equal(received({ properties: new Map([['UNIQ_KEY', 'ID']]) }).id, 'ID')
    assert.equal(received({}).id, 'OFFSET-ID')
  })

  test('has the keys that its producer joined by blanks', () => {
    assert.deepEqual(received({ properties: new Map([['KEYS', 'a  b ']]) }).keys, ['a', 'b'])
    assert.deepEqual(received({}).keys, [])
  })

  test('of a retry topic is still of the topic it was sent to, and knows how often it came', () => {
    const retried = received({
      topic: '%RETRY%g',
      reconsumeTimes: 2,
      properties: new Map([['RETRY_TOPIC', 'orders']]),
    })
    assert.equal(retried.topic, 'orders')
    assert.equal(retried.attempt, 3)
    assert.equal(received({}).attempt, 1)
  })

  test('is inflated, however its producer compressed it', () => {
    const body = Buffer.from('again and again and again')
    const { COMPRESSED, COMPRESSION_ZLIB, COMPRESSION_ZSTD } = MessageSysFlag
    for (const [sysFlag, packed] of [
      [COMPRESSED, zlib.deflateSync(body)],
      [COMPRESSED | COMPRESSION_ZLIB, zlib.deflateSync(body)],
      [COMPRESSED | COMPRESSION_ZSTD, zlib.zstdCompressSync(body)],
      [0, body],
    ] as const) {
      assert.equal(received({ sysFlag, body: packed }).value, body.toString(), `flag ${sysFlag}`)
    }
  })

  test('that is compressed in an unknown way says so, and does not show its bytes as text', () => {
    const message = received({ sysFlag: MessageSysFlag.COMPRESSED | MessageSysFlag.COMPRESSION_LZ4 })
    assert.throws(() => message.text(), { code: 'UNKNOWN_COMPRESSION' })
  })

  test('does not inflate a bomb', () => {
    const bomb = zlib.deflateSync(Buffer.alloc(65 * 1024 * 1024))
    assert.ok(bomb.length < 100_000)
    assert.throws(() => received({ sysFlag: MessageSysFlag.COMPRESSED, body: bomb }).body, {
      code: 'ERR_BUFFER_TOO_LARGE',
    })
  })

  test('is decoded once, when it is looked at', () => {
    let decoded = 0
    const counting = { encode: () => Buffer.alloc(0), decode: () => ++decoded }
    const message = new ReceivedMessage(stored({}), 'broker-a', counting)
    assert.equal(decoded, 0)
    assert.deepEqual([message.value, message.value], [1, 1])
  })
})

describe('endpoints', () => {
  test('are read with a scheme or without, several at once, the port 9876 unless said', () => {
    assert.deepEqual(parseEndpoints('rmq://127.0.0.1:1'), ['127.0.0.1:1'])
    assert.deepEqual(parseEndpoints('a:1; b:2,rocketmq://c'), ['a:1', 'b:2', 'c:9876'])
    assert.deepEqual(parseEndpoints(['http://a:1', ' b ']), ['a:1', 'b:9876'])
  })

  test('none is an error with the way to write one', () => {
    for (const none of ['', ' ; ', []]) {
      assert.throws(() => parseEndpoints(none), { code: 'NO_ENDPOINTS', hint: "endpoints: 'rmq://127.0.0.1:9876'" })
    }
  })
})

describe('tags of an expression', () => {
  test('are separated by ||, and none means all', () => {
    assert.deepEqual([...tagsOf('paid || refunded||open')], ['paid', 'refunded', 'open'])
    for (const all of ['*', '', ' * ', 'paid || *']) assert.equal(tagsOf(all).size, 0, all)
  })
})

describe('a route', () => {
  const queues = (brokerName: string, perm: number, readQueueNums = 2, writeQueueNums = 1) => ({
    brokerName,
    perm,
    readQueueNums,
    writeQueueNums,
    topicSysFlag: 0,
  })
  const broker = (brokerName: string, brokerAddrs: Record<string, string>) => ({
    brokerName,
    cluster: 'c',
    brokerAddrs,
  })
  const places = (list: readonly { brokerName: string; queueId: number }[]): string[] =>
    list.map(({ brokerName, queueId }) => `${brokerName}/${queueId}`)

  test('publishes to writable queues of masters and reads readable ones, brokers in order of name', () => {
    const route = readRoute('orders', {
      queueDatas: [
        queues('b', 6),
        queues('a', 6),
        queues('read-only', 4),
        queues('write-only', 2),
        queues('replica', 6),
      ],
      brokerDatas: [
        broker('a', { 0: 'a:1', 1: 'a:2' }),
        broker('b', { 0: 'b:1' }),
        broker('read-only', { 0: 'r:1' }),
        broker('write-only', { 0: 'w:1' }),
        broker('replica', { 1: 'x:1' }),
      ],
    } as never)
    assert.deepEqual(places(route.publish), ['a/0', 'b/0', 'write-only/0'])
    assert.deepEqual(places(route.subscribe), [
      ...['a/0', 'a/1', 'b/0', 'b/1', 'read-only/0', 'read-only/1', 'replica/0', 'replica/1'],
    ])
    assert.deepEqual(
      [...route.brokers.get('a')!],
      [
        [0, 'a:1'],
        [1, 'a:2'],
      ],
    )
  })

  test('of nothing is nothing', () => {
    const route = readRoute('orders', {} as never)
    assert.deepEqual([route.publish, route.subscribe, route.brokers.size], [[], [], 0])
  })
})

describe('an error of the client', () => {
  test('shows its hint, and keeps it apart for programs', () => {
    const cause = new Error('cut')
    const error = new CometError('not sent', { code: 'SEND_FAILED', hint: 'try again', retriable: true, cause })
    assert.equal(error.message, 'not sent (try again)')
    assert.equal(error.hint, 'try again')
    assert.equal(error.cause, cause)
    assert.equal(new CometError('x', { code: 'C' }).retriable, false)
  })
})
