import type { Connection } from '../remoting/connection.ts'
import type { Host } from '../store/message-store.ts'

/** Addresses of peers as records hold them, made once per connection. */
export class BornHosts {
  readonly #hosts = new WeakMap<Connection, Host>()
  readonly #fallback: Host

  /** @param fallback for peers without a numeric address */
  constructor(fallback: Host) {
    this.#fallback = fallback
  }

  of(connection: Connection): Host {
    const known = this.#hosts.get(connection)
    if (known !== undefined) return known
    const address = addressBytes(connection.remote.host)
    const host = address === undefined ? this.#fallback : { address, port: connection.remote.port }
    this.#hosts.set(connection, host)
    return host
  }
}

/** 4 or 16 bytes of a numeric address; undefined for a name. */
export function addressBytes(host: string): Uint8Array | undefined {
  if (/^\d{1,3}(\.\d{1,3}){3}$/.test(host)) {
    const parts = host.split('.').map(Number)
    return parts.every((part) => part <= 255) ? Uint8Array.from(parts) : undefined
  }
  const plain = host.split('%')[0]!
  if (!plain.includes(':') || !/^[0-9a-fA-F:.]+$/.test(plain)) return undefined
  return ipv6Bytes(plain)
}

function ipv6Bytes(text: string): Uint8Array | undefined {
  const embedded = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text)
  let plain = text
  if (embedded !== null) {
    const v4 = addressBytes(embedded[2]!)
    if (v4 === undefined) return undefined
    plain = `${embedded[1]}${((v4[0]! << 8) | v4[1]!).toString(16)}:${((v4[2]! << 8) | v4[3]!).toString(16)}`
  }
  const [head = '', tail] = plain.split('::')
  const before = head === '' ? [] : head.split(':')
  const after = tail === undefined || tail === '' ? [] : tail.split(':')
  const missing = 8 - before.length - after.length
  if (missing < 0 || (tail === undefined && missing !== 0)) return undefined
  const groups = [...before, ...new Array<string>(missing).fill('0'), ...after].map((group) =>
    Number.parseInt(group, 16),
  )
  if (groups.some((group) => Number.isNaN(group) || group > 0xffff)) return undefined
  const bytes = new Uint8Array(16)
  groups.forEach((group, at) => {
    bytes[at * 2] = group >> 8
    bytes[at * 2 + 1] = group
  })
  return bytes
}
