import type { Log } from '../base/log.ts'
import type { Probes } from '../base/probe.ts'
import type { Scheduler, Timer } from '../base/scheduler.ts'
import type { AnyCommand, Request } from '../protocol/command.ts'
import {
  type Answered,
  Connection,
  ConnectionClosed,
  type ConnectionProbe,
  connectionProbe,
  type RequestOptions,
  RequestTimeout,
} from './connection.ts'
import { defaultLimits, type RemotingLimits } from './limits.ts'
import type { Router } from './router.ts'
import { sweepIdle } from './server.ts'
import { SharedBuffers } from './shared-buffers.ts'
import { parseAddress, type Transport } from './transport.ts'

export {
  type Answered,
  ConnectionClosed,
  ConnectionFull,
  FrameTooLarge,
  Refused,
  type RequestOptions,
  RequestTimeout,
} from './connection.ts'

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
  readonly #shared = new SharedBuffers()
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
      { ...connectionProbe(), open: () => this.#all.size },
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
    this.connection(address)
      .then((connection) => connection.oneWay(command, header, body))
      .catch((cause: unknown) => this.#options.log.warn('not sent', { address, request: command.name, cause }))
  }

  /** The connection to an address, made if need be; who asks meanwhile waits for the same. @throws TransportError */
  connection(address: string): Promise<Connection> {
    const open = this.#open.get(address)
    if (open !== undefined) return Promise.resolve(open)
    const connecting = this.#connecting.get(address)
    if (connecting !== undefined) return connecting
    const made = this.#connect(address).finally(() => this.#connecting.delete(address))
    this.#connecting.set(address, made)
    return made
  }

  /** Closes every connection; requests that wait reject with ConnectionClosed, and new ones too. */
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
    if (this.#closed) throw new ConnectionClosed('the client is closed')
    const to = parseAddress(address)
    const patience = new AbortController()
    const timer = scheduler.after(this.#connectTimeoutMs, () => patience.abort())
    const connecting = transport.connect(to, patience.signal)
    const wire = await connecting.finally(() => timer.cancel())
    const connection = new Connection({
      id: this.#nextId++,
      wire,
      scheduler,
      log,
      limits: this.#limits,
      probe: this.#probe,
      shared: this.#shared,
      router,
      accepted: false,
    })
    if (this.#closed) {
      connection.close('the client closes')
      throw new ConnectionClosed('the client is closed')
    }
    this.#all.add(connection)
    this.#open.set(address, connection)
    this.#sweep ??= sweepIdle(scheduler, this.#all, this.#limits)
    connection.onClose(() => {
      this.#all.delete(connection)
      if (this.#open.get(address) === connection) this.#open.delete(address)
      if (this.#all.size > 0) return
      this.#sweep?.cancel()
      this.#sweep = undefined
    })
    return connection
  }
}
