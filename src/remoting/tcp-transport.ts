import { createServer, type Server, Socket } from 'node:net'
import { readShared, SHARED_READ_BYTES } from './shared-read.ts'
import { type Address, formatAddress, type Listener, type Transport, TransportError, type Wire } from './transport.ts'

const BACKLOG = 1_024

class TcpWire implements Wire {
  readonly remote: Address
  readonly local: Address
  readonly #socket: Socket
  #failure: Error | undefined
  #dataListener: ((chunk: Buffer) => void) | undefined
  #closeListener: ((error: Error | undefined) => void) | undefined

  /** @param readBuffer what an accepted socket is read into */
  constructor(given: Socket, readBuffer?: Buffer) {
    const shared =
      readBuffer === undefined ? undefined : readShared(given, readBuffer, (chunk) => this.#dataListener?.(chunk))
    const socket = shared ?? given
    this.#socket = socket
    if (shared === undefined) socket.on('data', (chunk) => this.#dataListener?.(chunk)).pause()
    this.remote = { host: plainHost(socket.remoteAddress), port: socket.remotePort ?? 0 }
    this.local = { host: plainHost(socket.localAddress), port: socket.localPort ?? 0 }
    socket.setNoDelay(true)
    // From the first moment on: an error that nobody listens to would end the process.
    socket.on('error', (error) => {
      this.#failure = error
    })
    socket.once('close', () => this.#closeListener?.(this.#failure))
  }

  get bufferedBytes(): number {
    return this.#socket.writableLength
  }

  write(bytes: Buffer): boolean {
    return this.#socket.destroyed || this.#socket.writableEnded ? true : this.#socket.write(bytes)
  }

  cork(): void {
    this.#socket.cork()
  }

  uncork(): void {
    this.#socket.uncork()
  }

  onData(listener: (chunk: Buffer) => void): void {
    this.#dataListener = listener
    this.#socket.resume()
  }

  onDrain(listener: () => void): void {
    this.#socket.on('drain', listener)
  }

  onClose(listener: (error: Error | undefined) => void): void {
    this.#closeListener = listener
    if (this.#socket.closed) listener(this.#failure)
  }

  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  end(): void {
    this.#socket.end()
  }

  destroy(): void {
    this.#socket.destroy()
  }
}

export interface TcpOptions {
  /** Accepted sockets are read into one buffer of their listener; false: each read has a buffer of its own. */
  sharedReads: boolean
}

/** TCP: no delay, no keep-alive, both as Java sets them; a peer that ends its half ends ours. */
export function createTcpTransport({ sharedReads }: TcpOptions): Transport {
  return { listen: (address, onWire) => listenOn(address, onWire, sharedReads), connect: connectTo }
}

/** TCP of the machine. */
export const tcpTransport: Transport = createTcpTransport({ sharedReads: true })

function listenOn(address: Address, onWire: (wire: Wire) => void, sharedReads: boolean): Promise<Listener> {
  return new Promise((resolve, reject) => {
    const readBuffer = sharedReads ? Buffer.allocUnsafeSlow(SHARED_READ_BYTES) : undefined
    const options = { noDelay: true, keepAlive: false, allowHalfOpen: false, pauseOnConnect: true }
    const server: Server = createServer(options, (socket) => {
      // A peer that is gone before it was accepted has no address any more.
      if (socket.remoteAddress === undefined) socket.on('error', () => {}).destroy()
      else onWire(new TcpWire(socket, readBuffer))
    })
    server.once('error', (error: NodeJS.ErrnoException) => reject(listenError(address, error)))
    server.listen({ host: address.host, port: address.port, backlog: BACKLOG }, () => {
      const taken = server.address()
      const port = taken !== null && typeof taken === 'object' ? taken.port : address.port
      // After listening an error concerns one accept (no file descriptor left); the peer tries again.
      server.removeAllListeners('error').on('error', () => {})
      resolve(new TcpListener(server, { host: address.host, port }))
    })
  })
}

function connectTo(address: Address, signal?: AbortSignal): Promise<Wire> {
  return new Promise((resolve, reject) => {
    const socket = new Socket({ allowHalfOpen: false })
    const fail = (error: NodeJS.ErrnoException): void => {
      signal?.removeEventListener('abort', giveUp)
      reject(connectError(address, error))
    }
    const giveUp = (): void => {
      socket.destroy()
      fail(Object.assign(new Error('given up', { cause: signal?.reason }), { code: 'ETIMEDOUT' }))
    }
    if (signal?.aborted === true) return giveUp()
    signal?.addEventListener('abort', giveUp, { once: true })
    socket.once('error', fail)
    socket.connect({ host: address.host, port: address.port, autoSelectFamily: true }, () => {
      signal?.removeEventListener('abort', giveUp)
      const wire = new TcpWire(socket)
      socket.removeListener('error', fail)
      resolve(wire)
    })
  })
}

class TcpListener implements Listener {
  readonly address: Address
  readonly #server: Server

  constructor(server: Server, address: Address) {
    this.#server = server
    this.address = address
  }

  close(): Promise<void> {
    // Listening stops at once; Node's own callback would wait for every open wire.
    this.#server.close(() => {})
    return Promise.resolve()
  }
}

/** IPv4 as it is, where Node reports it mapped into IPv6. */
export function plainHost(host: string | undefined): string {
  if (host === undefined) return ''
  return /^::ffff:\d+\.\d+\.\d+\.\d+$/i.test(host) ? host.slice(7) : host
}

function listenError(address: Address, error: NodeJS.ErrnoException): TransportError {
  const where = formatAddress(address)
  const code = error.code ?? 'EUNKNOWN'
  return new TransportError(listenFault(address, code) ?? `cannot listen on ${where}: ${error.message}`, code, error)
}

function listenFault(address: Address, code: string): string | undefined {
  const { host, port } = address
  switch (code) {
    case 'EADDRINUSE':
      return `port ${port} on ${host} is in use by another process; stop it or choose another port`
    case 'EACCES':
      return `no permission to listen on ${formatAddress(address)}; ports below 1024 need one`
    case 'EADDRNOTAVAIL':
      return `${host} is no address of this machine`
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `${host} is no known host`
    default:
      return undefined
  }
}

function connectError(address: Address, error: NodeJS.ErrnoException): TransportError {
  const where = formatAddress(address)
  const code = error.code ?? 'EUNKNOWN'
  return new TransportError(connectFault(address, code) ?? `cannot connect to ${where}: ${error.message}`, code, error)
}

function connectFault(address: Address, code: string): string | undefined {
  const where = formatAddress(address)
  switch (code) {
    case 'ECONNREFUSED':
      return `nothing listens on ${where}`
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `${address.host} is no known host`
    case 'ETIMEDOUT':
      return `${where} does not answer`
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return `no way leads to ${where}`
    default:
      return undefined
  }
}
