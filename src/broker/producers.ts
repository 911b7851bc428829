import type { Log } from '../base/log.ts'
import type { Scheduler, Timer } from '../base/scheduler.ts'
import type { Connection } from '../remoting/connection.ts'
import { SparingLog } from './sparing-log.ts'

const SCAN_MS = 10_000
/** Warnings between two scans; of more only the number is said. */
const MOST_WARNINGS = 50

/** Groups that Java's client library uses itself, in every instance of a process. */
const INNER_GROUPS = /^(CLIENT_INNER_PRODUCER$|_INNER_TRACE_PRODUCER)/

export interface GroupProducer {
  readonly connection: Connection
  readonly clientId: string
  readonly language: number
  readonly version: number
  /** Greater for who joined later. */
  readonly joined: number
  /** Address and process of its client id; the id itself where it does not tell. */
  readonly process: string
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
  readonly #warnings: SparingLog
  readonly #probe: ProducersProbe
  readonly #expiryMs: number
  readonly #groups = new Map<string, Map<Connection, GroupProducer>>()
  readonly #groupsOf = new Map<Connection, Set<string>>()
  /** Producers of one group in one process, by both: nobody looks through all of a group at each heartbeat. */
  readonly #inProcess = new Map<string, Set<GroupProducer>>()
  readonly #timer: Timer
  #joins = 0

  constructor({ scheduler, log, probe, expiryMs }: ProducerRegistryOptions) {
    this.#scheduler = scheduler
    this.#warnings = new SparingLog(log, MOST_WARNINGS)
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
      if (producer !== undefined) this.#leaveProcess(producer, groupName)
      const joined = ++this.#joins
      const process = processOf(clientId)
      producer = { connection, clientId, language, version, joined, process, lastSeenMs, hasTwin: false }
      producers.set(connection, producer)
      this.#joinProcess(producer, groupName)
      const groups = this.#groupsOf.get(connection)
      if (groups === undefined) this.#groupsOf.set(connection, new Set([groupName]))
      else groups.add(groupName)
    }
    this.#seekTwin(producer, groupName)
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
  #seekTwin(producer: GroupProducer, group: string): void {
    if (producer.hasTwin) return
    const neighbours = this.#inProcess.get(processKey(producer, group))!
    if (neighbours.size === 1 || INNER_GROUPS.test(group)) return
    for (const other of neighbours) {
      if (other === producer || !other.connection.isOpen) continue
      if (other.clientId === producer.clientId && other.joined < producer.joined) continue
      producer.hasTwin = true
      other.hasTwin = true
      this.#probe.secondInstances++
      this.#warnings.warn('a second producer of one group in one process: RocketMQ allows one', {
        group,
        clientIds: `${other.clientId} ${producer.clientId}`,
        peers: `${other.connection.peer} ${producer.connection.peer}`,
        fix: 'share the producer, or use a group each',
      })
      return
    }
  }

  #joinProcess(producer: GroupProducer, group: string): void {
    const key = processKey(producer, group)
    const neighbours = this.#inProcess.get(key)
    if (neighbours === undefined) this.#inProcess.set(key, new Set([producer]))
    else neighbours.add(producer)
  }

  #leaveProcess(producer: GroupProducer, group: string): void {
    const key = processKey(producer, group)
    const neighbours = this.#inProcess.get(key)
    neighbours?.delete(producer)
    if (neighbours?.size === 0) this.#inProcess.delete(key)
  }

  #leave(groupName: string, connection: Connection): void {
    const producers = this.#groups.get(groupName)
    const producer = producers?.get(connection)
    if (producer !== undefined) this.#leaveProcess(producer, groupName)
    if (producers?.delete(connection) === true && producers.size === 0) this.#groups.delete(groupName)
    const groups = this.#groupsOf.get(connection)
    groups?.delete(groupName)
    if (groups?.size === 0) this.#groupsOf.delete(connection)
  }

  #expire(): void {
    this.#warnings.settle()
    const oldest = this.#scheduler.monotonic() - this.#expiryMs
    for (const [group, producers] of [...this.#groups]) {
      for (const { connection, clientId, lastSeenMs } of [...producers.values()]) {
        if (lastSeenMs >= oldest) continue
        this.#warnings.warn('producer gone: no heartbeat', { group, clientId, peer: connection.peer })
        this.#leave(group, connection)
        connection.close('no heartbeat')
      }
    }
  }
}

/** `ip@pid#nanoTime`: address and process; the id itself where it does not tell. */
function processOf(clientId: string): string {
  return /^([^@]+@\d+)#/.exec(clientId)?.[1] ?? clientId
}

const processKey = ({ process }: GroupProducer, group: string): string => `${group}\u0000${process}`
