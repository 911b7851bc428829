import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { RegisterTopicInNameServer } from '../protocol/commands/nameserver.ts'
import { isObject, parseJavaJson } from '../protocol/java-json.ts'
import {
  type Received,
  type SimulatedNameServer,
  type SimulatedPeer,
  startSimulatedNameServer,
} from './simulated-name-server.ts'

/**
 * Requests recorded from Java brokers, clients and tools, sent to our name server frame by frame, and compared with what
 * Java's answered. Where state matters the requests come in the order of the recording.
 */

interface Recorded {
  name: string
  direction: 'request' | 'response'
  pair: number
  to: string
  frameBase64: string
  header: { code: number; version: number; remark: string | null; extFields: Record<string, string> | null }
  bodyUtf8?: string
}

const requests = new Map<number, Recorded>()
const responses = new Map<number, Recorded>()
for (const file of ['nameserver', 'errors', 'binary-header']) {
  const text = readFileSync(resolve(import.meta.dirname, `../../test/vectors/wire/${file}.jsonl`), 'utf8')
  for (const line of text.trim().split('\n')) {
    const recorded = JSON.parse(line) as Recorded
    if (recorded.direction === 'response') responses.set(recorded.pair, recorded)
    else if (recorded.to === 'nameserver') requests.set(recorded.pair, recorded)
  }
}
const replayed = new Set<number>()

const frameOf = (pair: number): Buffer => Buffer.from(requests.get(pair)!.frameBase64, 'base64')
const label = (pair: number): string => `${pair} ${requests.get(pair)!.name}`

/** Lists are sets in Java, and come in the order of its hashes. */
function comparable(value: unknown): unknown {
  if (Array.isArray(value)) {
    const items = value.map((each) => JSON.stringify(comparable(each)))
    return items.sort()
  }
  if (!isObject(value)) return value
  const fields = Object.entries(value).map(([name, each]): [string, unknown] => [name, comparable(each)])
  return Object.fromEntries(fields.sort(([a], [b]) => (a < b ? -1 : 1)))
}
const bodyOf = (text: string): unknown => (text === '' ? undefined : comparable(parseJavaJson(text)))

async function replay(peer: SimulatedPeer, pair: number, compareBody = true): Promise<Received> {
  replayed.add(pair)
  const got = await peer.replay(frameOf(pair))
  assert.ok(got !== undefined, `${label(pair)} was not answered`)
  const { header, bodyUtf8 } = responses.get(pair)!
  assert.equal(got.code, header.code, `${label(pair)}: ${got.remark}`)
  assert.equal(got.remark ?? '', header.remark ?? '', label(pair))
  assert.deepEqual(got.fields, header.extFields ?? {}, label(pair))
  if (compareBody) assert.deepEqual(bodyOf(got.body.toString()), bodyOf(bodyUtf8 ?? ''), label(pair))
  return got
}

const replayEach = (peer: () => SimulatedPeer, pairs: readonly number[]): void => {
  for (const pair of pairs) test(label(pair), async () => void (await replay(peer(), pair)))
}

describe('recorded: a broker boots', () => {
  let server: SimulatedNameServer
  let peer: SimulatedPeer
  before(async () => {
    server = await startSimulatedNameServer()
    peer = await server.connect()
  })
  after(() => server.close())

  replayEach(() => peer, [1, 2, 52])
})

describe('recorded: what tools ask', () => {
  let server: SimulatedNameServer
  let peer: SimulatedPeer
  before(async () => {
    server = await startSimulatedNameServer({ orderMessageEnable: 'true' })
    peer = await server.connect()
    // The broker as it was then: with 30 topics, before there was an order configuration.
    await peer.replay(frameOf(87))
    // Deleted on the broker by then; name servers keep what a registration no longer names.
    const queues = { brokerName: 'broker-a', perm: 6, readQueueNums: 4, writeQueueNums: 4, topicSysFlag: 0 }
    await peer.ask(RegisterTopicInNameServer, { topic: 'WireL2' }, JSON.stringify({ queueDatas: [queues] }))
  })
  after(() => server.close())

  replayEach(() => peer, [179, 180, 48, 181, 49, 50, 51])
  test('and of the namespace only the key that was put without a value is left', async () => {
    const { body } = (await peer.replay(frameOf(181)))!
    assert.deepEqual(JSON.parse(body.toString()), { table: { k2: '' } })
  })
  replayEach(() => peer, [53, 54, 55, 56, 58, 59, 60, 62, 63, 64, 67, 65, 66, 87, 68, 69, 70, 88, 214, 663])
  replayEach(() => peer, [71, 73])
  test('and the permission is gone, until it is given again', async () => {
    assert.equal(await peer.queues('WireTopic'), 'broker-a:4')
    await replay(peer, 72)
    assert.equal(await peer.queues('WireTopic'), 'broker-a:6')
  })
  test('74, 75, 76 one topic comes and goes', async () => {
    await replay(peer, 74)
    assert.equal(await peer.queues('WireNsTopic'), 'broker-a:6')
    await replay(peer, 75)
    assert.equal(await peer.queues('WireNsTopic'), undefined)
    await replay(peer, 76)
    await replay(peer, 74)
    await replay(peer, 76)
    assert.equal(await peer.queues('WireNsTopic'), undefined)
  })
  test('61 the settings: every one that we serve, with the default that Java has', async () => {
    const got = (await replay(peer, 61, false)).body.toString()
    const read = (text: string): Map<string, string> =>
      new Map(text.split('\n').map((line) => line.split('=', 2) as [string, string]))
    const theirs = read(responses.get(61)!.bodyUtf8!)
    // Of the recording: where it listened and kept its files.
    for (const own of ['listenPort', 'kvConfigPath', 'configStorePath', 'serverChannelMaxIdleTimeSeconds'])
      theirs.delete(own)
    let same = 0
    for (const [key, value] of read(got)) {
      if (!theirs.has(key)) continue
      assert.equal(value, theirs.get(key), key)
      same++
    }
    assert.ok(same >= 14, `${same} of theirs`)
  })
  replayEach(() => peer, [67, 85, 86, 123, 450, 636, 641, 523, 530])
})

describe('recorded: a second broker registers, with a replica', () => {
  let server: SimulatedNameServer
  let peer: SimulatedPeer
  before(async () => {
    server = await startSimulatedNameServer({ orderMessageEnable: 'true' })
    peer = await server.connect()
    await peer.replay(frameOf(65))
    await peer.replay(frameOf(87))
  })
  after(() => server.close())

  replayEach(() => peer, [182, 77, 183, 184, 78, 83, 79, 80])
  test('a refused registration leaves no broker without addresses behind, other than in Java', async () => {
    const { body } = (await peer.replay(frameOf(664)))!
    assert.equal(body.includes('broker-q'), false)
  })
  test('84, 81, 82 the members, once the master is gone', async () => {
    const master = { brokerName: 'broker-x', brokerAddr: '127.0.0.1:30911', clusterName: 'DefaultCluster' }
    server.server.leave(master.clusterName, master.brokerName, master.brokerAddr)
    await replay(peer, 81)
    await replay(peer, 82)
    await replay(peer, 84)
    assert.equal(server.server.routes.addressesOf('broker-x'), undefined)
  })
})

describe('recorded: several clusters, and headers in binary', () => {
  let server: SimulatedNameServer
  let peer: SimulatedPeer
  const register = (brokerName: string, clusterName: string, brokerAddr: string, brokerId = 0, topics: string[] = []) =>
    server.server.routes.register(
      {
        brokerName,
        clusterName,
        brokerAddr,
        brokerId,
        haServerAddr: brokerAddr,
        zoneName: undefined,
        timeoutMs: undefined,
        enableActingMaster: false,
        dataVersion: { stateVersion: 0, timestamp: 0, counter: topics.length },
        topics: new Map(
          topics.map((topicName) => [
            topicName,
            {
              topicName,
              readQueueNums: topicName === 'TBW102' ? 4 : 1,
              writeQueueNums: topicName === 'TBW102' ? 4 : 1,
              perm: topicName === 'TBW102' ? 7 : 6,
              topicFilterType: 'SINGLE_TAG',
              topicSysFlag: 0,
              order: false,
              attributes: {},
            },
          ]),
        ),
        mappings: new Map(),
        filterServers: [],
        connectionId: 0,
      },
      0,
      false,
    )
  before(async () => {
    server = await startSimulatedNameServer()
    peer = await server.connect()
    register('broker-a', 'DefaultCluster', '127.0.0.1:20911', 0, ['WireBinTopic', 'TBW102'])
    register('broker-a', 'DefaultCluster', '127.0.0.1:20931', 1)
    register('broker-acl', 'AclCluster', '127.0.0.1:20941')
  })
  after(() => server.close())

  /** Java shows a broker that it refused, with no address: the recording has one. */
  function withoutRefused(text: string): unknown {
    type Clusters = { brokerAddrTable: Record<string, object>; clusterAddrTable: Record<string, string[]> }
    const said = parseJavaJson(text) as Clusters
    delete said.brokerAddrTable['broker-q']
    const members = said.clusterAddrTable['DefaultCluster']!
    said.clusterAddrTable['DefaultCluster'] = members.filter((name) => name !== 'broker-q')
    return comparable(said)
  }
  async function clusters(pair: number): Promise<void> {
    const { body } = await replay(peer, pair, false)
    assert.deepEqual(bodyOf(body.toString()), withoutRefused(responses.get(pair)!.bodyUtf8!), label(pair))
  }

  replayEach(() => peer, [451, 515])
  test('462 all clusters, asked with a signature', () => clusters(462))
  test('524 all clusters, asked in binary, with one more', async () => {
    register('broker-ha', 'HaCluster', '127.0.0.1:20951')
    await clusters(524)
  })
  test('567, 568 a cluster ends with its last broker', async () => {
    await replay(peer, 567)
    register('broker-bin', 'BinCluster', '127.0.0.1:20961')
    await clusters(568)
    await clusters(611)
  })
  test('615, 661, 664 and so do others', async () => {
    await replay(peer, 615)
    await replay(peer, 661)
    server.server.leave('DefaultCluster', 'broker-a', '127.0.0.1:20931')
    await clusters(664)
  })
})

test('every recorded request to a name server was replayed', () => {
  assert.deepEqual([...requests.keys()].filter((pair) => !replayed.has(pair)).sort(), [])
})
