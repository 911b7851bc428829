/**
 * The seam for what may come before frames, or in their place: PROXY protocol headers and TLS will be taken here. Until
 * then whoever speaks them is told apart, so that the log names the mistake.
 */

const TLS_HANDSHAKE = 0x16
const PROXY_V1 = 'PROXY '
const PROXY_V2 = '\r\n\r\n\0\r\nQUIT\n'
const HTTP_METHODS = ['GET ', 'POST ', 'PUT ', 'HEAD ', 'OPTIONS ', 'DELETE ', 'PATCH ', 'CONNECT ', 'TRACE ', 'PRI ']

/**
 * What a peer seems to speak, by the first bytes of its stream; one byte is enough to know that it is not remoting.
 *
 * @returns undefined when a frame may begin so
 */
export function foreignProtocol(first: Buffer, maxFrameBytes: number): string | undefined {
  const byte = first[0]
  // A frame begins with the high byte of its length.
  if (byte === undefined || byte <= (maxFrameBytes - 4) >>> 24) return undefined
  if (byte === TLS_HANDSHAKE) return 'looks like TLS, which is not served here'
  const text = first.toString('latin1', 0, 16)
  if (HTTP_METHODS.some((method) => beginAlike(method, text))) return 'looks like HTTP'
  if (beginAlike(PROXY_V1, text) || beginAlike(PROXY_V2, text)) {
    return 'looks like a PROXY protocol header, which is not served here'
  }
  return `the first byte is 0x${byte.toString(16).padStart(2, '0')}, and no frame is that long`
}

/** Whether one goes on where the other ends: little may have arrived. */
function beginAlike(expected: string, text: string): boolean {
  const length = Math.min(expected.length, text.length)
  return expected.slice(0, length) === text.slice(0, length)
}
