import { type AnyFields, bool, name, optional, text, type Values } from './fields.ts'
import type { Frame } from './frame.ts'
import { compileDecoder, type Decoder } from './header-decoder.ts'
import { compileEncoder, type Encoder } from './header-encoder.ts'

export { bool, bytes, type Field, int, long, name, optional, text, withDefault } from './fields.ts'
export { BadHeader } from './header-decoder.ts'

/** Fields that most headers inherit. @source RpcRequestHeader.java */
const rpcFields = {
  ns: optional(text('Namespace.')),
  nsd: optional(bool('Namespace already applied.')),
  bname: optional(name('Logical target broker name.')),
  oway: optional(bool('One-way hint between brokers.')),
}
/** @source TopicRequestHeader.java */
const topicFields = { ...rpcFields, lo: optional(bool('Logical queue; false: already rewritten for a physical one.')) }
const noFields = {}

const inherited = { none: noFields, rpc: rpcFields, topic: topicFields }
type Inherited = typeof inherited
type Inheritance = keyof Inherited

interface Declaration<Q extends AnyFields, S extends AnyFields, I extends Inheritance> {
  name: string
  code: number
  about: string
  /** Java classes the facts come from. */
  source: string
  inherits?: I
  request?: Q
  response?: S
}

/** A request code, declared once: types, codec, docs and golden tests follow from it. */
export class Command<Q extends AnyFields = AnyFields, S extends AnyFields = AnyFields> {
  readonly name: string
  readonly code: number
  readonly about: string
  readonly source: string
  readonly request: Q
  readonly response: S
  /** Compiled on first use: compiling all of them costs 30–50 ms at start. */
  #requestDecoder: Decoder | undefined
  #responseDecoder: Decoder | undefined
  #requestEncoder: Encoder | undefined
  #responseEncoder: Encoder | undefined

  constructor(declaration: { name: string; code: number; about: string; source: string; request: Q; response: S }) {
    this.name = declaration.name
    this.code = declaration.code
    this.about = declaration.about
    this.source = declaration.source
    this.request = declaration.request
    this.response = declaration.response
  }

  /** @throws BadHeader naming the field that is missing or malformed */
  decodeRequest(frame: Frame): Values<Q> {
    this.#requestDecoder ??= compileDecoder(this.name, this.request)
    return this.#requestDecoder(frame) as Values<Q>
  }

  /** @throws BadHeader naming the field that is missing or malformed */
  decodeResponse(frame: Frame): Values<S> {
    this.#responseDecoder ??= compileDecoder(this.name, this.response)
    return this.#responseDecoder(frame) as Values<S>
  }

  get requestEncoder(): Encoder {
    this.#requestEncoder ??= compileEncoder(this.request)
    return this.#requestEncoder
  }

  get responseEncoder(): Encoder {
    this.#responseEncoder ??= compileEncoder(this.response)
    return this.#responseEncoder
  }
}

/** Declares a request code. */
export function command<
  Q extends AnyFields = typeof noFields,
  S extends AnyFields = typeof noFields,
  I extends Inheritance = 'none',
>(declaration: Declaration<Q, S, I>): Command<Q & Inherited[I], S> {
  return new Command({
    ...declaration,
    request: { ...declaration.request, ...inherited[declaration.inherits ?? 'none'] } as unknown as Q & Inherited[I],
    response: (declaration.response ?? noFields) as S,
  })
}

// biome-ignore lint/suspicious/noExplicitAny: a command of any fields, for inference
export type AnyCommand = Command<any, any>
/** What a request of this command carries in its header. */
export type Request<C extends AnyCommand> = C extends Command<infer Q, AnyFields> ? Values<Q> : never
/** What a response to this command carries in its header. */
export type Response<C extends AnyCommand> = C extends Command<AnyFields, infer S> ? Values<S> : never
