/** Where a peer is reached. */
export interface Address {
  host: string
  port: number
}

/** One byte stream to a peer, whatever carries it. Callbacks are set once, before anything can arrive. */
export interface Wire {
  readonly remote: Address
  readonly local: Address
  /** Takes the bytes; they must not change until written. false: over the high-water mark, `onDrain` comes later. */
  write(bytes: Buffer): boolean
  /** Writes until `uncork` go out as one. */
  cork(): void
  uncork(): void
  /** Accepted and not written yet. */
  readonly bufferedBytes: number
  /** A chunk is valid until the listener returns: the next one may be read into the same bytes. */
  onData(listener: (chunk: Buffer) => void): void
  onDrain(listener: () => void): void
  /** Called once, when nothing more will come or go. */
  onClose(listener: (error: Error | undefined) => void): void
  /** Stops `onData` until `resume`. */
  pause(): void
  resume(): void
  /** Writes what is accepted, then closes. */
  end(): void
  /** Closes now. */
  destroy(): void
}

export interface Listener {
  /** The port is the one that was taken, when 0 was asked for. */
  readonly address: Address
  /** Accepts no more; open wires stay. */
  close(): Promise<void>
}

/** Byte streams, as an argument. */
export interface Transport {
  /** @throws TransportError naming the address and what to do */
  listen(address: Address, onWire: (wire: Wire) => void): Promise<Listener>
  /** Gives up when the signal says so. @throws TransportError naming the address and what to do */
  connect(address: Address, signal?: AbortSignal): Promise<Wire>
}

/** An address that cannot be listened on or reached; `code` is the errno name. */
export class TransportError extends Error {
  override readonly name = 'TransportError'
  readonly code: string

  constructor(message: string, code: string, cause?: unknown) {
    super(message, { cause })
    this.code = code
  }
}

/** `host:port`, or `[v6]:port`. */
export function formatAddress({ host, port }: Address): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

/** @throws TransportError when the text is no address */
export function parseAddress(text: string): Address {
  const found = /^(?:\[([^\]]+)\]|([^:]*|[0-9a-fA-F:.%]+)):(\d{1,5})$/.exec(text.trim())
  const port = Number(found?.[3])
  if (found === null || port > 65_535) throw new TransportError(`'${text}' is no host:port`, 'EINVAL')
  return { host: found[1] ?? found[2] ?? '', port }
}
