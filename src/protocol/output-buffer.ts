import { quote } from './json-text.ts'
import './native-buffer.ts'

/** Texts longer than this are written by one native call, shorter ones byte by byte: the call costs as much as 100 bytes. */
const SHORT_TEXT = 100

/** Bytes to be written out, appended at the end; grows by doubling and is used again after {@link clear}. */
export class OutputBuffer {
  bytes: Buffer
  length = 0

  constructor(capacityBytes = 4_096) {
    this.bytes = Buffer.allocUnsafeSlow(capacityBytes)
  }

  /** Makes room for `more` bytes behind `length`. */
  ensure(more: number): void {
    const needed = this.length + more
    if (needed <= this.bytes.length) return
    let capacity = this.bytes.length * 2
    while (capacity < needed) capacity *= 2
    const grown = Buffer.allocUnsafeSlow(capacity)
    this.bytes.copy(grown, 0, 0, this.length)
    this.bytes = grown
  }

  writeInt32(value: number): void {
    this.ensure(4)
    const { bytes, length } = this
    bytes[length] = value >>> 24
    bytes[length + 1] = value >>> 16
    bytes[length + 2] = value >>> 8
    bytes[length + 3] = value
    this.length = length + 4
  }

  writeInt16(value: number): void {
    this.ensure(2)
    this.bytes[this.length] = value >>> 8
    this.bytes[this.length + 1] = value
    this.length += 2
  }

  writeByte(value: number): void {
    this.ensure(1)
    this.bytes[this.length++] = value
  }

  /** Overwrites four bytes written before. */
  patchInt32(at: number, value: number): void {
    const { bytes } = this
    bytes[at] = value >>> 24
    bytes[at + 1] = value >>> 16
    bytes[at + 2] = value >>> 8
    bytes[at + 3] = value
  }

  writeUtf8(text: string): void {
    this.ensure(text.length * 3)
    this.length += this.bytes.utf8Write(text, this.length)
  }

  /** Text known to be ASCII. */
  writeAscii(text: string): void {
    this.ensure(text.length)
    this.length += this.bytes.latin1Write(text, this.length)
  }

  /** A few bytes that are the same each time. */
  writeConstant(source: Uint8Array): void {
    const { length } = source
    this.ensure(length)
    const { bytes } = this
    let to = this.length
    for (let at = 0; at < length; at++) bytes[to++] = source[at]!
    this.length = to
  }

  /** A whole number in decimal digits; anything else as JavaScript writes it. */
  writeNumber(value: number): void {
    if (!(value >= 0 && value <= Number.MAX_SAFE_INTEGER && Number.isInteger(value)))
      return this.writeAscii(String(value))
    let digits = 1
    for (let power = 10; power <= value; power *= 10) digits++
    this.ensure(digits)
    const { bytes } = this
    let rest = value
    // Beyond 31 bits a division is a floating one.
    let at = this.length + digits
    this.length = at
    while (rest > 0x7fff_ffff) {
      const next = Math.floor(rest / 10)
      bytes[--at] = 0x30 + (rest - next * 10)
      rest = next
    }
    let small = rest | 0
    do {
      const next = (small / 10) | 0
      bytes[--at] = 0x30 + (small - next * 10)
      small = next
    } while (small > 0)
  }

  /** What stands between the quotes of a JSON string. */
  writeJsonText(text: string): void {
    const { length } = text
    if (length > SHORT_TEXT) return this.#writeQuotedInner(text)
    this.ensure(length)
    const { bytes } = this
    let to = this.length
    for (let at = 0; at < length; at++) {
      const unit = text.charCodeAt(at)
      if (unit < 0x20 || unit > 0x7e || unit === 0x22 || unit === 0x5c) return this.#writeQuotedInner(text)
      bytes[to++] = unit
    }
    this.length = to
  }

  #writeQuotedInner(text: string): void {
    this.writeUtf8(quote(text).slice(1, -1))
  }

  writeBytes(source: Uint8Array): void {
    this.ensure(source.length)
    this.bytes.set(source, this.length)
    this.length += source.length
  }

  /** What was written, as a buffer of its own. */
  copy(): Buffer {
    return Buffer.from(this.bytes.subarray(0, this.length))
  }

  /** Hands over what was written as a view, and goes on with a fresh buffer: nothing overwrites the view. */
  take(): Buffer {
    const taken = this.bytes.subarray(0, this.length)
    this.bytes = Buffer.allocUnsafeSlow(Math.min(Math.max(this.length, 4_096), 262_144))
    this.length = 0
    return taken
  }

  clear(): void {
    this.length = 0
  }
}
