import type { Log } from '../base/log.ts'
import type { Scheduler, Timer } from '../base/scheduler.ts'
import type { Connection } from '../remoting/connection.ts'

const SCAN_MS = 10_000

/** Groups that Java's client library uses itself, in every instance of a process. */
const INNER_GROUPS = /^(CLIENT_INNER_PRODUCER$|_INNER_TRACE_PRODUCER)/

export interface GroupProducer {
  readonly connection: Connection
  readonly clientId: string
  readonly language: number
  readonly version: number
  /** Greater for who joined later. */
  readonly joined: number
  lastSeenMs: number
  /** Somebody else of its group lives in its process; said once. */
  hasTwin: boolean
}

export interface ProducersProbe {
  /** Second instances of a group in one process, seen so far. */
  secondInstances: number
}

export interface ProducerRegistryOptions {
  scheduler: Scheduler
  log: Log
  probe: ProducersProbe
  /** A producer without a heartbeat for longer than this is gone. */
  expiryMs: number
}

/** Who is in which producer group, over which connection. */
export class ProducerRegistry {
  readonly #scheduler: Scheduler
  readonly #log: Log
  readonly #probe: ProducersProbe
  readonly #expiryMs: number
  readonly #groups = new Map<string, Map<Connection, GroupProducer>>()
  readonly #groupsOf = new Map<Connection, Set<string>>()
  readonly #timer: Timer
  #joins = 0

  constructor({ scheduler, log, probe, expiryMs }: ProducerRegistryOptions) {
    this.#scheduler = scheduler
    this.#log = log
    this.#probe = probe
    this.#expiryMs = expiryMs
    this.#timer = scheduler.every(SCAN_MS, () => this.#expire())
  }

  get(group: string): ReadonlyMap<Connection, GroupProducer> | undefined {
    return this.#groups.get(group)
  }

  groups(): ReadonlyMap<string, ReadonlyMap<Connection, GroupProducer>> {
    return this.#groups
  }

  get size(): number {
    return this.#groups.size
  }

  register(connection: Connection, clientId: string, language: number, version: number, groupName: string): void {
    let producers = this.#groups.get(groupName)
    if (producers === undefined) this.#groups.set(groupName, (producers = new Map()))
    const lastSeenMs = this.#scheduler.monotonic()
    let producer = producers.get(connection)
    if (producer !== undefined && producer.clientId === clientId) producer.lastSeenMs = lastSeenMs
    else {
      producer = { connection, clientId, language, version, joined: ++this.#joins, lastSeenMs, hasTwin: false }
      producers.set(connection, producer)
      const groups = this.#groupsOf.get(connection)
      if (groups === undefined) this.#groupsOf.set(connection, new Set([groupName]))
      else groups.add(groupName)
    }
    if (producers.size > 1) this.#seekTwin(producers, producer, groupName)
  }

  unregister(connection: Connection, clientId: string, groupName: string): void {
    if (this.#groups.get(groupName)?.get(connection)?.clientId === clientId) this.#leave(groupName, connection)
  }

  connectionLost(connection: Connection): void {
    for (const groupName of [...(this.#groupsOf.get(connection) ?? [])]) this.#leave(groupName, connection)
  }

  close(): void {
    this.#timer.cancel()
  }

  /**
   * RocketMQ allows one producer of a group in a process: check-backs of transactions may go to either. The same client
   * id on a newer connection is no second one until the older shows life after the newer came: clients reconnect.
   */
  #seekTwin(producers: ReadonlyMap<Connection, GroupProducer>, producer: GroupProducer, group: string): void {
    if (producer.hasTwin || INNER_GROUPS.test(group)) return
    const process = processOf(producer.clientId)
    for (const other of producers.values()) {
      if (other === producer || !other.connection.isOpen) continue
      const sameId = other.clientId === producer.clientId
      if (sameId ? other.joined < producer.joined : process === undefined || processOf(other.clientId) !== process)
        continue
      producer.hasTwin = true
      other.hasTwin = true
      this.#probe.secondInstances++
      this.#log.warn('a second producer of one group in one process: RocketMQ allows one', {
        group,
        clientIds: `${other.clientId} ${producer.clientId}`,
        peers: `${other.connection.peer} ${producer.connection.peer}`,
        fix: 'share the producer, or use a group each',
      })
      return
    }
  }

  #leave(groupName: string, connection: Connection): void {
    const producers = this.#groups.get(groupName)
    if (producers?.delete(connection) === true && producers.size === 0) this.#groups.delete(groupName)
    const groups = this.#groupsOf.get(connection)
    groups?.delete(groupName)
    if (groups?.size === 0) this.#groupsOf.delete(connection)
  }

  #expire(): void {
    const oldest = this.#scheduler.monotonic() - this.#expiryMs
    for (const [group, producers] of [...this.#groups]) {
      for (const { connection, clientId, lastSeenMs } of [...producers.values()]) {
        if (lastSeenMs >= oldest) continue
        this.#log.warn('producer gone: no heartbeat', { group, clientId, peer: connection.peer })
        this.#leave(group, connection)
        connection.close('no heartbeat')
      }
    }
  }
}

/** `ip@pid#nanoTime`: address and process; undefined where the id does not tell. */
function processOf(clientId: string): string | undefined {
  return /^([^@]+@\d+)#/.exec(clientId)?.[1]
}
