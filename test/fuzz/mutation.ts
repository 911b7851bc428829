import type { Random } from '../../src/base/random.ts'

/** Numbers at which readers go wrong: around 0, around the ends of each width, and lengths that are nearly true. */
const INTERESTING = [
  -0x8000_0000, -0x7fff_ffff, -65_536, -32_768, -256, -128, -2, -1, 0, 1, 2, 7, 8, 19, 20, 90, 91, 92, 127, 128, 255,
  256, 511, 512, 4095, 4096, 32_767, 32_768, 65_535, 65_536, 0x00ff_ffff, 0x0800_0000, 0x7fff_fffe, 0x7fff_ffff,
] as const

export interface MutationOptions {
  /** Valid bytes of the same kind, to be spliced in. */
  others?: readonly Uint8Array[]
  /** What grows is cut, what shrinks is filled with zeros. */
  keepsSize?: boolean
  /** Longest result; default four times as long and a page more. */
  mostBytes?: number
}

/** Valid bytes with one to a few things done to them. The original stays as it is. */
export function mutate(random: Random, original: Uint8Array, options: MutationOptions = {}): Buffer {
  const most = options.mostBytes ?? original.length * 4 + 4096
  let bytes: Buffer = Buffer.from(original)
  for (let steps = 1 + Math.floor(random.next() ** 3 * 6); steps > 0; steps--) {
    bytes = step(random, bytes, options.others ?? [])
    if (bytes.length > most) bytes = bytes.subarray(0, most)
  }
  if (options.keepsSize !== true || bytes.length === original.length) return bytes
  if (bytes.length > original.length) return bytes.subarray(0, original.length)
  return Buffer.concat([bytes, Buffer.alloc(original.length - bytes.length)])
}

function step(random: Random, bytes: Buffer, others: readonly Uint8Array[]): Buffer {
  const at = random.below(bytes.length)
  const count = 1 + Math.floor(random.next() ** 4 * Math.max(0, bytes.length - at - 1))
  switch (bytes.length === 0 ? 8 : random.below(15)) {
    case 0:
    case 1:
    case 2:
      bytes[at]! ^= 1 << random.below(8)
      return bytes
    case 3:
      bytes[at] = random.below(256)
      return bytes
    case 4:
    case 5:
      return setNumber(random, bytes, at)
    case 6: // bytes that never came
      return bytes.fill(0, at, at + count)
    case 7: // a file that was cut
      return bytes.subarray(0, at)
    case 8:
      return Buffer.concat([bytes.subarray(0, at), random.bytes(1 + random.below(32)), bytes.subarray(at)])
    case 9:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + count)])
    case 10: // twice
      return Buffer.concat([bytes.subarray(0, at + count), bytes.subarray(at)])
    case 11: // a piece in another place
      bytes.copy(bytes, random.below(bytes.length), at, at + count)
      return bytes
    case 12: // the beginning of one, the end of another
      return splice(random, bytes, at, others)
    case 13: // a piece of another in the same place
      return overlay(random, bytes, at, count, others)
    default:
      return bytes.fill(0xff, at, at + Math.min(count, 64))
  }
}

function setNumber(random: Random, bytes: Buffer, near: number): Buffer {
  const width = [1, 2, 4, 4, 8][random.below(5)]!
  if (bytes.length < width) return bytes
  const at = Math.min(random.below(2) === 0 ? near : near - (near % 4), bytes.length - width)
  let value: number = INTERESTING[random.below(INTERESTING.length)]!
  // What stands there, and a little more or less.
  if (width === 4 && random.below(3) === 0) value = (bytes.readInt32BE(at) + random.below(17) - 8) | 0
  if (width === 8) {
    bytes.writeInt32BE(random.below(2) === 0 ? value : value >> 31, at)
    bytes.writeInt32BE(value, at + 4)
  } else if (width === 4) bytes.writeInt32BE(value, at)
  else if (width === 2) bytes.writeUInt16BE(value & 0xffff, at)
  else bytes[at] = value & 0xff
  return bytes
}

function splice(random: Random, bytes: Buffer, at: number, others: readonly Uint8Array[]): Buffer {
  const other = others.length === 0 ? bytes : others[random.below(others.length)]!
  const from = random.below(2) === 0 ? Math.min(at, other.length) : random.below(other.length + 1)
  return Buffer.concat([bytes.subarray(0, at), other.subarray(from)])
}

function overlay(random: Random, bytes: Buffer, at: number, count: number, others: readonly Uint8Array[]): Buffer {
  const other = others.length === 0 ? bytes : others[random.below(others.length)]!
  bytes.set(other.subarray(at, Math.min(other.length, at + count)), at)
  return bytes
}

/** Index of the first byte that differs; the shorter length when one begins like the other; -1 for equal bytes. */
export function firstDifference(a: Uint8Array, b: Uint8Array): number {
  const shared = Math.min(a.length, b.length)
  for (let at = 0; at < shared; at++) if (a[at] !== b[at]) return at
  return a.length === b.length ? -1 : shared
}
