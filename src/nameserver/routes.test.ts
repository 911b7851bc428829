import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, test } from 'node:test'
import type { BrokerData } from '../protocol/bodies.ts'
import {
  AddWritePermOfBroker,
  DeleteKvConfig,
  DeleteTopicInNameServer,
  GetRouteInfoByTopic,
  PutKvConfig,
  RegisterTopicInNameServer,
  UnregisterBroker,
  UpdateNameServerConfig,
  WipeWritePermOfBroker,
} from '../protocol/commands/nameserver.ts'
import { parseJavaObject } from '../protocol/java-json.ts'
import {
  leaveHeader,
  type SimulatedNameServer,
  type SimulatedPeer,
  startSimulatedNameServer,
} from './simulated-name-server.ts'

const order = { namespace: 'ORDER_TOPIC_CONFIG', key: 't' }

describe('a route answer', () => {
  let server: SimulatedNameServer
  let peer: SimulatedPeer
  beforeEach(async () => {
    server = await startSimulatedNameServer({ orderMessageEnable: 'true' })
    peer = await server.connect()
    await peer.register({}, { topic: 't' }, { topic: 'u' })
  })
  afterEach(() => server.close())

  test('is encoded once, and counted', async () => {
    const first = await peer.ask(GetRouteInfoByTopic, { topic: 't', acceptStandardJsonOnly: false })
    const again = await peer.ask(GetRouteInfoByTopic, { topic: 't', acceptStandardJsonOnly: false })
    assert.deepEqual(again.body, first.body)
    assert.equal(server.count('routeQueries'), 2)
    assert.equal(server.count('routeCacheHits'), 1)
  })

  test('quotes the ids of brokers for who wants standard JSON, and leaves them bare for old clients', async () => {
    const text = async (version: number, extra: Record<string, string> = {}): Promise<string> =>
      (await peer.askLoosely(GetRouteInfoByTopic, { topic: 't', ...extra }, '', version)).body.toString()
    const [bare, quoted] = [/"brokerAddrs":\{0:"/, /"brokerAddrs":\{"0":"/]
    for (const round of [1, 2]) {
      assert.match(await text(400), bare, `round ${round}`)
      assert.match(await text(401), quoted)
      assert.match(await text(317, { acceptStandardJsonOnly: 'true' }), quoted)
      assert.match(await text(317, { acceptStandardJsonOnly: 'false' }), bare)
    }
    assert.equal(server.count('routeCacheHits'), 6)
  })

  /** The next request sees each kind of change, though the answer was encoded before. */
  const changes: { what: string; change: () => Promise<unknown>; before?: () => Promise<unknown>; seen: RegExp }[] = [
    {
      what: 'another broker of the topic',
      change: () => peer.register({ name: 'b', port: 2 }, { topic: 't' }, { topic: 'u' }),
      seen: /"10\.0\.0\.1:2"/,
    },
    {
      what: 'a replica',
      change: () => peer.register({ port: 3, id: 1 }),
      seen: /"1":"10\.0\.0\.1:3"/,
    },
    {
      what: 'a broker at another address',
      change: () => peer.register({ port: 4 }, { topic: 't' }, { topic: 'u' }),
      seen: /"0":"10\.0\.0\.1:4"/,
    },
    {
      what: 'a broker with another id',
      change: () => peer.register({ id: 2 }),
      seen: /"brokerAddrs":\{"2":"10\.0\.0\.1:10911"\}/,
    },
    {
      what: 'more queues',
      change: () => peer.register({ version: { counter: 2 } }, { topic: 't', queues: 8 }, { topic: 'u' }),
      seen: /"readQueueNums":8/,
    },
    {
      what: 'another permission',
      change: () => peer.register({ version: { counter: 2 } }, { topic: 't', perm: 4 }),
      seen: /"perm":4/,
    },
    {
      what: 'another flag',
      change: () => peer.register({ version: { counter: 2 } }, { topic: 't', flag: 1 }),
      seen: /"topicSysFlag":1/,
    },
    {
      what: 'write permission wiped',
      change: () => peer.ask(WipeWritePermOfBroker, { brokerName: 'a' }),
      seen: /"perm":4/,
    },
    {
      what: 'write permission given',
      before: () => peer.ask(WipeWritePermOfBroker, { brokerName: 'a' }),
      change: () => peer.ask(AddWritePermOfBroker, { brokerName: 'a' }),
      seen: /"perm":6/,
    },
    {
      what: 'an order configuration',
      change: () => peer.ask(PutKvConfig, { ...order, value: 'a:4' }),
      seen: /"orderTopicConf":"a:4"/,
    },
    {
      what: 'an order configuration taken away',
      before: () => peer.ask(PutKvConfig, { ...order, value: 'a:4' }),
      change: () => peer.ask(DeleteKvConfig, order),
      seen: /"filterServerTable":\{\},"queueDatas"/,
    },
    {
      what: 'order configurations no longer told',
      before: () => peer.ask(PutKvConfig, { ...order, value: 'a:4' }),
      change: () => peer.ask(UpdateNameServerConfig, {}, 'orderMessageEnable=false'),
      seen: /"filterServerTable":\{\},"queueDatas"/,
    },
    {
      what: 'a topic registered by itself',
      change: () => {
        const queues = { brokerName: 'a', perm: 6, readQueueNums: 9, writeQueueNums: 9, topicSysFlag: 0 }
        return peer.ask(RegisterTopicInNameServer, { topic: 't' }, JSON.stringify({ queueDatas: [queues] }))
      },
      seen: /"readQueueNums":9/,
    },
    {
      what: 'a zone',
      change: () => peer.register({ zone: 'z' }, { topic: 't' }, { topic: 'u' }),
      seen: /"zoneName":"z"/,
    },
    {
      what: 'another cluster',
      change: () => peer.register({ cluster: 'd' }, { topic: 't' }, { topic: 'u' }),
      seen: /"cluster":"d"/,
    },
    {
      what: 'a replica that may act',
      change: () => peer.register({ acting: true }, { topic: 't' }, { topic: 'u' }),
      seen: /"enableActingMaster":true/,
    },
    {
      what: 'filter servers',
      change: () => peer.register({ filterServers: ['10.0.0.1:9'] }, { topic: 't' }, { topic: 'u' }),
      seen: /"filterServerTable":\{"10\.0\.0\.1:10911":\["10\.0\.0\.1:9"\]\}/,
    },
    {
      what: 'filter servers gone',
      before: () => peer.register({ filterServers: ['10.0.0.1:9'] }, { topic: 't' }, { topic: 'u' }),
      change: () => peer.register({}, { topic: 't' }, { topic: 'u' }),
      seen: /"filterServerTable":\{\}/,
    },
    {
      what: 'the mapping of a static topic',
      change: () =>
        peer.register(
          { version: { counter: 2 }, mappings: { t: { topic: 't', bname: 'a', epoch: 7 } } },
          { topic: 't' },
          { topic: 'u' },
        ),
      seen: /"topicQueueMappingByBroker":\{"a":\{"bname":"a","epoch":7,"topic":"t"\}\}/,
    },
    {
      what: 'a mapping of the same version',
      before: () =>
        peer.register({ mappings: { t: { topic: 't', bname: 'a', epoch: 7 } } }, { topic: 't' }, { topic: 'u' }),
      change: () =>
        peer.register({ mappings: { t: { topic: 't', bname: 'a', epoch: 8 } } }, { topic: 't' }, { topic: 'u' }),
      seen: /"epoch":8/,
    },
  ]
  for (const { what, before, change, seen } of changes) {
    test(`tells at once: ${what}`, async () => {
      await before?.()
      const former = await peer.askLoosely(GetRouteInfoByTopic, { topic: 't' })
      assert.doesNotMatch(former.body.toString(), seen)
      await change()
      const now = await peer.askLoosely(GetRouteInfoByTopic, { topic: 't' })
      assert.match(now.body.toString(), seen)
    })
  }

  const endings: { what: string; change: () => Promise<unknown> }[] = [
    {
      what: 'the topic deleted',
      change: () => peer.ask(DeleteTopicInNameServer, { topic: 't', clusterName: undefined }),
    },
    {
      what: 'the topic deleted of its cluster',
      change: () => peer.ask(DeleteTopicInNameServer, { topic: 't', clusterName: 'c' }),
    },
    { what: 'the broker unregistered', change: () => peer.ask(UnregisterBroker, leaveHeader({})) },
    {
      what: 'a registration that names it no longer, where that deletes',
      change: async () => {
        await peer.ask(UpdateNameServerConfig, {}, 'deleteTopicWithBrokerRegistration=true')
        await peer.register({ version: { counter: 2 } }, { topic: 'u' }, { topic: 'v' })
      },
    },
  ]
  for (const { what, change } of endings) {
    test(`ends at once: ${what}`, async () => {
      assert.equal(await peer.queues('t'), 'a:6')
      await change()
      const { code, remark } = await peer.askLoosely(GetRouteInfoByTopic, { topic: 't' })
      assert.equal(code, 17)
      assert.match(remark!, /^No topic route info in name server for the topic: t\n/)
    })
  }

  test('keeps a topic that a registration names no longer, as Java does', async () => {
    await peer.register({ version: { counter: 2 } }, { topic: 'u' }, { topic: 'v' })
    assert.equal(await peer.queues('t'), 'a:6')
  })

  test('tells the order configuration only where that is asked for', async () => {
    const plain = await startSimulatedNameServer()
    const asking = await plain.connect()
    await asking.register({}, { topic: 't' }, { topic: 'u' })
    await asking.ask(PutKvConfig, { ...order, value: 'a:4' })
    assert.equal((await asking.route('t'))!.orderTopicConf, undefined)
    await plain.close()
  })

  test('is refused for a while after the start, where that is asked for', async () => {
    const waiting = await startSimulatedNameServer({ needWaitForService: 'true', waitSecondsForService: '45' })
    const asking = await waiting.connect()
    await asking.register({}, { topic: 't' }, { topic: 'u' })
    await waiting.scheduler.advance(44_999)
    const { code, remark } = await asking.askLoosely(GetRouteInfoByTopic, { topic: 't' })
    assert.deepEqual([code, remark], [1, 'name server not ready'])
    await waiting.scheduler.advance(1)
    assert.equal(await asking.queues('t'), 'a:6')
    await waiting.close()
  })
})

describe('a route by zone', () => {
  let server: SimulatedNameServer
  let peer: SimulatedPeer
  beforeEach(async () => {
    server = await startSimulatedNameServer()
    peer = await server.connect()
    await peer.register({ name: 'a', port: 1, zone: 'East' }, { topic: 't' }, { topic: 'u' })
    await peer.register({ name: 'b', port: 2, zone: 'west' }, { topic: 't' }, { topic: 'u' })
    await peer.register({ name: 'm', port: 3, id: 0, zone: 'west' }, { topic: 't' }, { topic: 'u' })
    await peer.register({ name: 'm', port: 4, id: 1, zone: 'west' })
  })
  afterEach(() => server.close())

  const names = async (extra: Record<string, string>): Promise<string[]> => {
    const { brokerDatas, queueDatas } = (await peer.route('t', extra))!
    const of = (list: { brokerName: string }[]): string[] => list.map(({ brokerName }) => brokerName).sort()
    assert.deepEqual(of(queueDatas!), of(brokerDatas!))
    return of(brokerDatas!)
  }
  const inZone = (name: string): Record<string, string> => ({ __ZONE_MODE: 'true', __ZONE_NAME: name })

  test('holds the brokers of the zone, whatever their case, and queues of no other', async () => {
    assert.deepEqual(await names(inZone('EAST')), ['a'])
    assert.deepEqual(await names(inZone('west')), ['b', 'm'])
    assert.deepEqual(await names(inZone('north')), [])
  })
  test('holds sets of any zone whose master is gone', async () => {
    await peer.ask(UnregisterBroker, leaveHeader({ name: 'm', port: 3 }))
    assert.deepEqual(await names(inZone('east')), ['a', 'm'])
  })
  test('is asked for by mode and name together; everyone else gets all', async () => {
    const all = ['a', 'b', 'm']
    assert.deepEqual(await names({ __ZONE_MODE: 'true' }), all)
    assert.deepEqual(await names({ __ZONE_NAME: 'east' }), all)
    assert.deepEqual(await names({ ...inZone('east'), __ZONE_MODE: 'false' }), all)
    assert.deepEqual(await names({ ...inZone('east'), __ZONE_MODE: 'True' }), ['a'])
  })
  test('is written with bare ids, and does not take the place of the whole one', async () => {
    const { body } = await peer.askLoosely(GetRouteInfoByTopic, { topic: 't', ...inZone('east') })
    assert.match(body.toString(), /"brokerAddrs":\{0:/)
    assert.equal((await peer.route('t'))!.brokerDatas!.length, 3)
  })
  test('of a topic that nobody knows is refused', async () => {
    assert.equal((await peer.askLoosely(GetRouteInfoByTopic, { topic: 'x', ...inZone('east') })).code, 17)
  })
})

describe('a replica acting as master', () => {
  const addresses = async (peer: SimulatedPeer, topic = 't'): Promise<object> => ({
    ...((await peer.route(topic))!.brokerDatas as BrokerData[])[0]!.brokerAddrs,
  })

  async function setWithoutMaster(
    settings: Record<string, string>,
    acting: boolean,
  ): Promise<[SimulatedNameServer, SimulatedPeer]> {
    const server = await startSimulatedNameServer(settings)
    const peer = await server.connect()
    const member = 'rmq_sys_SYNC_BROKER_MEMBER_a'
    await peer.register({ port: 1, acting }, { topic: 't' }, { topic: member })
    await peer.register({ port: 2, id: 1, acting }, { topic: 't' }, { topic: member })
    await peer.register({ port: 3, id: 2, acting }, { topic: 't' }, { topic: member })
    assert.deepEqual(await addresses(peer), { 0: '10.0.0.1:1', 1: '10.0.0.1:2', 2: '10.0.0.1:3' })
    await peer.ask(UnregisterBroker, leaveHeader({ port: 1 }))
    return [server, peer]
  }

  test('is the one with the least id, shown as 0, and its topics are not writable', async () => {
    const [server, peer] = await setWithoutMaster({ supportActingMaster: 'true' }, true)
    assert.deepEqual(await addresses(peer), { 0: '10.0.0.1:2', 2: '10.0.0.1:3' })
    assert.equal(await peer.queues('t'), 'a:4')
    // Brokers ask for the true members by this topic.
    assert.deepEqual(await addresses(peer, 'rmq_sys_SYNC_BROKER_MEMBER_a'), { 1: '10.0.0.1:2', 2: '10.0.0.1:3' })
    await server.close()
  })
  test('may register topics, which lose their write permission', async () => {
    const [server, peer] = await setWithoutMaster({ supportActingMaster: 'true' }, true)
    await peer.register({ port: 2, id: 1, acting: true, version: { counter: 2 } }, { topic: 't' }, { topic: 'new' })
    assert.equal(await peer.queues('new'), 'a:4')
    await peer.register({ port: 3, id: 2, acting: true, version: { counter: 2 } }, { topic: 't' }, { topic: 'newer' })
    assert.equal(await peer.queues('newer'), undefined, 'only the least of them may')
    await server.close()
  })
  test('is shown as what it is once its topics are writable again', async () => {
    const [server, peer] = await setWithoutMaster({ supportActingMaster: 'true' }, true)
    await peer.ask(AddWritePermOfBroker, { brokerName: 'a' })
    assert.deepEqual(await addresses(peer), { 1: '10.0.0.1:2', 2: '10.0.0.1:3' })
    await server.close()
  })
  test('takes the permission off no topic where it may not act', async () => {
    const server = await startSimulatedNameServer({ supportActingMaster: 'true' })
    const peer = await server.connect()
    await peer.register({ port: 2, id: 1, acting: false }, { topic: 't' }, { topic: 'u' })
    assert.equal(await peer.queues('t'), 'a:6')
    await server.close()
  })
  test('steps back when the master returns, with all permissions', async () => {
    const [server, peer] = await setWithoutMaster({ supportActingMaster: 'true' }, true)
    await peer.register({ port: 1, acting: true }, { topic: 't' }, { topic: 'u' })
    assert.deepEqual(await addresses(peer), { 0: '10.0.0.1:1', 1: '10.0.0.1:2', 2: '10.0.0.1:3' })
    assert.equal(await peer.queues('t'), 'a:6')
    await server.close()
  })
  test('needs the name server to support it', async () => {
    const [server, peer] = await setWithoutMaster({}, true)
    assert.deepEqual(await addresses(peer), { 1: '10.0.0.1:2', 2: '10.0.0.1:3' })
    assert.equal(await peer.queues('t'), 'a:4')
    await peer.ask(UpdateNameServerConfig, {}, 'supportActingMaster=true')
    assert.deepEqual(await addresses(peer), { 0: '10.0.0.1:2', 2: '10.0.0.1:3' })
    await server.close()
  })
  test('needs the brokers to support it', async () => {
    const [server, peer] = await setWithoutMaster({ supportActingMaster: 'true' }, false)
    assert.deepEqual(await addresses(peer), { 1: '10.0.0.1:2', 2: '10.0.0.1:3' })
    assert.equal(await peer.queues('t'), 'a:6')
    await server.close()
  })
})

test('a broker of this process is told by the address at which the client reached us', async () => {
  const server = await startSimulatedNameServer({}, { isLocalBroker: (address) => address === '10.0.0.1:10911' })
  const [here, there] = [await server.connect('127.0.0.1'), await server.connect('192.168.1.5')]
  await here.register({}, { topic: 't' }, { topic: 'u' })
  await here.register({ name: 'b', port: 5 }, { topic: 't' }, { topic: 'u' })
  const of = async (peer: SimulatedPeer): Promise<string> =>
    (await peer.askLoosely(GetRouteInfoByTopic, { topic: 't' })).body.toString()
  for (const _round of [1, 2]) {
    assert.deepEqual(addressesIn(await of(here)), ['127.0.0.1:10911', '10.0.0.1:5'])
    assert.deepEqual(addressesIn(await of(there)), ['192.168.1.5:10911', '10.0.0.1:5'])
  }
  await server.close()
})

const addressesIn = (text: string): string[] =>
  (parseJavaObject(text)['brokerDatas'] as BrokerData[]).map(({ brokerAddrs }) => brokerAddrs['0']!)
