import type { Log } from '../base/log.ts'
import type { Probes } from '../base/probe.ts'
import type { Scheduler, Timer } from '../base/scheduler.ts'
import type { AnyCommand, Request } from '../protocol/command.ts'
import {
  type Answered,
  Connection,
  ConnectionClosed,
  type ConnectionProbe,
  type RequestOptions,
  RequestTimeout,
} from './connection.ts'
import { defaultLimits, type RemotingLimits } from './limits.ts'
import type { Router } from './router.ts'
import { sweepIdle } from './server.ts'
import { parseAddress, type Transport } from './transport.ts'

export { type Answered, ConnectionClosed, Refused, type RequestOptions, RequestTimeout } from './connection.ts'

export interface RemotingClientOptions {
  transport: Transport
  /** Answers requests that servers send. */
  router?: Router
  scheduler: Scheduler
  log: Log
  probes: Probes
  role?: string
  limits?: Partial<RemotingLimits>
  connectTimeoutMs?: number
}

/** One connection per address: made when first needed, shared, and made again after it was lost. */
export class RemotingClient implements AsyncDisposable {
  readonly #options: RemotingClientOptions
  readonly #limits: RemotingLimits
  readonly #connectTimeoutMs: number
  readonly #open = new Map<string, Connection>()
  readonly #connecting = new Map<string, Promise<Connection>>()
  readonly #all = new Set<Connection>()
  readonly #probe: ConnectionProbe
  #sweep: Timer | undefined
  #nextId = 1
  #closed = false

  constructor(options: RemotingClientOptions) {
    this.#options = options
    this.#limits = { ...defaultLimits, ...options.limits }
    this.#connectTimeoutMs = options.connectTimeoutMs ?? 3_000
    this.#probe = options.probes.register(
      'remoting.client',
      {
        bytesIn: 0,
        bytesOut: 0,
        framesIn: 0,
        badFrames: 0,
        lateAnswers: 0,
        slowPeers: 0,
        idleClosed: 0,
        open: () => this.#all.size,
      },
      { role: options.role ?? 'client' },
    )
  }

  /** Asks `host:port`; the time to connect counts. @throws TransportError, RequestTimeout, ConnectionClosed, Refused */
  async request<C extends AnyCommand>(
    address: string,
    command: C,
    header: Request<C>,
    options: RequestOptions = {},
  ): Promise<Answered<C>> {
    const open = this.#open.get(address)
    if (open !== undefined) return open.request(command, header, options)
    const { scheduler } = this.#options
    const started = scheduler.monotonic()
    const connection = await this.connection(address)
    const left = (options.timeoutMs ?? 3_000) - (scheduler.monotonic() - started)
    if (left <= 0) throw new RequestTimeout(`connecting to ${address} took the whole time of the request`)
    return connection.request(command, header, { ...options, timeoutMs: left })
  }

  /** Tells `host:port`; a connection that cannot be made is logged only. */
  oneWay<C extends AnyCommand>(address: string, command: C, header: Request<C>, body?: Buffer): void {
    const open = this.#open.get(address)
    if (open !== undefined) return open.oneWay(command, header, body)
    this.connection(address).then(
      (connection) => connection.oneWay(command, header, body),
      (cause: unknown) => this.#options.log.warn('not sent', { address, request: command.name, cause }),
    )
  }

  /** The connection to an address, made if need be. @throws TransportError */
  connection(address: string): Promise<Connection> {
    const open = this.#open.get(address)
    if (open !== undefined) return Promise.resolve(open)
    const connecting = this.#connecting.get(address) ?? this.#connect(address)
    this.#connecting.set(address, connecting)
    return connecting
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#sweep?.cancel()
    await Promise.allSettled(this.#connecting.values())
    for (const connection of [...this.#all]) connection.close('the client closes')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #connect(address: string): Promise<Connection> {
    const { transport, router, scheduler, log } = this.#options
    try {
      if (this.#closed) throw new ConnectionClosed('the client is closed')
      const wire = await transport.connect(parseAddress(address), this.#connectTimeoutMs)
      const connection = new Connection({
        id: this.#nextId++,
        wire,
        scheduler,
        log,
        limits: this.#limits,
        probe: this.#probe,
        router,
      })
      this.#all.add(connection)
      this.#open.set(address, connection)
      this.#sweep ??= sweepIdle(scheduler, this.#all, this.#limits, this.#probe, log)
      connection.onClose(() => {
        this.#all.delete(connection)
        if (this.#open.get(address) === connection) this.#open.delete(address)
        if (this.#all.size === 0) {
          this.#sweep?.cancel()
          this.#sweep = undefined
        }
      })
      if (this.#closed) connection.close('the client closes')
      return connection
    } finally {
      this.#connecting.delete(address)
    }
  }
}
