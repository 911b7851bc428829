import { createServer } from 'node:net'

/** A name server port and a broker port with their neighbours free: Java's broker takes the ports −2 and +1 too. */
export async function freePorts(): Promise<{ nameServer: number; broker: number }> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const nameServer = 20_000 + 20 * Math.floor(Math.random() * 600)
    const broker = nameServer + 10
    const free = await Promise.all([nameServer, broker - 2, broker, broker + 1].map(isFree))
    if (free.every(Boolean)) return { nameServer, broker }
  }
  throw new Error('no free ports between 20000 and 32000')
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.on('error', () => resolve(false))
    server.listen(port, '0.0.0.0', () => server.close(() => resolve(true)))
  })
}
