import type { Log } from '../base/log.ts'
import type { Scheduler, Timer } from '../base/scheduler.ts'
import { type AnyCommand, BadHeader, type Request, type Response } from '../protocol/command.ts'
import { type Frame, FrameError, FrameReader, type Serialize } from '../protocol/frame.ts'
import { encodeRequestFrame, encodeResponseFrame } from '../protocol/frame-encoder.ts'
import type { OutputBuffer } from '../protocol/output-buffer.ts'
import { ResponseCode } from '../protocol/response-code.ts'
import { foreignProtocol } from './first-bytes.ts'
import type { RemotingLimits } from './limits.ts'
import { type AnswerListener, PendingRequests } from './pending-requests.ts'
import { ConnectionClosed, ConnectionFull, FrameTooLarge, Refused } from './remoting-errors.ts'
import type { SharedBuffers } from './shared-buffers.ts'
import { type Address, formatAddress, type Wire } from './transport.ts'

export type { AnswerListener } from './pending-requests.ts'
export { ConnectionClosed, ConnectionFull, FrameTooLarge, Refused, RequestTimeout } from './remoting-errors.ts'

/** Larger bodies go out as they are, behind what was corked before them. */
const COPIED_BODY_BYTES = 16_384
/** How long a closed connection waits for the peer to close too, so that it can still read what was written last. */
const LINGER_MS = 1_000

/** Bytes of a body: one buffer, or several that follow each other. Not changed once handed over. */
export type Body = Buffer | readonly Buffer[]

/** Who is handed the requests of the peer. */
export interface RequestReceiver {
  dispatch(connection: Connection, request: Frame): void
  connectionClosed(connection: Connection): void
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

/** Counts over all connections of a server or client. */
export interface ConnectionProbe {
  bytesIn: number
  bytesOut: number
  framesIn: number
  /** Responses that nobody waits for: late, doubled, never asked for. */
  lateAnswers: number
  /** One-way requests not sent, because the peer takes no more. */
  droppedOneWays: number
  // Closed connections, by reason.
  badFrames: number
  slowPeers: number
  idleClosed: number
  closedByPeer: number
  closedByFault: number
  closedHere: number
}

export function connectionProbe(): ConnectionProbe {
  return {
    bytesIn: 0,
    bytesOut: 0,
    framesIn: 0,
    lateAnswers: 0,
    droppedOneWays: 0,
    badFrames: 0,
    slowPeers: 0,
    idleClosed: 0,
    closedByPeer: 0,
    closedByFault: 0,
    closedHere: 0,
  }
}

type CloseReason = 'badFrames' | 'slowPeers' | 'idleClosed' | 'closedByPeer' | 'closedByFault' | 'closedHere'

export interface ConnectionOptions {
  id: number
  wire: Wire
  scheduler: Scheduler
  log: Log
  limits: RemotingLimits
  probe: ConnectionProbe
  shared: SharedBuffers
  /** Who answers requests of the peer; without one they are answered as unknown codes. */
  router: RequestReceiver | undefined
  /**
   * Whether a server accepted it. Only such a side stops reading while its peer does not: were both to, each would wait
   * for the other.
   */
  accepted: boolean
  /** Called once the byte stream is gone too, after the listeners of `onClose`. */
  onGone?: (connection: Connection) => void
}

/** One connection; either side may ask. Chunks come in, whole frames go to the router or to who waits for an answer. */
export class Connection {
  /** Not that of another connection of the same server or client, nor of a server at another port. */
  readonly id: number
  readonly limits: RemotingLimits
  /** Requests of the peer that are being worked on, and those that wait parked; kept by the router. */
  inFlight = 0
  parked = 0
  /** Monotonic ms when a byte last came in or went out. */
  lastActive: number
  readonly #wire: Wire
  readonly #scheduler: Scheduler
  readonly #log: Log
  readonly #probe: ConnectionProbe
  readonly #shared: SharedBuffers
  readonly #router: RequestReceiver | undefined
  readonly #accepted: boolean
  readonly #onGone: ((connection: Connection) => void) | undefined
  readonly #reader: FrameReader
  readonly #pending: PendingRequests
  /** What this turn wrote, from `#outFrom`; what is before lies in `#ahead`, among larger bodies, in order. */
  #out: OutputBuffer | undefined
  #outFrom = 0
  #ahead: Buffer[] = []
  #aheadBytes = 0
  #flushing = false
  readonly #closeListeners = new Set<(connection: Connection) => void>()
  #isOpen = true
  #isRemoting = false
  #readingStopped = false
  #heldBack = false
  #linger: Timer | undefined

  constructor(options: ConnectionOptions) {
    const { id, wire, scheduler, log, limits, probe, shared, router, accepted, onGone } = options
    this.id = id
    this.#wire = wire
    this.#scheduler = scheduler
    this.#log = log
    this.limits = limits
    this.#probe = probe
    this.#shared = shared
    this.#router = router
    this.#accepted = accepted
    this.#onGone = onGone
    this.#reader = new FrameReader({ maxFrameBytes: limits.maxFrameBytes, table: shared.fields })
    this.#pending = new PendingRequests(scheduler, log, () => this.peer)
    this.lastActive = scheduler.monotonic()
    wire.onClose((error) => this.#gone(error))
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
    const corked = this.#out === undefined ? 0 : this.#out.length - this.#outFrom
    return this.#wire.bufferedBytes + this.#aheadBytes + corked
  }

  /** Requests of ours that wait for an answer. */
  get waiting(): number {
    return this.#pending.size
  }

  /** Asks the peer. @throws RequestTimeout, ConnectionClosed, ConnectionFull, FrameTooLarge, Refused */
  request<C extends AnyCommand>(command: C, header: Request<C>, options: RequestOptions = {}): Promise<Answered<C>> {
    const { body, timeoutMs = 3_000, extra, anyCode = false } = options
    return new Promise((resolve, reject) => {
      const done: AnswerListener = (error, frame) => {
        if (frame === undefined) return reject(error)
        if (!anyCode && frame.code !== ResponseCode.SUCCESS) {
          return reject(new Refused(command, this.peer, frame.code, frame.remark))
        }
        try {
          resolve(readAnswer(command, frame))
        } catch (fault) {
          reject(fault)
        }
      }
      this.ask(command, header, body, timeoutMs, done, extra)
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
    if (this.queuedBytes > this.limits.maxQueuedBytes) {
      return done(new ConnectionFull(`${this.peer} has not read ${this.queuedBytes} bytes that were sent`), undefined)
    }
    const opaque = this.#pending.takeOpaque()
    try {
      this.#encodeRequest(command, header, body, opaque, false, extra)
    } catch (error) {
      return done(error as Error, undefined)
    }
    this.#pending.add(opaque, timeoutMs, done)
  }

  /** Tells the peer; nobody answers. @throws FrameTooLarge */
  oneWay<C extends AnyCommand>(command: C, header: Request<C>, body?: Buffer): void {
    if (!this.#isOpen) return
    if (this.queuedBytes > this.limits.maxQueuedBytes) this.#probe.droppedOneWays++
    else this.#encodeRequest(command, header, body, this.#pending.takeOpaque(), true, undefined)
  }

  /** @returns what takes the listener off again */
  onClose(listener: (connection: Connection) => void): () => void {
    this.#closeListeners.add(listener)
    return () => this.#closeListeners.delete(listener)
  }

  /** Writes what was accepted, then closes; what still comes is thrown away. */
  close(reason: string): void {
    if (!this.#isOpen) return
    this.#log.debug('connection closed', { peer: this.peer, reason })
    this.#end('closedHere')
  }

  /** Closes now: the peer was silent too long, and may be gone without a word. */
  closeIdle(idleMs: number): void {
    if (!this.#isOpen) return
    this.#log.info('connection closed: idle', { peer: this.peer, idleMs })
    this.#destroy('idleClosed')
  }

  /** Reads no more requests: the server drains. */
  stopReading(): void {
    this.#readingStopped = true
    this.#wire.pause()
  }

  /**
   * Appends a response; called by the router and its replies.
   *
   * @throws FrameTooLarge, or what the header's encoder throws; then nothing was appended
   */
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
    const out = this.#output()
    const start = out.length
    const bodySize = sizeOf(body)
    try {
      encodeResponseFrame(out, command, { code, opaque, remark, header, extra, serialize, bodySize })
      this.#requireSize(out.length - start + bodySize)
    } catch (error) {
      out.length = start
      throw error
    }
    if (body === undefined) return
    if (Buffer.isBuffer(body)) this.#append(out, body)
    else for (const part of body) this.#append(out, part)
  }

  #encodeRequest(
    command: AnyCommand,
    header: object,
    body: Buffer | undefined,
    opaque: number,
    oneWay: boolean,
    extra: Readonly<Record<string, string>> | undefined,
  ): void {
    const out = this.#output()
    const start = out.length
    const bodySize = body === undefined ? 0 : body.length
    try {
      encodeRequestFrame(out, command, header, { opaque, oneWay, extra, bodySize })
      this.#requireSize(out.length - start + bodySize)
    } catch (error) {
      out.length = start
      throw error
    }
    if (body !== undefined) this.#append(out, body)
  }

  #requireSize(sizeBytes: number): void {
    const { maxFrameBytes } = this.limits
    if (sizeBytes > maxFrameBytes) {
      throw new FrameTooLarge(`a frame of ${sizeBytes} bytes; ${maxFrameBytes} are allowed`)
    }
  }

  /** Where this turn's frames go; all of them are written together when it ends. */
  #output(): OutputBuffer {
    if (!this.#flushing) {
      this.#flushing = true
      this.#scheduler.soon(this.#flush)
    }
    this.#out ??= this.#shared.take()
    return this.#out
  }

  #append(out: OutputBuffer, body: Buffer): void {
    if (body.length <= COPIED_BODY_BYTES) return out.writeBytes(body)
    this.#cut(out)
    this.#ahead.push(body)
    this.#aheadBytes += body.length
  }

  /** What was corked since the last cut goes before what follows. */
  #cut(out: OutputBuffer): void {
    if (out.length === this.#outFrom) return
    this.#ahead.push(out.bytes.subarray(this.#outFrom, out.length))
    this.#aheadBytes += out.length - this.#outFrom
    this.#outFrom = out.length
  }

  readonly #flush = (): void => {
    this.#flushing = false
    const out = this.#out
    if (out === undefined || !this.#isOpen) return
    const wire = this.#wire
    let accepting = true
    if (this.#ahead.length === 0) {
      this.#probe.bytesOut += out.length
      if (out.length > 0) accepting = wire.write(out.bytes.subarray(0, out.length))
    } else {
      this.#cut(out)
      this.#probe.bytesOut += this.#aheadBytes
      const buffers = this.#ahead
      this.#ahead = []
      this.#aheadBytes = 0
      wire.cork()
      for (const buffer of buffers) accepting = wire.write(buffer)
      wire.uncork()
    }
    this.#out = undefined
    this.#outFrom = 0
    const queued = wire.bufferedBytes
    if (queued === 0) {
      // All of it is the kernel's; otherwise the bytes must stay as they are until they are written.
      this.#shared.give(out)
      this.lastActive = this.#scheduler.monotonic()
    } else if (!accepting && this.#accepted) this.#holdBack(queued)
  }

  /** The peer reads more slowly than it asks: read nothing more of it, and in the end let it go. */
  #holdBack(queuedBytes: number): void {
    if (queuedBytes > this.limits.maxQueuedBytes) {
      this.#log.warn('connection closed: the peer does not read its answers', { peer: this.peer, queuedBytes })
      this.#destroy('slowPeers')
    } else if (queuedBytes > this.limits.highWaterBytes && !this.#heldBack) {
      this.#heldBack = true
      this.#wire.pause()
    }
  }

  #drained(): void {
    this.lastActive = this.#scheduler.monotonic()
    if (!this.#heldBack) return
    this.#heldBack = false
    if (!this.#readingStopped) this.#wire.resume()
  }

  #receive(chunk: Buffer): void {
    if (!this.#isOpen) return
    this.lastActive = this.#scheduler.monotonic()
    this.#probe.bytesIn += chunk.length
    if (!this.#isRemoting) {
      const foreign = foreignProtocol(chunk, this.limits.maxFrameBytes)
      if (foreign !== undefined) return this.#refuseFrame(foreign)
      this.#isRemoting = true
    }
    try {
      this.#reader.push(chunk, this.#onFrame)
    } catch (error) {
      if (error instanceof FrameError) this.#refuseFrame(error.message)
      else {
        this.#log.error('connection closed: a frame could not be read', { peer: this.peer, cause: error })
        this.#destroy('badFrames')
      }
    }
  }

  /** The stream cannot be read on. Frames before the bad one are answered, where the answers are there. */
  #refuseFrame(fault: string): void {
    if (!this.#isOpen) return
    this.#log.warn('connection closed: not a frame', { peer: this.peer, fault })
    this.#end('badFrames')
  }

  readonly #onFrame = (frame: Frame): void => {
    if (!this.#isOpen) return
    this.#probe.framesIn++
    if (frame.isResponse) {
      if (!this.#pending.answer(frame)) this.#probe.lateAnswers++
    } else if (this.#router !== undefined) this.#router.dispatch(this, frame)
    else if (!frame.isOneWay) this.respondUnknown(frame)
  }

  /** Nobody serves this code. */
  respondUnknown({ code, opaque, serialize }: Frame): void {
    const remark = ` request type ${code} not supported`
    const refusal = ResponseCode.REQUEST_CODE_NOT_SUPPORTED
    this.respond(undefined, refusal, opaque, serialize, undefined, undefined, remark, undefined)
  }

  #end(reason: CloseReason): void {
    this.#flush()
    if (!this.#isOpen) return
    this.#shut(reason, undefined)
    this.#linger = this.#scheduler.after(LINGER_MS, () => this.#wire.destroy())
    this.#wire.end()
    // Unread bytes would turn the end into a reset, which takes the last answers from the peer.
    this.#wire.resume()
  }

  #destroy(reason: CloseReason): void {
    this.#shut(reason, undefined)
    this.#wire.destroy()
  }

  #gone(error: Error | undefined): void {
    this.#linger?.cancel()
    if (error !== undefined && this.#isOpen) this.#log.debug('connection lost', { peer: this.peer, cause: error })
    this.#shut(error === undefined ? 'closedByPeer' : 'closedByFault', error)
    this.#onGone?.(this)
  }

  #shut(reason: CloseReason, cause: Error | undefined): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    this.#probe[reason]++
    this.#out = undefined
    this.#ahead = []
    this.#aheadBytes = 0
    this.#router?.connectionClosed(this)
    this.#pending.failAll(new ConnectionClosed(`the connection to ${this.peer} closed`, { cause }))
    for (const listener of [...this.#closeListeners]) {
      try {
        listener(this)
      } catch (fault) {
        this.#log.error('a close was not taken', { peer: this.peer, cause: fault, stack: (fault as Error)?.stack })
      }
    }
    this.#closeListeners.clear()
  }
}

/** Keeps nothing of the chunk that the frame lies in. */
function readAnswer<C extends AnyCommand>(command: C, frame: Frame): Answered<C> {
  let header: Response<C> | undefined
  try {
    header = command.decodeResponse(frame) as Response<C>
  } catch (error) {
    if (!(error instanceof BadHeader)) throw error
  }
  return { code: frame.code, remark: frame.remark, header, body: Buffer.from(frame.body) }
}

function sizeOf(body: Body | undefined): number {
  if (body === undefined) return 0
  if (Buffer.isBuffer(body)) return body.length
  let size = 0
  for (const part of body) size += part.length
  return size
}
