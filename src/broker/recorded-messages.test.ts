import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { PullMessage } from '../protocol/commands/pull.ts'
import { decodeMessages, type StoredMessage } from '../protocol/message.ts'
import { type Received, type SimulatedBroker, type SimulatedClient, startSimulatedBroker } from './simulated-broker.ts'
import { pullOf } from './simulated-requests.ts'

/** Messages that Java clients sent and pulls that they made, frame by frame, and what Java's broker answered. */

interface Recorded {
  name: string
  code: number
  direction: 'request' | 'response'
  pair: number
  frameBase64: string
  header: { code: number; flag: number; remark: string | null; extFields: Record<string, string> | null }
}

interface Pair {
  request: Recorded
  response: Recorded | undefined
}

const vectors = resolve(import.meta.dirname, '../../test/vectors/wire')
const linesOf = <T>(file: string): T[] =>
  readFileSync(`${vectors}/${file}.jsonl`, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as T)

function pairsOf(file: string): Pair[] {
  const pairs = new Map<number, Pair>()
  for (const recorded of linesOf<Recorded>(file)) {
    if (recorded.direction === 'request') pairs.set(recorded.pair, { request: recorded, response: undefined })
    else pairs.get(recorded.pair)!.response = recorded
  }
  return [...pairs.values()]
}

const ask = (client: SimulatedClient, { request }: Pair): Promise<Received | undefined> =>
  client.replay(Buffer.from(request.frameBase64, 'base64'), 100)

const settings = { brokerName: 'broker-a', listenPort: '20911', defaultTopicQueueNums: '4', traceTopicEnable: 'true' }
const SENDS = new Set([10, 310, 320])
const PULLS = new Set([11, 361])
/** What Java stored and this version refuses by name. */
const LATER = /delay|timer|deliver|recall|priority(?!-none)|lite|compaction|batch-inner|lmq/
const NOT_SERVED = /not served by this version of CometMQ; the message was not stored$/

/** The topics and groups that the recording made by administration. */
async function prepare(client: SimulatedClient): Promise<void> {
  for (const pair of [...pairsOf('admin-topic'), ...pairsOf('admin-group')]) {
    const { code, name } = pair.request
    if (![17, 18, 200, 225].includes(code) || pair.response?.header.code !== 0) continue
    // Without the topic of the static queues, which would be a common one here.
    const answer = await ask(client, pair)
    assert.equal(answer?.code, 0, `${name}: ${answer?.remark}`)
  }
}

describe('recorded: sends', () => {
  const sends = pairsOf('send').filter(({ request }) => SENDS.has(request.code) && !/static/.test(request.name))
  let broker: SimulatedBroker
  let client: SimulatedClient
  before(async () => {
    broker = await startSimulatedBroker(settings)
    client = await broker.connect()
    await prepare(client)
  })
  after(() => broker.close())

  test('are answered as Java answered them', async () => {
    let same = 0
    let later = 0
    let offsetsAreSame = true
    for (const pair of sends) {
      const { request, response } = pair
      const answer = await ask(client, pair)
      if (response === undefined) {
        assert.equal(answer, undefined, request.name)
        continue
      }
      const label = `${request.pair} ${request.name}: ${answer?.remark}`
      const expected = response.header
      if (LATER.test(request.name) && expected.code === 0) {
        assert.equal(answer?.code, 13, label)
        assert.match(answer!.remark!, NOT_SERVED, label)
        assert.deepEqual(answer?.fields, { MSG_REGION: 'DefaultRegion', TRACE_ON: 'true' }, label)
        later++
        continue
      }
      if (expected.code !== 0) continue
      assert.equal(answer?.code, 0, label)
      // Java chose a queue by chance once; from there on its offsets are its own.
      if (/random-queue/.test(request.name)) offsetsAreSame = false
      const { msgId, transactionId, queueOffset, queueId, ...fields } = answer!.fields
      const {
        msgId: theirId,
        transactionId: theirs,
        queueOffset: offset,
        queueId: queue,
        ...other
      } = expected.extFields!
      assert.deepEqual(fields, other, label)
      assert.equal(msgId!.split(',').length, theirId!.split(',').length, label)
      assert.match(msgId!, /^7F000001000051AF[0-9A-F]{16}(,|$)/, label)
      // A client that gave no key is told the broker's.
      const { i, properties } = request.header.extFields!
      if ((i ?? properties ?? '').includes('UNIQ_KEY')) assert.equal(transactionId, theirs, label)
      else assert.match(transactionId!, /^[0-9A-F]{32}$/, label)
      if (offsetsAreSame) assert.deepEqual([queueId, queueOffset], [queue, offset], label)
      same++
    }
    assert.ok(same >= 20 && later >= 10, `${same} the same, ${later} of later versions`)
  })

  test('are stored as Java stored them', async () => {
    interface Decoded {
      decoded: {
        topic: string
        bornTimestamp: string
        flag: number
        reconsumeTimes: number
        messageVersion: number
        bodyCRC: number
        properties: Record<string, string>
      }
      storedSysFlag: number
    }
    const stored = new Map<string, StoredMessage>()
    for (const topic of ['WireTopic', 'WireOrderTopic', 'WireFifoTopic']) {
      for (let queueId = 0; queueId < 4; queueId++) {
        const { body } = await client.ask(PullMessage, pullOf({ topic, queueId }))
        for (const message of decodeMessages(body)) stored.set(message.properties.get('UNIQ_KEY')!, message)
      }
    }
    let compared = 0
    for (const { decoded, storedSysFlag } of linesOf<Decoded>('message-decode')) {
      const ours = stored.get(decoded?.properties?.['UNIQ_KEY'] ?? '')
      if (ours === undefined || ours.topic !== decoded.topic) continue
      const { flag, bodyCrc, bornTimestamp, reconsumeTimes, sysFlag, properties } = ours
      assert.deepEqual(Object.fromEntries(properties), decoded.properties)
      assert.deepEqual(
        [flag, bodyCrc, String(bornTimestamp), reconsumeTimes, sysFlag],
        [decoded.flag, decoded.bodyCRC, decoded.bornTimestamp, decoded.reconsumeTimes, storedSysFlag],
      )
      compared++
    }
    assert.ok(compared >= 10, `${compared} compared`)
  })
})

describe('recorded: refusals', () => {
  /** Only the code: Java names a class and a line, or a topic is of a kind that is not served. */
  const CODE_ONLY = new Set(['err-empty-body', 'err-missing-header', 'pull-missing-header', 'err-compaction-no-key'])
  const SKIPPED = /static|slave|bin-|acl|background|timer|filter-data|group-forbidden|broadcast-disabled|sub-/i
  const refusals = pairsOf('errors').filter(
    ({ request }) =>
      (SENDS.has(request.code) || PULLS.has(request.code) || request.code === 33) && !SKIPPED.test(request.name),
  )
  const withoutPort = (text: string | undefined | null): string => (text ?? '').replace(/127\.0\.0\.1:\d+/, 'peer')

  test('of sends and pulls are the same', async () => {
    const broker = await startSimulatedBroker({ ...settings, autoCreateSubscriptionGroup: 'true' })
    const client = await broker.connect()
    const fast = await broker.connect(20_909)
    await prepare(client)
    for (const pair of refusals) {
      const { request, response } = pair
      const scenario = request.name.split('/')[0]!
      const answer = await ask(scenario === 'pull-fast-port' ? fast : client, pair)
      const { code, remark, extFields } = response!.header
      const label = `${request.pair} ${request.name}: ${answer?.remark}`
      assert.equal(answer?.code, code, label)
      if (CODE_ONLY.has(scenario)) continue
      assert.ok(withoutPort(answer?.remark).startsWith(withoutPort(remark)), label)
      assert.deepEqual(answer?.fields, extFields ?? {}, label)
    }
    assert.ok(refusals.length >= 15, `${refusals.length} refusals`)
    await broker.close()
  })
})

describe('recorded: pulls', () => {
  test('of stream and pull clients decode, whatever they ask', async () => {
    const broker = await startSimulatedBroker(settings)
    const client = await broker.connect()
    await prepare(client)
    for (const pair of pairsOf('send')) if (SENDS.has(pair.request.code)) await ask(client, pair)
    // Without a heartbeat only those that bring their subscription are let in.
    for (const pair of pairsOf('pull').filter(({ request }) => PULLS.has(request.code))) {
      const { request } = pair
      const fields = request.header.extFields!
      const brings = (Number(fields['sysFlag']) & 4) !== 0
      const answer = await client.replay(Buffer.from(request.frameBase64, 'base64'), 21_000)
      const label = `${request.pair} ${request.name}: ${answer?.remark}`
      assert.ok(answer !== undefined, label)
      if (brings) assert.ok([0, 1, 17, 19, 20, 21, 29].includes(answer.code), `${label} ${answer.code}`)
      else assert.ok([17, 24, 25].includes(answer.code), `${label} ${answer.code}`)
    }
    await broker.close()
  })
})
