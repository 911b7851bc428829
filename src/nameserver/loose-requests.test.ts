import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { SeededRandom } from '../base/random.ts'
import type { AnyFields } from '../protocol/fields.ts'
import { routes } from './routes.ts'
import { type SimulatedNameServer, type SimulatedPeer, startSimulatedNameServer } from './simulated-name-server.ts'

/** Every code that the name server answers, asked by somebody careless or unkind. */

const wellFormed: Record<string, string> = {
  brokerName: 'a',
  brokerAddr: '10.0.0.1:10911',
  clusterName: 'c',
  haServerAddr: '10.0.0.1:10912',
  brokerId: '0',
  topic: 't',
  cluster: 'c',
  namespace: 'n',
  key: 'k',
  value: 'v',
}
const bodies = ['', 'no JSON', '{', '[]', '{"queueDatas":[1,null,{"perm":"x"}]}', '\u0000'.repeat(1_000), '=', '\\u']
const values = [
  '',
  ' ',
  'x',
  '-1',
  '99999999999999999999',
  '1e400',
  'NaN',
  'true',
  '\u0000\n"',
  '日本',
  'x'.repeat(30_000),
]

const quiet = await startSimulatedNameServer()
const commands = routes(quiet.server).map(({ command }) => command)
await quiet.close()

describe('every request code', () => {
  let server: SimulatedNameServer
  let peer: SimulatedPeer
  beforeEach(async () => {
    server = await startSimulatedNameServer()
    peer = await server.connect()
    await peer.register({}, { topic: 't' }, { topic: 'u' })
  })
  afterEach(() => server.close())
  /** A fault of ours is logged as an error; a peer's is answered. */
  const assertNoFaultOfOurs = (): void => {
    const errors = server.log.lines.filter(({ level }) => level === 'error')
    assert.deepEqual(errors, [])
    assert.equal(peer.isClosed, false)
  }

  test('of the name server is declared and served: 23', () => {
    assert.equal(new Set(commands.map(({ code }) => code)).size, 23)
  })
  for (const command of commands) {
    const fields = Object.entries(command.request as AnyFields)
    const required = fields.filter(([, { absence }]) => absence === 'refused').map(([name]) => name)
    test(`${command.name} names the required field that is missing`, async () => {
      for (const name of required) {
        const { [name]: _, ...others } = wellFormed
        const { code, remark } = await peer.askLoosely(command, others)
        assert.equal(code, 1, `without ${name}`)
        assert.ok(remark!.includes(name), `${name} in «${remark}»`)
      }
      const { code } = await peer.askLoosely(command)
      assert.equal(code === 1, required.length > 0 || command.name === 'PUT_KV_CONFIG', 'without any field')
      assertNoFaultOfOurs()
    })
    test(`${command.name} takes any value and any body in its stride`, async () => {
      for (const [name, { key = name, kind }] of fields) {
        for (const value of values) {
          const { code, remark } = await peer.askLoosely(command, { ...wellFormed, [key]: value })
          if (!['int', 'long'].includes(kind) || /^-?\d+$/.test(value) || value === '') continue
          assert.equal(code, 1, `${name}=${value}`)
          assert.ok(remark!.includes(name), `${name} in «${remark}»`)
        }
      }
      for (const body of bodies) {
        await peer.askLoosely(command, wellFormed, body)
        await peer.askLoosely(command, {}, body)
      }
      assertNoFaultOfOurs()
      assert.equal((await peer.askLoosely(command, wellFormed)).code <= 22, true, 'it still answers')
    })
  }
  test('together, at random, leave the name server well', async () => {
    const random = new SeededRandom(7)
    const pick = <T>(list: readonly T[]): T => list[random.below(list.length)]!
    for (let round = 0; round < 1_500; round++) {
      const fields: Record<string, string> = { ...wellFormed }
      for (const name of Object.keys(wellFormed)) {
        if (random.below(3) === 0) fields[name] = pick(values)
        if (random.below(9) === 0) delete fields[name]
      }
      await peer.askLoosely(pick(commands), fields, pick(bodies), pick([0, 100, 413, 513]))
    }
    assertNoFaultOfOurs()
    await peer.register({ name: 'fresh', port: 9 }, { topic: 'fresh' }, { topic: 'other' })
    assert.equal(await peer.queues('fresh'), 'fresh:6')
  })
})
