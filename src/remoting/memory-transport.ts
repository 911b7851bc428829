import type { Random } from '../base/random.ts'
import type { Scheduler } from '../base/scheduler.ts'
import { type Address, formatAddress, type Listener, type Transport, TransportError, type Wire } from './transport.ts'

export interface MemoryTransportOptions {
  /** Bytes under way above which `write` returns false. Default 65,536, as Node's sockets. */
  highWaterBytes?: number
  /** Chunks arrive cut to pieces of this many bytes, or, with a random, of 1 to this many. */
  sliceBytes?: number
  random?: Random
  /** All that is there arrives as one chunk, whatever it was written as. */
  coalesce?: boolean
  /** Time that bytes are under way, ms; they stay in order. Default none: they arrive in the next turn. */
  delayMs?: number
}

/** A way to break one stream, seen from one of its ends. */
export interface MemoryFaults {
  /** Both ends are reset, once this end has received so many bytes more; the rest is lost. */
  cutAfter(bytes: number): void
  /** Nothing that this end sends arrives any more, not even its close: it vanished without a word. */
  freeze(): void
}

/** As much as one read of a socket brings. */
const READ_BYTES = 65_536
/** What a chunk holds once its listener has returned. */
const STALE = 0xee

/**
 * Byte streams inside one process: in order, one turn late, and the same from run to run. As unkind as real ones: who
 * changes bytes before they are written is found out, since they are not copied until they are read; who reads a chunk
 * after his callback has returned too, since all are read into the same buffer, which is spoiled behind each.
 */
export class MemoryTransport implements Transport {
  readonly #scheduler: Scheduler
  readonly #options: MemoryTransportOptions
  readonly #listeners = new Map<number, (wire: Wire) => void>()
  readonly #unreachable = new Set<number>()
  readonly #wires = new Set<MemoryWire>()
  readonly #readBuffer = Buffer.alloc(READ_BYTES)
  #nextPort = 50_000

  constructor(scheduler: Scheduler, options: MemoryTransportOptions = {}) {
    this.#scheduler = scheduler
    this.#options = options
  }

  async listen(address: Address, onWire: (wire: Wire) => void): Promise<Listener> {
    const { host } = address
    const port = address.port === 0 ? this.#nextPort++ : address.port
    if (this.#listeners.has(port)) {
      const fault = `port ${port} on ${host} is in use by another process; stop it or choose another port`
      throw new TransportError(fault, 'EADDRINUSE')
    }
    this.#listeners.set(port, onWire)
    return {
      address: { host, port },
      close: async () => {
        if (this.#listeners.get(port) === onWire) this.#listeners.delete(port)
      },
    }
  }

  async connect(address: Address, signal?: AbortSignal): Promise<Wire> {
    if (this.#unreachable.has(address.port)) {
      await new Promise<void>((resolve) => {
        if (signal?.aborted === true) resolve()
        else signal?.addEventListener('abort', () => resolve(), { once: true })
      })
      throw new TransportError(`${formatAddress(address)} does not answer`, 'ETIMEDOUT')
    }
    // A turn passes, as on a network: who connects at the same time is waiting then.
    await new Promise<void>((resolve) => this.#scheduler.defer(resolve))
    const onWire = this.#listeners.get(address.port)
    if (onWire === undefined) throw new TransportError(`nothing listens on ${formatAddress(address)}`, 'ECONNREFUSED')
    const near = { host: '127.0.0.1', port: this.#nextPort++ }
    const far = { host: address.host === 'localhost' ? '127.0.0.1' : address.host, port: address.port }
    const make = (local: Address, remote: Address): MemoryWire =>
      new MemoryWire(this.#scheduler, this.#options, this.#readBuffer, local, remote, (gone) =>
        this.#wires.delete(gone),
      )
    const client = make(near, far)
    const server = make(far, near)
    MemoryWire.join(client, server)
    this.#wires.add(client).add(server)
    onWire(server)
    return client
  }

  /** Packets to this port get lost: nobody answers, not even to refuse. */
  makeUnreachable(port: number): void {
    this.#unreachable.add(port)
  }

  makeReachable(port: number): void {
    this.#unreachable.delete(port)
  }

  /** Ends of open streams, in the order of their making, the connecting one of a pair first. */
  get ends(): readonly (Wire & MemoryFaults)[] {
    return [...this.#wires]
  }

  /** Breaks every open stream, as a network does. */
  cutAll(): void {
    for (const wire of [...this.#wires]) wire.cut()
  }

  /** Peers vanish without a word: nothing arrives any more, nothing closes. */
  freezeAll(): void {
    for (const wire of this.#wires) wire.freeze()
  }
}

class MemoryWire implements Wire, MemoryFaults {
  readonly local: Address
  readonly remote: Address
  readonly #scheduler: Scheduler
  readonly #options: MemoryTransportOptions
  readonly #highWaterBytes: number
  readonly #readBuffer: Buffer
  readonly #forget: (wire: MemoryWire) => void
  #peer!: MemoryWire
  /** Written by the peer, not read yet. */
  #incoming: Buffer[] = []
  /** Of the peer's, still under way. */
  #underWay = 0
  /** Written here, not read by the peer yet. */
  #bufferedBytes = 0
  #cutAfter = Number.POSITIVE_INFINITY
  #overfull = false
  #paused = false
  #frozen = false
  #ended = false
  #closed = false
  #delivering = false
  #failure: Error | undefined
  #dataListener: ((chunk: Buffer) => void) | undefined
  #drainListener: (() => void) | undefined
  #closeListener: ((error: Error | undefined) => void) | undefined

  constructor(
    scheduler: Scheduler,
    options: MemoryTransportOptions,
    readBuffer: Buffer,
    local: Address,
    remote: Address,
    forget: (wire: MemoryWire) => void,
  ) {
    this.#scheduler = scheduler
    this.#readBuffer = readBuffer
    this.#options = options
    this.#highWaterBytes = options.highWaterBytes ?? 65_536
    this.#forget = forget
    this.local = local
    this.remote = remote
  }

  static join(client: MemoryWire, server: MemoryWire): void {
    client.#peer = server
    server.#peer = client
  }

  get bufferedBytes(): number {
    return this.#bufferedBytes
  }

  write(bytes: Buffer): boolean {
    if (this.#closed || this.#ended) return true
    this.#bufferedBytes += bytes.length
    this.#peer.#underWay++
    this.#later(() => this.#peer.#arrive(bytes))
    if (this.#bufferedBytes < this.#highWaterBytes) return true
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
    if (this.#closed) listener(this.#failure)
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
    this.#later(() => this.#peer.#deliverSoon())
  }

  destroy(): void {
    this.#close(undefined)
    this.#later(() => {
      if (!this.#frozen) this.#peer.#close(undefined)
    })
  }

  cut(): void {
    const error = Object.assign(new Error('the connection was reset'), { code: 'ECONNRESET' })
    this.#close(error)
    this.#peer.#close(error)
  }

  cutAfter(bytes: number): void {
    this.#cutAfter = bytes
  }

  freeze(): void {
    this.#frozen = true
  }

  #later(callback: () => void): void {
    const { delayMs = 0 } = this.#options
    if (delayMs > 0) this.#scheduler.after(delayMs, callback)
    else callback()
  }

  #arrive(bytes: Buffer): void {
    this.#underWay--
    if (this.#closed || this.#peer.#frozen) return
    this.#incoming.push(bytes)
    this.#deliverSoon()
  }

  #deliverSoon(): void {
    if (this.#delivering || this.#paused || this.#closed) return
    this.#delivering = true
    this.#scheduler.defer(() => {
      this.#delivering = false
      this.#deliver()
    })
  }

  #deliver(): void {
    if (this.#dataListener === undefined) return
    if (this.#options.coalesce === true && this.#incoming.length > 1) this.#incoming = [Buffer.concat(this.#incoming)]
    while (this.#incoming.length > 0 && !this.#paused && !this.#closed) {
      const chunk = this.#nextChunk()
      const { length } = chunk
      this.#cutAfter -= length
      if (length > 0) {
        chunk.copy(this.#readBuffer)
        this.#dataListener(this.#readBuffer.subarray(0, length))
        this.#readBuffer.fill(STALE, 0, length)
      }
      this.#peer.#taken(length)
      if (this.#cutAfter <= 0) return this.cut()
    }
    this.#seeEnd()
  }

  #nextChunk(): Buffer {
    const { random } = this.#options
    const sliceBytes = Math.min(this.#options.sliceBytes ?? READ_BYTES, READ_BYTES)
    const first = this.#incoming[0]!
    const most = Math.min(random === undefined ? sliceBytes : 1 + random.below(sliceBytes), this.#cutAfter)
    if (first.length <= most) return this.#incoming.shift()!
    this.#incoming[0] = first.subarray(most)
    return first.subarray(0, most)
  }

  /** The peer has read what was written here. */
  #taken(bytes: number): void {
    this.#bufferedBytes -= bytes
    if (!this.#overfull || this.#bufferedBytes > 0 || this.#closed) return
    this.#overfull = false
    this.#drainListener?.()
  }

  /** The peer's end is seen after all its bytes; then this side ends too, and with both ended the stream is gone. */
  #seeEnd(): void {
    const peer = this.#peer
    const isRead = this.#incoming.length === 0 && this.#underWay === 0
    if (this.#closed || this.#paused || !peer.#ended || peer.#frozen || !isRead) return
    if (!this.#ended) return this.end()
    if (peer.#incoming.length > 0 || peer.#underWay > 0) return
    this.#close(undefined)
    if (!this.#frozen) peer.#close(undefined)
  }

  #close(error: Error | undefined): void {
    if (this.#closed) return
    this.#closed = true
    this.#failure = error
    this.#incoming = []
    this.#forget(this)
    this.#closeListener?.(error)
  }
}
