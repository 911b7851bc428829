import { silentLog } from '../../src/base/console-log.ts'
import { Probes } from '../../src/base/probe.ts'
import type { Random } from '../../src/base/random.ts'
import type { Scheduler } from '../../src/base/scheduler.ts'
import { RemotingClient } from '../../src/remoting/client.ts'
import type { Transport } from '../../src/remoting/transport.ts'
import type { History } from './history.ts'

/** What a model client needs of the world. */
export interface ModelWorld {
  scheduler: Scheduler
  transport: Transport
  random: Random
  history: History
  gate: Gate
  nameServer: string
  broker: string
  /** Numbers of messages, one after another over all producers. */
  nextId: () => number
  /** A client saw what must not be. */
  onViolation: (error: unknown) => void
}

/** Lets clients begin new work, or makes them wait. */
export class Gate {
  #opening: Promise<void> | undefined
  #open: () => void = () => {}
  isOver = false

  close(): void {
    if (this.#opening !== undefined) return
    this.#opening = new Promise((resolve) => {
      this.#open = resolve
    })
  }

  open(): void {
    this.#open()
    this.#opening = undefined
  }

  /** No work begins any more. */
  end(): void {
    this.isOver = true
    this.open()
  }

  /** @returns whether there is anything to begin */
  async pass(): Promise<boolean> {
    while (this.#opening !== undefined) await this.#opening
    return !this.isOver
  }
}

/** A client that does one thing after another until the gate says that it is over. */
export abstract class ModelClient {
  readonly name: string
  protected readonly world: ModelWorld
  #remoting: RemotingClient
  #running: Promise<void> | undefined

  constructor(name: string, world: ModelWorld) {
    this.name = name
    this.world = world
    this.#remoting = this.#connect()
  }

  #connect(): RemotingClient {
    const { transport, scheduler } = this.world
    return new RemotingClient({ transport, scheduler, log: silentLog, probes: new Probes() })
  }

  protected get remoting(): RemotingClient {
    return this.#remoting
  }

  /** A request that got no answer in time: the connection is given up, as the Java client does. */
  protected lost(error: unknown): void {
    if ((error as Error).name !== 'RequestTimeout') return
    void this.#remoting.close()
    this.#remoting = this.#connect()
  }

  start(): void {
    this.#running = this.#run()
  }

  /** Resolves when it has ended what it was doing, after the gate's end. */
  async finish(): Promise<void> {
    await this.#running
    await this.#remoting.close()
  }

  /** Asks again until there is an answer. */
  async insist<T>(ask: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await ask()
      } catch (error) {
        if (!isOfTheNetwork(error)) throw error
        this.lost(error)
        await this.world.scheduler.sleep(10)
      }
    }
  }

  /** One piece of work; rejects only with what must not be. */
  protected abstract step(): Promise<void>

  protected get thinkMs(): number {
    return 2 + this.world.random.below(40)
  }

  async #run(): Promise<void> {
    while (await this.world.gate.pass()) {
      try {
        await this.step()
      } catch (error) {
        return this.world.onViolation(error)
      }
      await this.world.scheduler.sleep(this.thinkMs)
    }
  }
}

/** Not an assertion: the connection was lost, or nobody answered. */
export function isOfTheNetwork(error: unknown): boolean {
  const { name } = error as Error
  return ['TransportError', 'RequestTimeout', 'ConnectionClosed', 'ConnectionFull'].includes(name)
}
