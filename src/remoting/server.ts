import type { Log } from '../base/log.ts'
import type { Probes } from '../base/probe.ts'
import type { Scheduler, Timer } from '../base/scheduler.ts'
import { Connection, type ConnectionProbe } from './connection.ts'
import { defaultLimits, type RemotingLimits } from './limits.ts'
import type { Router } from './router.ts'
import { type Address, formatAddress, type Listener, type Transport, type Wire } from './transport.ts'

export interface ListenOptions {
  transport: Transport
  address: Address
  router: Router
  scheduler: Scheduler
  log: Log
  probes: Probes
  role: string
  limits?: Partial<RemotingLimits>
  onOpen?: (connection: Connection) => void
  onClose?: (connection: Connection) => void
}

/** How long a close waits for answers that are under way. */
const DRAIN_MS = 5_000
const DRAIN_STEP_MS = 5

export interface ServerProbe extends ConnectionProbe {
  accepted: number
  refused: number
}

/** Accepts connections at one address. */
export class RemotingServer implements AsyncDisposable {
  readonly #listener: Listener
  readonly #scheduler: Scheduler
  readonly #connections: Set<Connection>
  readonly #router: Router
  readonly #sweep: Timer
  #closing: Promise<void> | undefined

  constructor(listener: Listener, connections: Set<Connection>, router: Router, scheduler: Scheduler, sweep: Timer) {
    this.#listener = listener
    this.#connections = connections
    this.#router = router
    this.#scheduler = scheduler
    this.#sweep = sweep
  }

  /** Where it listens; the port is the one that was taken. */
  get address(): Address {
    return this.#listener.address
  }

  get connections(): ReadonlySet<Connection> {
    return this.#connections
  }

  /** Accepts no more, reads no more, waits for answers under way, closes. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #close(): Promise<void> {
    this.#sweep.cancel()
    await this.#listener.close()
    for (const connection of this.#connections) connection.stopReading()
    const deadline = this.#scheduler.monotonic() + DRAIN_MS
    while (this.#busy() && this.#scheduler.monotonic() < deadline) await this.#scheduler.sleep(DRAIN_STEP_MS)
    for (const connection of [...this.#connections]) connection.close('the server stops')
  }

  #busy(): boolean {
    if (this.#router.inFlight > 0) {
      for (const connection of this.#connections) if (connection.inFlight > 0) return true
    }
    for (const connection of this.#connections) if (connection.queuedBytes > 0) return true
    return false
  }
}

/** @throws TransportError when the address cannot be listened on */
export async function listen(options: ListenOptions): Promise<RemotingServer> {
  const { transport, address, router, scheduler, log, probes, role } = options
  const limits: RemotingLimits = { ...defaultLimits, ...options.limits }
  const connections = new Set<Connection>()
  const probe = probes.register(
    'remoting.server',
    {
      accepted: 0,
      refused: 0,
      bytesIn: 0,
      bytesOut: 0,
      framesIn: 0,
      badFrames: 0,
      lateAnswers: 0,
      slowPeers: 0,
      idleClosed: 0,
      open: () => connections.size,
    },
    { role },
  )
  let nextId = 1
  const listener = await transport.listen(address, (wire: Wire) => {
    if (connections.size >= limits.maxConnections) {
      probe.refused++
      log.warn('connection refused: too many are open', { peer: formatAddress(wire.remote), open: connections.size })
      wire.onClose(() => {})
      wire.destroy()
      return
    }
    probe.accepted++
    const connection = new Connection({ id: nextId++, wire, scheduler, log, limits, probe, router })
    connections.add(connection)
    options.onOpen?.(connection)
    connection.onClose(() => {
      connections.delete(connection)
      options.onClose?.(connection)
    })
  })
  return new RemotingServer(
    listener,
    connections,
    router,
    scheduler,
    sweepIdle(scheduler, connections, limits, probe, log),
  )
}

/** One timer closes whatever was silent too long, in both directions. */
export function sweepIdle(
  scheduler: Scheduler,
  connections: ReadonlySet<Connection>,
  limits: RemotingLimits,
  probe: ConnectionProbe,
  log: Log,
): Timer {
  return scheduler.every(Math.max(1_000, limits.idleMs / 12), () => {
    const oldest = scheduler.monotonic() - limits.idleMs
    for (const connection of connections) {
      if (connection.lastActive > oldest) continue
      probe.idleClosed++
      log.info('connection closed: idle', { peer: connection.peer, idleMs: limits.idleMs })
      connection.close('idle')
    }
  })
}
