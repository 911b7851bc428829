/** How the text of a header field becomes a value. */
export type FieldKind = 'text' | 'name' | 'int' | 'long' | 'bool' | 'bytes'

/** What becomes of a field that is not there. */
export type Absence = 'refused' | 'undefined' | 'default'

/** One header field: its kind, what it means, and its key on the wire where that is not its name. */
export interface Field<T, A extends Absence = Absence> {
  readonly kind: FieldKind
  readonly about: string
  readonly key: string | undefined
  readonly absence: A
  readonly fallback: T | undefined
}

export interface FieldOptions {
  /** Key on the wire, where it is not the field's name. */
  key?: string
}

type Make<T> = (about: string, options?: FieldOptions) => Field<T, 'refused'>

function make<T>(kind: FieldKind): Make<T> {
  return (about, options = {}) => ({ kind, about, key: options.key, absence: 'refused', fallback: undefined })
}

/** Any text. */
export const text: Make<string> = make('text')
/** Text that few values take: topics, groups. The decoder remembers the last one instead of making it again. */
export const name: Make<string> = make('name')
/** 32 bits. */
export const int: Make<number> = make('int')
/** 64 bits, saturating at the safe range of a number: Long.MAX_VALUE comes as Number.MAX_SAFE_INTEGER, and goes as what it was. */
export const long: Make<number> = make('long')
/** `true` in any case is true, everything else false, as Java parses it. */
export const bool: Make<boolean> = make('bool')
/** UTF-8 bytes, for what is stored as it came; a view that is valid until the handler returns. */
export const bytes: Make<Uint8Array> = make('bytes')

/** undefined when not there. */
export function optional<T>(field: Field<T>): Field<T, 'undefined'> {
  return { ...field, absence: 'undefined' }
}

/** A value of its own when not there: Java's primitive fields. */
export function withDefault<T>(field: Field<T>, fallback: T): Field<T, 'default'> {
  return { ...field, absence: 'default', fallback }
}

export type Fields = Readonly<Record<string, Field<never>>>
export type AnyFields = Readonly<Record<string, Field<unknown>>>

type OptionalKeys<F> = { [K in keyof F]: F[K] extends Field<unknown, 'undefined'> ? K : never }[keyof F]

/** The object that fields describe. */
export type Values<F extends AnyFields> = {
  [K in Exclude<keyof F, OptionalKeys<F>>]: F[K] extends Field<infer T> ? T : never
} & { [K in OptionalKeys<F>]?: F[K] extends Field<infer T> ? T | undefined : never }
