import type { Log } from '../base/log.ts'
import type { Probes } from '../base/probe.ts'
import type { Scheduler, Timer } from '../base/scheduler.ts'
import { Connection, type ConnectionProbe, connectionProbe } from './connection.ts'
import { defaultLimits, type RemotingLimits } from './limits.ts'
import type { Router } from './router.ts'
import { SharedBuffers } from './shared-buffers.ts'
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
  /** How long a close waits for answers that are under way, and for peers to read them. */
  drainMs?: number
}

const DRAIN_MS = 5_000
const DRAIN_STEP_MS = 5
/** The port is the low part of a connection's id, so that two ports of a broker share none. */
const IDS_STEP = 65_536

export interface ServerProbe extends ConnectionProbe {
  accepted: number
  /** Beyond the limit of open connections. */
  refused: number
}

/** @throws TransportError when the address cannot be listened on */
export async function listen(options: ListenOptions): Promise<RemotingServer> {
  const server = new RemotingServer(options)
  await server.open()
  return server
}

/** Accepts connections at one address. */
export class RemotingServer implements AsyncDisposable {
  readonly #options: ListenOptions
  readonly #limits: RemotingLimits
  readonly #probe: ServerProbe
  readonly #shared = new SharedBuffers()
  readonly #connections = new Set<Connection>()
  /** Byte streams that are not gone yet, though their connection may be closed. */
  #wires = 0
  #nextNumber = 1
  /** The last connection was refused: said once, not for each of thousands. */
  #isFull = false
  #listener!: Listener
  #sweep: Timer | undefined
  #closing: Promise<void> | undefined

  /** @internal Made by {@link listen}. */
  constructor(options: ListenOptions) {
    this.#options = options
    this.#limits = { ...defaultLimits, ...options.limits }
    this.#probe = options.probes.register(
      'remoting.server',
      { ...connectionProbe(), accepted: 0, refused: 0, open: () => this.#connections.size },
      { role: options.role },
    )
  }

  /** @internal */
  async open(): Promise<void> {
    const { transport, address, scheduler } = this.#options
    this.#listener = await transport.listen(address, (wire) => this.#accept(wire))
    this.#sweep = sweepIdle(scheduler, this.#connections, this.#limits)
  }

  /** Where it listens; the port is the one that was taken. */
  get address(): Address {
    return this.#listener.address
  }

  get connections(): ReadonlySet<Connection> {
    return this.#connections
  }

  /** Accepts no more, reads no more, waits for answers under way, closes; a second call waits for the first. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #accept(wire: Wire): void {
    const { scheduler, log, router } = this.#options
    if (this.#closing !== undefined) return wire.destroy()
    if (this.#connections.size >= this.#limits.maxConnections) {
      this.#probe.refused++
      if (!this.#isFull) {
        log.warn('connection refused: too many are open, and so are all others until one closes', {
          peer: formatAddress(wire.remote),
          open: this.#connections.size,
          fix: 'close some, or raise maxConnections',
        })
      }
      this.#isFull = true
      wire.destroy()
      return
    }
    this.#isFull = false
    this.#probe.accepted++
    this.#wires++
    const connection = new Connection({
      id: this.#nextNumber++ * IDS_STEP + wire.local.port,
      wire,
      scheduler,
      log,
      limits: this.#limits,
      probe: this.#probe,
      shared: this.#shared,
      router,
      accepted: true,
      onGone: () => {
        this.#wires--
      },
    })
    this.#connections.add(connection)
    connection.onClose(() => {
      this.#connections.delete(connection)
      this.#options.onClose?.(connection)
    })
    this.#options.onOpen?.(connection)
  }

  async #close(): Promise<void> {
    const { scheduler, drainMs = DRAIN_MS } = this.#options
    this.#sweep?.cancel()
    await this.#listener.close()
    for (const connection of this.#connections) connection.stopReading()
    const deadline = scheduler.monotonic() + drainMs
    while (this.#isBusy() && scheduler.monotonic() < deadline) await scheduler.sleep(DRAIN_STEP_MS)
    for (const connection of [...this.#connections]) connection.close('the server stops')
    // A closed connection lingers for a bounded time, until its peer has read what was written last.
    while (this.#wires > 0) await scheduler.sleep(DRAIN_STEP_MS)
  }

  #isBusy(): boolean {
    for (const connection of this.#connections) if (connection.inFlight > 0 || connection.queuedBytes > 0) return true
    return false
  }
}

/** One timer closes whatever was silent too long, in both directions. */
export function sweepIdle(
  scheduler: Scheduler,
  connections: ReadonlySet<Connection>,
  { idleMs }: RemotingLimits,
): Timer {
  return scheduler.every(Math.max(1_000, idleMs / 12), () => {
    const latest = scheduler.monotonic() - idleMs
    for (const connection of connections) if (connection.lastActive <= latest) connection.closeIdle(idleMs)
  })
}
