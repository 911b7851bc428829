import { createServer, type Server, Socket } from 'node:net'
import { type Address, formatAddress, type Listener, type Transport, TransportError, type Wire } from './transport.ts'

const BACKLOG = 1_024

class TcpWire implements Wire {
  readonly remote: Address
  readonly local: Address
  readonly #socket: Socket

  constructor(socket: Socket) {
    this.#socket = socket
    this.remote = { host: plainHost(socket.remoteAddress), port: socket.remotePort ?? 0 }
    this.local = { host: plainHost(socket.localAddress), port: socket.localPort ?? 0 }
    socket.setNoDelay(true)
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
    this.#socket.on('data', listener)
  }

  onDrain(listener: () => void): void {
    this.#socket.on('drain', listener)
  }

  onClose(listener: (error: Error | undefined) => void): void {
    let failure: Error | undefined
    this.#socket.on('error', (error) => {
      failure = error
    })
    // The peer will send nothing more, so it waits for no answer either.
    this.#socket.on('end', () => this.#socket.end())
    this.#socket.once('close', () => listener(failure))
    if (this.#socket.destroyed) listener(undefined)
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

/** TCP of the machine. */
export const tcpTransport: Transport = {
  listen(address, onWire) {
    return new Promise((resolve, reject) => {
      const server: Server = createServer({ noDelay: true, pauseOnConnect: false }, (socket) => {
        // A peer that is gone before it was accepted has no address any more.
        if (socket.remoteAddress === undefined) socket.destroy()
        else onWire(new TcpWire(socket))
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
  },

  connect(address, timeoutMs) {
    return new Promise((resolve, reject) => {
      const socket = new Socket()
      const fail = (error: NodeJS.ErrnoException): void => {
        socket.destroy()
        reject(connectError(address, error))
      }
      socket.once('error', fail)
      socket.setTimeout(timeoutMs, () =>
        fail(Object.assign(new Error(`no answer within ${timeoutMs} ms`), { code: 'ETIMEDOUT' })),
      )
      socket.connect({ host: address.host, port: address.port, autoSelectFamily: true }, () => {
        socket.setTimeout(0)
        socket.removeAllListeners('timeout')
        socket.removeListener('error', fail)
        resolve(new TcpWire(socket))
      })
    })
  },
}

class TcpListener implements Listener {
  readonly address: Address
  readonly #server: Server

  constructor(server: Server, address: Address) {
    this.#server = server
    this.address = address
  }

  close(): Promise<void> {
    // Resolves when listening has stopped; Node's own callback would wait for every open wire.
    this.#server.close(() => {})
    return Promise.resolve()
  }
}

/** IPv4 as it is, where Node reports it mapped into IPv6. */
function plainHost(host: string | undefined): string {
  return host === undefined ? '' : host.startsWith('::ffff:') ? host.slice(7) : host
}

function listenError(address: Address, error: NodeJS.ErrnoException): TransportError {
  const where = formatAddress(address)
  switch (error.code) {
    case 'EADDRINUSE':
      return new TransportError(
        `port ${address.port} on ${address.host} is in use by another process; stop it or choose another port`,
        error.code,
        error,
      )
    case 'EACCES':
      return new TransportError(`no permission to listen on ${where}; ports below 1024 need one`, error.code, error)
    case 'EADDRNOTAVAIL':
      return new TransportError(`${address.host} is no address of this machine`, error.code, error)
    case 'ENOTFOUND':
      return new TransportError(`${address.host} is no known host`, error.code, error)
    default:
      return new TransportError(`cannot listen on ${where}: ${error.message}`, error.code ?? 'EUNKNOWN', error)
  }
}

function connectError(address: Address, error: NodeJS.ErrnoException): TransportError {
  const where = formatAddress(address)
  const code = error.code ?? 'EUNKNOWN'
  switch (code) {
    case 'ECONNREFUSED':
      return new TransportError(`nothing listens on ${where}`, code, error)
    case 'ENOTFOUND':
      return new TransportError(`${address.host} is no known host`, code, error)
    case 'ETIMEDOUT':
      return new TransportError(`${where} does not answer: ${error.message}`, code, error)
    default:
      return new TransportError(`cannot connect to ${where}: ${error.message}`, code, error)
  }
}
