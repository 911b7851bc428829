import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { silentLog } from '../base/console-log.ts'
import { Probes } from '../base/probe.ts'
import { SimulatedScheduler } from '../base/simulated-scheduler.ts'
import { RegisterBroker } from '../protocol/commands/nameserver.ts'
import { SendMessageV2 } from '../protocol/commands/send.ts'
import { UpdateAndCreateTopic } from '../protocol/commands/topic.ts'
import { ResponseCode } from '../protocol/response-code.ts'
import { handle, type Reply, Router } from '../remoting/router.ts'
import { listen } from '../remoting/server.ts'
import { Announcements } from './announcements.ts'
import { type SimulatedBroker, startSimulatedBroker } from './simulated-broker.ts'
import { sendOf } from './simulated-requests.ts'

/** A name server that answers registrations when the test says so. */
async function slowNameServer(
  broker: SimulatedBroker,
): Promise<{ asked: Reply<typeof RegisterBroker>[]; bodies: string[] }> {
  const { transport, scheduler } = broker
  const asked: Reply<typeof RegisterBroker>[] = []
  const probes = new Probes()
  const bodies: string[] = []
  const routes = [
    handle(RegisterBroker, (_, reply) => {
      asked.push(reply)
      bodies.push(reply.body.toString())
    }),
  ]
  const router = new Router(routes, { log: silentLog, probes, scheduler, role: 'namesrv' })
  const address = { host: '127.0.0.1', port: 9_876 }
  await listen({ transport, address, router, scheduler, log: silentLog, probes, role: 'namesrv' })
  return { asked, bodies }
}

async function brokerWithSlowNameServer(settings: Record<string, string> = {}): Promise<{
  broker: SimulatedBroker
  asked: Reply<typeof RegisterBroker>[]
  bodies: string[]
}> {
  const broker = await startSimulatedBroker({
    namesrvAddr: '127.0.0.1:9876',
    registerNameServerPeriod: '60000',
    ...settings,
  })
  return { broker, ...(await slowNameServer(broker)) }
}

describe('a new topic', () => {
  test('its first sends are answered once name servers know it, and sends to others are not held up', async () => {
    const { broker, asked } = await brokerWithSlowNameServer()
    const client = await broker.connect()
    const held = await client.begin(SendMessageV2, sendOf({ topic: 'fresh' }), 'first')
    await broker.scheduler.advance(100)
    assert.equal(asked.length, 1)
    assert.equal(client.answer(held), undefined)
    const other = await client.ask(SendMessageV2, sendOf({ topic: 'broker-a' }), 'not new')
    assert.equal(other.code, ResponseCode.SUCCESS)
    const second = await client.begin(SendMessageV2, sendOf({ topic: 'fresh' }), 'second')
    assert.equal(client.answer(second), undefined)

    asked[0]!.ok()
    await broker.scheduler.advance(10)
    assert.equal(client.answer(held)?.code, ResponseCode.SUCCESS)
    assert.equal(client.answer(second)?.code, ResponseCode.SUCCESS)
    const third = await client.begin(SendMessageV2, sendOf({ topic: 'fresh' }), 'third')
    await broker.scheduler.advance(10)
    assert.equal(client.answer(third)?.code, ResponseCode.SUCCESS)
    await broker.close()
  })

  test('a name server that does not answer holds a send up for a second', async () => {
    const { broker, asked } = await brokerWithSlowNameServer()
    const client = await broker.connect()
    const held = await client.begin(SendMessageV2, sendOf({ topic: 'fresh' }), 'first')
    await broker.scheduler.advance(990)
    assert.equal(client.answer(held), undefined)
    await broker.scheduler.advance(100)
    assert.equal(asked.length, 1)
    assert.equal(client.answer(held)?.code, ResponseCode.SUCCESS)
    // Not each send a second of its own, until the registration is given up after 24.
    const next = await client.begin(SendMessageV2, sendOf({ topic: 'fresh' }), 'second')
    await broker.scheduler.advance(10)
    assert.equal(client.answer(next)?.code, ResponseCode.SUCCESS)
    await broker.close()
  })

  test('a name server that does not answer does not hold up the end of the broker', async () => {
    const { broker, asked } = await brokerWithSlowNameServer({ registerNameServerPeriod: '10000' })
    await broker.scheduler.advance(10_500)
    assert.equal(asked.length, 1, 'a registration is under way')
    const started = broker.scheduler.monotonic()
    await broker.close()
    const tookMs = broker.scheduler.monotonic() - started
    assert.ok(tookMs < 3_000, `${tookMs} ms`)
  })

  test('is told with what the broker allows, in a registration of few topics', async () => {
    const { broker, bodies } = await brokerWithSlowNameServer({ brokerPermission: '4' })
    const client = await broker.connect()
    await client.begin(SendMessageV2, sendOf({ topic: 'fresh' }), 'first')
    await broker.scheduler.advance(100)
    const { topicConfigTable } = JSON.parse(bodies[0]!).topicConfigSerializeWrapper
    assert.equal(topicConfigTable.fresh.perm, 4)
    assert.equal(Object.keys(topicConfigTable).length, 2)
    await broker.close()
  })

  test('administration is answered once name servers know what it made', async () => {
    const { broker, asked } = await brokerWithSlowNameServer()
    const client = await broker.connect()
    const header = { topic: 'made', defaultTopic: 'TBW102', readQueueNums: 2, writeQueueNums: 2, perm: 6 }
    const update = await client.begin(UpdateAndCreateTopic, {
      ...header,
      topicFilterType: 'SINGLE_TAG',
      topicSysFlag: 0,
      order: false,
      force: false,
    })
    await broker.scheduler.advance(100)
    assert.equal(client.answer(update), undefined)
    asked[0]!.ok()
    await broker.scheduler.advance(10)
    assert.equal(client.answer(update)?.code, ResponseCode.SUCCESS)
    await broker.close()
  })
})

describe('announcements', () => {
  test('of a topic that changed twice end with the second', () => {
    const announcements = new Announcements(new SimulatedScheduler())
    let told = 0
    announcements.begun('a')
    announcements.begun('a')
    announcements.when('a', () => told++)
    announcements.ended('a')
    assert.equal(told, 0)
    announcements.ended('a')
    assert.equal(told, 1)
    assert.equal(announcements.size, 0)
  })

  test('who waits is told once, and leaves no timer', async () => {
    const scheduler = new SimulatedScheduler()
    const announcements = new Announcements(scheduler)
    let told = 0
    announcements.when('unknown', () => told++)
    assert.equal(told, 1)
    announcements.begun('a')
    announcements.when('a', () => told++)
    await scheduler.advance(1_000)
    assert.equal(told, 2)
    announcements.ended('a')
    assert.equal(told, 2)
    announcements.begun('b')
    announcements.when('b', () => told++)
    announcements.ended('b')
    assert.equal(told, 3)
    assert.equal(scheduler.pending, 0)
  })
})
