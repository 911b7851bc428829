import type { Log } from '../base/log.ts'
import type { Probe, Probes } from '../base/probe.ts'
import type { Scheduler } from '../base/scheduler.ts'
import { type AnyCommand, BadHeader, type Request, type Response } from '../protocol/command.ts'
import type { Frame, Serialize } from '../protocol/frame.ts'
import { Refusal } from '../protocol/refusal.ts'
import { requestCodeName } from '../protocol/request-code.ts'
import { ResponseCode } from '../protocol/response-code.ts'
import type { Connection } from './connection.ts'

/** Bytes of a response: one buffer, or several that follow each other. Not changed once handed over. */
export type Body = Buffer | readonly Buffer[]

/** Answers a request, now or later, once. After the connection has closed it does nothing. */
export interface Reply<C extends AnyCommand = AnyCommand> {
  readonly connection: Connection
  /** undefined once parked. Its views are valid until the handler returns. */
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
}

/** A route to a hot handler. */
export function handle<C extends AnyCommand>(command: C, handler: Handler<C>): Route {
  return { command, handler }
}

/** A route to a cold handler. */
export function answer<C extends AnyCommand>(command: C, respond: Answer<C>): Route {
  const handler: Handler<C> = (request, reply) => {
    const exchange: Exchange = { connection: reply.connection, frame: reply.frame!, body: reply.body }
    const result = respond(request, exchange)
    if (result instanceof Promise) {
      result.then(
        (later) => settle(reply, later),
        (error: unknown) => (reply as RequestReply).failWith(error),
      )
    } else settle(reply, result)
  }
  return { command, handler }
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
  /** Requests in work, over all connections, beyond which SYSTEM_BUSY is answered. */
  maxInFlight?: number
}

interface CodeProbe extends Probe {
  requests: number
  failures: number
  /** Of the requests that were timed, one in 16. */
  timedRequests: number
  timedMs: number
  slowestMs: number
}

const TIMED_MASK = 15

/** Finds the handler of a request code, makes a request of the header, and maps errors to response codes. */
export class Router {
  readonly #routes = new Map<number, Route & { probe: CodeProbe }>()
  readonly #log: Log
  readonly #scheduler: Scheduler
  readonly #probe: { inFlight: number; parked: number; unknownCodes: number; overloaded: number }
  readonly #maxInFlight: number

  constructor(
    routes: readonly Route[],
    { log, probes, scheduler, role = 'client', maxInFlight = Number.POSITIVE_INFINITY }: RouterOptions,
  ) {
    this.#log = log
    this.#scheduler = scheduler
    this.#maxInFlight = maxInFlight
    this.#probe = probes.register(
      'remoting.router',
      { inFlight: 0, parked: 0, unknownCodes: 0, overloaded: 0 },
      { role },
    )
    for (const route of routes) {
      const { code, name } = route.command
      if (this.#routes.has(code)) throw new Error(`two routes for ${name} (${code})`)
      const probe = probes.register(
        'remoting.requests',
        { requests: 0, failures: 0, timedRequests: 0, timedMs: 0, slowestMs: 0 },
        { role, code: name },
      )
      this.#routes.set(code, { ...route, probe })
    }
  }

  /** Requests whose answer is awaited, parked ones not counted. */
  get inFlight(): number {
    return this.#probe.inFlight
  }

  /** Never throws: whatever goes wrong becomes the answer. */
  dispatch(connection: Connection, frame: Frame): void {
    const route = this.#routes.get(frame.code)
    const reply = new RequestReply(this, connection, frame, route?.command, route?.probe)
    connection.inFlight++
    this.#probe.inFlight++
    if (route === undefined) {
      this.#probe.unknownCodes++
      return reply.fail(ResponseCode.REQUEST_CODE_NOT_SUPPORTED, ` request type ${frame.code} not supported`)
    }
    const { probe } = route
    probe.requests++
    if (connection.inFlight > connection.limits.maxInFlightPerConnection || this.#probe.inFlight > this.#maxInFlight) {
      this.#probe.overloaded++
      return reply.fail(ResponseCode.SYSTEM_BUSY, '[OVERLOAD]system busy, start flow control for a while')
    }
    const timed = (probe.requests & TIMED_MASK) === 0
    const started = timed ? this.#scheduler.monotonic() : 0
    try {
      route.handler(route.command.decodeRequest(frame), reply)
    } catch (error) {
      reply.failWith(error)
    }
    if (timed) {
      const tookMs = this.#scheduler.monotonic() - started
      probe.timedRequests++
      probe.timedMs += tookMs
      if (tookMs > probe.slowestMs) probe.slowestMs = tookMs
    }
  }

  /** @internal */
  answered(parked: boolean): void {
    if (parked) this.#probe.parked--
    else this.#probe.inFlight--
  }

  /** @internal */
  parked(): void {
    this.#probe.inFlight--
    this.#probe.parked++
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

class RequestReply implements Reply {
  readonly connection: Connection
  readonly oneWay: boolean
  readonly version: number
  frame: Frame | undefined
  readonly #router: Router
  readonly #command: AnyCommand | undefined
  readonly #probe: CodeProbe | undefined
  readonly #code: number
  readonly #opaque: number
  readonly #serialize: Serialize
  #isParked = false
  #isDone = false

  constructor(
    router: Router,
    connection: Connection,
    frame: Frame,
    command: AnyCommand | undefined,
    probe: CodeProbe | undefined,
  ) {
    this.#router = router
    this.connection = connection
    this.frame = frame
    this.#command = command
    this.#probe = probe
    this.#code = frame.code
    this.#opaque = frame.opaque
    this.#serialize = frame.serialize
    this.oneWay = frame.isOneWay
    this.version = frame.version
  }

  get body(): Buffer {
    if (this.frame === undefined) throw new Error('a parked request holds no body')
    return this.frame.body
  }

  ok(header?: object, body?: Body, remark?: string): void {
    this.send(ResponseCode.SUCCESS, header, body, remark)
  }

  fail(code: number, remark: string, header?: object): void {
    if (this.#probe !== undefined) this.#probe.failures++
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
    this.#router.answered(this.#isParked)
    if (!this.#isParked) this.connection.inFlight--
    this.frame = undefined
    if (!this.oneWay) {
      this.connection.respond(this.#command, code, this.#opaque, this.#serialize, header, body, remark, extra)
    }
  }

  park(): void {
    if (this.#isParked || this.#isDone) return
    this.#isParked = true
    this.connection.inFlight--
    this.#router.parked()
    this.frame = undefined
  }

  failWith(error: unknown): void {
    if (error instanceof Refusal) return this.fail(error.code, error.remark, error.header)
    if (error instanceof BadHeader) return this.fail(ResponseCode.SYSTEM_ERROR, error.message)
    this.#router.unexpected(this.#code, error, this.connection)
    this.fail(ResponseCode.SYSTEM_ERROR, error instanceof Error ? `${error.name}: ${error.message}` : String(error))
  }
}
