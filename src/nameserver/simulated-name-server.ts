import { crc32 } from 'node:zlib'
import { memoryLog } from '../base/console-log.ts'
import { Probes } from '../base/probe.ts'
import { SeededRandom } from '../base/random.ts'
import { SimulatedDisk } from '../base/simulated-disk.ts'
import { SimulatedScheduler } from '../base/simulated-scheduler.ts'
import type { QueueData, TopicRouteData } from '../protocol/bodies.ts'
import type { AnyCommand, Request } from '../protocol/command.ts'
import { GetRouteInfoByTopic, RegisterBroker } from '../protocol/commands/nameserver.ts'
import { type Frame, FrameReader } from '../protocol/frame.ts'
import { encodeRequestFrame, type RequestFrame } from '../protocol/frame-encoder.ts'
import { parseJavaObject, stringifyJavaJson } from '../protocol/java-json.ts'
import { OutputBuffer } from '../protocol/output-buffer.ts'
import { MemoryTransport } from '../remoting/memory-transport.ts'
import type { Address, Wire } from '../remoting/transport.ts'
import type { NameServer } from './name-server.ts'
import { nameServerSettings } from './settings.ts'
import { startNameServer } from './start.ts'

/** A frame that the name server sent: an answer, or a notification. */
export interface Received {
  code: number
  remark: string | undefined
  opaque: number
  fields: Record<string, string | null>
  body: Buffer
}

/** A name server in memory with its time, disk and network, for tests through the front door. */
export interface SimulatedNameServer {
  readonly server: NameServer
  readonly scheduler: SimulatedScheduler
  readonly disk: SimulatedDisk
  readonly transport: MemoryTransport
  readonly probes: Probes
  readonly log: ReturnType<typeof memoryLog>
  readonly address: Address
  connect(host?: string): Promise<SimulatedPeer>
  /** A field of its own probe. */
  count(field: string): number
  close(): Promise<void>
}

export interface Machine {
  scheduler?: SimulatedScheduler
  disk?: SimulatedDisk
  transport?: MemoryTransport
  log?: ReturnType<typeof memoryLog>
  isLocalBroker?: (address: string) => boolean
}

/** Connections do not end by being idle, unless that is asked for, so that tests of expiry see expiry alone. */
const QUIET = { serverChannelMaxIdleTimeSeconds: '1000000' }

export async function startSimulatedNameServer(
  settings: Record<string, string> = {},
  machine: Machine = {},
): Promise<SimulatedNameServer> {
  const { scheduler = new SimulatedScheduler(), log = memoryLog(), isLocalBroker } = machine
  const { disk = new SimulatedDisk(new SeededRandom(1), { scheduler }) } = machine
  const { transport = new MemoryTransport(scheduler) } = machine
  const probes = new Probes()
  const paths = { kvConfigPath: '/data/kvConfig.json', configStorePath: '/data/namesrv.properties' }
  const wanted = nameServerSettings.parse({ ...paths, ...QUIET, ...settings }).settings
  const parts = { settings: wanted, scheduler, log, probes, transport, disk }
  const running = await startNameServer({ ...parts, ...(isLocalBroker && { isLocalBroker }) })
  const { server, address } = running
  return {
    server,
    scheduler,
    disk,
    transport,
    probes,
    log,
    address,
    async connect(host = '127.0.0.1') {
      const connecting = transport.connect({ host, port: address.port })
      return new SimulatedPeer(await whileTimePasses(scheduler, connecting), scheduler)
    },
    count(field) {
      const found = probes.read().find(({ name }) => name === `nameserver.${field}`)
      if (found === undefined) throw new Error(`no probe ${field}`)
      return found.value
    },
    close: () => whileTimePasses(scheduler, running.close()),
  }
}

export async function whileTimePasses<T>(scheduler: SimulatedScheduler, result: Promise<T>): Promise<T> {
  let isSettled = false
  const settled = (): void => {
    isSettled = true
  }
  result.then(settled, settled)
  await scheduler.settle()
  while (!isSettled) await scheduler.advance(1)
  return result
}

/** A broker, client or tool that speaks in frames. No time passes while it asks: the name server answers at once. */
export class SimulatedPeer {
  /** Requests of the name server. */
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

  ask<C extends AnyCommand>(command: C, header: Request<C>, body: string | Buffer = ''): Promise<Received> {
    return this.#ask(command, header, body, {})
  }

  /** Asks with any text in the header, as any version. */
  askLoosely(
    command: AnyCommand,
    extra: Record<string, string> = {},
    body: string | Buffer = '',
    version?: number,
  ): Promise<Received> {
    return this.#ask(command, undefined, body, { extra, ...(version !== undefined && { version }) })
  }

  /** Writes a recorded frame. @returns its answer, if one came */
  async replay(frame: Buffer): Promise<Received | undefined> {
    let opaque = 0
    new FrameReader().push(frame, (read) => {
      opaque = read.opaque
    })
    this.#answers.delete(opaque)
    this.#wire.write(frame)
    await this.#scheduler.settle()
    return this.#answers.get(opaque)
  }

  async register(broker: BrokerSaid, ...topics: readonly TopicSaid[]): Promise<Received> {
    const body = registerBody(broker, topics)
    return this.ask(RegisterBroker, { ...registerHeader(broker), bodyCrc32: crc32(body) & 0x7fff_ffff }, body)
  }

  /** The route, or undefined when the topic is not known. */
  async route(topic: string, extra: Record<string, string> = {}): Promise<TopicRouteData | undefined> {
    const { code, body } = await this.askLoosely(GetRouteInfoByTopic, { topic, ...extra })
    return code === 0 ? (parseJavaObject(body.toString()) as TopicRouteData) : undefined
  }

  /** Broker names and permissions of a topic, as in `a:6 b:4`; undefined when it is not known. */
  async queues(topic: string): Promise<string | undefined> {
    const named = ({ brokerName, perm }: QueueData): string => `${brokerName}:${perm}`
    return (await this.route(topic))?.queueDatas?.map(named).sort().join(' ')
  }

  async close(): Promise<void> {
    this.#wire.end()
    await this.#scheduler.settle()
  }

  async #ask(
    command: AnyCommand,
    header: object | undefined,
    text: string | Buffer,
    how: Partial<RequestFrame>,
  ): Promise<Received> {
    const body = Buffer.from(text)
    const output = new OutputBuffer()
    const opaque = this.#opaque++
    encodeRequestFrame(output, command, header, { ...how, opaque, bodySize: body.length })
    output.writeBytes(body)
    this.#wire.write(output.take())
    await this.#scheduler.settle()
    const answer = this.#answers.get(opaque)
    if (answer === undefined) throw new Error(`${command.name} was not answered`)
    this.#answers.delete(opaque)
    return answer
  }
}

/** What a broker of a test says of itself; the rest is ordinary. */
export interface BrokerSaid {
  name?: string
  cluster?: string
  /** Its port is its address. */
  port?: number
  id?: number
  version?: { stateVersion?: number; timestamp?: number; counter?: number }
  acting?: boolean
  zone?: string
  timeoutMs?: number
  filterServers?: string[]
  mappings?: Record<string, object>
}

export interface TopicSaid {
  topic: string
  perm?: number
  queues?: number
  flag?: number
}

export function registerHeader(broker: BrokerSaid): Request<typeof RegisterBroker> {
  const { name = 'a', cluster = 'c', port = 10_911, id = 0, acting, zone, timeoutMs } = broker
  return {
    brokerName: name,
    brokerAddr: `10.0.0.1:${port}`,
    clusterName: cluster,
    haServerAddr: `10.0.0.1:${port + 1}`,
    brokerId: id,
    heartbeatTimeoutMillis: timeoutMs,
    enableActingMaster: acting,
    compressed: false,
    bodyCrc32: 0,
    zoneName: zone,
  }
}

export const leaveHeader = ({ name = 'a', cluster = 'c', port = 10_911, id = 0 }: BrokerSaid) => ({
  brokerName: name,
  brokerAddr: `10.0.0.1:${port}`,
  clusterName: cluster,
  brokerId: id,
})

export function registerBody(broker: BrokerSaid, topics: readonly TopicSaid[]): string {
  const { version = {}, filterServers = [], mappings = {} } = broker
  const topicConfigTable = new Map(
    topics.map(({ topic, perm = 6, queues = 4, flag = 0 }) => [
      topic,
      { topicName: topic, readQueueNums: queues, writeQueueNums: queues, perm, topicSysFlag: flag },
    ]),
  )
  const dataVersion = { stateVersion: 0, timestamp: 1, counter: 1, ...version }
  return stringifyJavaJson({
    filterServerList: filterServers,
    topicConfigSerializeWrapper: { dataVersion, topicConfigTable, topicQueueMappingInfoMap: mappings },
  })
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
