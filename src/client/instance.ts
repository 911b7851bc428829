import type { Log } from '../base/log.ts'
import { Probes } from '../base/probe.ts'
import type { Random } from '../base/random.ts'
import type { Scheduler, Timer } from '../base/scheduler.ts'
import type { ConsumerData, HeartbeatData, ProducerData } from '../protocol/bodies.ts'
import { HeartBeat, NotifyConsumerIdsChanged, UnregisterClient } from '../protocol/commands/client.ts'
import { stringifyJavaJson } from '../protocol/java-json.ts'
import { UniqueIds } from '../protocol/message-id.ts'
import { RemotingClient } from '../remoting/client.ts'
import { handle, Router } from '../remoting/router.ts'
import type { Transport } from '../remoting/transport.ts'
import { CometError } from './errors.ts'
import { NameServers } from './name-servers.ts'
import { Routes } from './routes.ts'

export interface InstanceOptions {
  endpoints: string | readonly string[]
  clientId: string
  pid: number
  /** 4 or 16 bytes, part of the ids of messages. */
  address: Uint8Array
  scheduler: Scheduler
  random: Random
  transport: Transport
  log: Log
}

/** What a producer or consumer tells brokers of itself, and hears from them. */
export interface Member {
  readonly group: string
  readonly producerData: ProducerData | undefined
  readonly consumerData: ConsumerData | undefined
  /** Somebody joined or left the group. */
  membersChanged(): void
  /** Called with each refresh of routes. */
  routesChanged(): void
}

const HEARTBEAT_MS = 30_000
const ROUTE_REFRESH_MS = 30_000

/** What all producers and consumers of one client share: connections, routes, one heartbeat. */
export class Instance {
  readonly clientId: string
  readonly scheduler: Scheduler
  readonly random: Random
  readonly log: Log
  readonly remoting: RemotingClient
  readonly routes: Routes
  readonly ids: UniqueIds
  /** Producers and consumers that are not closed. */
  readonly #children = new Set<AsyncDisposable>()
  readonly #members = new Set<Member>()
  readonly #timers: Timer[] = []
  #closed = false
  #closing: Promise<void> | undefined

  constructor(options: InstanceOptions) {
    const { clientId, scheduler, random, transport, log } = options
    this.clientId = clientId
    this.scheduler = scheduler
    this.random = random
    this.log = log
    const probes = new Probes()
    const router = new Router(
      [
        handle(NotifyConsumerIdsChanged, ({ consumerGroup }, reply) => {
          for (const member of this.#members) if (member.group === consumerGroup) member.membersChanged()
          reply.ok()
        }),
      ],
      { log, probes, scheduler },
    )
    this.remoting = new RemotingClient({ transport, router, scheduler, log, probes })
    this.routes = new Routes(new NameServers(options.endpoints, this.remoting, random))
    this.ids = new UniqueIds({
      address: options.address,
      pid: options.pid,
      instance: random.below(0x7fff_ffff),
      now: () => scheduler.now(),
    })
  }

  get closed(): boolean {
    return this.#closed
  }

  /** Closes the child with itself. @throws CometError when it is closed already */
  adopt(child: AsyncDisposable): void {
    if (this.#closing !== undefined) throw new CometError('this client is closed', { code: 'CLIENT_CLOSED' })
    this.#children.add(child)
  }

  /** The child closed by itself. */
  release(child: AsyncDisposable): void {
    this.#children.delete(child)
  }

  /** Registers with every broker known so far; timers run while anyone is a member. */
  async join(member: Member): Promise<void> {
    if (this.#closed) throw new CometError('this client is closed', { code: 'CLIENT_CLOSED' })
    this.#members.add(member)
    if (this.#timers.length === 0) {
      this.#timers.push(
        this.scheduler.every(HEARTBEAT_MS, () => void this.heartbeat()),
        this.scheduler.every(ROUTE_REFRESH_MS, () => void this.#refreshRoutes()),
      )
    }
    await this.heartbeat()
  }

  async leave(member: Member): Promise<void> {
    if (!this.#members.delete(member)) return
    await Promise.all(
      [...this.routes.addresses()].map((address) =>
        this.remoting
          .request(
            address,
            UnregisterClient,
            {
              clientID: this.clientId,
              producerGroup: member.producerData === undefined ? undefined : member.group,
              consumerGroup: member.consumerData === undefined ? undefined : member.group,
            },
            { timeoutMs: 1_000, anyCode: true },
          )
          .catch((cause: unknown) => this.log.debug('not unregistered', { address, cause })),
      ),
    )
    if (this.#members.size === 0) this.#stopTimers()
  }

  /** Tells every known broker who is here; a broker that cannot be reached hears it next time. */
  async heartbeat(): Promise<void> {
    if (this.#members.size === 0) return
    const body = Buffer.from(stringifyJavaJson(this.#heartbeatData()))
    await Promise.all(
      [...this.routes.addresses()].map((address) =>
        this.remoting
          .request(address, HeartBeat, {}, { body, timeoutMs: 3_000 })
          .catch((cause: unknown) => this.log.warn('no heartbeat', { address, cause })),
      ),
    )
  }

  /** Closes producers and consumers, each when what it has under way is done, then the connections. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    await Promise.all([...this.#children].map((child) => child[Symbol.asyncDispose]()))
    this.#closed = true
    this.#stopTimers()
    await this.remoting.close()
  }

  #stopTimers(): void {
    for (const timer of this.#timers.splice(0)) timer.cancel()
  }

  #heartbeatData(): HeartbeatData {
    const members = [...this.#members]
    return {
      clientID: this.clientId,
      producerDataSet: members.flatMap(({ producerData }) => producerData ?? []),
      consumerDataSet: members.flatMap(({ consumerData }) => consumerData ?? []),
      heartbeatFingerprint: 0,
      withoutSub: false,
    }
  }

  async #refreshRoutes(): Promise<void> {
    const before = this.routes.addresses()
    for (const topic of this.routes.topics) {
      try {
        await this.routes.refresh(topic)
      } catch (cause) {
        this.log.warn('route not refreshed', { topic, cause })
        break
      }
    }
    if ([...this.routes.addresses()].some((address) => !before.has(address))) await this.heartbeat()
    for (const member of this.#members) member.routesChanged()
  }
}
