import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SimulatedScheduler } from '../base/simulated-scheduler.ts'
import { GetBrokerClusterInfo } from '../protocol/commands/nameserver.ts'
import { MemoryTransport } from '../remoting/memory-transport.ts'
import { nameServerSettings } from './settings.ts'
import { startSimulatedNameServer } from './simulated-name-server.ts'

test('the settings have the defaults of Java', () => {
  const { listenPort, scanNotActiveBrokerInterval, serverChannelMaxIdleTimeSeconds } = nameServerSettings.defaults()
  assert.deepEqual([listenPort, scanNotActiveBrokerInterval, serverChannelMaxIdleTimeSeconds], [9_876, 5_000, 120])
})

test('a name server listens where it was told, and says where that is', async () => {
  const server = await startSimulatedNameServer({ bindAddress: '127.0.0.1', listenPort: '4567' })
  assert.deepEqual(server.address, { host: '127.0.0.1', port: 4567 })
  assert.equal((await (await server.connect()).ask(GetBrokerClusterInfo, {})).code, 0)
  await server.close()
})

test('a closed name server leaves no timer, no connection, and a free port', async () => {
  const server = await startSimulatedNameServer()
  const peers = [await server.connect(), await server.connect()]
  await peers[0]!.register({}, { topic: 't' }, { topic: 'u' })
  await server.close()
  assert.equal(server.scheduler.pending, 0)
  assert.deepEqual(server.transport.ends, [])
  assert.ok(peers.every(({ isClosed }) => isClosed))
  await assert.rejects(server.connect(), /nothing listens/)
  const { scheduler, transport, disk } = server
  const next = await startSimulatedNameServer({}, { scheduler, transport, disk })
  assert.equal(await (await next.connect()).queues('t'), undefined, 'routes are not kept')
  await next.close()
})

test('closing twice is closing once', async () => {
  const server = await startSimulatedNameServer()
  await Promise.all([server.close(), server.close()])
  await server.close()
  assert.equal(server.scheduler.pending, 0)
})

test('a port in use ends the start, and leaves nothing behind', async () => {
  const scheduler = new SimulatedScheduler()
  const transport = new MemoryTransport(scheduler)
  const first = await startSimulatedNameServer({}, { scheduler, transport })
  const { pending } = scheduler
  await assert.rejects(startSimulatedNameServer({}, { scheduler, transport }), /port 9876 on 0\.0\.0\.0 is in use/)
  assert.equal(scheduler.pending, pending)
  assert.equal((await (await first.connect()).ask(GetBrokerClusterInfo, {})).code, 0)
  await first.close()
})

test('two name servers in one process share nothing', async () => {
  const scheduler = new SimulatedScheduler()
  const transport = new MemoryTransport(scheduler)
  const [one, two] = [
    await startSimulatedNameServer({ listenPort: '1' }, { scheduler, transport }),
    await startSimulatedNameServer({ listenPort: '2' }, { scheduler, transport }),
  ]
  const [first, second] = [await one.connect(), await two.connect()]
  await first.register({}, { topic: 't' }, { topic: 'u' })
  assert.equal(await second.queues('t'), undefined)
  await one.close()
  assert.equal((await second.ask(GetBrokerClusterInfo, {})).code, 0)
  await two.close()
})

test('probes count what happens', async () => {
  const server = await startSimulatedNameServer()
  const peer = await server.connect()
  await peer.register({}, { topic: 't' }, { topic: 'u' })
  await peer.register({ name: 'b', port: 2 }, { topic: 'one' })
  await peer.route('t')
  await peer.route('x')
  const counted = ['registrations', 'refusedRegistrations', 'routeQueries', 'routeCacheHits', 'brokers', 'topics']
  assert.deepEqual(
    counted.map((field) => server.count(field)),
    [1, 1, 2, 0, 1, 2],
  )
  await server.close()
})
