import './native-buffer.ts'
import { readBinaryHeader } from './binary-header.ts'
import { ESCAPED, FIELD_STRIDE, FieldTable, NULL_VALUE } from './field-table.ts'
import { FrameError } from './frame-error.ts'
import { type HeaderFields, readJsonHeader } from './json-header.ts'
import { unescapeJson } from './json-text.ts'

export { FrameError } from './frame-error.ts'

/** How a header is written. */
export const Serialize = { JSON: 0, ROCKETMQ: 1 } as const
export type Serialize = (typeof Serialize)[keyof typeof Serialize]

export const FLAG_RESPONSE = 1
export const FLAG_ONE_WAY = 2
export const MAX_FRAME_BYTES = 16_777_216

/**
 * One frame in place: `| length 0–3 | serialize type 4 | header length 5–7 | header | body |`. Its views are valid until
 * the callback that was handed it returns; so are its fields, unless {@link extFields} was called before.
 */
export class Frame implements HeaderFields {
  code = 0
  flag = 0
  opaque = 0
  version = 0
  language = 0
  remark: string | undefined = undefined
  parsedFields: Map<string, string | null> | undefined = undefined
  hasFields = false
  readonly serialize: Serialize
  /** All bytes that the frame lies in. */
  readonly bytes: Buffer
  readonly headerStart: number
  readonly headerEnd: number
  readonly bodyEnd: number
  readonly table: FieldTable
  #body: Buffer | undefined

  constructor(
    bytes: Buffer,
    serialize: Serialize,
    headerStart: number,
    headerEnd: number,
    bodyEnd: number,
    table: FieldTable,
  ) {
    this.bytes = bytes
    this.serialize = serialize
    this.headerStart = headerStart
    this.headerEnd = headerEnd
    this.bodyEnd = bodyEnd
    this.table = table
    if (serialize === Serialize.JSON) readJsonHeader(bytes, headerStart, headerEnd, table, this)
    else readBinaryHeader(bytes, headerStart, headerEnd, table, this)
  }

  get isResponse(): boolean {
    return (this.flag & FLAG_RESPONSE) !== 0
  }

  get isOneWay(): boolean {
    return (this.flag & FLAG_ONE_WAY) !== 0
  }

  /** Length 0: there is none; the wire makes no difference. */
  get body(): Buffer {
    this.#body ??= this.bytes.subarray(this.headerEnd, this.bodyEnd)
    return this.#body
  }

  get sizeBytes(): number {
    return this.bodyEnd - this.headerStart + 8
  }

  /** The header as it came, for signing and forwarding. */
  get headerBytes(): Buffer {
    return this.bytes.subarray(this.headerStart, this.headerEnd)
  }

  /** Every field, unknown ones too; null for a value that is none. undefined when the header has no field map. */
  extFields(): Map<string, string | null> | undefined {
    if (!this.hasFields) return undefined
    if (this.parsedFields !== undefined) return this.parsedFields
    const { places, count } = this.table
    const found = new Map<string, string | null>()
    for (let at = 0; at < count * FIELD_STRIDE; at += FIELD_STRIDE) {
      const key = this.bytes.utf8Slice(places[at]!, places[at + 1]!)
      const state = places[at + 4]!
      if (state === NULL_VALUE) found.set(key, null)
      else {
        const value = this.bytes.utf8Slice(places[at + 2]!, places[at + 3]!)
        found.set(key, state === ESCAPED ? unescapeJson(value) : value)
      }
    }
    this.parsedFields = found
    return found
  }
}

export interface FrameReaderOptions {
  /** Largest frame, its length prefix included. */
  maxFrameBytes?: number
  /** Readers that never read inside each other's callbacks may share one. */
  table?: FieldTable
}

/** Cuts a byte stream into frames. Whole frames inside one chunk are read in place; only a frame over chunks is joined. */
export class FrameReader {
  readonly #maxFrameBytes: number
  readonly #table: FieldTable
  /** The frame that is being joined: its first bytes, or all of its room once the length is known. */
  #partial: Buffer | undefined
  #have = 0

  constructor(options: FrameReaderOptions = {}) {
    this.#maxFrameBytes = options.maxFrameBytes ?? MAX_FRAME_BYTES
    this.#table = options.table ?? new FieldTable()
  }

  /** Bytes kept of a frame that is not whole yet. */
  get pendingBytes(): number {
    return this.#have
  }

  /**
   * Takes a chunk and hands out each frame that is whole.
   *
   * @throws FrameError, after which the stream cannot be read on
   */
  push(chunk: Buffer, onFrame: (frame: Frame) => void): void {
    let at = 0
    if (this.#partial !== undefined) {
      at = this.#join(chunk, onFrame)
      if (this.#partial !== undefined) return
    }
    while (chunk.length - at >= 4) {
      const size = this.#sizeAt(chunk, at)
      if (chunk.length - at < size) break
      onFrame(this.#frame(chunk, at, size))
      at += size
    }
    if (at < chunk.length) this.#keep(chunk, at)
  }

  #keep(chunk: Buffer, at: number): void {
    const have = chunk.length - at
    // Room grows with what arrives, so that a length alone reserves no memory.
    const room = have < 4 ? 4 : Math.min(this.#sizeAt(chunk, at), Math.max(65_536, have * 2))
    const partial = Buffer.allocUnsafe(Math.max(room, have))
    chunk.copy(partial, 0, at)
    this.#partial = partial
    this.#have = have
  }

  /** @returns the position in the chunk behind the joined frame */
  #join(chunk: Buffer, onFrame: (frame: Frame) => void): number {
    let at = 0
    while (this.#have < 4 && at < chunk.length) this.#partial![this.#have++] = chunk[at++]!
    if (this.#have < 4) return at
    const size = this.#sizeAt(this.#partial!, 0)
    const more = Math.min(size - this.#have, chunk.length - at)
    this.#makeRoom(this.#have + more, size)
    chunk.copy(this.#partial!, this.#have, at, at + more)
    this.#have += more
    at += more
    if (this.#have < size) return at
    const whole = this.#partial!
    this.#partial = undefined
    this.#have = 0
    onFrame(this.#frame(whole, 0, size))
    return at
  }

  #makeRoom(needed: number, size: number): void {
    const partial = this.#partial!
    if (needed <= partial.length) return
    const grown = Buffer.allocUnsafe(Math.min(size, Math.max(needed, partial.length * 2, 65_536)))
    partial.copy(grown, 0, 0, this.#have)
    this.#partial = grown
  }

  /** Size of the frame that begins here, its length prefix included. */
  #sizeAt(bytes: Buffer, at: number): number {
    const length = (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!
    if (length < 4) throw new FrameError(`a frame of length ${length}; it has 4 bytes at least`)
    if (length + 4 > this.#maxFrameBytes)
      throw new FrameError(`a frame of ${length + 4} bytes; ${this.#maxFrameBytes} are allowed`)
    return length + 4
  }

  #frame(bytes: Buffer, at: number, size: number): Frame {
    const serialize = bytes[at + 4]!
    const headerBytes = (bytes[at + 5]! << 16) | (bytes[at + 6]! << 8) | bytes[at + 7]!
    if (headerBytes > size - 8) throw new FrameError(`a header of ${headerBytes} bytes in a frame of ${size}`)
    if (serialize !== Serialize.JSON && serialize !== Serialize.ROCKETMQ) {
      throw new FrameError(`serialize type ${serialize}; 0 and 1 are known`)
    }
    const headerStart = at + 8
    return new Frame(bytes, serialize, headerStart, headerStart + headerBytes, at + size, this.#table)
  }
}
