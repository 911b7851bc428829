/** Java's `String.hashCode`: h = 31·h + UTF-16 unit, in 32 bits. */
export function javaHashCode(text: string): number {
  let hash = 0
  for (let at = 0; at < text.length; at++) hash = (Math.imul(hash, 31) + text.charCodeAt(at)) | 0
  return hash
}

/** The same over UTF-8 bytes; ASCII, the ordinary case, makes no string. */
export function javaHashCodeOfUtf8(bytes: Uint8Array, start: number, end: number): number {
  let hash = 0
  for (let at = start; at < end; at++) {
    const byte = bytes[at]!
    if (byte > 0x7f)
      return javaHashCode(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).utf8Slice(start, end))
    hash = (Math.imul(hash, 31) + byte) | 0
  }
  return hash
}
