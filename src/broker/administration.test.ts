import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Probes } from '../base/probe.ts'
import * as config from '../protocol/commands/broker-config.ts'
import * as client from '../protocol/commands/client.ts'
import * as group from '../protocol/commands/group.ts'
import { RegisterBroker } from '../protocol/commands/nameserver.ts'
import * as offset from '../protocol/commands/offset.ts'
import { SendMessageV2 } from '../protocol/commands/send.ts'
import * as topic from '../protocol/commands/topic.ts'
import { parseJavaObject } from '../protocol/java-json.ts'
import { answer, Router } from '../remoting/router.ts'
import { listen } from '../remoting/server.ts'
import { draftOf } from '../store/simulated-store.ts'
import { type Received, type SimulatedBroker, type SimulatedClient, startSimulatedBroker } from './simulated-broker.ts'
import { sendOf } from './simulated-requests.ts'

type Json = Record<string, never>

const json = ({ body }: Received): Json => parseJavaObject(body.toString('utf8')) as Json

async function createTopic(admin: SimulatedClient, name: string, more: Record<string, string> = {}): Promise<Received> {
  return admin.askLoosely(topic.UpdateAndCreateTopic, {
    topic: name,
    defaultTopic: 'TBW102',
    readQueueNums: '4',
    writeQueueNums: '4',
    perm: '6',
    topicFilterType: 'SINGLE_TAG',
    order: 'false',
    attributes: '',
    ...more,
  })
}

async function fill({ broker, scheduler }: SimulatedBroker, name: string, counts: readonly number[]): Promise<void> {
  for (const [queueId, count] of counts.entries()) {
    for (let each = 0; each < count; each++) broker.store.append(draftOf({ topic: name, queueId }))
  }
  await scheduler.advance(1_000)
}

describe('topics', () => {
  test('the same settings again change nothing, not even the version', async () => {
    const broker = await startSimulatedBroker()
    const admin = await broker.connect()
    await createTopic(admin, 'orders', { attributes: '+message.type=FIFO' })
    const { counter } = broker.broker.topics.dataVersion
    assert.equal((await createTopic(admin, 'orders', { attributes: '+message.type=FIFO' })).code, 0)
    assert.equal((await createTopic(admin, 'orders')).code, 0)
    assert.equal(broker.broker.topics.dataVersion.counter, counter)
    await createTopic(admin, 'orders', { writeQueueNums: '8' })
    assert.equal(broker.broker.topics.dataVersion.counter, counter + 1)
    await broker.close()
  })

  test('attributes are set, kept, changed and removed one by one', async () => {
    const broker = await startSimulatedBroker()
    const admin = await broker.connect()
    const attributes = (): unknown => ({ ...broker.broker.topics.get('orders')?.attributes })
    await createTopic(admin, 'orders', { attributes: '+message.type=FIFO,+queue.type=SimpleCQ,+reserve.time=7' })
    assert.deepEqual(attributes(), { 'message.type': 'FIFO', 'queue.type': 'SimpleCQ', 'reserve.time': '7' })
    await createTopic(admin, 'orders', { perm: '4' })
    assert.deepEqual(attributes(), { 'message.type': 'FIFO', 'queue.type': 'SimpleCQ', 'reserve.time': '7' })
    await createTopic(admin, 'orders', { attributes: '+message.type=NORMAL,-reserve.time' })
    assert.deepEqual(attributes(), { 'message.type': 'NORMAL', 'queue.type': 'SimpleCQ' })
    const again = await createTopic(admin, 'orders', { attributes: '-reserve.time' })
    assert.deepEqual([again.code, again.remark], [1, 'attempt to delete a nonexistent key: reserve.time'])
    const fixed = await createTopic(admin, 'orders', { attributes: '+queue.type=BatchCQ' })
    assert.deepEqual([fixed.code, fixed.remark], [1, 'attempt to update an unchangeable attribute. key: queue.type'])
    assert.deepEqual(attributes(), { 'message.type': 'NORMAL', 'queue.type': 'SimpleCQ' })
    await broker.close()
  })

  test('are durable once the answer is out, and served after a power failure', async () => {
    const broker = await startSimulatedBroker()
    const admin = await broker.connect()
    await createTopic(admin, 'orders', { order: 'true', attributes: '+message.type=FIFO' })
    await admin.askLoosely(
      topic.UpdateAndCreateTopicList,
      {},
      '{"topicConfigList":[{"topicName":"a"},{"topicName":"b"}]}',
    )
    const after = await broker.crash()
    const asking = await after.connect()
    assert.deepEqual(json(await asking.ask(topic.GetTopicConfig, { topic: 'orders' })), {
      attributes: { 'message.type': 'FIFO', __proto__: null },
      order: true,
      perm: 6,
      readQueueNums: 4,
      topicFilterType: 'SINGLE_TAG',
      topicName: 'orders',
      topicSysFlag: 0,
      writeQueueNums: 4,
      __proto__: null,
    })
    assert.equal((await asking.ask(topic.GetTopicConfig, { topic: 'b' })).code, 0)
    await after.close()
  })

  test('deleting one takes its messages, its offsets and its POP retry topics along, for good', async () => {
    const broker = await startSimulatedBroker()
    const admin = await broker.connect()
    for (const name of ['orders', 'stays', '%RETRY%g_orders', '%RETRY%g+orders', '%RETRY%h_orders', '%RETRY%g']) {
      await createTopic(admin, name)
      await fill(broker, name, [2])
    }
    const { offsets, topics, store } = broker.broker
    for (const name of ['orders', 'stays', '%RETRY%g_orders']) offsets.commit('g', name, 0, 2)
    await broker.scheduler.advance(6_000)
    assert.equal((await admin.ask(topic.DeleteTopicInBroker, { topic: 'orders' })).code, 0)
    const left = ['orders', 'stays', '%RETRY%g_orders', '%RETRY%g+orders', '%RETRY%h_orders', '%RETRY%g'].filter(
      (name) => topics.get(name) !== undefined,
    )
    assert.deepEqual(left, ['stays', '%RETRY%h_orders', '%RETRY%g'], 'h never consumed it')
    assert.deepEqual(offsets.topicsOf('g'), ['stays'])
    assert.equal(store.maxOffset('orders', 0), 0)
    assert.equal(store.maxOffset('stays', 0), 2)
    assert.equal((await admin.ask(topic.GetTopicStatsInfo, { topic: 'orders' })).code, 17)
    assert.equal((await admin.ask(topic.DeleteTopicInBroker, { topic: 'orders' })).code, 0, 'again is no fault')
    await broker.close()

    const after = await broker.reopen()
    const asking = await after.connect()
    await createTopic(asking, 'orders')
    assert.equal(after.broker.offsets.get('g', 'orders', 0), undefined, 'its successor inherits nothing')
    assert.equal(after.broker.store.maxOffset('orders', 0), 0)
    assert.equal(after.broker.offsets.get('g', 'stays', 0), 2)
    await after.close()
  })

  test('POP retry topics stay where the settings say so', async () => {
    const broker = await startSimulatedBroker({ clearRetryTopicWhenDeleteTopic: 'false' })
    const admin = await broker.connect()
    await createTopic(admin, 'orders')
    await createTopic(admin, '%RETRY%g_orders')
    broker.broker.offsets.commit('g', 'orders', 0, 1)
    await admin.ask(topic.DeleteTopicInBroker, { topic: 'orders' })
    assert.notEqual(broker.broker.topics.get('%RETRY%g_orders'), undefined)
    await broker.close()
  })

  test('are listed by pages, and from the start when they changed in between', async () => {
    const broker = await startSimulatedBroker({ splitMetadataSize: '10' })
    const admin = await broker.connect()
    for (let each = 0; each < 12; each++) await createTopic(admin, `t${each}`)
    const page = async (topicSeq: number, dataVersion: string, maxTopicNum?: number): Promise<string[]> => {
      const got = await admin.ask(topic.GetAllTopicConfig, { topicSeq, dataVersion, maxTopicNum })
      assert.equal(got.fields['totalTopicNum'], String(broker.broker.topics.size))
      return Object.keys(json(got)['topicConfigTable'])
    }
    const version = (): string => JSON.stringify(broker.broker.topics.dataVersion)
    const all = [...broker.broker.topics.all().keys()].sort()
    const read: string[] = []
    for (let from = 0; from < all.length; from += 10) read.push(...(await page(from, from === 0 ? '' : version())))
    assert.deepEqual(read, all)
    assert.deepEqual(await page(3, version(), 2), all.slice(3, 5))
    assert.deepEqual(await page(1_000, version()), [])
    assert.deepEqual(await page(-5, version(), -1), [])
    const stale = version()
    await createTopic(admin, 'new')
    assert.deepEqual(await page(20, stale), [...broker.broker.topics.all().keys()].sort().slice(0, 10))
    const whole = await admin.ask(topic.GetAllTopicConfig, {})
    assert.equal(Object.keys(json(whole)['topicConfigTable']).length, broker.broker.topics.size, 'old clients get all')
    assert.equal(whole.fields['totalTopicNum'], String(broker.broker.topics.size))
    const groups = await admin.ask(group.GetAllSubscriptionGroupConfig, {})
    assert.equal(groups.fields['totalGroupNum'], String(broker.broker.groups.size))
    await broker.close()
  })

  test('a change is registered at once, with all changes of a turn in one', async () => {
    const broker = await startSimulatedBroker({ namesrvAddr: '127.0.0.1:9876' })
    const registered: string[][] = []
    const route = answer(RegisterBroker, (_, { body }) => {
      const { topicConfigSerializeWrapper } = parseJavaObject(body.toString('utf8')) as Record<string, Json>
      registered.push(Object.keys(topicConfigSerializeWrapper!['topicConfigTable']!))
      return {}
    })
    const { log, scheduler, transport } = broker
    const probes = new Probes()
    const nameServer = await listen({
      transport,
      address: { host: '127.0.0.1', port: 9_876 },
      router: new Router([route], { log, probes, scheduler }),
      scheduler,
      log,
      probes,
      role: 'nameserver',
    })
    const admin = await broker.connect()
    await createTopic(admin, 'orders')
    await scheduler.advance(100)
    assert.equal(registered.length, 1)
    assert.ok(registered[0]!.includes('orders'))
    const list = JSON.stringify({ topicConfigList: ['a', 'b', 'c'].map((topicName) => ({ topicName })) })
    await admin.askLoosely(topic.UpdateAndCreateTopicList, {}, list)
    await scheduler.advance(100)
    assert.deepEqual(registered.slice(1), [['a', 'b', 'c']])
    await createTopic(admin, 'orders')
    await scheduler.advance(100)
    assert.equal(registered.length, 2, 'no change, nothing to tell')
    const closing = nameServer.close()
    await broker.close()
    await closing
  })
})

describe('groups', () => {
  test('a deleted group keeps its offsets unless they are to go too', async () => {
    const broker = await startSimulatedBroker()
    const admin = await broker.connect()
    await createTopic(admin, 'orders')
    for (const groupName of ['g', 'h']) {
      await admin.askLoosely(group.UpdateAndCreateSubscriptionGroup, {}, JSON.stringify({ groupName }))
      await admin.ask(offset.UpdateConsumerOffset, {
        consumerGroup: groupName,
        topic: 'orders',
        queueId: 0,
        commitOffset: 3,
      })
    }
    await admin.ask(group.DeleteSubscriptionGroup, { groupName: 'g', cleanOffset: false })
    await admin.ask(group.DeleteSubscriptionGroup, { groupName: 'h', cleanOffset: true })
    const { groups, offsets } = broker.broker
    assert.deepEqual([groups.get('g'), groups.get('h')], [undefined, undefined])
    assert.deepEqual([offsets.get('g', 'orders', 0), offsets.get('h', 'orders', 0)], [3, undefined])
    await broker.close()
  })

  test('settings are taken as they are, retry policies too; what is not said is Java’s default', async () => {
    const broker = await startSimulatedBroker()
    const admin = await broker.connect()
    const groupRetryPolicy = { type: 'CUSTOMIZED', customizedRetryPolicy: { next: [1000, 5000] } }
    const wanted = { groupName: 'g', retryMaxTimes: 3, consumeEnable: 'false', groupRetryPolicy }
    await admin.askLoosely(group.UpdateAndCreateSubscriptionGroup, {}, JSON.stringify(wanted))
    const got = JSON.parse((await admin.ask(group.GetSubscriptionGroupConfig, { group: 'g' })).body.toString()) as Json
    assert.deepEqual(got['groupRetryPolicy'], groupRetryPolicy)
    assert.deepEqual([got['retryMaxTimes'], got['consumeEnable'], got['retryQueueNums']], [3, false, 1])
    await broker.close()
  })

  test('a group has no more retry queues than a topic may have', async () => {
    const broker = await startSimulatedBroker()
    const admin = await broker.connect()
    const update = (retryQueueNums: number): Promise<Received> =>
      admin.ask(group.UpdateAndCreateSubscriptionGroup, {}, JSON.stringify({ groupName: 'g', retryQueueNums }))
    const refused = await update(2_147_483_647)
    assert.equal(refused.code, 29)
    assert.match(refused.remark!, /retryQueueNums.*65536.*2147483647/)
    assert.equal(broker.broker.groups.get('g'), undefined)
    assert.equal((await update(65_536)).code, 0)
    assert.equal((await update(-1)).code, 0, 'none, as 0')
    await broker.close()
  })

  test('asking for a group creates it, where use creates groups', async () => {
    const [open, closed] = [
      await startSimulatedBroker(),
      await startSimulatedBroker({ autoCreateSubscriptionGroup: 'false' }),
    ]
    assert.equal((await (await open.connect()).ask(group.GetSubscriptionGroupConfig, { group: 'new' })).code, 0)
    assert.equal((await (await closed.connect()).ask(group.GetSubscriptionGroupConfig, { group: 'new' })).code, 26)
    await open.close()
    await closed.close()
  })

  test('who consumes a topic: those online, and those with offsets', async () => {
    const broker = await startSimulatedBroker()
    const admin = await broker.connect()
    await createTopic(admin, 'orders')
    const subscriptionDataSet = [{ topic: 'orders', subString: '*' }]
    const consumerDataSet = [{ groupName: 'online', subscriptionDataSet }]
    await admin.ask(client.HeartBeat, {}, JSON.stringify({ clientID: 'a', consumerDataSet }))
    broker.broker.offsets.commit('offline', 'orders', 0, 1)
    broker.broker.offsets.commit('online', 'orders', 0, 1)
    const groups = json(await admin.ask(group.QueryTopicConsumeByWho, { topic: 'orders' }))['groupList']
    assert.deepEqual([...groups].sort(), ['offline', 'online'])
    assert.deepEqual(json(await admin.ask(group.QueryTopicConsumeByWho, { topic: 'no' }))['groupList'], [])
    const topics = json(await admin.ask(group.QueryTopicsByConsumer, { group: 'offline' }))
    assert.deepEqual([topics['brokerAddr'], topics['topicList']], ['127.0.0.1:10911', ['orders']])
    await broker.close()
  })
})

describe('consume stats', () => {
  test('tell what each queue still holds for the group; of a group online only what it subscribed to', async () => {
    const broker = await startSimulatedBroker()
    const admin = await broker.connect()
    for (const name of ['orders', 'before']) await createTopic(admin, name, { readQueueNums: '2', writeQueueNums: '2' })
    await fill(broker, 'orders', [5, 3])
    const { offsets } = broker.broker
    offsets.commit('g', 'orders', 0, 2)
    offsets.pull('g', 'orders', 0, 4)
    offsets.commit('g', 'before', 0, 0)
    const tables = async (header: { consumerGroup: string; topic?: string; topicList?: string }): Promise<object> => {
      const table = json(await admin.ask(group.GetConsumeStats, header))['offsetTable'] as Record<string, Json>
      return Object.fromEntries(
        Object.entries(table).map(([queue, { brokerOffset, consumerOffset, pullOffset }]) => {
          const { topic, queueId } = JSON.parse(queue) as { topic: string; queueId: number }
          return [`${topic}/${queueId}`, [brokerOffset, consumerOffset, pullOffset]]
        }),
      )
    }
    const orders = { 'orders/0': [5, 2, 4], 'orders/1': [3, 0, 0] }
    const both = { ...orders, 'before/0': [0, 0, 0], 'before/1': [0, 0, 0] }
    assert.deepEqual(await tables({ consumerGroup: 'g' }), both)
    assert.deepEqual(await tables({ consumerGroup: 'g', topic: 'orders' }), orders)
    assert.deepEqual(await tables({ consumerGroup: 'g', topicList: 'orders;before;no' }), both)
    assert.deepEqual(await tables({ consumerGroup: 'nobody' }), {})
    const consumerDataSet = [{ groupName: 'g', subscriptionDataSet: [{ topic: 'orders', subString: '*' }] }]
    await admin.ask(client.HeartBeat, {}, JSON.stringify({ clientID: 'a', consumerDataSet }))
    assert.deepEqual(await tables({ consumerGroup: 'g' }), orders)

    const all = json(await admin.ask(group.GetBrokerConsumeStats, { isOrder: false }))
    assert.deepEqual([all['totalDiff'], all['totalInflightDiff']], [6, 2])
    await broker.close()
  })

  test('the time span of each queue, and how far the group lags behind in time', async () => {
    const broker = await startSimulatedBroker()
    const admin = await broker.connect()
    await createTopic(admin, 'orders', { readQueueNums: '2', writeQueueNums: '2' })
    const start = broker.scheduler.now()
    for (let each = 0; each < 3; each++) {
      broker.broker.store.append(draftOf({ topic: 'orders', queueId: 0 }))
      await broker.scheduler.advance(10_000)
    }
    broker.broker.offsets.commit('g', 'orders', 0, 1)
    const spans = json(await admin.ask(group.QueryConsumeTimeSpan, { topic: 'orders', group: 'g' }))[
      'consumeTimeSpanSet'
    ]
    const [first] = spans as Json[]
    assert.deepEqual(
      [first!['minTimeStamp'], first!['consumeTimeStamp'], first!['maxTimeStamp'], first!['delayTime']],
      [start, start, start + 20_000, 20_000],
    )
    assert.match(first!['minTimeStampStr'], /^\d{4}-\d\d-\d\d#\d\d:\d\d:\d\d:\d{3}$/)
    await broker.close()
  })
})

describe('settings', () => {
  test('what may be changed while running is changed for the next request, and read back', async () => {
    const broker = await startSimulatedBroker()
    const admin = await broker.connect()
    const { code } = await admin.askLoosely(
      config.UpdateBrokerConfig,
      {},
      'litePullMessageEnable=false\nautoCreateSubscriptionGroup = false\n',
    )
    assert.equal(code, 0)
    assert.equal((await admin.ask(group.GetSubscriptionGroupConfig, { group: 'new' })).code, 26)
    const text = (await admin.ask(config.GetBrokerConfig, {})).body.toString()
    assert.match(text, /^litePullMessageEnable=false$/m)
    assert.match(text, /^brokerName=broker-a$/m)
    assert.ok(
      broker.log.lines.some(
        ({ message, fields }) => message.includes('settings changed') && fields['litePullMessageEnable'] === 'false',
      ),
    )
    await broker.close()
  })
})

describe('offsets', () => {
  test('survive a restart, and a power failure but for the last 5 s', async () => {
    const broker = await startSimulatedBroker()
    const admin = await broker.connect()
    await createTopic(admin, 'orders')
    await admin.askLoosely(group.UpdateAndCreateSubscriptionGroup, {}, '{"groupName":"g"}')
    for (let sent = 0; sent < 12; sent++) await admin.ask(SendMessageV2, sendOf({ queueId: 1 }), 'x')
    const commit = (commitOffset: number): Promise<void> =>
      admin.tell(offset.UpdateConsumerOffset, { consumerGroup: 'g', topic: 'orders', queueId: 1, commitOffset })
    await commit(7)
    await broker.scheduler.advance(6_000)
    await commit(9)
    const crashed = await broker.crash()
    const query = async (asked: SimulatedBroker): Promise<string | null | undefined> =>
      (
        await (
          await asked.connect()
        ).ask(offset.QueryConsumerOffset, { consumerGroup: 'g', topic: 'orders', queueId: 1 })
      ).fields['offset']
    assert.equal(await query(crashed), '7')
    crashed.broker.offsets.commit('g', 'orders', 1, 11)
    await crashed.close()
    const restarted = await crashed.reopen()
    assert.equal(await query(restarted), '11')
    await restarted.close()
  })

  test('of a group that consumed what a power failure took are taken back to the end of the queue', async () => {
    const broker = await startSimulatedBroker({ flushIntervalCommitLog: '60000' })
    const client = await broker.connect()
    await client.ask(SendMessageV2, sendOf({ queueId: 1 }), 'synced')
    broker.broker.offsets.commit('g', 'orders', 1, 1)
    await broker.scheduler.advance(61_000)
    // So many pages that some are lost, whatever the chance.
    const body = 'lost'.repeat(2_000)
    for (let sent = 0; sent < 9; sent++) await client.ask(SendMessageV2, sendOf({ queueId: 1 }), body)
    broker.broker.offsets.commit('g', 'orders', 1, 10)
    await broker.scheduler.advance(6_000)
    const crashed = await broker.crash()
    const { offsets, store } = crashed.broker
    assert.ok(store.maxOffset('orders', 1) < 10, 'the power failure took messages')
    const end = store.maxOffset('orders', 1)
    assert.equal(offsets.get('g', 'orders', 1), end)
    // What comes in the place of the lost ones is not skipped either when the process is killed before it saves by the clock.
    const again = await crashed.connect()
    for (let sent = 0; sent < 3; sent++) await again.ask(SendMessageV2, sendOf({ queueId: 1 }), 'in their place')
    const killed = await crashed.reopen()
    assert.equal(killed.broker.store.maxOffset('orders', 1), end + 3)
    assert.equal(killed.broker.offsets.get('g', 'orders', 1), end)
    await killed.close()
  })
})
