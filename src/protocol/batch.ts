/**
 * The body of SEND_BATCH_MESSAGE: per message
 * `| totalSize 4 | magic 4 | bodyCRC 4 | flag 4 | bodyLength 4 | body | propertiesLength 2 | properties |`.
 *
 * @source MessageDecoder.java, encodeMessage
 */
const HEAD_BYTES = 20

/** One message of a batch, as views of its bytes. */
export interface BatchElement {
  flag: number
  bodyStart: number
  bodyEnd: number
  propertiesStart: number
  propertiesEnd: number
  /** Behind the element. */
  end: number
}

/**
 * Reads the element that begins at `at` into `element`.
 *
 * @returns undefined, or what is wrong with it
 */
export function readBatchElement(bytes: Buffer, at: number, element: BatchElement): string | undefined {
  const left = bytes.length - at
  if (left < HEAD_BYTES + 2) return `${left} bytes at ${at} are too few for a message`
  const size = bytes.readInt32BE(at)
  if (size < HEAD_BYTES + 2 || size > left) return `a message of ${size} bytes at ${at} of ${bytes.length}`
  const bodyBytes = bytes.readInt32BE(at + 16)
  if (bodyBytes < 0 || bodyBytes > size - HEAD_BYTES - 2) return `a body of ${bodyBytes} bytes in a message of ${size}`
  const bodyStart = at + HEAD_BYTES
  const propertiesAt = bodyStart + bodyBytes
  const propertiesBytes = bytes.readInt16BE(propertiesAt)
  if (propertiesBytes < 0 || propertiesAt + 2 + propertiesBytes !== at + size) {
    return `properties of ${propertiesBytes} bytes do not end where the message of ${size} does`
  }
  element.flag = bytes.readInt32BE(at + 12)
  element.bodyStart = bodyStart
  element.bodyEnd = propertiesAt
  element.propertiesStart = propertiesAt + 2
  element.propertiesEnd = propertiesAt + 2 + propertiesBytes
  element.end = at + size
  return undefined
}

export function newBatchElement(): BatchElement {
  return { flag: 0, bodyStart: 0, bodyEnd: 0, propertiesStart: 0, propertiesEnd: 0, end: 0 }
}

export interface BatchMessage {
  flag: number
  body: Uint8Array
  properties: Uint8Array
}

export function encodeBatch(messages: readonly BatchMessage[]): Buffer {
  const size = messages.reduce((sum, { body, properties }) => sum + HEAD_BYTES + 2 + body.length + properties.length, 0)
  const bytes = Buffer.alloc(size)
  let at = 0
  for (const { flag, body, properties } of messages) {
    const length = HEAD_BYTES + 2 + body.length + properties.length
    bytes.writeInt32BE(length, at)
    bytes.writeInt32BE(flag, at + 12)
    bytes.writeInt32BE(body.length, at + 16)
    bytes.set(body, at + HEAD_BYTES)
    bytes.writeInt16BE(properties.length, at + HEAD_BYTES + body.length)
    bytes.set(properties, at + HEAD_BYTES + body.length + 2)
    at += length
  }
  return bytes
}
