import type { Log } from '../base/log.ts'
import type { Probe, Probes } from '../base/probe.ts'
import type { Scheduler } from '../base/scheduler.ts'
import { type AnyCommand, BadHeader, type Request, type Response } from '../protocol/command.ts'
import type { Frame, Serialize } from '../protocol/frame.ts'
import { Refusal } from '../protocol/refusal.ts'
import { requestCodeName } from '../protocol/request-code.ts'
import { ResponseCode } from '../protocol/response-code.ts'
import type { Body, Connection } from './connection.ts'

/**
 * Answers a request, now or later, once. A one-way request is answered too, so that it ends; nothing is sent then, nor
 * after the connection has closed.
 */
export interface Reply<C extends AnyCommand = AnyCommand> {
  readonly connection: Connection
  /** undefined once the handler has returned, or parked the request. */
  readonly frame: Frame | undefined
  /** Body of the request; valid until the handler returns. */
  readonly body: Buffer
  readonly oneWay: boolean
  /** Version of the peer. */
  readonly version: number
  ok(header?: Response<C>, body?: Body, remark?: string): void
  send(
    code: number,
    header: Response<C> | undefined,
    body?: Body,
    remark?: string,
    extra?: Readonly<Record<string, string>>,
  ): void
  fail(code: number, remark: string, header?: Response<C>): void
  /** The answer comes much later: the request no longer counts as work, and holds none of the connection's bytes. */
  park(): void
}

/** Hot: answers through the reply, with no promise. */
export type Handler<C extends AnyCommand> = (request: Request<C>, reply: Reply<C>) => void

/** What a cold handler sees beside the request's header. */
export interface Exchange {
  readonly connection: Connection
  readonly frame: Frame
  /** Body of the request. Read it before the first await. */
  readonly body: Buffer
}

/** A cold handler's answer that is more than a header. */
export class Outcome {
  readonly code: number
  readonly header: object | undefined
  readonly body: Body | undefined
  readonly remark: string | undefined
  readonly extra: Readonly<Record<string, string>> | undefined

  constructor(code: number, header?: object, body?: Body, remark?: string, extra?: Readonly<Record<string, string>>) {
    this.code = code
    this.header = header
    this.body = body
    this.remark = remark
    this.extra = extra
  }
}

/** SUCCESS with a body. */
export function withBody<H extends object>(header: H | undefined, body: Buffer | string): Outcome {
  return new Outcome(ResponseCode.SUCCESS, header, typeof body === 'string' ? Buffer.from(body, 'utf8') : body)
}

/** Any code; for refusals that carry more than a remark, and for successes that carry one. */
export function withCode(code: number, remark?: string, header?: object, body?: Buffer): Outcome {
  return new Outcome(code, header, body, remark)
}

type Result<C extends AnyCommand> = Response<C> | Outcome | undefined

/** Cold: returns the response's header, or an Outcome; throws a Refusal. */
export type Answer<C extends AnyCommand> = (request: Request<C>, exchange: Exchange) => Result<C> | Promise<Result<C>>

export interface Route {
  readonly command: AnyCommand
  // biome-ignore lint/suspicious/noExplicitAny: each route's handler fits its own command
  readonly handler: Handler<any>
  /** Of its requests, those whose number has none of these bits are timed. */
  readonly timedMask: number
}

/** Looking at the clock costs 2 % of a send. */
const TIMED_OF_HOT = 15
const TIMED_OF_COLD = 0

/** A route to a hot handler. */
export function handle<C extends AnyCommand>(command: C, handler: Handler<C>): Route {
  return { command, handler, timedMask: TIMED_OF_HOT }
}

/** A route to a cold handler. */
export function answer<C extends AnyCommand>(command: C, respond: Answer<C>): Route {
  const handler: Handler<C> = (request, reply) => {
    const exchange: Exchange = { connection: reply.connection, frame: reply.frame!, body: reply.body }
    const result = respond(request, exchange)
    if (result instanceof Promise) {
      result
        .then((later) => settle(reply, later))
        .catch((error: unknown) => (reply as unknown as RequestReply).failWith(error))
    } else settle(reply, result)
  }
  return { command, handler, timedMask: TIMED_OF_COLD }
}

function settle<C extends AnyCommand>(reply: Reply<C>, result: Result<C>): void {
  if (result instanceof Outcome) {
    reply.send(result.code, result.header as Response<C> | undefined, result.body, result.remark, result.extra)
  } else reply.ok(result)
}

export interface RouterOptions {
  log: Log
  probes: Probes
  scheduler: Scheduler
  /** Role that answers; a label of the probes. */
  role?: string
  /** Requests of one code in work, over all connections, beyond which SYSTEM_BUSY is answered. */
  maxInFlight?: number
}

/** Of one request code. */
interface CodeProbe extends Probe {
  requests: number
  /** Answered by `fail`, an error or SYSTEM_BUSY. */
  failures: number
  inFlight: number
  /** From the arrival of the request to its answer, when it was not parked: all of a cold route, one in 16 of a hot. */
  timedRequests: number
  timedMs: number
  slowestMs: number
}

interface RouterProbe extends Probe {
  inFlight: number
  parked: number
  unknownCodes: number
  overloaded: number
  /** One-way requests beyond the limits, which nobody hears of otherwise. */
  droppedOneWays: number
}

interface ProbedRoute {
  readonly command: AnyCommand
  readonly handler: Route['handler']
  readonly timedMask: number
  readonly probe: CodeProbe
}

const OVERLOAD_REMARK = '[OVERLOAD]system busy, start flow control for a while'
const NOT_TIMED = -1

/** Finds the handler of a request code, makes a request of the header, and maps errors to response codes. */
export class Router {
  readonly #routes = new Map<number, ProbedRoute>()
  readonly #log: Log
  readonly #scheduler: Scheduler
  readonly #probe: RouterProbe
  readonly #maxInFlight: number

  constructor(
    routes: readonly Route[],
    { log, probes, scheduler, role = 'client', maxInFlight = Number.POSITIVE_INFINITY }: RouterOptions,
  ) {
    this.#log = log
    this.#scheduler = scheduler
    this.#maxInFlight = maxInFlight
    const probe: RouterProbe = { inFlight: 0, parked: 0, unknownCodes: 0, overloaded: 0, droppedOneWays: 0 }
    this.#probe = probes.register('remoting.router', probe, { role })
    for (const { command, handler, timedMask } of routes) {
      const { code, name } = command
      if (this.#routes.has(code)) throw new Error(`two routes for ${name} (${code})`)
      const counts: CodeProbe = { requests: 0, failures: 0, inFlight: 0, timedRequests: 0, timedMs: 0, slowestMs: 0 }
      probes.register('remoting.requests', counts, { role, code: name })
      this.#routes.set(code, { command, handler, timedMask, probe: counts })
    }
  }

  /** Requests whose answer is awaited, parked ones not counted. */
  get inFlight(): number {
    return this.#probe.inFlight
  }

  /** Never throws: whatever goes wrong becomes the answer. */
  dispatch(connection: Connection, frame: Frame): void {
    const route = this.#routes.get(frame.code)
    if (route === undefined) {
      this.#probe.unknownCodes++
      if (!frame.isOneWay) connection.respondUnknown(frame)
      return
    }
    const { probe } = route
    probe.requests++
    if (this.#isBusy(connection, probe)) return this.#refuseBusy(connection, frame, probe)
    const started = (probe.requests & route.timedMask) === 0 ? connection.lastActive : NOT_TIMED
    const reply = new RequestReply(this, connection, frame, route, started)
    connection.inFlight++
    probe.inFlight++
    this.#probe.inFlight++
    try {
      route.handler(route.command.decodeRequest(frame), reply)
    } catch (error) {
      reply.failWith(error)
    }
    reply.frame = undefined
  }

  #isBusy(connection: Connection, { inFlight }: CodeProbe): boolean {
    const { maxInFlight, maxInFlightPerConnection, busyBytes } = connection.limits
    return (
      connection.inFlight >= maxInFlightPerConnection ||
      inFlight >= this.#maxInFlight ||
      this.#probe.inFlight >= maxInFlight ||
      connection.queuedBytes > busyBytes
    )
  }

  #refuseBusy(connection: Connection, frame: Frame, probe: CodeProbe): void {
    probe.failures++
    this.#probe.overloaded++
    if (frame.isOneWay) {
      this.#probe.droppedOneWays++
      return
    }
    const { opaque, serialize } = frame
    const code = ResponseCode.SYSTEM_BUSY
    connection.respond(undefined, code, opaque, serialize, undefined, undefined, OVERLOAD_REMARK, undefined)
  }

  /** @internal */
  answered(connection: Connection, probe: CodeProbe, isParked: boolean, started: number): void {
    if (isParked) {
      // Those of a closed connection were taken off when it closed.
      if (!connection.isOpen) return
      connection.parked--
      this.#probe.parked--
      return
    }
    connection.inFlight--
    probe.inFlight--
    this.#probe.inFlight--
    if (started === NOT_TIMED) return
    const tookMs = this.#scheduler.monotonic() - started
    probe.timedRequests++
    probe.timedMs += tookMs
    if (tookMs > probe.slowestMs) probe.slowestMs = tookMs
  }

  /** @internal */
  parked(connection: Connection, probe: CodeProbe): void {
    connection.inFlight--
    probe.inFlight--
    this.#probe.inFlight--
    if (!connection.isOpen) return
    connection.parked++
    this.#probe.parked++
  }

  /** @internal Nobody waits for its parked requests any more; those in work end by their handlers. */
  connectionClosed(connection: Connection): void {
    this.#probe.parked -= connection.parked
    connection.parked = 0
  }

  /** @internal An error that is nobody's wish is logged once, here. */
  unexpected(code: number, error: unknown, connection: Connection): void {
    this.#log.error('request failed', {
      request: requestCodeName(code),
      peer: connection.peer,
      cause: error,
      stack: (error as Error)?.stack,
    })
  }
}

/** Small, since thousands wait at once. */
class RequestReply implements Reply {
  readonly connection: Connection
  readonly oneWay: boolean
  readonly version: number
  frame: Frame | undefined
  readonly #router: Router
  readonly #route: ProbedRoute
  readonly #opaque: number
  readonly #serialize: Serialize
  readonly #started: number
  #isParked = false
  #isDone = false

  constructor(router: Router, connection: Connection, frame: Frame, route: ProbedRoute, started: number) {
    this.#router = router
    this.connection = connection
    this.frame = frame
    this.#route = route
    this.#opaque = frame.opaque
    this.#serialize = frame.serialize
    this.#started = started
    this.oneWay = frame.isOneWay
    this.version = frame.version
  }

  get body(): Buffer {
    if (this.frame === undefined) throw new Error('the body of a request is gone once its handler has returned')
    return this.frame.body
  }

  ok(header?: object, body?: Body, remark?: string): void {
    this.send(ResponseCode.SUCCESS, header, body, remark)
  }

  fail(code: number, remark: string, header?: object): void {
    if (this.#isDone) return
    this.#route.probe.failures++
    this.send(code, header, undefined, remark)
  }

  send(
    code: number,
    header: object | undefined,
    body?: Body,
    remark?: string,
    extra?: Readonly<Record<string, string>>,
  ): void {
    if (this.#isDone) return
    this.#isDone = true
    const { connection } = this
    this.#router.answered(connection, this.#route.probe, this.#isParked, this.#started)
    this.frame = undefined
    if (this.oneWay) return
    try {
      connection.respond(this.#route.command, code, this.#opaque, this.#serialize, header, body, remark, extra)
    } catch (error) {
      this.#cannotBeSent(error)
    }
  }

  park(): void {
    if (this.#isParked || this.#isDone) return
    this.#isParked = true
    this.#router.parked(this.connection, this.#route.probe)
    this.frame = undefined
  }

  /** What a handler threw becomes the answer. */
  failWith(error: unknown): void {
    if (error instanceof Refusal) return this.fail(error.code, error.remark, error.header)
    if (error instanceof BadHeader) return this.fail(ResponseCode.SYSTEM_ERROR, error.message)
    this.#router.unexpected(this.#route.command.code, error, this.connection)
    this.fail(ResponseCode.SYSTEM_ERROR, describe(error))
  }

  /** The answer is larger than a frame, or has a header that cannot be written: the peer hears that much. */
  #cannotBeSent(error: unknown): void {
    const { connection } = this
    this.#route.probe.failures++
    this.#router.unexpected(this.#route.command.code, error, connection)
    const remark = `the answer could not be sent: ${describe(error)}`
    const code = ResponseCode.SYSTEM_ERROR
    connection.respond(undefined, code, this.#opaque, this.#serialize, undefined, undefined, remark, undefined)
  }
}

function describe(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error)
}
