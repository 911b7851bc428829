import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import * as client from '../protocol/commands/client.ts'
import { UpdateAndCreateSubscriptionGroup } from '../protocol/commands/group.ts'
import { type SimulatedBroker, type SimulatedClient, startSimulatedBroker } from './simulated-broker.ts'

const NOTIFY = 40

type Subscriptions = Record<string, string | { expression?: string; type?: string; version?: number }>

interface Beat {
  clientId?: string
  group?: string
  topics?: Subscriptions
  model?: string
  fingerprint?: number
  withoutSub?: boolean
  unitMode?: boolean
}

function heartbeat({
  clientId = 'a',
  group = 'g',
  topics = { orders: '*' },
  model = 'CLUSTERING',
  ...more
}: Beat): string {
  const subscriptionDataSet = Object.entries(topics).map(([topic, wanted]) => {
    const { expression = '*', type = 'TAG', version = 1 } = typeof wanted === 'string' ? { expression: wanted } : wanted
    return { topic, subString: expression, expressionType: type, subVersion: version, tagsSet: [], codeSet: [] }
  })
  return JSON.stringify({
    clientID: clientId,
    consumerDataSet: [
      {
        groupName: group,
        consumeType: 'CONSUME_PASSIVELY',
        messageModel: model,
        consumeFromWhere: 'CONSUME_FROM_LAST_OFFSET',
        subscriptionDataSet: more.withoutSub === true ? [] : subscriptionDataSet,
        unitMode: more.unitMode ?? false,
      },
    ],
    producerDataSet: [],
    heartbeatFingerprint: more.fingerprint ?? 0,
    withoutSub: more.withoutSub ?? false,
  })
}

async function beat(member: SimulatedClient, what: Beat): Promise<string | null | undefined> {
  const { code, fields } = await member.ask(client.HeartBeat, {}, heartbeat(what))
  assert.equal(code, 0)
  assert.equal(fields['IS_SUPPORT_HEART_BEAT_V2'], 'true')
  return fields['IS_SUB_CHANGE']
}

async function memberIds(asking: SimulatedClient, consumerGroup = 'g'): Promise<string[]> {
  const { body } = await asking.ask(client.GetConsumerListByGroup, { consumerGroup })
  return (JSON.parse(body.toString()) as { consumerIdList: string[] }).consumerIdList.sort()
}

const told = (member: SimulatedClient): number => {
  const count = member.told.filter(({ code, fields }) => code === NOTIFY && fields['consumerGroup'] === 'g').length
  member.told.length = 0
  return count
}

const warnings = ({ log }: SimulatedBroker, word: string): Record<string, unknown>[] =>
  log.lines.filter(({ level, message }) => level === 'warn' && message.includes(word)).map(({ fields }) => fields)

describe('members of a consumer group', () => {
  test('all are told when one joins, leaves, or loses its connection', async () => {
    const broker = await startSimulatedBroker()
    const [a, b, c] = [await broker.connect(), await broker.connect(), await broker.connect()]
    await beat(a, { clientId: 'a' })
    assert.equal(told(a), 1)
    await beat(b, { clientId: 'b' })
    assert.deepEqual([told(a), told(b)], [1, 1])
    await beat(a, { clientId: 'a' })
    await beat(b, { clientId: 'b' })
    assert.deepEqual([told(a), told(b)], [0, 0], 'nothing changed')
    await beat(c, { clientId: 'c' })
    assert.deepEqual([told(a), told(b), told(c)], [1, 1, 1])
    assert.deepEqual(await memberIds(a), ['a', 'b', 'c'])

    await b.ask(client.UnregisterClient, { clientID: 'b', consumerGroup: 'g' })
    assert.deepEqual([told(a), told(b), told(c)], [1, 0, 1])
    await c.close()
    assert.deepEqual([told(a), told(b)], [1, 0])
    assert.deepEqual(await memberIds(a), ['a'])
    assert.equal(broker.probe('broker.consumers.members'), 1)
    await broker.close()
  })

  test('a hundred that join at once do not tell each other five thousand times, yet all hear of the last', async () => {
    const broker = await startSimulatedBroker()
    const members: SimulatedClient[] = []
    for (let each = 0; each < 100; each++) members.push(await broker.connect())
    for (const [each, member] of members.entries()) await beat(member, { clientId: `c${each}` })
    for (const member of members) told(member)
    const last = await broker.connect()
    await beat(last, { clientId: 'last' })
    await broker.scheduler.advance(300)
    for (const member of [...members, last]) assert.equal(told(member), 1)
    const sent = broker.probe('broker.consumers.notifications')
    assert.ok(sent < 1_000, `${sent} notifications`)
    const other = await broker.connect()
    await beat(other, { clientId: 'other', group: 'small' })
    assert.equal(other.told.length, 1, 'at once again, as it was quiet')
    await broker.close()
  })

  test('a topic more or less tells them too; a new expression of the same topic does not', async () => {
    const broker = await startSimulatedBroker()
    const a = await broker.connect()
    await beat(a, { topics: { orders: 'A' } })
    told(a)
    await beat(a, { topics: { orders: { expression: 'B', version: 2 } } })
    assert.equal(told(a), 0)
    await beat(a, { topics: { orders: { expression: 'B', version: 2 }, returns: '*' } })
    assert.equal(told(a), 1)
    await beat(a, { topics: { returns: '*' } })
    assert.equal(told(a), 1)
    assert.deepEqual([...broker.broker.consumers.get('g')!.subscriptions.keys()], ['returns'])
    await beat(a, { topics: { returns: '*' } })
    assert.equal(told(a), 0)
    await broker.close()
  })

  test('a newer version of a subscription wins, an older one does not', async () => {
    const broker = await startSimulatedBroker()
    const [a, b] = [await broker.connect(), await broker.connect()]
    const expression = (): string | undefined =>
      broker.broker.consumers.get('g')?.subscriptions.get('orders')?.subString
    await beat(a, { topics: { orders: { expression: 'A', version: 5 } } })
    await beat(b, { clientId: 'b', topics: { orders: { expression: 'B', version: 4 } } })
    assert.equal(expression(), 'A')
    await beat(b, { clientId: 'b', topics: { orders: { expression: 'C', version: 6 } } })
    assert.equal(expression(), 'C')
    await broker.close()
  })

  test('nobody is told in a broadcast group, nor where group or broker forbid it', async () => {
    const silent = await startSimulatedBroker({ notifyConsumerIdsChangedEnable: 'false' })
    const broker = await startSimulatedBroker()
    for (const [which, what] of [
      [silent, {}],
      [broker, { model: 'BROADCASTING' }],
    ] as const) {
      const member = await which.connect()
      await beat(member, what)
      assert.equal(told(member), 0)
    }
    const admin = await broker.connect()
    await admin.ask(
      UpdateAndCreateSubscriptionGroup,
      {},
      JSON.stringify({ groupName: 'g', notifyConsumerIdsChangedEnable: false }),
    )
    const member = await broker.connect()
    await beat(member, { clientId: 'b' })
    assert.equal(told(member), 0)
    await silent.close()
    await broker.close()
  })

  test('who sends no heartbeat for more than 120 s is put out, and its connection closed', async () => {
    const broker = await startSimulatedBroker({ serverChannelMaxIdleTimeSeconds: '100000' })
    const [a, b] = [await broker.connect(), await broker.connect()]
    await beat(b, { clientId: 'b' })
    await beat(a, { clientId: 'a' })
    for (let seconds = 0; seconds < 120; seconds += 30) {
      await broker.scheduler.advance(30_000)
      await beat(a, { clientId: 'a' })
    }
    assert.deepEqual(await memberIds(a), ['a', 'b'], 'at 120 s it is still there')
    told(a)
    await broker.scheduler.advance(10_000)
    assert.equal(b.isClosed, true)
    assert.equal(told(a), 1)
    assert.deepEqual(await memberIds(a), ['a'])
    assert.equal(warnings(broker, 'consumer gone').length, 1)
    await broker.close()
  })

  test('a group whose last member leaves is not online', async () => {
    const broker = await startSimulatedBroker()
    const a = await broker.connect()
    await beat(a, {})
    await a.ask(client.UnregisterClient, { clientID: 'another', consumerGroup: 'g' })
    assert.deepEqual(await memberIds(a), ['a'], 'only the client itself can leave')
    await a.ask(client.UnregisterClient, { clientID: 'a', consumerGroup: 'g' })
    const { code, remark } = await a.ask(client.GetConsumerListByGroup, { consumerGroup: 'g' })
    assert.deepEqual([code, remark], [1, 'no consumer for this group, g'])
    assert.equal((await a.ask(client.GetConsumerConnectionList, { consumerGroup: 'g' })).code, 206)
    assert.equal(broker.probe('broker.consumers.groups'), 0)
    await broker.close()
  })

  test('clients of the main and of the fast port do not push each other out', async () => {
    const broker = await startSimulatedBroker()
    const [main, fast] = [await broker.connect(10_911), await broker.connect(10_909)]
    await beat(main, { clientId: 'main' })
    await beat(fast, { clientId: 'fast' })
    assert.deepEqual(await memberIds(main), ['fast', 'main'])
    await fast.close()
    assert.deepEqual(await memberIds(main), ['main'])
    await broker.close()
  })

  test('the retry topic of a group comes with its first heartbeat, and not where the group has none', async () => {
    const broker = await startSimulatedBroker()
    const a = await broker.connect()
    await beat(a, {})
    assert.equal(broker.broker.topics.get('%RETRY%g')?.readQueueNums, 1)
    await a.ask(UpdateAndCreateSubscriptionGroup, {}, JSON.stringify({ groupName: 'none', retryQueueNums: 0 }))
    await beat(a, { group: 'none' })
    assert.equal(broker.broker.topics.get('%RETRY%none'), undefined)
    await broker.close()
  })

  test('the retry topic is marked as one that units read, where the group works in one', async () => {
    const broker = await startSimulatedBroker()
    await beat(await broker.connect(), { group: 'u', unitMode: true })
    assert.equal(broker.broker.topics.get('%RETRY%u')?.topicSysFlag, 2)
    await broker.close()
  })

  test('groups that may not be are passed over, the others of the heartbeat are not', async () => {
    const broker = await startSimulatedBroker({ autoCreateSubscriptionGroup: 'false' })
    const a = await broker.connect()
    await beat(a, { group: 'unknown' })
    await beat(a, { group: 'no good!' })
    await beat(a, { group: '' })
    assert.equal(broker.probe('broker.consumers.groups'), 0)
    await beat(a, { group: 'TOOLS_CONSUMER' })
    assert.equal(broker.probe('broker.consumers.groups'), 1)
    assert.equal(warnings(broker, 'heartbeat of a group that cannot be').length, 2)
    await broker.close()
  })

  test('a heartbeat of ten thousand groups that may not be is one line in the log, not ten thousand', async () => {
    const broker = await startSimulatedBroker()
    const a = await broker.connect()
    const consumerDataSet = Array.from({ length: 10_000 }, (_, each) => ({ groupName: `no good ${each}` }))
    const body = JSON.stringify({ clientID: 'a', consumerDataSet, producerDataSet: [] })
    assert.equal((await a.ask(client.HeartBeat, {}, body)).code, 0)
    const [said, ...more] = warnings(broker, 'heartbeat of a group that cannot be')
    assert.match(String(said?.['fault']), /no good 0/)
    assert.equal(said?.['groups'], 10_000)
    assert.deepEqual(more, [])
    await broker.close()
  })
})

describe('heartbeat v2', () => {
  test('the subscriptions are sent once, then only the fingerprint', async () => {
    const broker = await startSimulatedBroker()
    const a = await broker.connect()
    assert.equal(await beat(a, { fingerprint: 7 }), 'false')
    assert.equal(await beat(a, { fingerprint: 7, withoutSub: true }), 'false')
    assert.equal(broker.broker.consumers.get('g')?.subscriptions.has('orders'), true)
    await broker.close()
  })

  test('a broker that does not know the group asks for all, until it has all', async () => {
    const broker = await startSimulatedBroker()
    const a = await broker.connect()
    assert.equal(await beat(a, { fingerprint: 7, withoutSub: true }), 'true')
    assert.equal(await beat(a, { fingerprint: 7, withoutSub: true }), 'true')
    assert.equal(await beat(a, { fingerprint: 7 }), 'false')
    assert.equal(await beat(a, { fingerprint: 7, withoutSub: true }), 'false')
    await broker.close()
  })

  test('members with different fingerprints, or of different versions, must send all', async () => {
    const broker = await startSimulatedBroker()
    const [a, b] = [await broker.connect(), await broker.connect()]
    await beat(a, { fingerprint: 7 })
    assert.equal(await beat(b, { clientId: 'b', fingerprint: 8 }), 'true')
    assert.equal(await beat(a, { fingerprint: 7, withoutSub: true }), 'true')
    await beat(a, { fingerprint: 7 })
    assert.equal(await beat(b, { clientId: 'b', fingerprint: 0 }), 'true', 'v1 is always told so')
    assert.equal(await beat(a, { fingerprint: 7, withoutSub: true }), 'true')
    await broker.close()
  })

  test('it keeps a member alive', async () => {
    const broker = await startSimulatedBroker()
    const a = await broker.connect()
    await beat(a, { fingerprint: 7 })
    for (let round = 0; round < 10; round++) {
      await broker.scheduler.advance(100_000)
      assert.equal(await beat(a, { fingerprint: 7, withoutSub: true }), 'false')
    }
    await broker.close()
  })
})

describe('what operators are warned of', () => {
  test('members that ask for different things: once for each change, with the difference', async () => {
    const broker = await startSimulatedBroker()
    const [a, b, c] = [await broker.connect(), await broker.connect(), await broker.connect()]
    const said = (): Record<string, unknown>[] => warnings(broker, 'disagree')
    await beat(a, { clientId: 'a', topics: { orders: 'A' } })
    await beat(b, { clientId: 'b', topics: { orders: 'B', returns: '*' } })
    assert.equal(said().length, 1)
    assert.equal(said()[0]!['group'], 'g')
    assert.deepEqual([said()[0]!['oneClient'], said()[0]!['otherClient']], ['a', 'b'])
    assert.equal(said()[0]!['difference'], 'orders: A against B, returns: nothing against *')
    assert.equal(broker.probe('broker.consumers.disagreeingGroups'), 1)
    for (let round = 0; round < 3; round++) {
      await beat(a, { clientId: 'a', topics: { orders: 'A' } })
      await beat(b, { clientId: 'b', topics: { orders: 'B', returns: '*' } })
    }
    assert.equal(said().length, 1, 'the same again is no news')
    await beat(c, { clientId: 'c', topics: { orders: { expression: 'n > 1', type: 'SQL92' } } })
    assert.equal(said().length, 2)
    assert.equal(said()[1]!['subscriptionsInAll'], 3)
    assert.equal(broker.probe('broker.consumers.disagreeingGroups'), 1)
    await c.close()
    assert.equal(said().length, 3, 'who remains still disagrees')
    await beat(b, { clientId: 'b', topics: { orders: { expression: 'A', version: 2 } } })
    assert.equal(broker.probe('broker.consumers.disagreeingGroups'), 0)
    assert.equal(
      broker.log.lines.some(({ message }) => message.includes('agree in their subscriptions again')),
      true,
    )
    await beat(b, { clientId: 'b', topics: { orders: 'B' } })
    assert.equal(said().length, 4)
    await b.close()
    await a.close()
    assert.equal(broker.probe('broker.consumers.disagreeingGroups'), 0)
    await broker.close()
  })

  test('one member that broadcasts among others that share', async () => {
    const broker = await startSimulatedBroker()
    const [a, b] = [await broker.connect(), await broker.connect()]
    await beat(a, { clientId: 'a' })
    await beat(b, { clientId: 'b', model: 'BROADCASTING' })
    assert.equal(warnings(broker, 'disagree')[0]!['difference'], '(message model): CLUSTERING against BROADCASTING')
    await broker.close()
  })

  test('members that agree, in whatever order and with POP’s own retry topics, are left alone', async () => {
    const broker = await startSimulatedBroker()
    const [a, b] = [await broker.connect(), await broker.connect()]
    await beat(a, { clientId: 'a', topics: { orders: 'A', returns: '', '%RETRY%g': '*' } })
    await beat(b, { clientId: 'b', topics: { '%RETRY%g': '*', returns: '*', '%RETRY%g_orders': '*', orders: 'A' } })
    assert.deepEqual(warnings(broker, 'disagree'), [])
    await broker.close()
  })

  test('two clients with one id, as soon as the first shows life again', async () => {
    const broker = await startSimulatedBroker()
    const [a, twin] = [await broker.connect(), await broker.connect()]
    await beat(a, { clientId: 'same' })
    told(a)
    await beat(twin, { clientId: 'same' })
    assert.equal(told(a), 1)
    assert.deepEqual(await memberIds(a), ['same', 'same'], 'told of a change, a client asks who is there')
    const [warning] = warnings(broker, 'share one client id')
    assert.equal(warning?.['group'], 'g')
    assert.equal(warning?.['clientId'], 'same')
    assert.equal(warning?.['peers'], `${a.address} ${twin.address}`)
    await beat(a, { clientId: 'same' })
    await beat(twin, { clientId: 'same' })
    await memberIds(twin)
    assert.equal(warnings(broker, 'share one client id').length, 1, 'said once')
    assert.equal(broker.probe('broker.consumers.sharedClientIds'), 1)
    await broker.close()
  })

  test('a client that comes back on a new connection while the old one lingers is no second client', async () => {
    const broker = await startSimulatedBroker()
    const old = await broker.connect()
    await beat(old, {})
    const back = await broker.connect()
    for (let round = 0; round < 6; round++) {
      await beat(back, {})
      await memberIds(back)
      await broker.scheduler.advance(30_000)
    }
    assert.deepEqual(warnings(broker, 'share one client id'), [])
    assert.deepEqual(await memberIds(back), ['a'])
    await broker.close()
  })
})

describe('connections of a group', () => {
  test('are told with address, language, version and subscriptions', async () => {
    const broker = await startSimulatedBroker()
    const a = await broker.connect()
    await beat(a, { topics: { orders: { expression: 'A || B', version: 9 } } })
    const { body } = await a.ask(client.GetConsumerConnectionList, { consumerGroup: 'g' })
    assert.deepEqual(JSON.parse(body.toString()), {
      connectionSet: [{ clientAddr: a.address, clientId: 'a', language: 'JAVA', version: 513 }],
      consumeFromWhere: 'CONSUME_FROM_LAST_OFFSET',
      consumeType: 'CONSUME_PASSIVELY',
      messageModel: 'CLUSTERING',
      subscriptionTable: {
        orders: {
          classFilterMode: false,
          codeSet: [],
          expressionType: 'TAG',
          subString: 'A || B',
          subVersion: 9,
          tagsSet: [],
          topic: 'orders',
        },
      },
    })
    await broker.close()
  })
})
