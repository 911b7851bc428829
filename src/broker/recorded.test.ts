import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { SendMessage } from '../protocol/commands/send.ts'
import { isObject, parseJavaJson } from '../protocol/java-json.ts'
import { draftOf } from '../store/simulated-store.ts'
import { type Received, type SimulatedBroker, type SimulatedClient, startSimulatedBroker } from './simulated-broker.ts'

/**
 * Requests recorded from Java clients, sent to our broker frame by frame; our answer must say what Java's broker said.
 * Times, addresses and the order of sets are ours.
 */

interface Recorded {
  name: string
  direction: 'request' | 'response'
  pair: number
  frameBase64: string
  header: { code: number; remark: string | null; extFields: Record<string, string> | null }
  bodyUtf8?: string
}

const requests = new Map<number, Recorded>()
const responses = new Map<number, Recorded>()
for (const file of ['heartbeat', 'lock', 'offset', 'admin-topic', 'admin-group', 'admin-broker', 'errors', 'ha']) {
  const text = readFileSync(resolve(import.meta.dirname, `../../test/vectors/wire/${file}.jsonl`), 'utf8')
  for (const line of text.trim().split('\n')) {
    const recorded = JSON.parse(line) as Recorded
    ;(recorded.direction === 'request' ? requests : responses).set(recorded.pair, recorded)
  }
}

/** What depends on when and where, in whatever body it stands. */
const OURS = new Set([
  'timestamp',
  'counter',
  'lastUpdateTimestamp',
  'lastTimestamp',
  'clientAddr',
  'remoteIP',
  'consumeTps',
  'topicPutTps',
  'subVersion',
  'masterCommitLogMaxOffset',
])
const OURS_TIMES = /TimeStamp(Str)?$/

function comparable(value: unknown, key = ''): unknown {
  if (OURS.has(key) || OURS_TIMES.test(key)) return 'ours'
  if (Array.isArray(value)) return value.map((each) => comparable(each)).sort(byText)
  if (!isObject(value)) return value
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, comparable(each, name)]))
}

const byText = (a: unknown, b: unknown): number => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)
const bodyOf = (text: string): unknown => (text === '' ? undefined : comparable(parseJavaJson(text)))
/** Java says these of a success that nobody gave a remark. */
const NO_REMARKS = new Set(['', 'not set any response code'])

interface Substitution {
  /** Java names a class, a line, a parser's expectations: only the code is compared. */
  remarkIsOurs?: boolean
  fields?: readonly string[]
  body?: (ours: never, theirs: never) => void
}

async function replay(client: SimulatedClient, pair: number, substitution: Substitution = {}): Promise<Received> {
  const request = requests.get(pair)!
  const expected = responses.get(pair)!
  const got = await client.replay(Buffer.from(request.frameBase64, 'base64'))
  const label = `${pair} ${request.name}`
  assert.ok(got !== undefined, `${label} was not answered`)
  const { code, remark, extFields } = expected.header
  assert.equal(got.code, code, `${label}: ${got.remark}`)
  if (substitution.remarkIsOurs !== true) {
    const java = remark === null || NO_REMARKS.has(remark) ? '' : remark
    assert.equal(got.remark ?? '', java, label)
  }
  const ours = new Set(substitution.fields)
  const named = (fields: Record<string, unknown>): object =>
    Object.fromEntries(Object.entries(fields).filter(([name]) => !ours.has(name)))
  assert.deepEqual(named(got.fields), named(extFields ?? {}), label)
  const [mine, theirs] = [bodyOf(got.body.toString('utf8')), bodyOf(expected.bodyUtf8 ?? '')]
  if (substitution.body === undefined) assert.deepEqual(mine, theirs, label)
  else substitution.body(mine as never, theirs as never)
  return got
}

/** Sends a recorded request whose recorded answer was made by a state that is not repeated here. */
const send = (client: SimulatedClient, pair: number): Promise<Received | undefined> =>
  client.replay(Buffer.from(requests.get(pair)!.frameBase64, 'base64'), 50)

const settings = {
  brokerName: 'broker-a',
  brokerClusterName: 'DefaultCluster',
  listenPort: '20911',
  traceTopicEnable: 'true',
  defaultTopicQueueNums: '4',
  serverChannelMaxIdleTimeSeconds: '100000',
}

/** Messages of a queue, as many as the recording has. */
async function fill({ broker, scheduler }: SimulatedBroker, topic: string, counts: readonly number[]): Promise<void> {
  for (const [queueId, count] of counts.entries()) {
    for (let each = 0; each < count; each++) broker.store.append(draftOf({ topic, queueId, body: 'x' }))
  }
  await scheduler.advance(1_000)
}

describe('recorded: topics', () => {
  let broker: SimulatedBroker
  let client: SimulatedClient
  before(async () => {
    broker = await startSimulatedBroker(settings)
    client = await broker.connect()
  })
  after(() => broker.close())

  for (const pair of [3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 21, 22, 23, 24, 28, 29]) {
    test(`${pair} ${requests.get(pair)!.name}`, async () => {
      await replay(client, pair)
    })
  }
  test('20 a topic without its required fields is refused', async () => {
    await replay(client, 20, { remarkIsOurs: true })
  })
  test('25 all topics: the same 29, with the same settings', async () => {
    await replay(client, 25)
  })
  test('26 the first page of two', async () => {
    await replay(client, 26)
  })
  test('27 the system topics', async () => {
    await replay(client, 27)
  })
  test('32, 33 deleting a topic, and not a system topic', async () => {
    await replay(client, 32)
    await replay(client, 33)
    assert.equal(broker.broker.topics.get('WireL2'), undefined)
  })
  test('644 a list in which one topic is the same already: the other is created all the same, other than in Java', async () => {
    await replay(client, 644)
    assert.equal(broker.broker.topics.get('WireQuirk')?.writeQueueNums, 1)
  })
})

describe('recorded: groups', () => {
  let broker: SimulatedBroker
  let client: SimulatedClient
  before(async () => {
    broker = await startSimulatedBroker(settings)
    client = await broker.connect()
    for (const pair of [3, 9]) await send(client, pair)
  })
  after(() => broker.close())

  for (const pair of [34, 35, 36, 37, 38]) {
    test(`${pair} ${requests.get(pair)!.name}`, async () => {
      await replay(client, pair)
    })
  }
  test('39 an attribute that is unknown is refused', async () => {
    const { remark } = await replay(client, 39, { remarkIsOurs: true })
    assert.ok(responses.get(39)!.header.remark!.startsWith(remark!))
  })
  test('41 all groups: every one that Java lists is there, with the same settings', async () => {
    type Groups = { subscriptionGroupTable: Record<string, unknown>; forbiddenTable: object }
    await replay(client, 41, {
      fields: ['totalGroupNum'],
      body: (ours: Groups, theirs: Groups) => {
        assert.deepEqual(ours.forbiddenTable, theirs.forbiddenTable)
        // These came by other scenarios of the recording.
        for (const name of Object.keys(theirs.subscriptionGroupTable)) {
          if (ours.subscriptionGroupTable[name] === undefined) delete theirs.subscriptionGroupTable[name]
        }
        assert.deepEqual(ours.subscriptionGroupTable, theirs.subscriptionGroupTable)
      },
    })
  })
  for (const pair of [43, 44, 45, 46, 47, 420]) {
    test(`${pair} ${requests.get(pair)!.name}`, async () => {
      await replay(client, pair)
    })
  }
  test('42 the first page of two groups', async () => {
    await replay(client, 42, { fields: ['totalGroupNum'] })
  })
})

describe('recorded: clients', () => {
  let broker: SimulatedBroker
  let member: SimulatedClient
  before(async () => {
    broker = await startSimulatedBroker(settings)
    member = await broker.connect()
    const admin = await broker.connect()
    for (const pair of [3, 11]) await send(admin, pair)
  })
  after(() => broker.close())

  test('heartbeats of all kinds of clients', async () => {
    const heartbeats = [...requests.values()].filter(
      ({ name, pair }) => name.includes('/HEART_BEAT') && responses.has(pair),
    )
    assert.ok(heartbeats.length >= 18)
    for (const { pair } of heartbeats) {
      if (responses.get(pair)!.header.code === 0) await replay(await broker.connect(), pair)
    }
  })
  test('heartbeats without a body, or with one that is no JSON', async () => {
    await replay(member, 652, { remarkIsOurs: true })
    await replay(member, 653, { remarkIsOurs: true })
    assert.equal(
      broker.log.lines.some(({ level }) => level === 'error'),
      false,
      'which is no fault of ours',
    )
  })
  test('295, 296 the members of a group', async () => {
    await replay(member, 295)
    await replay(member, 296)
  })
  test('291, 621 the connections of a group', async () => {
    await replay(member, 291)
    await replay(member, 621)
  })
  test('292, 293, 620 the connections of a producer group', async () => {
    const empty = await startSimulatedBroker(settings)
    const producer = await empty.connect()
    await replay(producer, 292)
    await replay(producer, 293)
    await send(producer, 90)
    await replay(producer, 620, {
      body: (ours: { connectionSet: object[] }, theirs: { connectionSet: object[] }) => {
        assert.deepEqual(ours.connectionSet, [{ ...theirs.connectionSet[0], clientId: '127.0.0.1@wire-p' }])
      },
    })
    await empty.close()
  })
  test('301, 303, 304 who consumes what', async () => {
    await replay(member, 303)
    await replay(member, 304)
    const { body } = (await send(member, 301))!
    const { groupList } = JSON.parse(body.toString()) as { groupList: string[] }
    for (const group of ['WireGroup', 'WireBroadcastGroup', 'WireSqlGroup', 'WireV2Group', 'WireLitePullGroup']) {
      assert.ok(groupList.includes(group), group)
    }
  })
  test('374 the check of a subscription to tags', async () => {
    await replay(member, 374)
  })
  test('202 the check of an SQL92 subscription, as by a broker without property filter', async () => {
    const got = (await send(member, 202))!
    assert.deepEqual([got.code, got.remark], [1, 'The broker does not support consumer to filter message by SQL92'])
  })
  test('all that unregister do', async () => {
    for (const { pair, name } of requests.values()) {
      if (name.includes('/UNREGISTER_CLIENT') && responses.has(pair)) await replay(member, pair)
    }
  })
})

describe('recorded: locks', () => {
  test('of one client, of two, given up, and given up one-way', async () => {
    const broker = await startSimulatedBroker(settings)
    const client = await broker.connect()
    for (const pair of [196, 281, 369, 370, 371]) await replay(client, pair)
    assert.equal(broker.broker.locks.isAnyLocked('WireLockGroup'), false)
    await replay(client, 370, {
      body: (ours: { lockOKMQSet: unknown[] }) => assert.equal(ours.lockOKMQSet.length, 1, 'free now'),
    })
    await replay(client, 376)
    assert.equal(await send(client, 651), undefined)
    await broker.close()
  })
})

describe('recorded: offsets', () => {
  let broker: SimulatedBroker
  let client: SimulatedClient
  before(async () => {
    broker = await startSimulatedBroker(settings)
    client = await broker.connect()
    // Topics, the groups that commit, and messages as the recording had them.
    for (const pair of [3, 34, 168, 185, 227, 203, 215]) await send(client, pair)
    broker.broker.groups.find('WireRequestGroup')
    await fill(broker, 'WireTopic', [4, 6, 2, 6])
  })
  after(() => broker.close())

  test('171 a queue that is empty', async () => {
    await replay(client, 171)
  })
  test('186, 217, 263 a new group on a young queue begins at 0', async () => {
    for (const pair of [186, 217, 263]) await replay(client, pair)
  })
  test('262 unless it must not', async () => {
    await replay(client, 262)
  })
  test('259, 260, 261 what was committed is what is asked for', async () => {
    assert.equal(await send(client, 259), undefined, 'one-way')
    await replay(client, 260)
    await replay(client, 261)
    assert.equal(broker.broker.offsets.get('WirePullGroup', 'WireTopic', 0), 2)
  })
  test('264, 265 an unknown topic is refused, a queue beyond the topic is not', async () => {
    await replay(client, 264)
    await replay(client, 265)
    assert.equal(broker.broker.offsets.get('WirePullGroup', 'WireTopic', 77), 1)
  })
  test('602 an unknown group is refused', async () => {
    const unknown = { ...settings, autoCreateSubscriptionGroup: 'false' }
    const strict = await startSimulatedBroker(unknown)
    const asking = await strict.connect()
    await send(asking, 3)
    const got = (await send(asking, 261))!
    assert.deepEqual([got.code, got.remark], [26, 'Group WirePullGroup not exist!'])
    await strict.close()
  })
  for (const pair of [220, 221, 231, 248, 249, 254, 255, 256]) {
    test(`${pair} ${requests.get(pair)!.name}`, async () => {
      await replay(client, pair)
    })
  }
  test('344 all offsets, in the words that a replica reads', async () => {
    type Offsets = { offsetTable: Record<string, Record<string, number>> }
    await replay(client, 344, {
      body: (ours: Offsets, theirs: Offsets) => {
        for (const key of Object.keys(ours.offsetTable)) assert.ok(Object.hasOwn(theirs.offsetTable, key), key)
      },
    })
  })
  test('298, 299, 300, 302, 305 what tools show of it', async () => {
    const { offsets } = broker.broker
    for (const [queueId, offset] of [4, 6, 2, 6].entries()) {
      offsets.commit('WireGroup', 'WireTopic', queueId, offset)
      offsets.pull('WireGroup', 'WireTopic', queueId, offset)
      offsets.pull('WireBroadcastGroup', 'WireTopic', queueId, offset)
    }
    offsets.commit('WireGroup', '%RETRY%WireGroup', 0, 1)
    for (const pair of [298, 299, 302, 305]) await replay(client, pair)
    type Stats = { consumeStatsList: Record<string, { offsetTable: Record<string, Record<string, number>> }[]>[] }
    await replay(client, 300, {
      body: (ours: Stats, theirs: Stats) => {
        const find = ({ consumeStatsList }: Stats): Record<string, Record<string, number>> =>
          consumeStatsList
            .find((each) => 'WireGroup' in each)!
            ['WireGroup']!.map(({ offsetTable }) => offsetTable)
            .find((table) => Object.keys(table).some((queue) => queue.includes('"WireTopic"')))!
        const mine = Object.fromEntries(
          // Java leaves pullOffset 0 here, and so counts less than nothing in flight.
          Object.entries(find(ours)).map(([queue, offsets]) => [queue, { ...offsets, pullOffset: 0 }]),
        )
        assert.deepEqual(mine, find(theirs))
        assert.ok(ours.consumeStatsList.some((each) => each['TOOLS_CONSUMER']?.length === 0))
      },
    })
  })
})

describe('recorded: the broker itself', () => {
  let broker: SimulatedBroker
  let client: SimulatedClient
  before(async () => {
    broker = await startSimulatedBroker(settings)
    client = await broker.connect()
    await send(client, 3)
    await broker.scheduler.advance(1_000)
  })
  after(() => broker.close())

  test('335 a statistic that was never counted', async () => {
    await replay(client, 335)
  })
  test('334 one that was', async () => {
    await client.askLoosely(
      SendMessage,
      {
        producerGroup: 'p',
        topic: 'WireTopic',
        defaultTopic: 'TBW102',
        defaultTopicQueueNums: '4',
        queueId: '0',
        sysFlag: '0',
        bornTimestamp: '1',
        flag: '0',
      },
      'x',
    )
    await broker.scheduler.advance(700_000)
    await replay(client, 334, {
      body: (ours: Record<string, object>, theirs: Record<string, object>) => {
        assert.deepEqual(Object.keys(ours).sort(), Object.keys(theirs).sort())
        assert.deepEqual(Object.keys(ours['statsHour']!).sort(), Object.keys(theirs['statsHour']!).sort())
      },
    })
  })
  test('337 runtime info has every key that Java’s has, but for the delay levels', async () => {
    await broker.scheduler.advance(601_000)
    type Table = { table: Record<string, string> }
    await replay(client, 337, {
      body: (ours: Table, theirs: Table) => {
        const isServed = (key: string): boolean => !key.startsWith('scheduleMessageOffset_')
        const path = /_.*(store|commitlog).*$/
        const missing = Object.keys(theirs.table)
          .filter(isServed)
          .filter((key) => !(key in ours.table) && !path.test(key))
        assert.deepEqual(missing, [])
        for (const value of Object.values(ours.table)) assert.equal(typeof value, 'string')
        for (const key of ['putTps', 'getFoundTps', 'getTransferredTps']) {
          assert.match(ours.table[key]!, /^[\d.]+ [\d.]+ [\d.]+$/, key)
        }
      },
    })
  })
  test('338 settings, under keys that Java has', async () => {
    const { body, fields } = (await send(client, 338))!
    const keys = (text: string): string[] =>
      text
        .trim()
        .split('\n')
        .map((line) => line.split('=')[0]!)
    const java = new Set(keys(responses.get(338)!.bodyUtf8!))
    const ours = keys(body.toString('utf8'))
    const own = ours.filter((key) => !java.has(key))
    assert.deepEqual(own.sort(), OWN_KEYS)
    assert.match(fields['version']!, /^\{"counter":\d+,"stateVersion":0,"timestamp":\d+\}$/)
  })
  test('340 a setting on no allow-list is refused, by name', async () => {
    const { remark } = await replay(client, 340, { remarkIsOurs: true })
    assert.match(remark!, /rocketmqHome/)
  })
  test('345, 360 delay levels, and replication of a master without replicas', async () => {
    await replay(client, 345, { body: (ours: { offsetTable: object }) => assert.deepEqual(ours.offsetTable, {}) })
    await replay(client, 360)
  })
  test('341, 342, 343 cleaning', async () => {
    for (const pair of [341, 342, 343]) await replay(client, pair)
  })
})

/** Settings that Java has as system properties, or not at all: each a decision, the others are spelled as Java spells them. */
const OWN_KEYS = ['fastListenEnable', 'maxConnections', 'maxQueuedBytesPerConnection', 'rebalanceLockMaxLiveTime']
