/** JSON strings at byte level: what sits between the quotes. */

/** Text between quotes, escapes and all, to its meaning. @throws SyntaxError for escapes that are none, and for raw control characters */
export function unescapeJson(text: string): string {
  return JSON.parse(`"${text}"`) as string
}

const PLAIN = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/

/** A JSON string, quotes included. */
export function quote(text: string): string {
  return PLAIN.test(text) ? `"${text}"` : JSON.stringify(text)
}

const BACKSLASH = 0x5c

/**
 * Unescapes the bytes between two quotes into `target`, as UTF-8.
 *
 * @returns bytes written, or -1 for an escape that is none
 */
export function unescapeInto(source: Uint8Array, start: number, end: number, target: Uint8Array): number {
  let to = 0
  for (let at = start; at < end; at++) {
    const byte = source[at]!
    if (byte !== BACKSLASH) {
      target[to++] = byte
      continue
    }
    const escaped = source[++at]!
    switch (escaped) {
      case 0x75: {
        // \uXXXX
        if (at + 4 >= end) return -1
        let unit = hex4(source, at + 1)
        if (unit < 0) return -1
        at += 4
        if (unit < 0x80) {
          target[to++] = unit
          break
        }
        if (
          unit >= 0xd800 &&
          unit < 0xdc00 &&
          source[at + 1] === BACKSLASH &&
          source[at + 2] === 0x75 &&
          at + 6 < end
        ) {
          const low = hex4(source, at + 3)
          if (low >= 0xdc00 && low < 0xe000) {
            const point = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00)
            target[to++] = 0xf0 | (point >> 18)
            target[to++] = 0x80 | ((point >> 12) & 0x3f)
            target[to++] = 0x80 | ((point >> 6) & 0x3f)
            target[to++] = 0x80 | (point & 0x3f)
            at += 6
            break
          }
        }
        if (unit >= 0xd800 && unit < 0xe000) unit = 0x3f // a lone surrogate becomes '?', as Java encodes it
        if (unit < 0x80) target[to++] = unit
        else if (unit < 0x800) {
          target[to++] = 0xc0 | (unit >> 6)
          target[to++] = 0x80 | (unit & 0x3f)
        } else {
          target[to++] = 0xe0 | (unit >> 12)
          target[to++] = 0x80 | ((unit >> 6) & 0x3f)
          target[to++] = 0x80 | (unit & 0x3f)
        }
        break
      }
      case 0x6e:
        target[to++] = 0x0a
        break
      case 0x72:
        target[to++] = 0x0d
        break
      case 0x74:
        target[to++] = 0x09
        break
      case 0x62:
        target[to++] = 0x08
        break
      case 0x66:
        target[to++] = 0x0c
        break
      case 0x22:
      case 0x5c:
      case 0x2f:
        target[to++] = escaped
        break
      default:
        return -1
    }
  }
  return to
}

function hex4(bytes: Uint8Array, at: number): number {
  let value = 0
  for (let step = 0; step < 4; step++) {
    const byte = bytes[at + step]!
    if (byte >= 0x30 && byte <= 0x39) value = (value << 4) | (byte - 0x30)
    else if (byte >= 0x61 && byte <= 0x66) value = (value << 4) | (byte - 0x57)
    else if (byte >= 0x41 && byte <= 0x46) value = (value << 4) | (byte - 0x37)
    else return -1
  }
  return value
}
