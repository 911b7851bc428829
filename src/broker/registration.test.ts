import assert from 'node:assert/strict'
import { test } from 'node:test'
import { memoryLog } from '../base/console-log.ts'
import { SimulatedScheduler } from '../base/simulated-scheduler.ts'
import { type DataVersion, objectOf, readDataVersion, sameVersion, type TopicConfig } from '../protocol/bodies.ts'
import { parseJavaObject } from '../protocol/java-json.ts'
import type { RemotingClient } from '../remoting/client.ts'
import { Registration } from './registration.ts'

const topicOf = (topicName: string): TopicConfig => ({
  topicName,
  readQueueNums: 8,
  writeQueueNums: 8,
  perm: 6,
  topicFilterType: 'SINGLE_TAG',
  topicSysFlag: 0,
  order: false,
  attributes: {},
})

/** A name server that knows what it was told, as Java's does: topics it knows change with the version only. */
function nameServer() {
  const told = new Map<string, number>()
  const bodies: number[] = []
  let known: DataVersion | undefined
  let isDown = false
  const client = {
    request: async (_: string, command: { name: string }, __: object, { body }: { body: Buffer }) => {
      if (isDown) throw new Error('down')
      const object = parseJavaObject(body.toString())
      if (command.name === 'QUERY_DATA_VERSION') {
        return { header: { changed: known === undefined || !sameVersion(known, readDataVersion(object)) } }
      }
      const wrapper = objectOf(object['topicConfigSerializeWrapper'])
      const version = readDataVersion(wrapper['dataVersion'])
      const changed = known === undefined || !sameVersion(known, version)
      for (const [topic, config] of Object.entries(objectOf(wrapper['topicConfigTable']))) {
        if (changed || !told.has(topic)) told.set(topic, Number(objectOf(config)['perm']))
      }
      known = version
      bodies.push(body.length)
      return { header: {} }
    },
  } as unknown as RemotingClient
  return {
    client,
    told,
    bodies,
    setDown(down: boolean) {
      isDown = down
    },
  }
}

test('many topics are registered in parts, again only where their version is not known, and wholly after a failure', async () => {
  const scheduler = new SimulatedScheduler()
  const server = nameServer()
  const topics = new Map<string, TopicConfig>()
  for (let index = 0; index < 10_000; index++) topics.set(`t${index}`, topicOf(`t${index}`))
  let version: DataVersion = { stateVersion: 0, timestamp: 5, counter: 3 }
  const registration = new Registration(
    {
      nameServers: ['ns:1'],
      client: server.client,
      identity: { brokerName: 'b', clusterName: 'c', brokerId: 0, brokerAddr: '10.0.0.1:1', haServerAddr: '' },
      topics: () => topics,
      dataVersion: () => version,
      toldOf: (topic) => topic,
      told: () => {},
      scheduler,
      log: memoryLog(),
      periodMs: 30_000,
      timeoutMs: 1_000,
      splitSize: 800,
    },
    { registrations: 0, failures: 0 },
  )
  const round = async (): Promise<number> => {
    const before = server.bodies.length
    await scheduler.advance(30_000)
    return server.bodies.length - before
  }
  const starting = registration.start()
  await scheduler.advance(100)
  await starting
  assert.equal(server.told.size, 10_000)
  assert.equal(server.bodies.length, 13)
  assert.ok(Math.max(...server.bodies) < 300_000, `${Math.max(...server.bodies)} bytes`)
  assert.equal(await round(), 0, 'known')

  for (const index of [5, 9_999]) topics.set(`t${index}`, { ...topicOf(`t${index}`), perm: 4 })
  version = { ...version, counter: version.counter + 1 }
  server.setDown(true)
  registration.topicsChanged([topics.get('t5')!, topics.get('t9999')!])
  await scheduler.advance(100)
  server.setDown(false)
  assert.equal(server.told.get('t5'), 6)
  assert.equal(await round(), 13, 'it missed something')
  assert.deepEqual([server.told.get('t5'), server.told.get('t9999')], [4, 4])
  assert.equal(await round(), 0)

  topics.set('new', topicOf('new'))
  version = { ...version, counter: version.counter + 1 }
  registration.topicsChanged([topics.get('new')!])
  await scheduler.advance(100)
  assert.ok(server.told.has('new'))
  assert.equal(await round(), 0)
  let whole = 0
  for (let count = 0; count < 20; count++) whole += await round()
  assert.equal(whole, 13, 'once in a while all the same')
  const closing = registration.close()
  await scheduler.advance(2_000)
  await closing
})
