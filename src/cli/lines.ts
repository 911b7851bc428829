const LINE_FEED = 10
const CARRIAGE_RETURN = 13

/**
 * Lines of a byte stream, without their ends (`\n` or `\r\n`), byte for byte: text of any encoding passes, and
 * U+2028 inside a JSON string ends nothing. A last line needs no end; an empty line is a line.
 */
export async function* linesOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer, void, undefined> {
  let parts: Buffer[] = []
  for await (const chunk of chunks) {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length)
    let start = 0
    for (let end = bytes.indexOf(LINE_FEED); end >= 0; end = bytes.indexOf(LINE_FEED, start)) {
      parts.push(bytes.subarray(start, end))
      start = end + 1
      const line = whole(parts)
      parts = []
      yield line
    }
    if (start < bytes.length) parts.push(bytes.subarray(start))
  }
  if (parts.length > 0) yield whole(parts)
}

function whole(parts: readonly Buffer[]): Buffer {
  const line = parts.length === 1 ? parts[0]! : Buffer.concat(parts)
  return line.at(-1) === CARRIAGE_RETURN ? line.subarray(0, -1) : line
}
