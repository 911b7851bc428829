import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, test } from 'node:test'
import {
  BrokerHeartbeat,
  GetBrokerClusterInfo,
  NotifyMinBrokerIdChange,
  QueryDataVersion,
  UnregisterBroker,
  UpdateNameServerConfig,
} from '../protocol/commands/nameserver.ts'
import {
  type BrokerSaid,
  leaveHeader,
  type SimulatedNameServer,
  type SimulatedPeer,
  startSimulatedNameServer,
} from './simulated-name-server.ts'

const topics = [{ topic: 't' }, { topic: 'u' }] as const
const version = { stateVersion: 0, timestamp: 1, counter: 1 }

describe('a broker that falls silent', () => {
  let server: SimulatedNameServer
  let peer: SimulatedPeer
  beforeEach(async () => {
    server = await startSimulatedNameServer({ scanNotActiveBrokerInterval: '100' })
    peer = await server.connect()
  })
  afterEach(() => server.close())

  const isAlive = async (): Promise<boolean> => (await peer.queues('t')) === 'a:6'
  /** The broker is there until this time has passed, and gone with the next look. */
  async function livesFor(ms: number): Promise<void> {
    await server.scheduler.advance(ms)
    assert.ok(await isAlive(), `after ${ms} ms`)
    await server.scheduler.advance(100)
    assert.equal(await isAlive(), false, `after ${ms + 100} ms`)
  }

  test('for 120 s, is gone, though its connection is open', async () => {
    await peer.register({}, ...topics)
    await livesFor(120_000)
    assert.equal(peer.isClosed, false)
    assert.equal(server.count('expiredBrokers'), 1)
    assert.equal(server.count('lostBrokers'), 0)
    const { message, fields } = server.log.lines.find(({ level }) => level === 'warn')!
    assert.equal(message, 'broker lost: no sign of life')
    assert.deepEqual(fields, { role: 'namesrv', brokerName: 'a', brokerAddr: '10.0.0.1:10911', silentMs: 120_100 })
  })
  for (const timeoutMs of [300, 1_000, 180_000]) {
    test(`for the ${timeoutMs} ms that it said itself, is gone`, async () => {
      await peer.register({ timeoutMs }, ...topics)
      await livesFor(timeoutMs)
    })
  }
  test('is looked for every 5 s, unless that is set otherwise', async () => {
    const slow = await startSimulatedNameServer()
    const other = await slow.connect()
    await other.register({ timeoutMs: 100 }, ...topics)
    await slow.scheduler.advance(4_999)
    assert.equal(slow.count('brokers'), 1)
    await slow.scheduler.advance(1)
    assert.equal(slow.count('brokers'), 0)
    // Changed while running: the look after the next has the new period.
    await other.ask(UpdateNameServerConfig, {}, 'scanNotActiveBrokerInterval=200')
    await slow.scheduler.advance(5_000)
    await other.register({ timeoutMs: 100 }, ...topics)
    await slow.scheduler.advance(199)
    assert.equal(slow.count('brokers'), 1)
    await slow.scheduler.advance(1)
    assert.equal(slow.count('brokers'), 0)
    await slow.close()
  })

  const signs: [string, () => Promise<unknown>][] = [
    ['a heartbeat', () => peer.askLoosely(BrokerHeartbeat, { ...leaveHeader({}), brokerId: '0' })],
    ['a registration', () => peer.register({}, ...topics)],
    ['its data version', () => peer.ask(QueryDataVersion, leaveHeader({}), JSON.stringify(version))],
  ]
  for (const [what, sign] of signs) {
    test(`lives on by ${what}, for as long again`, async () => {
      await peer.register({}, ...topics)
      await server.scheduler.advance(119_900)
      await sign()
      await livesFor(120_000)
    })
  }
  test('does not live on by another data version, or by what others say', async () => {
    await peer.register({}, ...topics)
    await peer.register({ name: 'b', port: 2, timeoutMs: 1_000_000 }, { topic: 'x' }, { topic: 'y' })
    await server.scheduler.advance(119_900)
    await peer.ask(QueryDataVersion, leaveHeader({}), JSON.stringify({ ...version, counter: 2 }))
    await peer.askLoosely(BrokerHeartbeat, { ...leaveHeader({ cluster: 'other' }), brokerId: '0' })
    await peer.askLoosely(BrokerHeartbeat, { ...leaveHeader({ port: 2 }), brokerId: '0' })
    await livesFor(100)
    assert.equal(server.count('brokers'), 1)
  })
  test('is not measured by the wall clock', async () => {
    await peer.register({}, ...topics)
    server.scheduler.jumpWallClock(3_600_000)
    await livesFor(120_000)
  })
  test('may come back', async () => {
    await peer.register({}, ...topics)
    await livesFor(120_000)
    await peer.register({}, ...topics)
    await livesFor(120_000)
  })
})

describe('a connection', () => {
  let server: SimulatedNameServer
  let watcher: SimulatedPeer
  beforeEach(async () => {
    server = await startSimulatedNameServer()
    watcher = await server.connect()
  })
  afterEach(() => server.close())

  test('that is lost takes its brokers along, and nobody else', async () => {
    const [one, two] = [await server.connect(), await server.connect()]
    await one.register({}, ...topics)
    await one.register({ name: 'b', port: 2 }, ...topics)
    await two.register({ name: 'd', port: 3 }, ...topics)
    assert.equal(await watcher.queues('t'), 'a:6 b:6 d:6')
    await one.close()
    assert.equal(await watcher.queues('t'), 'd:6')
    assert.deepEqual([server.count('lostBrokers'), server.count('expiredBrokers')], [2, 0])
  })
  test('that is reset does too', async () => {
    const broker = await server.connect()
    await broker.register({}, ...topics)
    server.transport.ends[2]!.destroy()
    await server.scheduler.settle()
    assert.equal(broker.isClosed, true)
    assert.equal(await watcher.queues('t'), undefined)
  })
  test('that is idle too long is closed, and takes its brokers along', async () => {
    const strict = await startSimulatedNameServer({ serverChannelMaxIdleTimeSeconds: '120' })
    const broker = await strict.connect()
    await broker.register({ timeoutMs: 1_000_000 }, ...topics)
    await strict.scheduler.advance(119_999)
    assert.equal(strict.count('brokers'), 1)
    await strict.scheduler.advance(10_001)
    assert.equal(broker.isClosed, true)
    assert.equal(strict.count('brokers'), 0)
    await strict.close()
  })
  test('that is lost after its broker came by another takes nothing along', async () => {
    const [old, fresh] = [await server.connect(), await server.connect()]
    await old.register({}, ...topics)
    await fresh.register({}, ...topics)
    await old.close()
    assert.equal(await watcher.queues('t'), 'a:6')
    await fresh.close()
    assert.equal(await watcher.queues('t'), undefined)
  })
  test('that only beats or asks holds no broker', async () => {
    const [broker, other] = [await server.connect(), await server.connect()]
    await broker.register({}, ...topics)
    await other.askLoosely(BrokerHeartbeat, { ...leaveHeader({}), brokerId: '0' })
    await other.ask(QueryDataVersion, leaveHeader({}), JSON.stringify(version))
    await other.close()
    assert.equal(await watcher.queues('t'), 'a:6')
  })
})

describe('the least id of a set', () => {
  const set: BrokerSaid[] = [0, 1, 2].map((id) => ({ id, port: 100 * (id + 1), acting: true }))

  async function start(settings: Record<string, string> = { notifyMinBrokerIdChanged: 'true' }, acting = true) {
    const server = await startSimulatedNameServer(settings)
    const members: SimulatedPeer[] = []
    for (const said of [...set].reverse()) {
      const member = await server.connect()
      await member.register({ ...said, acting }, ...topics)
      members.unshift(member)
    }
    return { server, members }
  }
  const told = (peer: SimulatedPeer): object[] =>
    peer.told.splice(0).map(({ code, fields }) => {
      assert.equal(code, NotifyMinBrokerIdChange.code)
      return { ...fields }
    })
  const news = (id: number, gone?: number): object => ({
    minBrokerId: String(id),
    brokerName: 'a',
    minBrokerAddr: `10.0.0.1:${100 * (id + 1)}`,
    ...(gone === undefined ? {} : { offlineBrokerAddr: `10.0.0.1:${100 * (gone + 1)}` }),
    haBrokerAddr: `10.0.0.1:${100 * (id + 1) + 1}`,
  })

  test('that falls is told to those that were there', async () => {
    const { server, members } = await start()
    assert.deepEqual(told(members[2]!), [news(1), news(0)])
    assert.deepEqual(told(members[1]!), [news(0)])
    assert.deepEqual(told(members[0]!), [])
    await server.close()
  })
  test('that rises, since a connection was lost, is told to all that are left', async () => {
    const { server, members } = await start()
    for (const member of members) told(member)
    await members[0]!.close()
    for (const at of [1, 2]) assert.deepEqual(told(members[at]!), [news(1, 0)])
    await server.close()
  })
  test('that rises, since a broker unregistered or fell silent, is told too', async () => {
    const { server, members } = await start()
    for (const member of members) told(member)
    await members[0]!.ask(UnregisterBroker, leaveHeader(set[0]!))
    assert.deepEqual(told(members[2]!), [news(1, 0)])
    await members[1]!.register({ ...set[1]!, timeoutMs: 50 })
    await server.scheduler.advance(5_000)
    assert.deepEqual(told(members[2]!), [news(2, 1)])
    await server.close()
  })
  test('that stays is told to nobody', async () => {
    const { server, members } = await start()
    for (const member of members) told(member)
    await members[2]!.close()
    await members[1]!.register(set[1]!)
    for (const at of [0, 1]) assert.deepEqual(told(members[at]!), [])
    await server.close()
  })
  test('is told only where that is asked for, of sets that may act', async () => {
    for (const [settings, acting] of [
      [{}, true],
      [{ notifyMinBrokerIdChanged: 'true' }, false],
    ] as const) {
      const { server, members } = await start(settings, acting)
      await members[0]!.close()
      for (const at of [1, 2]) assert.deepEqual(told(members[at]!), [])
      await server.close()
    }
  })
  test('is told to nobody when the name server itself stops', async () => {
    const { server, members } = await start()
    for (const member of members) told(member)
    await server.close()
    assert.ok(members.every(({ isClosed }) => isClosed))
    for (const member of members) assert.deepEqual(told(member), [])
    assert.equal(
      server.log.lines.some(({ level }) => level === 'warn'),
      false,
      'no broker was lost',
    )
  })
})

test('many brokers expire at once and leave nothing', async () => {
  const server = await startSimulatedNameServer()
  const peer = await server.connect()
  for (let port = 1; port <= 200; port++) {
    await peer.register({ name: `b${port}`, port, timeoutMs: 1_000 }, { topic: 't' }, { topic: `t${port}` })
  }
  assert.deepEqual([server.count('brokers'), server.count('topics')], [200, 201])
  await server.scheduler.advance(10_000)
  assert.deepEqual([server.count('brokers'), server.count('topics')], [0, 0])
  const { body } = await peer.ask(GetBrokerClusterInfo, {})
  assert.deepEqual(JSON.parse(body.toString()), { brokerAddrTable: {}, clusterAddrTable: {} })
  await server.close()
})
