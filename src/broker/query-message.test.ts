import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { after, before, describe, test } from 'node:test'
import type { Request } from '../protocol/command.ts'
import { QueryConsumeQueue, QueryMessage } from '../protocol/commands/query.ts'
import { decodeMessage, decodeMessages } from '../protocol/message.ts'
import { encodeProperties } from '../protocol/properties.ts'
import { draftOf } from '../store/simulated-store.ts'
import { type Received, type SimulatedBroker, type SimulatedClient, startSimulatedBroker } from './simulated-broker.ts'

interface Recorded {
  name: string
  code: number
  direction: 'request' | 'response'
  pair: number
  frameBase64: string
  bodyBase64?: string
  header: { code: number; remark: string | null; extFields: Record<string, string> | null }
}

const vectors = resolve(import.meta.dirname, '../../test/vectors/wire')
const recorded: Recorded[] = ['query', 'errors'].flatMap((file) =>
  readFileSync(`${vectors}/${file}.jsonl`, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Recorded),
)
const requests = recorded.filter(({ code, direction }) => direction === 'request' && (code === 12 || code === 33))
const answerOf = (pair: number): Recorded =>
  recorded.find((each) => each.pair === pair && each.direction === 'response')!

/** Times and addresses are ours. */
const told = (record: Buffer, at = 0): object => {
  const { topic, queueId, queueOffset, position, flag, sysFlag, body, properties } = decodeMessage(record, at)
  return { topic, queueId, queueOffset, position, flag, sysFlag, body: body.toString(), properties }
}

describe('queries by key and by id', () => {
  let broker: SimulatedBroker
  let client: SimulatedClient

  before(async () => {
    broker = await startSimulatedBroker({ brokerName: 'broker-a', listenPort: '20911' })
    client = await broker.connect()
    // The messages that Java's answers show, at the places where they stood.
    const stored = new Map<number, Buffer>()
    for (const { pair } of requests) {
      const body = Buffer.from(answerOf(pair).bodyBase64 ?? '', 'base64')
      if (body.length > 0) stored.set(decodeMessage(body, 0).position, body)
    }
    for (const [, record] of [...stored].sort(([left], [right]) => left - right)) {
      const { topic, queueId, flag, sysFlag, body, properties } = decodeMessage(record, 0)
      broker.broker.store.append(
        draftOf({ topic, queueId, flag, sysFlag, body, properties: encodeProperties(properties) }),
      )
    }
    await broker.scheduler.advance(1_000)
  })
  after(() => broker.close())

  assert.equal(requests.length, 7)
  for (const { name, pair, code, frameBase64 } of requests) {
    test(`recorded: ${pair} ${name}`, async () => {
      const java = answerOf(pair)
      const got = await client.replay(Buffer.from(frameBase64, 'base64'))
      assert.ok(got !== undefined)
      assert.equal(got.code, java.header.code, got.remark)
      assert.equal(got.remark ?? '', java.header.remark ?? '')
      const body = Buffer.from(java.bodyBase64 ?? '', 'base64')
      assert.equal(got.body.length, body.length)
      if (body.length > 0) assert.deepEqual(told(got.body), told(body))
      const fields = java.header.extFields ?? {}
      if (code === 12 && body.length === 0) assert.deepEqual(got.fields, fields)
      else assert.deepEqual(Object.keys(got.fields).sort(), Object.keys(fields).sort())
    })
  }

  const ask = (fields: Partial<Request<typeof QueryMessage>>): Promise<Received> =>
    client.ask(QueryMessage, {
      topic: 'found',
      key: 'k',
      maxNum: 10,
      beginTimestamp: 0,
      endTimestamp: Number.MAX_SAFE_INTEGER,
      ...fields,
    })

  test('tags, keys and unique keys are found, each by its own question', async () => {
    const { store } = broker.broker
    const keep = (properties: Record<string, string>, body: string): unknown =>
      store.append(draftOf({ topic: 'found', body, properties: encodeProperties(new Map(Object.entries(properties))) }))
    keep({ KEYS: 'k other', TAGS: 'red', UNIQ_KEY: 'U1' }, 'one')
    keep({ KEYS: 'red', TAGS: 'k', UNIQ_KEY: 'U2' }, 'two')
    keep({ UNIQ_KEY: 'k' }, 'three')
    await broker.scheduler.advance(1)
    const bodies = ({ body }: Received): string[] => decodeMessages(body).map((message) => message.body.toString())
    assert.deepEqual(bodies(await ask({})), ['one', 'three'])
    assert.deepEqual(bodies(await ask({ indexType: 'K' })), ['one', 'three'])
    assert.deepEqual(bodies(await ask({ indexType: 'U', uniqueKeyQuery: 'true', key: 'U2' })), ['two'])
    assert.deepEqual(bodies(await ask({ indexType: 'T', key: 'red' })), ['one'])
    assert.deepEqual(bodies(await ask({ indexType: 'T' })), ['two'])
    assert.deepEqual(bodies(await ask({ key: 'T#red' })), [])
    assert.deepEqual(bodies(await ask({ maxNum: 1 })), ['three'])
    assert.deepEqual(bodies(await ask({ maxNum: 1, uniqueKeyQuery: 'true' })), ['one', 'three'])
    assert.deepEqual((await ask({ maxNum: 0 })).code, 22)
    assert.deepEqual((await ask({ topic: 'elsewhere' })).code, 22)
    assert.deepEqual((await ask({ endTimestamp: 1 })).code, 22)
    const { fields } = await ask({})
    const last = store.entries('found', 0, 2, 1)[0]!
    assert.equal(fields.indexLastUpdatePhyoffset, String(last.position))
    assert.equal(fields.indexLastUpdateTimestamp, String(store.storeTimestampAt('found', 0, 2)))
  })
  test('entries of a consume queue are shown as Java shows them', async () => {
    const { store } = broker.broker
    for (const body of ['one', 'two', 'three']) store.append(draftOf({ topic: 'entries', body }))
    await broker.scheduler.advance(1)
    const entries = async (index: number, count: number, consumerGroup?: string): Promise<string | undefined> => {
      const { code, body } = await client.ask(QueryConsumeQueue, {
        topic: 'entries',
        queueId: 0,
        index,
        count,
        consumerGroup,
      })
      assert.equal(code, 0)
      return body.toString()
    }
    const positions = store.entries('entries', 0, 0, 3).map(({ position, sizeBytes }) => ({
      eval: false,
      physicOffset: position,
      physicSize: sizeBytes,
      tagsCode: 0,
    }))
    assert.deepEqual(JSON.parse((await entries(1, 5))!), {
      maxQueueIndex: 3,
      minQueueIndex: 0,
      queueData: positions.slice(1),
    })
    assert.deepEqual(JSON.parse((await entries(0, 1, 'nobody'))!), {
      filterData: 'nobody@entries is not online!',
      maxQueueIndex: 3,
      minQueueIndex: 0,
      queueData: positions.slice(0, 1),
    })
    assert.equal(await entries(3, 1), '')
    assert.equal(await entries(-1, 1), '')
  })
})
