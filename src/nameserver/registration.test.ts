import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { crc32, deflateSync } from 'node:zlib'
import {
  BrokerHeartbeat,
  GetBrokerClusterInfo,
  GetBrokerMemberGroup,
  PutKvConfig,
  QueryDataVersion,
  RegisterBroker,
  UnregisterBroker,
} from '../protocol/commands/nameserver.ts'
import { parseJavaJson } from '../protocol/java-json.ts'
import {
  type BrokerSaid,
  leaveHeader,
  type Received,
  registerBody,
  registerHeader,
  type SimulatedNameServer,
  type SimulatedPeer,
  startSimulatedNameServer,
} from './simulated-name-server.ts'

let server: SimulatedNameServer
let peer: SimulatedPeer
beforeEach(async () => {
  server = await startSimulatedNameServer()
  peer = await server.connect()
})
afterEach(async () => {
  await server.close()
  assert.deepEqual(
    server.log.lines.filter(({ level }) => level === 'error'),
    [],
    'nothing a broker sends is a fault of ours',
  )
})

const queuesOf = async (topic: string): Promise<number | undefined> =>
  (await peer.route(topic))?.queueDatas?.[0]?.writeQueueNums
const askVersion = (broker: BrokerSaid, version: object): Promise<Received> =>
  peer.ask(QueryDataVersion, leaveHeader(broker), JSON.stringify(version))

describe('a registration', () => {
  const said = { stateVersion: 1, timestamp: 10, counter: 5 }
  beforeEach(async () => {
    await peer.register({ version: said }, { topic: 't' }, { topic: 'u' })
  })

  test('of the version that is known changes no topic, and adds those that are missing', async () => {
    await peer.register({ version: said }, { topic: 't', queues: 9 }, { topic: 'new', queues: 9 })
    assert.equal(await queuesOf('t'), 4)
    assert.equal(await queuesOf('new'), 9)
  })
  for (const [word, version] of [
    ['newer counter', { ...said, counter: 6 }],
    ['older counter', { ...said, counter: 4 }],
    ['older time', { ...said, timestamp: 9 }],
    ['older state', { ...said, stateVersion: 0 }],
    ['newer state', { ...said, stateVersion: 2 }],
  ] as const) {
    test(`of a ${word} is another version, and its topics count`, async () => {
      await peer.register({ version }, { topic: 't', queues: 9 }, { topic: 'u' })
      assert.equal(await queuesOf('t'), 9)
      assert.deepEqual(JSON.parse((await askVersion({}, version)).body.toString()), version)
    })
  }
  test('of another address takes the id over, but not with an older state', async () => {
    const refused = await peer.register(
      { port: 2, version: { ...said, stateVersion: 0 } },
      { topic: 't' },
      { topic: 'u' },
    )
    assert.deepEqual([refused.code, refused.remark], [1, 'register broker failed'])
    assert.equal((await peer.route('t'))!.brokerDatas![0]!.brokerAddrs['0'], '10.0.0.1:10911')
    assert.equal(server.count('refusedRegistrations'), 1)
    assert.equal((await peer.register({ port: 2, version: said }, { topic: 't' }, { topic: 'u' })).code, 0)
    assert.equal((await peer.route('t'))!.brokerDatas![0]!.brokerAddrs['0'], '10.0.0.1:2')
    assert.equal(server.count('brokers'), 1)
  })
  test('of one topic is taken from a broker that is known, and from no other', async () => {
    const refused = await peer.register({ name: 'b', port: 2 }, { topic: 'one' })
    assert.deepEqual([refused.code, refused.remark], [1, 'register broker failed'])
    const { body } = await peer.ask(GetBrokerClusterInfo, {})
    assert.deepEqual(Object.keys((parseJavaJson(body.toString()) as { brokerAddrTable: object }).brokerAddrTable), [
      'a',
    ])
    assert.equal((await peer.register({ version: { counter: 6 } }, { topic: 'one' })).code, 0)
    assert.equal(await peer.queues('one'), 'a:6')
  })
  test('of a replica is answered with its master, and brings no topics', async () => {
    const { code, fields } = await peer.register({ port: 2, id: 1 }, { topic: 't', queues: 9 }, { topic: 'new' })
    assert.equal(code, 0)
    assert.deepEqual({ ...fields }, { masterAddr: '10.0.0.1:10911', haServerAddr: '10.0.0.1:10912' })
    assert.equal(await queuesOf('t'), 4)
    assert.equal(await peer.queues('new'), undefined)
  })
  test('of a replica without a master is answered with none', async () => {
    assert.deepEqual({ ...(await peer.register({ name: 'b', port: 2, id: 1 })).fields }, {})
  })
  test('of a replica that became master moves its address to the other id', async () => {
    await peer.register({ port: 2, id: 1 })
    await peer.ask(UnregisterBroker, leaveHeader({}))
    await peer.register({ port: 2, id: 0, version: said }, { topic: 't' }, { topic: 'u' })
    assert.deepEqual({ ...(await peer.route('t'))!.brokerDatas![0]!.brokerAddrs }, { 0: '10.0.0.1:2' })
  })
  test('is answered with the order configuration, where there is one and it is not switched off', async () => {
    assert.equal((await peer.register({}, { topic: 't' }, { topic: 'u' })).body.length, 0)
    await peer.ask(PutKvConfig, { namespace: 'ORDER_TOPIC_CONFIG', key: 't', value: 'a:4' })
    const { body } = await peer.register({}, { topic: 't' }, { topic: 'u' })
    assert.deepEqual(JSON.parse(body.toString()), { table: { t: 'a:4' } })
    const silent = await startSimulatedNameServer({ returnOrderTopicConfigToBroker: 'false' })
    const other = await silent.connect()
    await other.ask(PutKvConfig, { namespace: 'ORDER_TOPIC_CONFIG', key: 't', value: 'a:4' })
    assert.equal((await other.register({})).body.length, 0)
    await silent.close()
  })
  for (const [what, fields] of Object.entries({
    'a name with a blank': { brokerName: 'a b' },
    'an empty name': { brokerName: '' },
    'a name that ends a line': { brokerName: 'a\nb' },
    'a name of 256 letters': { brokerName: 'x'.repeat(256) },
    'a cluster in quotes': { clusterName: '"c"' },
    'an address of nothing': { brokerAddr: '' },
    'an id below 0': { brokerId: '-1' },
  })) {
    test(`of ${what} is refused`, async () => {
      const whole = { brokerName: 'b', brokerAddr: 'b:1', clusterName: 'c', haServerAddr: 'b:2', brokerId: '0' }
      const { code, remark } = await peer.askLoosely(RegisterBroker, { ...whole, ...fields })
      assert.equal(code, 1)
      assert.match(remark!, /^register broker failed: /)
      assert.equal(server.count('brokers'), 1)
    })
  }
  test('without a body is one of no topics', async () => {
    assert.equal((await peer.ask(RegisterBroker, registerHeader({ name: 'b', port: 2 }))).code, 0)
    assert.equal(server.count('brokers'), 2)
  })
  test('of a very old broker has the topics at its top level', async () => {
    const { topicConfigSerializeWrapper } = JSON.parse(registerBody({}, [{ topic: 'old' }, { topic: 'u' }]))
    const fields = { brokerName: 'o', brokerAddr: 'o:1', clusterName: 'c', haServerAddr: 'o:2', brokerId: '0' }
    const body = JSON.stringify(topicConfigSerializeWrapper)
    assert.equal((await peer.askLoosely(RegisterBroker, fields, body, 36)).code, 0)
    assert.equal(await peer.queues('old'), 'o:6')
  })
  test('of a broker that runs under a new name at the same address leaves nothing of the former', async () => {
    await peer.register({ name: 'renamed' }, { topic: 't' }, { topic: 'u' })
    assert.equal(await peer.queues('t'), 'renamed:6')
    await peer.ask(UnregisterBroker, leaveHeader({ name: 'renamed' }))
    assert.deepEqual([server.count('brokers'), server.count('topics')], [0, 0])
  })
})

describe('a set that registers in another cluster', () => {
  test('is in that one alone, and lives on when its former sign of life would have ended', async () => {
    await peer.register({ timeoutMs: 30_000 }, { topic: 't' }, { topic: 'u' })
    await peer.register({ port: 2, id: 1, timeoutMs: 300_000 })
    await peer.register({ cluster: 'd', timeoutMs: 300_000 }, { topic: 't' }, { topic: 'u' })
    const { body } = await peer.ask(GetBrokerClusterInfo, {})
    const { clusterAddrTable } = parseJavaJson(body.toString()) as { clusterAddrTable: object }
    assert.deepEqual({ ...clusterAddrTable }, { d: ['a'] })
    assert.equal(server.count('brokers'), 2)
    await server.scheduler.advance(60_000)
    assert.equal(await peer.queues('t'), 'a:6')
    await server.scheduler.advance(260_000)
    assert.deepEqual([server.count('brokers'), server.count('topics')], [0, 0])
  })
})

describe('unregistering', () => {
  beforeEach(async () => {
    await peer.register({}, { topic: 't' }, { topic: 'u' })
    await peer.register({ port: 2, id: 1 })
  })
  const members = async (): Promise<object> => {
    const { body } = await peer.ask(GetBrokerMemberGroup, { clusterName: 'c', brokerName: 'a' })
    const group = (parseJavaJson(body.toString()) as { brokerMemberGroup: { brokerAddrs: object } }).brokerMemberGroup
    return { ...group.brokerAddrs }
  }

  test('the last of a set takes its topics and its cluster along', async () => {
    await peer.ask(UnregisterBroker, leaveHeader({}))
    assert.equal(await peer.queues('t'), 'a:6')
    await peer.ask(UnregisterBroker, leaveHeader({ port: 2, id: 1 }))
    assert.equal(await peer.queues('t'), undefined)
    const { body } = await peer.ask(GetBrokerClusterInfo, {})
    assert.deepEqual(JSON.parse(body.toString()), { brokerAddrTable: {}, clusterAddrTable: {} })
  })
  test('goes by address: with another id it leaves no broker that nobody would miss', async () => {
    await peer.ask(UnregisterBroker, leaveHeader({ port: 2, id: 7 }))
    assert.deepEqual(await members(), { 0: '10.0.0.1:10911' })
    assert.equal(server.count('brokers'), 1)
  })
  test('under the name of another set changes nothing', async () => {
    await peer.register({ name: 'b', port: 3 }, { topic: 't' }, { topic: 'u' })
    for (const name of ['b', 'nobody']) await peer.ask(UnregisterBroker, leaveHeader({ name, port: 2, id: 1 }))
    assert.deepEqual(await members(), { 0: '10.0.0.1:10911', 1: '10.0.0.1:2' })
    assert.equal(server.count('brokers'), 3)
  })
  test('twice, or of nobody, is no fault', async () => {
    for (const _round of [1, 2])
      assert.equal((await peer.ask(UnregisterBroker, leaveHeader({ port: 2, id: 1 }))).code, 0)
    assert.equal((await peer.ask(UnregisterBroker, leaveHeader({ name: 'x', cluster: 'y', port: 9 }))).code, 0)
    assert.deepEqual(await members(), { 0: '10.0.0.1:10911' })
  })
})

describe('the body of a registration', () => {
  const send = (body: string | Buffer, fields: Record<string, string> = {}, version?: number): Promise<Received> =>
    peer.askLoosely(
      RegisterBroker,
      {
        brokerName: 'a',
        brokerAddr: 'a:1',
        clusterName: 'c',
        haServerAddr: 'a:2',
        brokerId: '0',
        bodyCrc32: String(crc32(body) & 0x7fff_ffff),
        ...fields,
      },
      body,
      version,
    )
  const int = (value: number): Buffer => {
    const bytes = Buffer.alloc(4)
    bytes.writeInt32BE(value)
    return bytes
  }
  const piece = (text: string): Buffer => Buffer.concat([int(Buffer.byteLength(text)), Buffer.from(text)])
  const version = piece('{"counter":3,"stateVersion":0,"timestamp":2}')
  const compressed = (...parts: Buffer[]): Promise<Received> =>
    send(deflateSync(Buffer.concat(parts)), { compressed: 'true' })
  async function refused(answer: Received, reason: RegExp): Promise<void> {
    assert.equal(answer.code, 1)
    assert.match(answer.remark!, reason)
    assert.equal(server.count('brokers'), 0)
    assert.equal(server.count('topics'), 0)
  }

  test('compressed, says the same in other words', async () => {
    const topics = [piece('t 8 7 6 SINGLE_TAG'), piece('u 1 1 4 SINGLE_TAG {"+message.type":"FIFO"}')]
    const mapping = piece('{"topic":"t","bname":"a","epoch":5}')
    const answer = await compressed(version, int(2), ...topics, piece('["f:1"]'), int(1), mapping)
    assert.equal(answer.code, 0)
    const route = (await peer.route('t'))!
    const { readQueueNums, writeQueueNums, perm } = route.queueDatas![0]!
    assert.deepEqual([readQueueNums, writeQueueNums, perm], [8, 7, 6])
    assert.deepEqual({ ...route.filterServerTable }, { 'a:1': ['f:1'] })
    assert.equal((route.topicQueueMappingByBroker as { a: { epoch: number } }).a.epoch, 5)
    assert.equal(await peer.queues('u'), 'a:4')
    const known = await peer.askLoosely(QueryDataVersion, {
      brokerName: 'a',
      brokerAddr: 'a:1',
      clusterName: 'c',
      brokerId: '0',
    })
    assert.deepEqual(JSON.parse(known.body.toString()), { counter: 3, stateVersion: 0, timestamp: 2 })
  })
  test('compressed by a broker before 5.0 has no mappings', async () => {
    const body = deflateSync(Buffer.concat([version, int(2), piece('t 1 1 6'), piece('u 1 1 6'), piece('[]')]))
    assert.equal((await send(body, { compressed: 'true' }, 412)).code, 0)
    assert.equal(await peer.queues('t'), 'a:6')
  })
  test('that inflates to more than 64 MiB is refused', async () => {
    const bomb = deflateSync(Buffer.alloc(64 * 1024 * 1024 + 1))
    assert.ok(bomb.length < 100_000)
    await refused(await send(bomb, { compressed: 'true' }), /^the registration is not understood: /)
  })
  test('of another checksum is refused', async () => {
    const body = registerBody({}, [{ topic: 't' }, { topic: 'u' }])
    await refused(await send(body, { bodyCrc32: '12345' }), /^crc32 not match$/)
    assert.equal((await send(body, { bodyCrc32: '0' })).code, 0, '0: not told')
  })
  const bad: [string, string | Buffer, Record<string, string>][] = [
    ['no JSON', 'hello', {}],
    ['half of it', registerBody({}, [{ topic: 't' }]).slice(0, -20), {}],
    ['deeper than any reader goes', `${'['.repeat(100_000)}`, {}],
    ['not compressed', registerBody({}, []), { compressed: 'true' }],
    [
      'compressed, cut',
      deflateSync(Buffer.concat([version, int(0), piece('[]')])).subarray(0, -6),
      { compressed: 'true' },
    ],
    ['compressed, of nothing', deflateSync(''), { compressed: 'true' }],
    ['a piece longer than the rest', deflateSync(int(1_000_000)), { compressed: 'true' }],
    ['a piece of less than nothing', deflateSync(int(-1)), { compressed: 'true' }],
    ['more topics than bytes', deflateSync(Buffer.concat([version, int(0x7fff_ffff)])), { compressed: 'true' }],
    ['less than no topics', deflateSync(Buffer.concat([version, int(-2)])), { compressed: 'true' }],
    [
      'topics that are missing',
      deflateSync(Buffer.concat([version, int(5), piece('t 1 1 6')])),
      { compressed: 'true' },
    ],
    [
      'attributes that are no JSON',
      deflateSync(Buffer.concat([version, int(1), piece('t 1 1 6 S {x')])),
      { compressed: 'true' },
    ],
    [
      'filter servers that are no JSON',
      deflateSync(Buffer.concat([version, int(0), piece('[')])),
      { compressed: 'true' },
    ],
  ]
  for (const [what, body, fields] of bad) {
    test(`is refused: ${what}`, async () => {
      await refused(await send(body, fields), /^the registration is not understood: ./)
    })
  }
  for (const body of ['[]', '1', 'null', '{}', '{"topicConfigSerializeWrapper":7,"filterServerList":{}}']) {
    test(`that is ${body} has no topics`, async () => {
      assert.equal((await send(body)).code, 0)
      assert.deepEqual([server.count('brokers'), server.count('topics')], [1, 0])
    })
  }
  test('may call topics and brokers by names that objects of this language have', async () => {
    const names = ['__proto__', 'constructor', 'toString']
    const topics = Object.fromEntries(names.map((topic) => [`${topic}`, { perm: 6 }]))
    const table = JSON.stringify({ ...topics }).replace('{', '{"__proto__":{"perm":6},')
    const mappings = '{"__proto__":{"topic":"__proto__","epoch":1}}'
    const body = `{"topicConfigSerializeWrapper":{"topicConfigTable":${table},"topicQueueMappingInfoMap":${mappings}}}`
    assert.equal(
      (await send(body, { brokerName: '__proto__', brokerAddr: '__proto__', clusterName: '__proto__' })).code,
      0,
    )
    for (const topic of names) assert.equal(await peer.queues(topic), '__proto__:6')
    const { body: clusters } = await peer.ask(GetBrokerClusterInfo, {})
    assert.match(clusters.toString(), /"clusterAddrTable":\{"__proto__":\["__proto__"\]\}/)
  })
})

describe('a data version', () => {
  const known = { counter: 5, stateVersion: 1, timestamp: 10 }
  test('that is known needs no registration; any other does', async () => {
    await peer.register({ version: known }, { topic: 't' }, { topic: 'u' })
    const changed = async (version: object): Promise<string | null> => {
      const { code, fields, body } = await askVersion({}, version)
      assert.equal(code, 0)
      assert.deepEqual(JSON.parse(body.toString()), known)
      return fields['changed']!
    }
    assert.equal(await changed(known), 'false')
    for (const key of Object.keys(known)) assert.equal(await changed({ ...known, [key]: 77 }), 'true', key)
  })
  test('of a broker that is not known is changed, and has no body', async () => {
    const { code, fields, body } = await askVersion({}, known)
    assert.deepEqual([code, fields['changed'], body.length], [0, 'true', 0])
  })
  test('that is no JSON is refused', async () => {
    const { code, remark } = await peer.ask(QueryDataVersion, leaveHeader({}), '{{')
    assert.equal(code, 1)
    assert.match(remark!, /data version/)
  })
  test('is asked for, and hearts beat, of brokers that nobody knows, which changes nothing', async () => {
    const { brokerName, brokerAddr, clusterName } = leaveHeader({})
    assert.equal((await peer.askLoosely(BrokerHeartbeat, { brokerName, brokerAddr, clusterName })).code, 0)
    assert.equal(server.count('brokers'), 0)
  })
})
