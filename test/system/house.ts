import { memoryLog } from '../../src/base/console-log.ts'
import { Probes } from '../../src/base/probe.ts'
import { SeededRandom } from '../../src/base/random.ts'
import { SimulatedDisk } from '../../src/base/simulated-disk.ts'
import { SimulatedScheduler } from '../../src/base/simulated-scheduler.ts'
import { brokerSettings } from '../../src/broker/settings.ts'
import { type RunningBroker, startBroker } from '../../src/broker/start.ts'
import { CometMQ, type CometMQOptions } from '../../src/client/index.ts'
import { nameServerSettings } from '../../src/nameserver/settings.ts'
import { type RunningNameServer, startNameServer } from '../../src/nameserver/start.ts'
import { MemoryTransport } from '../../src/remoting/memory-transport.ts'

export const NAME_SERVER = '127.0.0.1:9876'
export const BROKER_PORT = 10_911

/**
 * A name server and a broker in memory, and clients of both over simulated streams, all from one seed. Time moves only
 * while somebody waits in {@link House.wait}.
 */
export class House implements AsyncDisposable {
  readonly scheduler: SimulatedScheduler = new SimulatedScheduler()
  readonly transport: MemoryTransport = new MemoryTransport(this.scheduler)
  readonly log: ReturnType<typeof memoryLog> = memoryLog()
  nameServer: RunningNameServer | undefined
  broker: RunningBroker | undefined
  readonly #disk: SimulatedDisk
  readonly #settings: Record<string, string>
  readonly #clients: CometMQ[] = []
  #clientNumber = 0

  private constructor(settings: Record<string, string>) {
    this.#settings = settings
    this.#disk = new SimulatedDisk(new SeededRandom(1), { scheduler: this.scheduler })
  }

  static async open(settings: Record<string, string> = {}): Promise<House> {
    const house = new House(settings)
    await house.startNameServer()
    await house.startBroker()
    return house
  }

  async startNameServer(): Promise<void> {
    const { scheduler, transport, log } = this
    const { settings } = nameServerSettings.parse({ bindAddress: '127.0.0.1', kvConfigPath: '/namesrv/kvConfig.json' })
    const options = { settings, scheduler, log, transport, disk: this.#disk, probes: new Probes() }
    this.nameServer = await this.wait(startNameServer(options))
  }

  async startBroker(): Promise<void> {
    const { scheduler, transport, log } = this
    const { settings } = brokerSettings.parse({
      storePathRootDir: '/store',
      mappedFileSizeCommitLog: '1048576',
      mappedFileSizeConsumeQueue: '6000',
      maxHashSlotNum: '5000',
      maxIndexNum: '20000',
      brokerIP1: '127.0.0.1',
      listenPort: String(BROKER_PORT),
      namesrvAddr: NAME_SERVER,
      ...this.#settings,
    })
    const random = new SeededRandom(2)
    const options = { settings, scheduler, random, log, transport, disk: this.#disk, probes: new Probes() }
    this.broker = await this.wait(startBroker(options))
  }

  async stopBroker(): Promise<void> {
    const { broker } = this
    this.broker = undefined
    if (broker !== undefined) await this.wait(broker.close())
  }

  /** A client with an id, a chance and connections of its own; closed with the house. */
  client(options: Partial<CometMQOptions> = {}): CometMQ {
    const { scheduler, transport, log } = this
    const number = ++this.#clientNumber
    const client = new CometMQ({
      endpoints: NAME_SERVER,
      clientId: `client-${number}`,
      random: new SeededRandom(100 + number),
      scheduler,
      transport,
      log,
      ...options,
    })
    this.#clients.push(client)
    return client
  }

  /** Lets time pass until the promise is settled. @throws when an hour was not enough */
  async wait<T>(result: Promise<T>): Promise<T> {
    let isSettled = false
    const settled = (): void => {
      isSettled = true
    }
    result.then(settled, settled)
    await this.scheduler.settle()
    for (let waitedMs = 0; !isSettled; waitedMs += 10) {
      if (waitedMs > 3_600_000) throw new Error('nothing settles it')
      await this.scheduler.advance(10)
    }
    return result
  }

  /** Lets time pass until the condition holds. @throws when `withinMs` were not enough */
  async until(what: string, condition: () => boolean, withinMs = 120_000): Promise<void> {
    await this.scheduler.settle()
    for (let waitedMs = 0; !condition(); waitedMs += 10) {
      if (waitedMs > withinMs) throw new Error(`not within ${withinMs} ms: ${what}`)
      await this.scheduler.advance(10)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#clients) await this.wait(client.close())
    await this.stopBroker()
    if (this.nameServer !== undefined) await this.wait(this.nameServer.close())
  }
}
