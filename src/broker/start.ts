import type { Disk } from '../base/disk.ts'
import { memoryBytes, networkAddress, processId } from '../base/host.ts'
import type { Log } from '../base/log.ts'
import type { Probes } from '../base/probe.ts'
import type { Random } from '../base/random.ts'
import type { Scheduler } from '../base/scheduler.ts'
import { SettingsError } from '../base/settings.ts'
import { UniqueIds } from '../protocol/message-id.ts'
import { RemotingClient } from '../remoting/client.ts'
import type { Connection } from '../remoting/connection.ts'
import type { RemotingLimits } from '../remoting/limits.ts'
import { type Route, Router } from '../remoting/router.ts'
import { listen, type RemotingServer } from '../remoting/server.ts'
import type { Address, Transport } from '../remoting/transport.ts'
import { openStore } from '../store/open-store.ts'
import { Announcements } from './announcements.ts'
import { Broker } from './broker.ts'
import { ConsumerRegistry } from './consumers.ts'
import { Counts, countsProbe } from './counts.ts'
import { GroupTable } from './groups.ts'
import { addressBytes, BornHosts } from './hosts.ts'
import { QueueLocks } from './locks.ts'
import { LongPoll } from './long-poll.ts'
import { OffsetTable } from './offsets.ts'
import { ProducerRegistry } from './producers.ts'
import { Registration } from './registration.ts'
import { fastRoutes, routes } from './routes.ts'
import type { BrokerSettings } from './settings.ts'
import { Stats } from './stats.ts'
import { TopicTable } from './topics.ts'

export interface BrokerOptions {
  settings: BrokerSettings
  scheduler: Scheduler
  random: Random
  log: Log
  probes: Probes
  transport: Transport
  disk: Disk
  /** Of this process and its machine, by default; a simulation has its own. */
  processId?: number
  memoryBytes?: number
}

interface Served {
  server: RemotingServer
  router: Router
}

/** Ports beside the main one: the fast port below, replication above. */
const FAST_PORT_OFFSET = -2
const HA_PORT_OFFSET = 1

/** A broker that serves. */
export class RunningBroker implements AsyncDisposable {
  readonly broker: Broker
  readonly registration: Registration
  readonly #server: RemotingServer
  readonly #opened: AsyncDisposableStack

  constructor(broker: Broker, server: RemotingServer, registration: Registration, opened: AsyncDisposableStack) {
    this.broker = broker
    this.registration = registration
    this.#server = server
    this.#opened = opened
  }

  /** Where it listens. */
  get address(): Address {
    return this.#server.address
  }

  /** Leaves the name servers, answers who waits, drains, and closes the store. */
  async close(): Promise<void> {
    await this.#opened.disposeAsync()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}

/** @throws SettingsError, TransportError, StoreLocked, StoreCorrupt, StoreRefused, DiskError */
export async function startBroker(options: BrokerOptions): Promise<RunningBroker> {
  const { settings, scheduler, random, probes, transport, disk } = options
  const machine = { processId: options.processId ?? processId(), memoryBytes: options.memoryBytes ?? memoryBytes() }
  const log = options.log.with({ role: 'broker' })
  await using opened = new AsyncDisposableStack() // should a later step throw, earlier ones close

  refuseReplica(settings)
  warnOfUnserved(settings, log)
  const advertisedHost = advertised(settings)
  // Every record names it, so it must be known before the store is opened.
  const { listenPort, bindAddress, fastListenEnable } = settings
  const port = listenPort === 0 ? await freePort(transport, bindAddress, fastListenEnable) : listenPort
  const storeHost = { address: addressBytes(advertisedHost) ?? Uint8Array.of(127, 0, 0, 1), port }

  const root = settings.storePathRootDir
  const store = await openStore({ settings, disk, scheduler, random, log, probes, storeHost, ...machine })
  opened.defer(() => store.close())
  const tables = { settings, disk, root, scheduler, log }
  const topics = new TopicTable(tables)
  opened.defer(() => topics.close())
  const groups = new GroupTable(tables)
  opened.defer(() => groups.close())
  const offsets = new OffsetTable(tables)
  opened.defer(() => offsets.close())
  const limited = offsets.limit((topic, queueId) => store.maxOffset(topic, queueId))
  if (limited > 0) log.warn('offsets of groups were behind the end of their queues, and are taken back', { limited })
  const announcements = new Announcements(scheduler)
  const stats = new Stats(scheduler)
  opened.defer(() => stats.close())
  const counts = new Counts(
    scheduler,
    stats,
    probes.register('broker.messages', countsProbe()),
    settings.brokerClusterName,
  )
  opened.defer(() => counts.close())
  const consumers = new ConsumerRegistry({
    scheduler,
    log,
    probe: probes.register('broker.consumers', {
      disagreeingGroups: 0,
      sharedClientIds: 0,
      notifications: 0,
      groups: () => consumers.size,
      members: () => consumers.memberCount,
    }),
    expiryMs: settings.channelExpiredTimeout,
    mayNotify: (group) =>
      settings.notifyConsumerIdsChangedEnable && groups.get(group)?.notifyConsumerIdsChangedEnable !== false,
  })
  opened.defer(() => consumers.close())
  const producers = new ProducerRegistry({
    scheduler,
    log,
    probe: probes.register('broker.producers', { secondInstances: 0, groups: () => producers.size }),
    expiryMs: settings.channelExpiredTimeout,
  })
  opened.defer(() => producers.close())
  const longPoll = new LongPoll(
    scheduler,
    probes.register('broker.longPoll', { parked: 0, woken: 0, timedOut: 0, refused: 0 }),
    settings.pullThreadPoolQueueCapacity,
  )
  store.onArrival((topic, queueId, queueOffset, tagsLow, tagsHigh) =>
    longPoll.arrived(topic, queueId, queueOffset, tagsLow, tagsHigh),
  )
  const broker = new Broker({
    settings,
    scheduler,
    random,
    log,
    probes,
    store,
    storeHost,
    topics,
    announcements,
    groups,
    offsets,
    consumers,
    producers,
    locks: new QueueLocks(scheduler, settings.rebalanceLockMaxLiveTime),
    longPoll,
    stats,
    counts,
    uniqueIds: new UniqueIds({
      address: storeHost.address,
      pid: machine.processId,
      instance: random.below(0x7fff_ffff),
      now: () => scheduler.now(),
    }),
    bornHosts: new BornHosts(storeHost),
    memoryBytes: machine.memoryBytes,
    advertised: { host: advertisedHost, port },
    haAdvertised: {
      host: settings.brokerIP2 === '' ? advertisedHost : settings.brokerIP2,
      port: port + HA_PORT_OFFSET,
    },
  })
  const limits: Partial<RemotingLimits> = {
    idleMs: settings.serverChannelMaxIdleTimeSeconds * 1_000,
    maxConnections: settings.maxConnections,
    maxQueuedBytes: settings.maxQueuedBytesPerConnection,
  }
  const maxInFlight = settings.sendThreadPoolQueueCapacity
  const serve = async (routed: Route[], ownPort: number, role: string): Promise<Served> => {
    const router = new Router(routed, { log, probes, scheduler, role, maxInFlight })
    const address = { host: bindAddress, port: ownPort }
    const onClose = (connection: Connection): void => broker.connectionLost(connection)
    const server = await listen({ transport, address, router, scheduler, log, probes, role, limits, onClose })
    return { server: opened.use(server), router }
  }
  const main = await serve(routes(broker), port, 'broker')
  broker.readInFlight = () => main.router.inFlight
  const servers = [main.server]
  if (fastListenEnable && port > -FAST_PORT_OFFSET) {
    servers.push((await serve(fastRoutes(broker), port + FAST_PORT_OFFSET, 'broker-fast')).server)
  }
  // Those who wait are answered first, then all ports close together: whoever asks again is not served any more.
  opened.defer(async () => {
    longPoll.close()
    await Promise.all(servers.map((server) => server.close()))
  })

  const client = opened.use(new RemotingClient({ transport, scheduler, log, probes, role: 'broker' }))
  const registration = new Registration(
    {
      nameServers: nameServersOf(settings.namesrvAddr),
      client,
      identity: broker.identity,
      topics: () => topics.all(),
      dataVersion: () => topics.dataVersion,
      toldOf: (topic) => topics.registered(topic),
      told: (topic) => announcements.ended(topic),
      scheduler,
      log,
      periodMs: Math.max(10_000, Math.min(settings.registerNameServerPeriod, 60_000)),
      timeoutMs: settings.registerBrokerTimeoutMills,
      splitSize: settings.splitRegistrationSize,
    },
    probes.register('broker.registration', { registrations: 0, failures: 0 }),
  )
  topics.onChange((changed) => {
    for (const { topicName } of changed) announcements.begun(topicName)
    registration.topicsChanged(changed)
  })
  opened.defer(() => registration.close())
  await registration.start()
  return new RunningBroker(broker, main.server, registration, opened.move())
}

/** A broker that should follow another must not take messages of its own instead. */
function refuseReplica({ brokerRole, brokerId }: BrokerSettings): void {
  if (brokerRole === 'SLAVE') throw new SettingsError('brokerRole=SLAVE: replicas are not served by this version')
  if (brokerId !== 0)
    throw new SettingsError(`brokerId=${brokerId}: only masters, with id 0, are served by this version`)
}

/** What is asked for and not served must not look as if it were. */
function warnOfUnserved({ brokerRole, enablePropertyFilter }: BrokerSettings, log: Log): void {
  if (brokerRole === 'SYNC_MASTER') {
    log.warn('brokerRole=SYNC_MASTER: nothing is replicated by this version, so no answer waits for a replica', {
      fix: 'brokerRole=ASYNC_MASTER',
    })
  }
  if (enablePropertyFilter) {
    log.warn('enablePropertyFilter=true: SQL92 subscriptions are refused by this version', {
      fix: 'enablePropertyFilter=false, and subscriptions by tags',
    })
  }
}

/** How often a port is looked for whose fast port is free as well. */
const PORT_TRIES = 20

/** A port that nobody listens on now, with the fast port beside it. */
async function freePort(transport: Transport, host: string, withFast: boolean): Promise<number> {
  for (let tries = 1; ; tries++) {
    const listener = await transport.listen({ host, port: 0 }, (wire) => wire.destroy())
    const { port } = listener.address
    try {
      if (withFast) {
        const fast = await transport.listen({ host, port: port + FAST_PORT_OFFSET }, (wire) => wire.destroy())
        await fast.close()
      }
      return port
    } catch (error) {
      if (tries === PORT_TRIES) throw error
    } finally {
      await listener.close()
    }
  }
}

/** What clients are told: as set, or where it listens, or the first address of this machine. */
function advertised({ brokerIP1, bindAddress }: BrokerSettings): string {
  if (brokerIP1 !== '') return brokerIP1
  return bindAddress === '0.0.0.0' || bindAddress === '::' || bindAddress === '' ? networkAddress() : bindAddress
}

function nameServersOf(namesrvAddr: string): string[] {
  return namesrvAddr
    .split(/[;,]/)
    .map((address) => address.trim())
    .filter((address) => address !== '')
}
