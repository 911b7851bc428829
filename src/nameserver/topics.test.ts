import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, test } from 'node:test'
import type { AnyCommand } from '../protocol/command.ts'
import {
  AddWritePermOfBroker,
  DeleteTopicInNameServer,
  GetAllTopicListFromNameServer,
  GetBrokerClusterInfo,
  GetHasUnitSubTopicList,
  GetHasUnitSubUnunitTopicList,
  GetSystemTopicListFromNameServer,
  GetTopicsByCluster,
  GetUnitTopicList,
  RegisterTopicInNameServer,
  WipeWritePermOfBroker,
} from '../protocol/commands/nameserver.ts'
import { type SimulatedNameServer, type SimulatedPeer, startSimulatedNameServer } from './simulated-name-server.ts'

let server: SimulatedNameServer
let peer: SimulatedPeer
beforeEach(async () => {
  server = await startSimulatedNameServer()
  peer = await server.connect()
  await peer.register({ name: 'a', cluster: 'c', port: 1 }, { topic: 't' }, { topic: 'u', perm: 7, flag: 1 })
  await peer.register({ name: 'b', cluster: 'c', port: 2 }, { topic: 't', perm: 4 }, { topic: 'v', flag: 2 })
  await peer.register({ name: 'd', cluster: 'd', port: 3 }, { topic: 't' }, { topic: 'w', flag: 3 })
})
afterEach(() => server.close())

const list = async (command: AnyCommand, fields: Record<string, string> = {}): Promise<string[]> => {
  const { code, body } = await peer.askLoosely(command, fields)
  assert.equal(code, 0)
  return (JSON.parse(body.toString()) as { topicList: string[] }).topicList.sort()
}

describe('lists', () => {
  test('of all topics, and of those of a cluster', async () => {
    assert.deepEqual(await list(GetAllTopicListFromNameServer), ['t', 'u', 'v', 'w'])
    assert.deepEqual(await list(GetTopicsByCluster, { cluster: 'c' }), ['t', 'u', 'v'])
    assert.deepEqual(await list(GetTopicsByCluster, { cluster: 'd' }), ['t', 'w'])
    assert.deepEqual(await list(GetTopicsByCluster, { cluster: 'nobody' }), [])
  })
  test('of topics by their flags', async () => {
    assert.deepEqual(await list(GetUnitTopicList), ['u', 'w'])
    assert.deepEqual(await list(GetHasUnitSubTopicList), ['v', 'w'])
    assert.deepEqual(await list(GetHasUnitSubUnunitTopicList), ['v'])
  })
  test('of the names of clusters and brokers, with one broker to ask for more', async () => {
    const { body } = await peer.ask(GetSystemTopicListFromNameServer, {})
    const { topicList, brokerAddr } = JSON.parse(body.toString())
    assert.deepEqual(topicList.sort(), ['a', 'b', 'c', 'd'])
    assert.match(brokerAddr, /^10\.0\.0\.1:[123]$/)
  })
  test('of clusters', async () => {
    const { body } = await peer.ask(GetBrokerClusterInfo, {})
    assert.match(body.toString(), /"clusterAddrTable":\{"c":\["a","b"\],"d":\["d"\]\}/)
    assert.match(body.toString(), /"a":\{"brokerAddrs":\{0:"10\.0\.0\.1:1"\},"brokerName":"a","cluster":"c"/)
  })
  test('are empty of an empty name server', async () => {
    const empty = await startSimulatedNameServer()
    const asking = await empty.connect()
    for (const command of [GetAllTopicListFromNameServer, GetUnitTopicList, GetSystemTopicListFromNameServer])
      assert.deepEqual(JSON.parse((await asking.ask(command, {})).body.toString()), { topicList: [] })
    await empty.close()
  })
})

describe('the write permission', () => {
  test('is wiped off every topic of a broker, and off no other broker', async () => {
    const { fields } = await peer.ask(WipeWritePermOfBroker, { brokerName: 'a' })
    assert.equal(fields['wipeTopicCount'], '2')
    assert.equal(await peer.queues('t'), 'a:4 b:4 d:6')
    assert.equal(await peer.queues('u'), 'a:5')
  })
  test('is given to every topic of a broker, with that to read', async () => {
    const { fields } = await peer.ask(AddWritePermOfBroker, { brokerName: 'b' })
    assert.equal(fields['addTopicCount'], '2')
    assert.equal(await peer.queues('t'), 'a:6 b:6 d:6')
  })
  test('of a broker that nobody knows is none', async () => {
    assert.equal((await peer.ask(WipeWritePermOfBroker, { brokerName: 'x' })).fields['wipeTopicCount'], '0')
    assert.equal((await peer.ask(AddWritePermOfBroker, { brokerName: 'x' })).fields['addTopicCount'], '0')
  })
  test('stays wiped until a registration of another version', async () => {
    await peer.ask(WipeWritePermOfBroker, { brokerName: 'd' })
    await peer.register({ name: 'd', cluster: 'd', port: 3 }, { topic: 't' }, { topic: 'w' })
    assert.equal(await peer.queues('t'), 'a:6 b:4 d:4')
    await peer.register({ name: 'd', cluster: 'd', port: 3, version: { counter: 2 } }, { topic: 't' }, { topic: 'w' })
    assert.equal(await peer.queues('t'), 'a:6 b:4 d:6')
  })
})

describe('a topic', () => {
  const remove = (topic: string, clusterName?: string) => peer.ask(DeleteTopicInNameServer, { topic, clusterName })

  test('is deleted of all clusters, and comes back with the next registration that names it', async () => {
    await remove('t')
    assert.equal(await peer.queues('t'), undefined)
    assert.equal(await peer.queues('u'), 'a:7')
    await peer.register({ name: 'a', port: 1 }, { topic: 't' }, { topic: 'u' })
    assert.equal(await peer.queues('t'), 'a:6')
  })
  test('is deleted of one cluster', async () => {
    await remove('t', 'c')
    assert.equal(await peer.queues('t'), 'd:6')
    await remove('t', 'nobody')
    assert.equal(await peer.queues('t'), 'd:6')
    await remove('t', 'd')
    assert.equal(await peer.queues('t'), undefined)
    assert.equal(server.count('topics'), 3)
  })
  test('is deleted of all clusters where the cluster is empty text', async () => {
    await remove('t', '')
    assert.equal(await peer.queues('t'), undefined)
  })
  test('that nobody knows may be deleted', async () => {
    assert.equal((await remove('x')).code, 0)
    assert.equal((await remove('x', 'c')).code, 0)
  })

  const register = (topic: string, ...brokerNames: string[]) =>
    peer.ask(
      RegisterTopicInNameServer,
      { topic },
      JSON.stringify({ queueDatas: brokerNames.map((brokerName) => ({ brokerName, perm: 2, readQueueNums: 1 })) }),
    )
  test('is registered by itself on brokers that are known', async () => {
    assert.equal((await register('new', 'a', 'd')).code, 0)
    assert.equal(await peer.queues('new'), 'a:2 d:2')
  })
  test('is not registered at all when one of its brokers is not known, which is logged', async () => {
    assert.equal((await register('new', 'a', 'x')).code, 0)
    assert.equal(await peer.queues('new'), undefined)
    assert.ok(server.log.lines.some(({ level, fields }) => level === 'warn' && fields['topic'] === 'new'))
  })
  test('is not registered without brokers, and refused where the body is no JSON', async () => {
    assert.equal((await register('new')).code, 0)
    const { code, remark } = await peer.ask(RegisterTopicInNameServer, { topic: 'new' }, '{"queueDatas":[')
    assert.equal(code, 1)
    assert.match(remark!, /^the route is not understood: /)
    assert.equal(await peer.queues('new'), undefined)
  })
})
