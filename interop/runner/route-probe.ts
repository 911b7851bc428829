import { connect } from 'node:net'

/**
 * Java's broker says `boot success` before its first registration is through. This waits until the name server
 * answers a route for TBW102, which is the first thing that a producer of a new topic asks for.
 */
export async function waitForRoute(address: string, timeoutMs: number): Promise<void> {
  const deadline = performance.now() + timeoutMs
  while (!(await hasRoute(address))) {
    if (performance.now() > deadline) throw new Error(`no broker registered at ${address} within ${timeoutMs} ms`)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

/** GET_ROUTEINFO_BY_TOPIC (105) as the Java client writes it; the answer's code says it all. */
function hasRoute(address: string): Promise<boolean> {
  const [host, port] = address.split(':')
  const header = JSON.stringify({
    code: 105,
    extFields: { topic: 'TBW102' },
    flag: 0,
    language: 'JAVA',
    opaque: 1,
    serializeTypeCurrentRPC: 'JSON',
    version: 0,
  })
  const request = Buffer.alloc(8 + header.length)
  request.writeInt32BE(4 + header.length, 0)
  request.writeInt32BE(header.length, 4)
  request.write(header, 8)
  return new Promise((resolve) => {
    let received = Buffer.alloc(0)
    const socket = connect(Number(port), host)
    const answer = (has: boolean): void => {
      socket.destroy()
      resolve(has)
    }
    socket.setTimeout(3_000, () => answer(false))
    socket.on('error', () => answer(false))
    socket.on('connect', () => socket.write(request))
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk])
      if (received.length < 8) return
      const headerEnd = 8 + (received.readInt32BE(4) & 0xffffff)
      if (received.length >= headerEnd) answer(/"code":0\b/.test(received.toString('utf8', 8, headerEnd)))
    })
  })
}
