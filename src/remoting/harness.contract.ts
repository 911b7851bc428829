import { type LoggedLine, memoryLog } from '../base/console-log.ts'
import type { Log } from '../base/log.ts'
import { Probes } from '../base/probe.ts'
import type { Scheduler } from '../base/scheduler.ts'
import { SimulatedScheduler } from '../base/simulated-scheduler.ts'
import { bool, command, int, optional, text } from '../protocol/command.ts'
import { type Frame, FrameReader } from '../protocol/frame.ts'
import { RemotingClient } from './client.ts'
import type { RemotingLimits } from './limits.ts'
import { MemoryTransport, type MemoryTransportOptions } from './memory-transport.ts'
import { answer, handle, type Reply, type Route, Router, withBody } from './router.ts'
import { type ListenOptions, listen, type RemotingServer } from './server.ts'
import type { Transport, Wire } from './transport.ts'

/** Commands of these tests alone. */
export const Echo = command({
  name: 'ECHO',
  code: 9_001,
  about: 'The body comes back.',
  source: 'ours',
  request: { word: optional(text('Comes back too.')), times: optional(int('Copies of the body.')) },
  response: { word: optional(text('What was said.')) },
})
export const Hold = command({
  name: 'HOLD',
  code: 9_002,
  about: 'Answered when the test says so.',
  source: 'ours',
  request: { park: optional(bool('Wait cheaply.')) },
})
export const Slow = command({ name: 'SLOW', code: 9_003, about: 'An async answer.', source: 'ours' })
export const Fail = command({ name: 'FAIL', code: 9_004, about: 'Throws.', source: 'ours' })
export const Nobody = command({ name: 'NOBODY', code: 9_999, about: 'Nobody serves it.', source: 'ours' })

export interface House {
  scheduler: SimulatedScheduler
  transport: MemoryTransport
  server: RemotingServer
  client: RemotingClient
  address: string
  probes: Probes
  log: Log & { lines: LoggedLine[] }
  /** Requests that HOLD keeps. */
  held: Reply<typeof Hold>[]
  /** Frames as they were handed over: code and opaque. */
  seen: string[]
  /** The sum of a probe's field over all labels. */
  count(name: string): number
  warnings(): string[]
  /** A raw stream to the server. */
  raw(): Promise<RawPeer>
}

export interface HouseOptions {
  limits?: Partial<RemotingLimits>
  clientLimits?: Partial<RemotingLimits>
  transport?: MemoryTransportOptions
  routes?: readonly Route[]
  clientRoutes?: readonly Route[]
  server?: Partial<ListenOptions>
}

/** A server and a client over memory, on a simulated clock. */
export async function house(options: HouseOptions = {}): Promise<House> {
  const scheduler = new SimulatedScheduler()
  const transport = new MemoryTransport(scheduler, options.transport)
  const probes = new Probes()
  const log = memoryLog()
  const held: Reply<typeof Hold>[] = []
  const seen: string[] = []
  const routes = options.routes ?? standardRoutes(held, seen, scheduler)
  const router = new Router(routes, { log, probes, scheduler, role: 'test' })
  const address = { host: '127.0.0.1', port: 10_911 }
  const { limits = {} } = options
  const role = 'test'
  const server = await listen({ transport, address, router, scheduler, log, probes, role, limits, ...options.server })
  const clientRouter =
    options.clientRoutes === undefined
      ? undefined
      : new Router(options.clientRoutes, { log, probes, scheduler, role: 'client' })
  const client = new RemotingClient({
    transport,
    scheduler,
    log,
    probes,
    ...(clientRouter === undefined ? {} : { router: clientRouter }),
    ...(options.clientLimits === undefined ? {} : { limits: options.clientLimits }),
  })
  return {
    scheduler,
    transport,
    server,
    client,
    address: '127.0.0.1:10911',
    probes,
    log,
    held,
    seen,
    count: (name) =>
      probes
        .read()
        .filter((sample) => sample.name === name)
        .reduce((sum, { value }) => sum + value, 0),
    warnings: () =>
      log.lines
        .filter(({ level }) => level === 'warn' || level === 'error')
        .map(({ message, fields }) => `${message}: ${fields['fault'] ?? ''}`),
    raw: () => openRaw(transport, scheduler, address.port),
  }
}

function standardRoutes(held: Reply<typeof Hold>[], seen: string[], scheduler: Scheduler): Route[] {
  return [
    handle(Echo, ({ word, times = 1 }, reply) => {
      seen.push(`${reply.frame!.code}/${reply.frame!.opaque}`)
      const body = Buffer.from(reply.body)
      if (times === 1) reply.ok({ word }, body)
      else reply.ok({ word }, new Array<Buffer>(times).fill(body))
    }),
    handle(Hold, ({ park }, reply) => {
      held.push(reply)
      if (park === true) reply.park()
    }),
    answer(Slow, async (_, { body }) => {
      const said = Buffer.from(body)
      await scheduler.sleep(50)
      return withBody({}, said)
    }),
    answer(Fail, () => {
      throw new TypeError('a bug')
    }),
  ]
}

/** Runs the simulated clock until the promise is settled. */
export async function until<T>(scheduler: SimulatedScheduler, promise: Promise<T>, stepMs = 1): Promise<T> {
  let settled = false
  const mark = (): void => {
    settled = true
  }
  promise.then(mark, mark)
  for (let steps = 0; !settled; steps++) {
    if (steps > 100_000) throw new Error('the promise did not settle in 100,000 steps')
    await scheduler.advance(steps === 0 ? 0 : stepMs)
  }
  return promise
}

/** Somebody who writes bytes as he likes, and reads what comes back. */
export class RawPeer {
  readonly wire: Wire
  readonly answers: { code: number; opaque: number; remark: string | undefined; body: string }[] = []
  received: Buffer[] = []
  isClosed = false
  readonly #reader = new FrameReader()

  constructor(wire: Wire) {
    this.wire = wire
    wire.onData((chunk) => {
      this.received.push(Buffer.from(chunk))
      this.#reader.push(chunk, (frame: Frame) => {
        const { code, opaque, remark, body } = frame
        this.answers.push({ code, opaque, remark, body: body.toString() })
      })
    })
    wire.onClose(() => {
      this.isClosed = true
    })
  }

  get bytes(): Buffer {
    return Buffer.concat(this.received)
  }
}

async function openRaw(transport: Transport, scheduler: SimulatedScheduler, port: number): Promise<RawPeer> {
  return new RawPeer(await until(scheduler, transport.connect({ host: '127.0.0.1', port })))
}

/** A frame with a JSON header, as any client sends it. */
export function jsonFrame(header: object | string, body: string | Buffer = ''): Buffer {
  return frameOf(0, Buffer.from(typeof header === 'string' ? header : JSON.stringify(header)), Buffer.from(body))
}

/** A request for ECHO that is known to be good. */
export function echoFrame(opaque: number, body = 'hello', flag = 0): Buffer {
  return jsonFrame({ code: Echo.code, extFields: { word: 'w' }, flag, language: 'JAVA', opaque, version: 513 }, body)
}

export function frameOf(type: number, header: Buffer, body: Buffer = Buffer.alloc(0)): Buffer {
  const frame = Buffer.alloc(8 + header.length + body.length)
  frame.writeInt32BE(4 + header.length + body.length, 0)
  frame.writeUInt32BE(((type << 24) | header.length) >>> 0, 4)
  header.copy(frame, 8)
  body.copy(frame, 8 + header.length)
  return frame
}

export interface BinaryHeader {
  code?: number
  language?: number
  version?: number
  opaque?: number
  flag?: number
  remark?: Buffer
  remarkLength?: number
  fields?: Buffer
  fieldsLength?: number
}

/** A binary header, right or wrong. */
export function binaryHeader(parts: BinaryHeader = {}): Buffer {
  const { code = Echo.code, language = 0, version = 513, opaque = 1, flag = 0 } = parts
  const { remark = Buffer.alloc(0), fields = Buffer.alloc(0) } = parts
  const fixed = Buffer.alloc(17)
  fixed.writeInt16BE(code, 0)
  fixed.writeUInt8(language, 2)
  fixed.writeInt16BE(version, 3)
  fixed.writeInt32BE(opaque, 5)
  fixed.writeInt32BE(flag, 9)
  fixed.writeInt32BE(parts.remarkLength ?? remark.length, 13)
  const length = Buffer.alloc(4)
  length.writeInt32BE(parts.fieldsLength ?? fields.length, 0)
  return Buffer.concat([fixed, remark, length, fields])
}

/** One entry of a binary header's fields, right or wrong. */
export function binaryField(
  key: string,
  value: string,
  keyLength: number = Buffer.byteLength(key),
  valueLength: number = Buffer.byteLength(value),
): Buffer {
  const before = Buffer.alloc(2)
  before.writeUInt16BE(keyLength, 0)
  const between = Buffer.alloc(4)
  between.writeInt32BE(valueLength, 0)
  return Buffer.concat([before, Buffer.from(key), between, Buffer.from(value)])
}
