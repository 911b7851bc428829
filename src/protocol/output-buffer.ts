import './native-buffer.ts'
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
