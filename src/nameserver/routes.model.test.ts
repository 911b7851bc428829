import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { silentLog } from '../base/console-log.ts'
import {
  AddWritePermOfBroker,
  BrokerHeartbeat,
  DeleteTopicInNameServer,
  GetAllTopicListFromNameServer,
  UnregisterBroker,
  UpdateNameServerConfig,
  WipeWritePermOfBroker,
} from '../protocol/commands/nameserver.ts'
import {
  type BrokerSaid,
  leaveHeader,
  type SimulatedNameServer,
  type SimulatedPeer,
  startSimulatedNameServer,
} from './simulated-name-server.ts'

/** Whatever brokers, tools and time do, in any order: every route is what a few maps say it is. */

const TOPICS = ['t', 'u', 'v']
const SETS = { a: 'c', b: 'c', d: 'd' }
type SetName = keyof typeof SETS
/** Between two looks, so that a broker dies with the tenth look after its last sign of life. */
const TIMEOUT_MS = 950
const LIFE_MS = 1_000
const SCAN_MS = 100

interface Alive {
  counter: number
  lastMs: number
}

class Model {
  nowMs = 0
  deletesMissing = false
  /** `set/id` → what it said last. */
  readonly alive = new Map<string, Alive>()
  /** topic → set → permission. */
  readonly topics = new Map<string, Map<string, number>>()

  idsOf(name: string): number[] {
    return [0, 1].filter((id) => this.alive.has(`${name}/${id}`))
  }

  gone(name: string, id: number): void {
    if (!this.alive.delete(`${name}/${id}`) || this.idsOf(name).length > 0) return
    for (const topic of TOPICS) this.drop(topic, name)
  }

  drop(topic: string, name: string): void {
    const sets = this.topics.get(topic)
    sets?.delete(name)
    if (sets?.size === 0) this.topics.delete(topic)
  }

  /** set → its ids and permission. */
  route(topic: string): Record<string, { ids: number[]; perm: number }> {
    const sets = [...(this.topics.get(topic) ?? [])]
    return Object.fromEntries(sets.map(([name, perm]) => [name, { ids: this.idsOf(name), perm }]))
  }
}

class Real {
  readonly server: SimulatedNameServer
  readonly tool: SimulatedPeer
  readonly #brokers = new Map<string, SimulatedPeer>()

  constructor(server: SimulatedNameServer, tool: SimulatedPeer) {
    this.server = server
    this.tool = tool
  }

  /** Each broker has a connection of its own, made when it is needed. */
  async broker(name: SetName, id: number): Promise<SimulatedPeer> {
    const key = `${name}/${id}`
    let peer = this.#brokers.get(key)
    if (peer === undefined || peer.isClosed) this.#brokers.set(key, (peer = await this.server.connect()))
    return peer
  }
}

const said = (name: SetName, id: number): BrokerSaid => ({
  name,
  id,
  cluster: SETS[name],
  port: name.charCodeAt(0) * 10 + id,
})

async function check(model: Model, { server, tool }: Real): Promise<void> {
  for (const topic of TOPICS) {
    const route = await tool.route(topic)
    const found: Record<string, { ids: number[]; perm: number }> = {}
    for (const { brokerName, perm } of route?.queueDatas ?? []) {
      const { brokerAddrs } = route!.brokerDatas!.find((each) => each.brokerName === brokerName)!
      const ids = Object.keys(brokerAddrs).map(Number)
      for (const id of ids) assert.equal(brokerAddrs[id], `10.0.0.1:${said(brokerName as SetName, id).port}`)
      found[brokerName] = { ids, perm }
    }
    assert.deepEqual(found, model.route(topic), topic)
  }
  const { body } = await tool.ask(GetAllTopicListFromNameServer, {})
  assert.deepEqual(JSON.parse(body.toString()).topicList.sort(), [...model.topics.keys()].sort())
  assert.equal(server.count('brokers'), model.alive.size)
}

type Step = fc.AsyncCommand<Model, Real>
const step = (text: string, model: (model: Model) => void, real: (real: Real) => Promise<unknown>): Step => ({
  check: () => true,
  async run(m, r) {
    await real(r)
    model(m)
    await check(m, r)
  },
  toString: () => text,
})

const name = fc.constantFrom<SetName>('a', 'b', 'd')
const id = fc.constantFrom(0, 1)
const topic = fc.constantFrom(...TOPICS)
const perms = fc.dictionary(topic, fc.constantFrom(2, 4, 6), { noNullPrototype: true })

const register = fc.tuple(name, id, fc.integer({ min: 1, max: 3 }), perms).map(([set, who, counter, table]) =>
  step(
    `${set}/${who} registers version ${counter} with ${JSON.stringify(table)}`,
    (model) => {
      const before = model.alive.get(`${set}/${who}`)
      const said = Object.entries(table)
      if (before === undefined && said.length === 1) return
      model.alive.set(`${set}/${who}`, { counter, lastMs: model.nowMs })
      if (who !== 0) return
      if (model.deletesMissing) for (const each of TOPICS) if (!(each in table)) model.drop(each, set)
      for (const [each, perm] of said) {
        const sets = model.topics.get(each) ?? new Map<string, number>()
        if (before?.counter === counter && sets.has(set)) continue
        model.topics.set(each, sets.set(set, perm))
      }
    },
    async (real) => {
      const broker = { ...said(set, who), version: { counter }, timeoutMs: TIMEOUT_MS }
      const topics = Object.entries(table).map(([each, perm]) => ({ topic: each, perm }))
      await (await real.broker(set, who)).register(broker, ...topics)
    },
  ),
)
const unregister = fc.tuple(name, id).map(([set, who]) =>
  step(
    `${set}/${who} unregisters`,
    (model) => model.gone(set, who),
    (real) => real.tool.ask(UnregisterBroker, leaveHeader(said(set, who))),
  ),
)
const vanish = fc.tuple(name, id).map(([set, who]) =>
  step(
    `${set}/${who} loses its connection`,
    (model) => model.gone(set, who),
    async (real) => (await real.broker(set, who)).close(),
  ),
)
const beat = fc.tuple(name, id).map(([set, who]) =>
  step(
    `${set}/${who} beats`,
    (model) => {
      const alive = model.alive.get(`${set}/${who}`)
      if (alive !== undefined) alive.lastMs = model.nowMs
    },
    (real) => real.tool.askLoosely(BrokerHeartbeat, { ...leaveHeader(said(set, who)), brokerId: String(who) }),
  ),
)
const pass = fc.integer({ min: 1, max: 10 }).map((looks) =>
  step(
    `${looks * SCAN_MS} ms pass`,
    (model) => {
      model.nowMs += looks * SCAN_MS
      for (const [key, { lastMs }] of [...model.alive]) {
        const [set, who] = key.split('/')
        if (model.nowMs - lastMs >= LIFE_MS) model.gone(set!, Number(who))
      }
    },
    (real) => real.server.scheduler.advance(looks * SCAN_MS),
  ),
)
const deleteTopic = fc.tuple(topic, fc.constantFrom('c', 'd', undefined)).map(([each, clusterName]) =>
  step(
    `${each} is deleted of ${clusterName ?? 'all clusters'}`,
    (model) => {
      for (const [set, cluster] of Object.entries(SETS))
        if (clusterName === undefined || cluster === clusterName) model.drop(each, set)
    },
    (real) => real.tool.ask(DeleteTopicInNameServer, { topic: each, clusterName }),
  ),
)
const permission = fc.tuple(name, fc.boolean()).map(([set, give]) =>
  step(
    `write permission is ${give ? 'given to' : 'wiped off'} ${set}`,
    (model) => {
      for (const sets of model.topics.values()) if (sets.has(set)) sets.set(set, give ? 6 : sets.get(set)! & ~2)
    },
    (real) => real.tool.ask(give ? AddWritePermOfBroker : WipeWritePermOfBroker, { brokerName: set }),
  ),
)
const deletesMissing = fc.boolean().map((on) =>
  step(
    `registrations ${on ? 'delete' : 'keep'} what they do not name`,
    (model) => {
      model.deletesMissing = on
    },
    (real) => real.tool.ask(UpdateNameServerConfig, {}, `deleteTopicWithBrokerRegistration=${on}`),
  ),
)

test('routes are what a few maps say', async () => {
  // A registration is as likely as all else together, and so most runs have something to lose.
  const kinds = [register, register, register, unregister, vanish, beat, pass, deleteTopic, permission, deletesMissing]
  await fc.assert(
    fc.asyncProperty(fc.commands(kinds, { maxCommands: 40 }), async (commands) => {
      const settings = { scanNotActiveBrokerInterval: String(SCAN_MS) }
      const log = { ...silentLog, lines: [], with: () => log }
      const server = await startSimulatedNameServer(settings, { log })
      const real = new Real(server, await server.connect())
      try {
        await fc.asyncModelRun(() => ({ model: new Model(), real }), commands)
      } finally {
        await server.close()
        assert.equal(server.scheduler.pending, 0)
      }
    }),
    { numRuns: 100 },
  )
})
