/** Host and position as an offset message id: upper-case hex of address (4 or 16 bytes), port (4) and position (8). */
export function offsetMessageId(host: { address: Uint8Array; port: number }, position: number | bigint): string {
  return hexOfHost(host) + hexOfPosition(position)
}

/** The part that is the same for every message of a broker. */
export function hexOfHost({ address, port }: { address: Uint8Array; port: number }): string {
  const bytes = Buffer.alloc(address.length + 4)
  bytes.set(address)
  bytes.writeInt32BE(port, address.length)
  return bytes.toString('hex').toUpperCase()
}

export function hexOfPosition(position: number | bigint): string {
  return position.toString(16).toUpperCase().padStart(16, '0')
}

/** @returns undefined when the text is no offset message id */
export function decodeOffsetMessageId(id: string): { address: Buffer; port: number; position: number } | undefined {
  if (!/^(?:[0-9a-fA-F]{32}|[0-9a-fA-F]{56})$/.test(id)) return undefined
  const bytes = Buffer.from(id, 'hex')
  const length = bytes.length - 12
  const position = bytes.readBigInt64BE(length + 4)
  if (position < 0n || position > BigInt(Number.MAX_SAFE_INTEGER)) return undefined
  return { address: bytes.subarray(0, length), port: bytes.readInt32BE(length), position: Number(position) }
}

export interface UniqueIdOptions {
  /** 4 or 16 bytes. */
  address: Uint8Array
  pid: number
  /** Four bytes of chance, where Java has the hash of a class loader. */
  instance: number
  /** ms since 1970. */
  now: () => number
}

/**
 * Makes client message ids: upper-case hex of address, process id (2 bytes), instance (4), ms since the first day of the
 * month (4), counter (2).
 *
 * @source MessageClientIDSetter.java
 */
export class UniqueIds {
  readonly #prefix: string
  readonly #now: () => number
  #monthStart = 0
  #nextMonth = 0
  #counter = 0

  constructor({ address, pid, instance, now }: UniqueIdOptions) {
    const bytes = Buffer.alloc(address.length + 6)
    bytes.set(address)
    bytes.writeUInt16BE(pid & 0xffff, address.length)
    bytes.writeUInt32BE(instance >>> 0, address.length + 2)
    this.#prefix = bytes.toString('hex').toUpperCase()
    this.#now = now
  }

  next(): string {
    const now = this.#now()
    if (now >= this.#nextMonth || now < this.#monthStart) this.#turnMonth(now)
    this.#counter = (this.#counter + 1) & 0xffff
    const time = ((now - this.#monthStart) >>> 0).toString(16).toUpperCase().padStart(8, '0')
    return this.#prefix + time + this.#counter.toString(16).toUpperCase().padStart(4, '0')
  }

  #turnMonth(now: number): void {
    const date = new Date(now)
    this.#monthStart = new Date(date.getFullYear(), date.getMonth(), 1).getTime()
    this.#nextMonth = new Date(date.getFullYear(), date.getMonth() + 1, 1).getTime()
  }
}
