import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { GetBrokerRuntimeInfo } from '../protocol/commands/broker-config.ts'
import { HeartBeat, UnregisterClient } from '../protocol/commands/client.ts'
import { LitePullMessage, PullMessage } from '../protocol/commands/pull.ts'
import { SendMessageV2 } from '../protocol/commands/send.ts'
import { DeleteTopicInBroker } from '../protocol/commands/topic.ts'
import { decodeMessages } from '../protocol/message.ts'
import { PullSysFlag } from '../protocol/names.ts'
import { ResponseCode } from '../protocol/response-code.ts'
import { type Received, type SimulatedBroker, type SimulatedClient, startSimulatedBroker } from './simulated-broker.ts'
import { pullOf, sendOf } from './simulated-requests.ts'

const { SUSPEND, SUBSCRIPTION, COMMIT_OFFSET } = PullSysFlag
const NO_MORE = Number.MAX_SAFE_INTEGER

type PullParts = Parameters<typeof pullOf>[0]

async function start(settings: Record<string, string> = {}): Promise<[SimulatedBroker, SimulatedClient]> {
  const broker = await startSimulatedBroker(settings)
  return [broker, await broker.connect()]
}

async function send(
  client: SimulatedClient,
  bodies: readonly string[],
  parts: Parameters<typeof sendOf>[0] = {},
): Promise<void> {
  for (const body of bodies) {
    const answer: Received = await client.ask(SendMessageV2, sendOf(parts), body)
    assert.equal(answer.code, ResponseCode.SUCCESS, answer.remark)
  }
}

const numbers = (count: number, from = 0): string[] => Array.from({ length: count }, (_, index) => String(from + index))
const bodiesOf = ({ body }: Received): string[] => decodeMessages(body).map((message) => message.body.toString())

async function subscribe(client: SimulatedClient, group: string, subString: string, more: object = {}): Promise<void> {
  const subscription = { topic: 'orders', subString, subVersion: 5, tagsSet: [], codeSet: [], expressionType: 'TAG' }
  const consumer = {
    groupName: group,
    consumeType: 'CONSUME_PASSIVELY',
    messageModel: 'CLUSTERING',
    consumeFromWhere: 'CONSUME_FROM_LAST_OFFSET',
    subscriptionDataSet: [{ ...subscription, ...more }],
    ...more,
  }
  const body = JSON.stringify({ clientID: 'c', consumerDataSet: [consumer], producerDataSet: [] })
  assert.equal((await client.ask(HeartBeat, {}, body)).code, ResponseCode.SUCCESS)
}

describe('a pull', () => {
  test('answers what is there, and where to go on', async () => {
    const [broker, client] = await start()
    await send(client, numbers(5))
    const answer = await client.ask(PullMessage, pullOf({ queueOffset: 2 }))
    assert.deepEqual([answer.code, answer.remark], [ResponseCode.SUCCESS, 'FOUND'])
    assert.deepEqual(bodiesOf(answer), ['2', '3', '4'])
    assert.deepEqual(answer.fields, {
      suggestWhichBrokerId: '0',
      nextBeginOffset: '5',
      minOffset: '0',
      maxOffset: '5',
      topicSysFlag: '0',
      groupSysFlag: '0',
    })
    const lite = await client.ask(LitePullMessage, pullOf({ queueOffset: 4 }))
    assert.deepEqual(bodiesOf(lite), ['4'])
    await broker.close()
  })

  test('ends at its own limits and at those of the broker, and gives one message at least', async () => {
    const [broker, client] = await start({ maxTransferCountOnMessageInMemory: '10' })
    await send(client, ['x'.repeat(2_000), ...numbers(20)])
    const count = async (parts: PullParts): Promise<number> =>
      bodiesOf(await client.ask(PullMessage, pullOf(parts))).length
    assert.equal(await count({ maxMsgNums: 3 }), 3)
    assert.equal(await count({ maxMsgNums: 0 }), 1)
    assert.equal(await count({ maxMsgNums: -5 }), 1)
    assert.equal(await count({ maxMsgNums: 0x7fff_ffff }), 10)
    assert.equal(await count({ maxMsgBytes: 1 }), 1, 'the first is larger than that')
    assert.equal(await count({ maxMsgBytes: 2_500 }), 2)
    assert.equal(await count({ maxMsgBytes: 0 }), 10)
    await broker.close()
  })

  test('of an offset that is not there is told where to go on', async () => {
    const [broker, client] = await start()
    await send(client, numbers(3))
    const asked = async (parts: PullParts): Promise<unknown[]> => {
      const { code, remark, fields } = await client.ask(PullMessage, pullOf(parts))
      return [code, remark, fields['nextBeginOffset'], fields['minOffset'], fields['maxOffset']]
    }
    const cases: [PullParts, unknown[]][] = [
      [{ queueOffset: -1 }, [21, 'OFFSET_TOO_SMALL', '0', '0', '3']],
      [{ queueOffset: 3 }, [19, 'OFFSET_OVERFLOW_ONE', '3', '0', '3']],
      [{ queueOffset: 4 }, [21, 'OFFSET_OVERFLOW_BADLY', '3', '0', '3']],
      [{ queueOffset: NO_MORE }, [21, 'OFFSET_OVERFLOW_BADLY', '3', '0', '3']],
      [{ queueId: 1 }, [19, 'NO_MATCHED_LOGIC_QUEUE', '0', '0', '0']],
      [{ queueId: 1, queueOffset: 7 }, [21, 'NO_MATCHED_LOGIC_QUEUE', '0', '0', '0']],
    ]
    for (const [parts, expected] of cases) assert.deepEqual(await asked(parts), expected, JSON.stringify(parts))
    await broker.close()
  })

  test('gets the tags it asks for, by its own subscription or that of its group', async () => {
    const [broker, client] = await start()
    for (const tag of ['a', 'b', 'c', 'a']) await send(client, [tag], { properties: `TAGS=${tag}` })
    await send(client, ['none'])
    const own = async (subscription: string | undefined): Promise<string[]> =>
      bodiesOf(await client.ask(PullMessage, pullOf({ subscription })))
    assert.deepEqual(await own('a'), ['a', 'a'])
    assert.deepEqual(await own(' b||c '), ['b', 'c'])
    assert.deepEqual(await own('*'), ['a', 'b', 'c', 'a', 'none'])
    assert.deepEqual(await own(undefined), ['a', 'b', 'c', 'a', 'none'])
    await subscribe(client, 'consumers', 'c || a')
    assert.deepEqual(bodiesOf(await client.ask(PullMessage, pullOf({ sysFlag: 0, subVersion: 5 }))), ['a', 'c', 'a'])
    const nothing = await client.ask(PullMessage, pullOf({ subscription: 'z' }))
    assert.deepEqual([nothing.code, nothing.remark], [ResponseCode.PULL_RETRY_IMMEDIATELY, 'NO_MATCHED_MESSAGE'])
    assert.equal(nothing.fields['nextBeginOffset'], '5')
    await broker.close()
  })

  test('needs no field of its header that nothing depends on', async () => {
    const [broker, client] = await start()
    await send(client, ['x'])
    const fields = {
      consumerGroup: 'g',
      topic: 'orders',
      queueId: '0',
      queueOffset: '0',
      maxMsgNums: '1',
      sysFlag: '4',
    }
    const answer = await client.askLoosely(PullMessage, fields)
    assert.equal(answer.code, ResponseCode.SUCCESS, answer.remark)
    const waiting = { ...fields, queueOffset: '1', sysFlag: '6' }
    assert.equal((await client.askLoosely(PullMessage, waiting)).code, ResponseCode.PULL_NOT_FOUND, 'it waits no time')
    await client.askLoosely(PullMessage, { ...fields, sysFlag: '5' })
    assert.equal(broker.broker.offsets.get('g', 'orders', 0), undefined, 'no offset is committed that was not said')
    await broker.close()
  })

  test('commits an offset on the way, when it says so', async () => {
    const [broker, client] = await start()
    await send(client, numbers(3))
    const { offsets } = broker.broker
    await client.ask(PullMessage, pullOf({ commitOffset: 2 }))
    assert.equal(offsets.get('consumers', 'orders', 0), undefined)
    await client.ask(PullMessage, pullOf({ commitOffset: 2, sysFlag: SUBSCRIPTION | COMMIT_OFFSET }))
    assert.equal(offsets.get('consumers', 'orders', 0), 2)
    await client.ask(PullMessage, pullOf({ commitOffset: -1, sysFlag: SUBSCRIPTION | COMMIT_OFFSET }))
    assert.equal(offsets.get('consumers', 'orders', 0), 2)
    assert.equal(offsets.pulled('consumers', 'orders', 0), 3)
    await broker.close()
  })
})

describe('a pull that is refused', () => {
  type Case = [what: string, parts: PullParts, code: number, remark: string | RegExp, forbiddenType?: string]
  const faq = 'See https://rocketmq.apache.org/docs/bestPractice/06FAQ for further details.'

  test('says why', async () => {
    const [broker, client] = await start()
    await send(client, ['x'])
    const { groups, topics } = broker.broker
    const group = groups.get('TOOLS_CONSUMER')!
    groups.update([
      { ...group, groupName: 'disabled', consumeEnable: false },
      { ...group, groupName: 'clustered', consumeBroadcastEnable: false },
    ])
    topics.update([{ ...topics.get('orders')!, topicName: 'write-only', perm: 2 }])
    await subscribe(client, 'consumers', 'a')
    await subscribe(client, 'clustered', '*', { messageModel: 'BROADCASTING' })
    await subscribe(client, 'by-sql', 'a > 1', { expressionType: 'SQL92' })
    await subscribe(client, 'forbidden', '*')
    groups.setReadForbidden('forbidden', 'orders', true)
    const long = 'g'.repeat(121)
    const cases: Case[] = [
      [
        'a group whose name is too long',
        { consumerGroup: long },
        26,
        `subscription group [${long}] does not exist, \n${faq}`,
      ],
      ['a group that climbs', { consumerGroup: '../g' }, 26, 'subscription group [../g] does not exist'],
      ['a group with NUL', { consumerGroup: 'g\u0000' }, 26, /does not exist/],
      ['a disabled group', { consumerGroup: 'disabled' }, 16, 'subscription group no permission, disabled', '2'],
      ['no topic', { topic: 'nowhere' }, 17, `topic[nowhere] not exist, apply first please! \n${faq}`],
      ['a topic that climbs', { topic: '../orders' }, 17, 'topic[../orders] not exist, apply first please!'],
      [
        'a topic not to be read',
        { topic: 'write-only' },
        16,
        'the topic[write-only] pulling message is forbidden',
        '3',
      ],
      [
        'queue 4 of 4',
        { queueId: 4 },
        29,
        'queueId[4] is illegal, topic:[orders] topicConfig.readQueueNums:[4] consumer:[/127.0.0.1:',
      ],
      ['queue −1', { queueId: -1 }, 29, 'queueId[-1] is illegal, '],
      ['no tag at all', { subscription: ' || ' }, 23, "parse the consumer's subscription failed"],
      ['SQL92', { expressionType: 'SQL92' }, 1, 'The broker does not support consumer to filter message by SQL92'],
      [
        'SQL92 of a group',
        { consumerGroup: 'by-sql', sysFlag: 0 },
        1,
        'The broker does not support consumer to filter',
      ],
      ['an unknown group', { consumerGroup: 'new', sysFlag: 0 }, 24, `the consumer's group info not exist\n${faq}`],
      [
        'an unknown subscription',
        { topic: 'SELF_TEST_TOPIC', sysFlag: 0 },
        24,
        `the consumer's subscription not exist\n${faq}`,
      ],
      ['a newer subscription', { subVersion: 6, sysFlag: 0 }, 25, "the consumer's subscription not latest"],
      [
        'broadcasting',
        { consumerGroup: 'clustered', sysFlag: 0 },
        16,
        'the consumer group[clustered] can not consume by broadcast way',
        '4',
      ],
      [
        'a forbidden topic',
        { consumerGroup: 'forbidden', sysFlag: 0 },
        16,
        'the consumer group[forbidden] is forbidden for topic[orders]',
        '5',
      ],
    ]
    for (const [what, parts, code, remark, forbiddenType] of cases) {
      const answer = await client.ask(PullMessage, pullOf({ suspendTimeoutMillis: 20_000, ...parts }))
      assert.equal(answer.code, code, `${what}: ${answer.remark}`)
      if (typeof remark === 'string') assert.ok(answer.remark?.startsWith(remark), `${what}: ${answer.remark}`)
      else assert.match(answer.remark!, remark, what)
      assert.deepEqual(answer.fields, forbiddenType === undefined ? {} : { forbiddenType }, what)
      assert.equal(answer.body.length, 0)
    }
    assert.equal(broker.probe('broker.longPoll.parked'), 0)
    await broker.close()
  })

  test('by a broker that may not be read, or serves no lite pulls, or makes no groups', async () => {
    const [broker, client] = await start({
      brokerPermission: '2',
      litePullMessageEnable: 'false',
      autoCreateSubscriptionGroup: 'false',
    })
    const closed = await client.ask(PullMessage, pullOf())
    assert.deepEqual([closed.code, closed.remark], [16, 'the broker[127.0.0.1] pulling message is forbidden'])
    assert.deepEqual(closed.fields, { forbiddenType: '1' })
    const lite = await client.ask(LitePullMessage, pullOf())
    assert.deepEqual([lite.code, lite.remark], [16, 'the broker[127.0.0.1] for lite pull consumer is forbidden'])
    Object.assign(broker.broker.settings, { brokerPermission: 6 })
    assert.equal((await client.ask(PullMessage, pullOf())).code, ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST)
    await broker.close()
  })

  test('at the fast port, which serves no pulls', async () => {
    const [broker] = await start()
    const client = await broker.connect(10_909)
    assert.equal((await client.ask(SendMessageV2, sendOf(), 'x')).code, ResponseCode.SUCCESS)
    const answer = await client.ask(PullMessage, pullOf())
    assert.deepEqual([answer.code, answer.remark], [3, ' request type 11 not supported'])
    await broker.close()
  })
})

describe('a pull that waits', () => {
  const waiting = (parts: PullParts = {}): ReturnType<typeof pullOf> =>
    pullOf({ queueOffset: 1, sysFlag: SUSPEND | SUBSCRIPTION, suspendTimeoutMillis: 15_000, ...parts })

  async function startWithOne(settings: Record<string, string> = {}): Promise<[SimulatedBroker, SimulatedClient]> {
    const [broker, client] = await start(settings)
    await send(client, ['first'])
    return [broker, client]
  }

  test('is answered empty when its time is up', async () => {
    const [broker, client] = await startWithOne()
    const opaque = await client.begin(PullMessage, waiting())
    assert.equal(broker.probe('broker.longPoll.parked'), 1)
    await broker.scheduler.advance(14_990)
    assert.equal(client.answer(opaque), undefined)
    await broker.scheduler.advance(60)
    const answer = client.answer(opaque)
    assert.deepEqual([answer?.code, answer?.remark], [ResponseCode.PULL_NOT_FOUND, 'OFFSET_OVERFLOW_ONE'])
    assert.equal(answer?.fields['nextBeginOffset'], '1')
    assert.equal(broker.probe('broker.longPoll.parked'), 0)
    await broker.close()
  })

  test('is answered by the message, in the turn in which it comes', async () => {
    const [broker, client] = await startWithOne()
    const producer = await broker.connect()
    const opaque = await client.begin(PullMessage, waiting())
    const before = broker.scheduler.monotonic()
    await producer.begin(SendMessageV2, sendOf(), 'second')
    const answer = client.answer(opaque)
    assert.equal(broker.scheduler.monotonic(), before, 'no time has passed')
    assert.equal(answer?.code, ResponseCode.SUCCESS)
    assert.deepEqual(bodiesOf(answer!), ['second'])
    await broker.close()
  })

  test('on a queue that no message ever came to is woken too', async () => {
    const [broker, client] = await startWithOne()
    const opaque = await client.begin(PullMessage, waiting({ queueId: 3, queueOffset: 0 }))
    await send(client, ['x'], { queueId: 2 })
    assert.equal(client.answer(opaque), undefined)
    await send(client, ['y'], { queueId: 3 })
    assert.deepEqual(bodiesOf(client.answer(opaque)!), ['y'])
    await broker.close()
  })

  test('is not woken by tags it does not want, but learns of them after a while', async () => {
    const [broker, client] = await startWithOne()
    const opaque = await client.begin(PullMessage, waiting({ subscription: 'a || b' }))
    await broker.scheduler.advance(1_000)
    await send(client, ['no'], { properties: 'TAGS=c' })
    assert.equal(client.answer(opaque), undefined)
    await send(client, ['yes'], { properties: 'TAGS=b' })
    assert.deepEqual(bodiesOf(client.answer(opaque)!), ['yes'])

    const never = await client.begin(PullMessage, waiting({ subscription: 'z', queueOffset: 3 }))
    await send(client, ['no'], { properties: 'TAGS=c' })
    await broker.scheduler.advance(4_900)
    assert.equal(client.answer(never), undefined)
    await broker.scheduler.advance(200)
    const answer = client.answer(never)
    assert.deepEqual([answer?.code, answer?.remark], [ResponseCode.PULL_RETRY_IMMEDIATELY, 'NO_MATCHED_MESSAGE'])
    assert.equal(answer?.fields['nextBeginOffset'], '4')
    await broker.close()
  })

  test('commits its offset once, when it comes', async () => {
    const [broker, client] = await startWithOne()
    const { offsets } = broker.broker
    const opaque = await client.begin(
      PullMessage,
      waiting({ commitOffset: 1, sysFlag: SUSPEND | SUBSCRIPTION | COMMIT_OFFSET }),
    )
    assert.equal(offsets.get('consumers', 'orders', 0), 1)
    offsets.commit('consumers', 'orders', 0, 7)
    await broker.scheduler.advance(16_000)
    assert.equal(client.answer(opaque)?.code, ResponseCode.PULL_NOT_FOUND)
    assert.equal(offsets.get('consumers', 'orders', 0), 7)
    await broker.close()
  })

  test('is not one that does not ask to, nor one whose offset is wrong', async () => {
    const [broker, client] = await startWithOne()
    for (const parts of [
      { sysFlag: SUBSCRIPTION },
      { suspendTimeoutMillis: 0 },
      { suspendTimeoutMillis: -1 },
      { queueOffset: 2 },
      { queueOffset: -1 },
      { queueOffset: 0, subscription: 'z' },
    ]) {
      const opaque = await client.begin(PullMessage, waiting(parts))
      assert.notEqual(client.answer(opaque), undefined, JSON.stringify(parts))
    }
    await broker.close()
  })

  test('for as long as can be said in 64 bits still waits', async () => {
    const [broker, client] = await startWithOne()
    const opaque = await client.begin(PullMessage, waiting({ suspendTimeoutMillis: NO_MORE }))
    await broker.scheduler.advance(100_000)
    assert.equal(client.answer(opaque), undefined)
    await send(client, ['at last'])
    assert.deepEqual(bodiesOf(client.answer(opaque)!), ['at last'])
    await broker.close()
  })

  test('waits a second only where long polling is turned off', async () => {
    const [broker, client] = await startWithOne({ longPollingEnable: 'false', shortPollingTimeMills: '1000' })
    const opaque = await client.begin(PullMessage, waiting())
    await broker.scheduler.advance(900)
    assert.equal(client.answer(opaque), undefined)
    await broker.scheduler.advance(200)
    assert.equal(client.answer(opaque)?.code, ResponseCode.PULL_NOT_FOUND)
    await broker.close()
  })

  test('is forgotten when its connection closes', async () => {
    const [broker, client] = await startWithOne()
    const lost = await broker.connect()
    await lost.begin(PullMessage, waiting())
    const kept = await client.begin(PullMessage, waiting())
    await lost.close()
    await broker.scheduler.advance(100)
    assert.equal(broker.probe('broker.longPoll.parked'), 1)
    await send(client, ['x'])
    assert.deepEqual(bodiesOf(client.answer(kept)!), ['x'])
    assert.equal(broker.probe('broker.longPoll.parked'), 0)
    assert.equal(broker.probe('remoting.router.parked'), 0)
    await broker.close()
  })

  test('takes no message once its connection is closed, not even before that was forgotten', async () => {
    const [broker, client] = await startWithOne()
    const lost = await broker.connect()
    await lost.begin(PullMessage, waiting())
    await lost.close()
    assert.equal(broker.probe('broker.longPoll.parked'), 1)
    await client.begin(SendMessageV2, sendOf(), 'x')
    assert.equal(broker.probe('broker.longPoll.parked'), 0)
    const { body } = await client.ask(GetBrokerRuntimeInfo, {})
    assert.equal((JSON.parse(body.toString()) as { table: object }).table['msgGetTotalTodayNow' as never], '0')
    await broker.close()
  })

  test('is answered by the rules as they are when it is woken', async () => {
    const [broker, client] = await startWithOne()
    const producer = await broker.connect()
    const ofItsGroup = waiting({ consumerGroup: 'g', sysFlag: SUSPEND, subVersion: 5 })
    await subscribe(client, 'g', '*')
    const left = await client.begin(PullMessage, ofItsGroup)
    assert.equal(client.answer(left), undefined)
    await client.ask(UnregisterClient, { clientID: 'c', consumerGroup: 'g' })
    await send(producer, ['second'])
    const refused = client.answer(left)
    assert.equal(refused?.code, ResponseCode.SUBSCRIPTION_NOT_EXIST)
    assert.match(refused.remark!, /^the consumer's group info not exist/)
    // A subscription that changed while the pull waited is the one that counts.
    await subscribe(client, 'g', '*')
    const changed = await client.begin(PullMessage, { ...ofItsGroup, queueOffset: 2 })
    await subscribe(client, 'g', 'b', { subVersion: 6 })
    await send(producer, ['third'], { properties: 'TAGS=a' })
    const passedOver = client.answer(changed)
    assert.equal(passedOver?.code, ResponseCode.PULL_RETRY_IMMEDIATELY)
    assert.equal(passedOver.fields['nextBeginOffset'], '3')
    // And at the end of its time too.
    const timedOut = await client.begin(PullMessage, { ...ofItsGroup, queueOffset: 3, subVersion: 6 })
    await client.ask(UnregisterClient, { clientID: 'c', consumerGroup: 'g' })
    await broker.scheduler.advance(15_100)
    assert.equal(client.answer(timedOut)?.code, ResponseCode.SUBSCRIPTION_NOT_EXIST)
    await broker.close()
  })

  test('is told when its topic is deleted', async () => {
    const [broker, client] = await startWithOne()
    const opaque = await client.begin(PullMessage, waiting())
    await client.ask(DeleteTopicInBroker, { topic: 'orders' })
    assert.equal(client.answer(opaque)?.code, ResponseCode.TOPIC_NOT_EXIST)
    await broker.close()
  })

  test('beyond the most that may wait is told that the broker is busy', async () => {
    const [broker, client] = await startWithOne({ pullThreadPoolQueueCapacity: '2' })
    const first = [await client.begin(PullMessage, waiting()), await client.begin(PullMessage, waiting())]
    const third = await client.ask(PullMessage, waiting())
    assert.equal(third.code, ResponseCode.SYSTEM_BUSY)
    assert.match(third.remark!, /^\[OVERLOAD\]/)
    assert.ok(first.every((opaque) => client.answer(opaque) === undefined))
    await broker.close()
  })

  test('is answered before the broker stops', async () => {
    const [broker, client] = await startWithOne()
    const opaque = await client.begin(PullMessage, waiting())
    await broker.close()
    assert.equal(client.answer(opaque)?.code, ResponseCode.PULL_NOT_FOUND)
    assert.ok(client.isClosed)
  })

  test('one of ten thousand: all are woken by their messages, none by another', async () => {
    const [broker, producer] = await start()
    const { topics } = broker.broker
    topics.update([{ ...topics.get('TBW102')!, topicName: 'wide', readQueueNums: 1_000, writeQueueNums: 1_000 }])
    const clients = await Promise.all(Array.from({ length: 100 }, () => broker.connect()))
    const parked: [SimulatedClient, number, number][] = []
    for (const [index, client] of clients.entries()) {
      for (let each = 0; each < 100; each++) {
        const queueId = (index * 100 + each) % 1_000
        const header = waiting({ topic: 'wide', queueId, queueOffset: 0, consumerGroup: `group-${index % 10}` })
        parked.push([client, queueId, await client.begin(PullMessage, header)])
      }
    }
    assert.equal(broker.probe('broker.longPoll.parked'), 10_000)
    for (let queueId = 0; queueId < 1_000; queueId += 2) {
      await producer.begin(SendMessageV2, sendOf({ topic: 'wide', queueId }), `for ${queueId}`)
    }
    await broker.scheduler.advance(50)
    for (const [client, queueId, opaque] of parked) {
      const answer = client.answer(opaque)
      if (queueId % 2 === 1) assert.equal(answer, undefined)
      else assert.deepEqual(bodiesOf(answer!), [`for ${queueId}`])
    }
    assert.equal(broker.probe('broker.longPoll.parked'), 5_000)
    await broker.scheduler.advance(15_000)
    for (const [client, queueId, opaque] of parked) {
      if (queueId % 2 === 1) assert.equal(client.answer(opaque)?.code, ResponseCode.PULL_NOT_FOUND)
    }
    assert.equal(broker.probe('broker.longPoll.parked'), 0)
    await broker.close()
  })
})
