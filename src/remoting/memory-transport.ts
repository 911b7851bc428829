import type { Random } from '../base/random.ts'
import type { Scheduler } from '../base/scheduler.ts'
import { type Address, formatAddress, type Listener, type Transport, TransportError, type Wire } from './transport.ts'

export interface MemoryTransportOptions {
  /** Bytes in flight above which `write` returns false. Default 16,384, as Node's sockets. */
  highWaterBytes?: number
  /** Chunks arrive cut to pieces of at most this many bytes; drawn anew for each piece when a random is given. */
  sliceBytes?: number
  random?: Random
  /** Time a chunk is under way, ms. Default none: it arrives in the next turn. */
  delayMs?: number
}

/** Byte streams inside one process, in order and deterministic; slow, cut and half-open on demand, for tests. */
export class MemoryTransport implements Transport {
  readonly #scheduler: Scheduler
  readonly #options: MemoryTransportOptions
  readonly #listeners = new Map<number, (wire: Wire) => void>()
  readonly #wires = new Set<MemoryWire>()
  #nextPort = 50_000

  constructor(scheduler: Scheduler, options: MemoryTransportOptions = {}) {
    this.#scheduler = scheduler
    this.#options = options
  }

  async listen(address: Address, onWire: (wire: Wire) => void): Promise<Listener> {
    const port = address.port === 0 ? this.#nextPort++ : address.port
    if (this.#listeners.has(port)) {
      throw new TransportError(
        `port ${port} on ${address.host} is in use by another process; stop it or choose another port`,
        'EADDRINUSE',
      )
    }
    this.#listeners.set(port, onWire)
    return {
      address: { host: address.host, port },
      close: async () => {
        this.#listeners.delete(port)
      },
    }
  }

  async connect(address: Address, _timeoutMs = 0): Promise<Wire> {
    const onWire = this.#listeners.get(address.port)
    if (onWire === undefined) throw new TransportError(`nothing listens on ${formatAddress(address)}`, 'ECONNREFUSED')
    const near = { host: '127.0.0.1', port: this.#nextPort++ }
    const far = { host: address.host === 'localhost' ? '127.0.0.1' : address.host, port: address.port }
    const client = new MemoryWire(this.#scheduler, this.#options, near, far)
    const server = new MemoryWire(this.#scheduler, this.#options, far, near)
    client.peer = server
    server.peer = client
    for (const wire of [client, server]) {
      this.#wires.add(wire)
      wire.forget = () => this.#wires.delete(wire)
    }
    onWire(server)
    return client
  }

  /** Breaks every open stream, as a network does. */
  cutAll(): void {
    for (const wire of [...this.#wires]) wire.cut()
  }

  /** Peers vanish without a word: nothing arrives any more, nothing closes. */
  freezeAll(): void {
    for (const wire of this.#wires) wire.frozen = true
  }
}

class MemoryWire implements Wire {
  readonly local: Address
  readonly remote: Address
  peer: MemoryWire | undefined
  frozen = false
  forget: () => void = () => {}
  readonly #scheduler: Scheduler
  readonly #highWaterBytes: number
  readonly #sliceBytes: number
  readonly #random: Random | undefined
  readonly #delayMs: number
  /** Written by the peer, not read yet. */
  #incoming: Buffer[] = []
  #bufferedBytes = 0
  #overfull = false
  #paused = false
  #closed = false
  #ended = false
  #delivering = false
  #dataListener: ((chunk: Buffer) => void) | undefined
  #drainListener: (() => void) | undefined
  #closeListener: ((error: Error | undefined) => void) | undefined

  constructor(scheduler: Scheduler, options: MemoryTransportOptions, local: Address, remote: Address) {
    this.#scheduler = scheduler
    this.#highWaterBytes = options.highWaterBytes ?? 16_384
    this.#sliceBytes = options.sliceBytes ?? Number.POSITIVE_INFINITY
    this.#random = options.random
    this.#delayMs = options.delayMs ?? 0
    this.local = local
    this.remote = remote
  }

  get bufferedBytes(): number {
    return this.#bufferedBytes
  }

  write(bytes: Buffer): boolean {
    if (this.#closed || this.#ended) return true
    this.#bufferedBytes += bytes.length
    const copy = Buffer.from(bytes)
    const arrive = (): void => {
      if (this.frozen || this.peer === undefined) return
      this.peer.#incoming.push(copy)
      this.peer.#deliverSoon()
    }
    if (this.#delayMs > 0) this.#scheduler.after(this.#delayMs, arrive)
    else arrive()
    if (this.#bufferedBytes <= this.#highWaterBytes) return true
    this.#overfull = true
    return false
  }

  cork(): void {}

  uncork(): void {}

  onData(listener: (chunk: Buffer) => void): void {
    this.#dataListener = listener
    this.#deliverSoon()
  }

  onDrain(listener: () => void): void {
    this.#drainListener = listener
  }

  onClose(listener: (error: Error | undefined) => void): void {
    this.#closeListener = listener
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    this.#paused = false
    this.#deliverSoon()
  }

  end(): void {
    if (this.#ended || this.#closed) return
    this.#ended = true
    this.#finish()
  }

  destroy(): void {
    this.#close(undefined)
    if (this.peer !== undefined) this.peer.#peerGone(undefined)
  }

  cut(): void {
    const error = Object.assign(new Error('the connection was cut'), { code: 'ECONNRESET' })
    this.#close(error)
    if (this.peer !== undefined) this.peer.#close(error)
  }

  #deliverSoon(): void {
    if (
      this.#delivering ||
      this.#paused ||
      this.#closed ||
      this.#dataListener === undefined ||
      this.#incoming.length === 0
    )
      return
    this.#delivering = true
    this.#scheduler.defer(() => {
      this.#delivering = false
      this.#deliver()
    })
  }

  #deliver(): void {
    while (this.#incoming.length > 0 && !this.#paused && !this.#closed) {
      const first = this.#incoming[0]!
      const most = this.#random === undefined ? this.#sliceBytes : 1 + this.#random.below(this.#sliceBytes)
      const chunk = first.length <= most ? first : first.subarray(0, most)
      if (chunk === first) this.#incoming.shift()
      else this.#incoming[0] = first.subarray(most)
      if (this.peer !== undefined) this.peer.#arrived(chunk.length)
      this.#dataListener!(chunk)
    }
    if (this.#incoming.length === 0 && this.peer !== undefined && this.peer.#ended) this.peer.#finish()
  }

  #arrived(bytes: number): void {
    this.#bufferedBytes -= bytes
    if (this.#overfull && this.#bufferedBytes === 0) {
      this.#overfull = false
      this.#drainListener?.()
    }
  }

  /** Both sides close once what was written has arrived. */
  #finish(): void {
    if (this.#bufferedBytes > 0) return
    this.#scheduler.defer(() => {
      this.#close(undefined)
      if (this.peer !== undefined) this.peer.#close(undefined)
    })
  }

  #peerGone(error: Error | undefined): void {
    this.#scheduler.defer(() => this.#close(error))
  }

  #close(error: Error | undefined): void {
    if (this.#closed) return
    this.#closed = true
    this.forget()
    this.#closeListener?.(error)
  }
}
