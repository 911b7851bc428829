import { memoryLog } from '../base/console-log.ts'
import { Probes } from '../base/probe.ts'
import { SeededRandom } from '../base/random.ts'
import { SimulatedDisk } from '../base/simulated-disk.ts'
import { SimulatedScheduler } from '../base/simulated-scheduler.ts'
import type { AnyCommand, Request } from '../protocol/command.ts'
import { type Frame, FrameReader } from '../protocol/frame.ts'
import { encodeRequestFrame } from '../protocol/frame-encoder.ts'
import { OutputBuffer } from '../protocol/output-buffer.ts'
import { MemoryTransport } from '../remoting/memory-transport.ts'
import type { Wire } from '../remoting/transport.ts'
import type { Broker } from './broker.ts'
import { brokerSettings } from './settings.ts'
import { startBroker } from './start.ts'

/** A frame that the broker sent: an answer, or a request of its own. */
export interface Received {
  code: number
  remark: string | undefined
  opaque: number
  fields: Record<string, string | null>
  body: Buffer
}

/** A broker in memory with its time, disk and network, for tests through the front door. */
export interface SimulatedBroker {
  readonly broker: Broker
  readonly scheduler: SimulatedScheduler
  readonly disk: SimulatedDisk
  readonly transport: MemoryTransport
  readonly probes: Probes
  readonly log: ReturnType<typeof memoryLog>
  connect(port?: number): Promise<SimulatedClient>
  /** Fields of all probes, by `component.field`. */
  probe(name: string): number
  close(): Promise<void>
  /** The machine loses power, and the broker starts again on what the device holds. */
  crash(): Promise<SimulatedBroker>
  /** Starts again on the same directory, after {@link close}. */
  reopen(): Promise<SimulatedBroker>
}

export async function startSimulatedBroker(
  settings: Record<string, string> = {},
  machine: { scheduler?: SimulatedScheduler; disk?: SimulatedDisk } = {},
): Promise<SimulatedBroker> {
  const scheduler = machine.scheduler ?? new SimulatedScheduler()
  const disk = machine.disk ?? new SimulatedDisk(new SeededRandom(1), { scheduler })
  const transport = new MemoryTransport(scheduler)
  const probes = new Probes()
  const log = memoryLog()
  const wanted = {
    storePathRootDir: '/store',
    mappedFileSizeCommitLog: '1048576',
    mappedFileSizeConsumeQueue: '6000',
    maxHashSlotNum: '5000',
    maxIndexNum: '20000',
    brokerIP1: '127.0.0.1',
    listenPort: '10911',
    ...settings,
  }
  const starting = startBroker({
    settings: brokerSettings.parse(wanted).settings,
    scheduler,
    random: new SeededRandom(2),
    log,
    probes,
    transport,
    disk,
  })
  const running = await whileTimePasses(scheduler, starting)
  const { broker } = running
  const again = (): Promise<SimulatedBroker> => startSimulatedBroker(settings, { scheduler, disk })
  return {
    broker,
    scheduler,
    disk,
    transport,
    probes,
    log,
    async connect(port = running.address.port) {
      const connecting = transport.connect({ host: '127.0.0.1', port })
      return new SimulatedClient(await whileTimePasses(scheduler, connecting), scheduler)
    },
    probe(name) {
      let sum = 0
      for (const sample of probes.read()) if (sample.name === name) sum += sample.value
      return sum
    },
    close: () => whileTimePasses(scheduler, running.close()),
    crash() {
      disk.crash()
      return again()
    },
    reopen: again,
  }
}

async function whileTimePasses<T>(scheduler: SimulatedScheduler, result: Promise<T>): Promise<T> {
  let isSettled = false
  const settled = (): void => {
    isSettled = true
  }
  result.then(settled, settled)
  await scheduler.settle()
  while (!isSettled) await scheduler.advance(10)
  return result
}

/** A client that speaks in frames. */
export class SimulatedClient {
  /** Requests of the broker. */
  readonly told: Received[] = []
  isClosed = false
  readonly #wire: Wire
  readonly #scheduler: SimulatedScheduler
  readonly #reader = new FrameReader()
  readonly #answers = new Map<number, Received>()
  #opaque = 1_000_000

  constructor(wire: Wire, scheduler: SimulatedScheduler) {
    this.#wire = wire
    this.#scheduler = scheduler
    wire.onData((chunk) =>
      this.#reader.push(chunk, (frame) => {
        const received = copyOf(frame)
        if (frame.isResponse) this.#answers.set(received.opaque, received)
        else this.told.push(received)
      }),
    )
    wire.onDrain(() => {})
    wire.onClose(() => {
      this.isClosed = true
    })
  }

  /** `host:port` as the broker sees it. */
  get address(): string {
    return `${this.#wire.local.host}:${this.#wire.local.port}`
  }

  /** Asks and waits for the answer, while time passes as far as it must. */
  async ask<C extends AnyCommand>(command: C, header: Request<C>, body?: string | Buffer): Promise<Received> {
    const opaque = this.#opaque++
    this.#write(command, header, { opaque, body })
    return this.#answerTo(opaque)
  }

  /** Asks and does not wait. @returns what {@link answer} takes */
  async begin<C extends AnyCommand>(command: C, header: Request<C>, body?: string | Buffer): Promise<number> {
    const opaque = this.#opaque++
    this.#write(command, header, { opaque, body })
    await this.#scheduler.settle()
    return opaque
  }

  /** The answer, once; undefined while there is none. */
  answer(opaque: number): Received | undefined {
    const answer = this.#answers.get(opaque)
    this.#answers.delete(opaque)
    return answer
  }

  /** Asks with any text in the header. */
  async askLoosely(command: AnyCommand, fields: Record<string, string>, body?: string | Buffer): Promise<Received> {
    const opaque = this.#opaque++
    this.#write(command, undefined, { opaque, body, extra: fields })
    return this.#answerTo(opaque)
  }

  /** Tells, with no answer. */
  async tell<C extends AnyCommand>(command: C, header: Request<C>, body?: string | Buffer): Promise<void> {
    this.#write(command, header, { opaque: this.#opaque++, body, oneWay: true })
    await this.#scheduler.settle()
  }

  /** Writes a recorded frame. @returns its answer; undefined when none came within `waitMs` */
  async replay(frame: Buffer, waitMs = 2_000): Promise<Received | undefined> {
    let opaque = 0
    new FrameReader().push(frame, (read) => {
      opaque = read.opaque
    })
    this.#answers.delete(opaque)
    this.#wire.write(frame)
    return this.#answerWithin(opaque, waitMs)
  }

  async close(): Promise<void> {
    this.#wire.end()
    await this.#scheduler.settle()
  }

  #write(
    command: AnyCommand,
    header: object | undefined,
    how: { opaque: number; body: string | Buffer | undefined; oneWay?: boolean; extra?: Record<string, string> },
  ): void {
    const body = Buffer.from(how.body ?? '')
    const output = new OutputBuffer()
    const { opaque, oneWay = false, extra } = how
    encodeRequestFrame(output, command, header, { opaque, oneWay, bodySize: body.length, ...(extra && { extra }) })
    output.writeBytes(body)
    this.#wire.write(output.take())
  }

  async #answerTo(opaque: number): Promise<Received> {
    const answer = await this.#answerWithin(opaque, 60_000)
    if (answer === undefined) throw new Error('the broker did not answer')
    return answer
  }

  async #answerWithin(opaque: number, waitMs: number): Promise<Received | undefined> {
    await this.#scheduler.settle()
    for (let waited = 0; waited < waitMs && !this.#answers.has(opaque) && !this.isClosed; waited += 5) {
      await this.#scheduler.advance(5)
    }
    return this.answer(opaque)
  }
}

function copyOf(frame: Frame): Received {
  return {
    code: frame.code,
    remark: frame.remark,
    opaque: frame.opaque,
    fields: Object.fromEntries(frame.extFields() ?? []),
    body: Buffer.from(frame.body),
  }
}
