import type { Log } from '../base/log.ts'
import type { Scheduler, Timer } from '../base/scheduler.ts'
import type { AnyCommand, Request, Response } from '../protocol/command.ts'
import { type Frame, FrameError, FrameReader, type Serialize } from '../protocol/frame.ts'
import { encodeRequestFrame, encodeResponseFrame } from '../protocol/frame-encoder.ts'
import { OutputBuffer } from '../protocol/output-buffer.ts'
import { ResponseCode, responseCodeName } from '../protocol/response-code.ts'
import type { RemotingLimits } from './limits.ts'
import type { Body, Router } from './router.ts'
import { type Address, formatAddress, type Wire } from './transport.ts'

/** Larger bodies go out as they are, behind what was corked before them. */
const COPIED_BODY_BYTES = 16_384

/** No answer came in time. It may still have been done. */
export class RequestTimeout extends Error {
  override readonly name = 'RequestTimeout'
  readonly code = 'REQUEST_TIMEOUT'
}

/** The connection closed before the answer came. It may still have been done. */
export class ConnectionClosed extends Error {
  override readonly name = 'ConnectionClosed'
  readonly code = 'CONNECTION_CLOSED'
}

/** The peer answered with a code that is not SUCCESS. */
export class Refused extends Error {
  override readonly name = 'Refused'
  readonly code = 'REFUSED'
  readonly responseCode: number

  constructor(command: AnyCommand, peer: string, responseCode: number, remark: string | undefined) {
    super(
      `${peer} refused ${command.name}: ${responseCodeName(responseCode)}${remark === undefined ? '' : `, ${remark}`}`,
    )
    this.responseCode = responseCode
  }
}

/** A response, read. */
export interface Answered<C extends AnyCommand> {
  code: number
  remark: string | undefined
  /** undefined when the response lacks the fields of its header, as refusals do. */
  header: Response<C> | undefined
  body: Buffer
}

export interface RequestOptions {
  body?: Buffer
  /** Default 3,000. */
  timeoutMs?: number
  extra?: Readonly<Record<string, string>>
  /** Any response code is an answer; otherwise only SUCCESS is, and others reject with Refused. */
  anyCode?: boolean
}

export type AnswerListener = (error: Error | undefined, frame: Frame | undefined) => void

interface PendingRequest {
  deadline: number
  done: AnswerListener
}

/** Counts over all connections of a server or client. */
export interface ConnectionProbe {
  bytesIn: number
  bytesOut: number
  framesIn: number
  badFrames: number
  lateAnswers: number
  slowPeers: number
  idleClosed: number
}

export interface ConnectionOptions {
  id: number
  wire: Wire
  scheduler: Scheduler
  log: Log
  limits: RemotingLimits
  probe: ConnectionProbe
  /** Who answers requests of the peer; without one they are answered as unknown codes. */
  router: Router | undefined
}

/** One connection; either side may ask. Chunks come in, whole frames go to the router or to who waits for an answer. */
export class Connection {
  readonly id: number
  readonly limits: RemotingLimits
  /** Requests of the peer that are being worked on; kept by the router. */
  inFlight = 0
  /** Monotonic ms of the last byte in either direction. */
  lastActive: number
  readonly #wire: Wire
  readonly #scheduler: Scheduler
  readonly #log: Log
  readonly #probe: ConnectionProbe
  readonly #router: Router | undefined
  readonly #reader: FrameReader
  readonly #out = new OutputBuffer(4_096)
  /** Whole buffers that go before what `#out` holds. */
  #ahead: Buffer[] = []
  #flushing = false
  #nextOpaque = 1
  readonly #pending = new Map<number, PendingRequest>()
  #timer: Timer | undefined
  #timerDue = Number.POSITIVE_INFINITY
  readonly #closeListeners = new Set<(connection: Connection) => void>()
  #isOpen = true
  #readingStopped = false
  #paused = false

  constructor({ id, wire, scheduler, log, limits, probe, router }: ConnectionOptions) {
    this.id = id
    this.#wire = wire
    this.#scheduler = scheduler
    this.#log = log
    this.limits = limits
    this.#probe = probe
    this.#router = router
    this.#reader = new FrameReader({ maxFrameBytes: limits.maxFrameBytes })
    this.lastActive = scheduler.monotonic()
    wire.onClose((error) => this.#closed(error))
    wire.onDrain(() => this.#drained())
    wire.onData((chunk) => this.#receive(chunk))
  }

  get remote(): Address {
    return this.#wire.remote
  }

  get local(): Address {
    return this.#wire.local
  }

  /** `host:port` of the other side. */
  get peer(): string {
    return formatAddress(this.#wire.remote)
  }

  get isOpen(): boolean {
    return this.#isOpen
  }

  /** Accepted for the peer and not written yet. */
  get queuedBytes(): number {
    return this.#wire.bufferedBytes + this.#out.length
  }

  /** Requests of ours that wait for an answer. */
  get waiting(): number {
    return this.#pending.size
  }

  /** Asks the peer. @throws RequestTimeout, ConnectionClosed, Refused */
  request<C extends AnyCommand>(command: C, header: Request<C>, options: RequestOptions = {}): Promise<Answered<C>> {
    const { body, timeoutMs = 3_000, extra, anyCode = false } = options
    return new Promise((resolve, reject) => {
      this.ask(
        command,
        header,
        body,
        timeoutMs,
        (error, frame) => {
          if (frame === undefined) return reject(error)
          if (!anyCode && frame.code !== ResponseCode.SUCCESS)
            return reject(new Refused(command, this.peer, frame.code, frame.remark))
          resolve(readAnswer(command, frame))
        },
        extra,
      )
    })
  }

  /** Asks the peer, with no promise; the frame is valid until `done` returns. */
  ask<C extends AnyCommand>(
    command: C,
    header: Request<C>,
    body: Buffer | undefined,
    timeoutMs: number,
    done: AnswerListener,
    extra?: Readonly<Record<string, string>>,
  ): void {
    if (!this.#isOpen) return done(new ConnectionClosed(`the connection to ${this.peer} is closed`), undefined)
    const opaque = this.#takeOpaque()
    const deadline = this.#scheduler.monotonic() + timeoutMs
    this.#pending.set(opaque, { deadline, done })
    this.#setTimer(deadline)
    encodeRequestFrame(this.#out, command, header, { opaque, extra, bodySize: body?.length ?? 0 })
    if (body !== undefined) this.#append(body)
    this.#flushSoon()
  }

  /** Tells the peer; nobody answers. */
  oneWay<C extends AnyCommand>(command: C, header: Request<C>, body?: Buffer): void {
    if (!this.#isOpen) return
    encodeRequestFrame(this.#out, command, header, {
      opaque: this.#takeOpaque(),
      oneWay: true,
      bodySize: body?.length ?? 0,
    })
    if (body !== undefined) this.#append(body)
    this.#flushSoon()
  }

  /** @returns what takes the listener off again */
  onClose(listener: (connection: Connection) => void): () => void {
    this.#closeListeners.add(listener)
    return () => this.#closeListeners.delete(listener)
  }

  /** Writes what was accepted, then closes. */
  close(reason: string): void {
    if (!this.#isOpen) return
    this.#log.debug('connection closed', { peer: this.peer, reason })
    this.#flush()
    this.#wire.end()
    this.#closed(undefined)
  }

  /** Closes now. */
  destroy(): void {
    this.#wire.destroy()
    this.#closed(undefined)
  }

  /** Reads no more requests: the server drains. */
  stopReading(): void {
    this.#readingStopped = true
    this.#wire.pause()
  }

  /** Appends a response; called by the router's replies. */
  respond(
    command: AnyCommand | undefined,
    code: number,
    opaque: number,
    serialize: Serialize,
    header: object | undefined,
    body: Body | undefined,
    remark: string | undefined,
    extra: Readonly<Record<string, string>> | undefined,
  ): void {
    if (!this.#isOpen) return
    encodeResponseFrame(this.#out, command, { code, opaque, remark, header, extra, serialize, bodySize: sizeOf(body) })
    if (body !== undefined) {
      if (Buffer.isBuffer(body)) this.#append(body)
      else for (const part of body) this.#append(part)
    }
    this.#flushSoon()
  }

  #append(body: Buffer): void {
    if (body.length <= COPIED_BODY_BYTES) this.#out.writeBytes(body)
    else {
      if (this.#out.length > 0) this.#ahead.push(this.#out.take())
      this.#ahead.push(body)
    }
  }

  #flushSoon(): void {
    if (this.#flushing) return
    this.#flushing = true
    this.#scheduler.soon(this.#flush)
  }

  readonly #flush = (): void => {
    this.#flushing = false
    if (!this.#isOpen) return
    const { length } = this.#out
    if (length === 0 && this.#ahead.length === 0) return
    const wire = this.#wire
    this.lastActive = this.#scheduler.monotonic()
    let accepting = true
    if (this.#ahead.length > 0) {
      wire.cork()
      for (const buffer of this.#ahead) {
        this.#probe.bytesOut += buffer.length
        accepting = wire.write(buffer)
      }
      this.#ahead = []
      if (length > 0) accepting = wire.write(this.#out.take())
      wire.uncork()
    } else {
      accepting = wire.write(this.#out.bytes.subarray(0, length))
      // What the kernel took at once is ours again; otherwise the bytes must stay as they are.
      if (wire.bufferedBytes === 0) this.#out.clear()
      else this.#out.take()
    }
    this.#probe.bytesOut += length
    if (!accepting) this.#holdBack()
  }

  /** The peer reads more slowly than it asks: ask it for nothing more, and in the end let it go. */
  #holdBack(): void {
    const queued = this.#wire.bufferedBytes
    if (queued > this.limits.maxQueuedBytes) {
      this.#probe.slowPeers++
      this.#log.warn('connection closed: the peer does not read its answers', { peer: this.peer, queuedBytes: queued })
      this.destroy()
    } else if (queued > this.limits.highWaterBytes && !this.#paused) {
      this.#paused = true
      this.#wire.pause()
    }
  }

  #drained(): void {
    if (!this.#paused) return
    this.#paused = false
    if (!this.#readingStopped) this.#wire.resume()
  }

  #receive(chunk: Buffer): void {
    this.lastActive = this.#scheduler.monotonic()
    this.#probe.bytesIn += chunk.length
    try {
      this.#reader.push(chunk, this.#onFrame)
    } catch (error) {
      if (!(error instanceof FrameError)) throw error
      this.#probe.badFrames++
      this.#log.warn('connection closed: not a frame', { peer: this.peer, fault: describeFault(error, chunk) })
      this.destroy()
    }
  }

  readonly #onFrame = (frame: Frame): void => {
    if (!this.#isOpen) return
    this.#probe.framesIn++
    if (frame.isResponse) {
      const pending = this.#pending.get(frame.opaque)
      if (pending === undefined) this.#probe.lateAnswers++
      else {
        this.#pending.delete(frame.opaque)
        pending.done(undefined, frame)
      }
    } else if (this.#router !== undefined) this.#router.dispatch(this, frame)
    else if (!frame.isOneWay) {
      const remark = ` request type ${frame.code} not supported`
      this.respond(
        undefined,
        ResponseCode.REQUEST_CODE_NOT_SUPPORTED,
        frame.opaque,
        frame.serialize,
        undefined,
        undefined,
        remark,
        undefined,
      )
    }
  }

  #takeOpaque(): number {
    const opaque = this.#nextOpaque
    this.#nextOpaque = opaque === 0x7fff_ffff ? 1 : opaque + 1
    return opaque
  }

  /** One timer for the earliest deadline serves all. */
  #setTimer(deadline: number): void {
    if (deadline >= this.#timerDue) return
    this.#timer?.cancel()
    this.#timerDue = deadline
    this.#timer = this.#scheduler.after(Math.max(0, deadline - this.#scheduler.monotonic()), () => this.#expire())
  }

  #expire(): void {
    this.#timer = undefined
    this.#timerDue = Number.POSITIVE_INFINITY
    const now = this.#scheduler.monotonic()
    let next = Number.POSITIVE_INFINITY
    for (const [opaque, { deadline, done }] of this.#pending) {
      if (deadline <= now) {
        this.#pending.delete(opaque)
        done(new RequestTimeout(`${this.peer} did not answer in time`), undefined)
      } else if (deadline < next) next = deadline
    }
    if (next !== Number.POSITIVE_INFINITY && this.#isOpen) this.#setTimer(next)
  }

  #closed(error: Error | undefined): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    this.#timer?.cancel()
    const failure = new ConnectionClosed(`the connection to ${this.peer} closed`, { cause: error })
    for (const [opaque, { done }] of this.#pending) {
      this.#pending.delete(opaque)
      done(failure, undefined)
    }
    for (const listener of [...this.#closeListeners]) listener(this)
    this.#closeListeners.clear()
  }
}

function readAnswer<C extends AnyCommand>(command: C, frame: Frame): Answered<C> {
  let header: Response<C> | undefined
  try {
    header = command.decodeResponse(frame) as Response<C>
  } catch {
    header = undefined
  }
  return { code: frame.code, remark: frame.remark, header, body: frame.body }
}

function sizeOf(body: Body | undefined): number {
  if (body === undefined) return 0
  if (Buffer.isBuffer(body)) return body.length
  let size = 0
  for (const part of body) size += part.length
  return size
}

/** What came instead of a frame, where it can be told. */
function describeFault(error: FrameError, chunk: Buffer): string {
  const start = chunk.latin1Slice(0, 8)
  if (chunk[0] === 0x16 && chunk[1] === 0x03) return 'looks like TLS, which is not served here'
  if (/^(GET|POST|PUT|HEAD|OPTIONS|DELETE|PRI) /.test(start)) return 'looks like HTTP'
  if (start.startsWith('PROXY ') || start.startsWith('\r\n\r\n\0'))
    return 'looks like a PROXY protocol header, which is not served here'
  return error.message
}
