import type { Log } from '../base/log.ts'
import type { Scheduler, Timer } from '../base/scheduler.ts'
import type { Connection } from '../remoting/connection.ts'

const SCAN_MS = 10_000

export interface GroupProducer {
  readonly connection: Connection
  readonly clientId: string
  readonly language: number
  readonly version: number
  lastSeenMs: number
}

export interface ProducersProbe {
  secondInstances: number
}

/** Who is in which producer group, over which connection. */
export class ProducerRegistry {
  readonly #scheduler: Scheduler
  readonly #log: Log
  readonly #probe: ProducersProbe
  readonly #expiryMs: number
  /** group → connection id → producer. */
  readonly #groups = new Map<string, Map<number, GroupProducer>>()
  readonly #timer: Timer

  constructor({ scheduler, log, probe, expiryMs }: { scheduler: Scheduler; log: Log; probe: ProducersProbe; expiryMs: number }) {
    this.#scheduler = scheduler
    this.#log = log
    this.#probe = probe
    this.#expiryMs = expiryMs
    this.#timer = scheduler.every(SCAN_MS, () => this.#expire())
  }

  get(group: string): ReadonlyMap<number, GroupProducer> | undefined {
    return this.#groups.get(group)
  }

  groups(): ReadonlyMap<string, ReadonlyMap<number, GroupProducer>> {
    return this.#groups
  }

  get size(): number {
    return this.#groups.size
  }

  register(connection: Connection, clientId: string, language: number, version: number, groupName: string): void {
    let producers = this.#groups.get(groupName)
    if (producers === undefined) this.#groups.set(groupName, (producers = new Map()))
    const known = producers.get(connection.id)
    const lastSeenMs = this.#scheduler.monotonic()
    if (known !== undefined && known.clientId === clientId) known.lastSeenMs = lastSeenMs
    else {
      this.#warnOfSecond(producers, connection, clientId, groupName)
      producers.set(connection.id, { connection, clientId, language, version, lastSeenMs })
    }
  }

  unregister(connection: Connection, clientId: string, groupName: string): void {
    if (this.#groups.get(groupName)?.get(connection.id)?.clientId === clientId) this.#remove(groupName, connection.id)
  }

  connectionLost(connection: Connection): void {
    for (const groupName of [...this.#groups.keys()]) this.#remove(groupName, connection.id)
  }

  close(): void {
    this.#timer.cancel()
  }

  /** RocketMQ allows one producer of a group in a process: check-backs of transactions may go to either. */
  #warnOfSecond(producers: ReadonlyMap<number, GroupProducer>, connection: Connection, clientId: string, group: string): void {
    const process = processOf(clientId)
    for (const producer of producers.values()) {
      if (producer.connection === connection || !producer.connection.isOpen) continue
      if (producer.clientId !== clientId && (process === undefined || processOf(producer.clientId) !== process)) continue
      this.#probe.secondInstances++
      this.#log.warn('a second producer of one group in one process: RocketMQ allows one', {
        group,
        clientIds: `${producer.clientId} ${clientId}`,
        peers: `${producer.connection.peer} ${connection.peer}`,
        fix: 'share the producer, or use a group each',
      })
      return
    }
  }

  #remove(groupName: string, connectionId: number): void {
    const producers = this.#groups.get(groupName)
    if (producers?.delete(connectionId) === true && producers.size === 0) this.#groups.delete(groupName)
  }

  #expire(): void {
    const oldest = this.#scheduler.monotonic() - this.#expiryMs
    for (const [group, producers] of [...this.#groups]) {
      for (const producer of [...producers.values()]) {
        if (producer.lastSeenMs >= oldest) continue
        this.#log.warn('producer gone: no heartbeat', { group, clientId: producer.clientId, peer: producer.connection.peer })
        this.#remove(group, producer.connection.id)
        producer.connection.close('no heartbeat')
      }
    }
  }
}

/** `ip@pid#nanoTime`: address and process; undefined where the id does not tell. */
function processOf(clientId: string): string | undefined {
  return /^([^@]+@\d+)#/.exec(clientId)?.[1]
}
