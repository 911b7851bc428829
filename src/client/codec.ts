/** Values to message bodies and back. `decode` is handed a view that it must not keep. */
export interface Codec<T> {
  encode(value: T): Uint8Array
  decode(bytes: Buffer): T
}

export const bytes: Codec<Uint8Array> = {
  encode: (value) => value,
  decode: (body) => Buffer.from(body),
}

export const text: Codec<string> = {
  encode: (value) => Buffer.from(value, 'utf8'),
  decode: (body) => body.toString('utf8'),
}

/** JSON of any type the caller names; nothing is checked at run time. */
export function json<T>(): Codec<T> {
  return {
    encode: (value) => Buffer.from(JSON.stringify(value), 'utf8'),
    decode: (body) => JSON.parse(body.toString('utf8')) as T,
  }
}

/** A topic with the codec of its values: what producers and consumers are handed. */
export interface Topic<T> {
  readonly name: string
  readonly codec: Codec<T>
}
