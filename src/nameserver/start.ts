import type { Disk } from '../base/disk.ts'
import type { Log } from '../base/log.ts'
import type { Probes } from '../base/probe.ts'
import type { Scheduler, Timer } from '../base/scheduler.ts'
import { Router } from '../remoting/router.ts'
import { listen, type RemotingServer } from '../remoting/server.ts'
import type { Address, Transport } from '../remoting/transport.ts'
import { NameServer } from './name-server.ts'
import { routes } from './routes.ts'
import type { NameServerSettings } from './settings.ts'
import { SettingsFileStore } from './settings-file.ts'

export interface NameServerOptions {
  settings: NameServerSettings
  scheduler: Scheduler
  log: Log
  probes: Probes
  transport: Transport
  disk: Disk
  /** Whether an address is that of a broker in this process that has no advertised address of its own. */
  isLocalBroker?: (address: string) => boolean
}

/** A name server that listens. */
export class RunningNameServer implements AsyncDisposable {
  readonly server: NameServer
  readonly #remoting: RemotingServer
  readonly #opened: AsyncDisposableStack

  constructor(server: NameServer, remoting: RemotingServer, opened: AsyncDisposableStack) {
    this.server = server
    this.#remoting = remoting
    this.#opened = opened
  }

  get address(): Address {
    return this.#remoting.address
  }

  async close(): Promise<void> {
    await this.#opened.disposeAsync()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}

/** @throws TransportError when its address cannot be listened on */
export async function startNameServer(options: NameServerOptions): Promise<RunningNameServer> {
  const { settings, scheduler, probes, transport, disk, isLocalBroker = () => false } = options
  const log = options.log.with({ role: 'namesrv' })
  await using opened = new AsyncDisposableStack() // should a later step throw, earlier ones close
  const probe = probes.register('nameserver', {
    routeQueries: 0,
    routeCacheHits: 0,
    registrations: 0,
    refusedRegistrations: 0,
    expiredBrokers: 0,
    lostBrokers: 0,
    brokers: () => server.routes.liveBrokerCount,
    topics: () => server.routes.topicCount,
  })
  const settingsFile = new SettingsFileStore(disk, settings.configStorePath, log)
  const server: NameServer = new NameServer({ settings, scheduler, disk, log, probe, settingsFile, isLocalBroker })
  const router = new Router(routes(server), { log, probes, scheduler, role: 'namesrv' })
  const remoting = opened.use(
    await listen({
      transport,
      address: { host: settings.bindAddress, port: settings.listenPort },
      router,
      scheduler,
      log,
      probes,
      role: 'namesrv',
      limits: { idleMs: settings.serverChannelMaxIdleTimeSeconds * 1_000 },
      onClose: (connection) => server.connectionLost(connection),
    }),
  )
  opened.defer(() => server.stop())
  opened.use(scanning(server))
  return new RunningNameServer(server, remoting, opened.move())
}

/** Looks for silent brokers, in the period that is set at that time. */
function scanning(server: NameServer): Disposable {
  let timer: Timer
  const next = (): void => {
    timer = server.scheduler.after(server.settings.scanNotActiveBrokerInterval, () => {
      next()
      server.expire()
    })
  }
  next()
  return { [Symbol.dispose]: () => timer.cancel() }
}
