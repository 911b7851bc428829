/**
 * Encoded properties: `name 0x01 value 0x02`, one after another; the last 0x02 may be missing. Neither separator can be
 * part of a name or value.
 *
 * @source MessageDecoder.java, string2messageProperties, messageProperties2String
 */
export const NAME_END = 0x01
export const VALUE_END = 0x02

/** Entries without a name or a value are dropped, as Java drops them. */
export function parseProperties(text: string): Map<string, string> {
  const properties = new Map<string, string>()
  for (let start = 0; start < text.length; ) {
    let end = text.indexOf('\u0002', start)
    if (end < 0) end = text.length
    const split = text.indexOf('\u0001', start)
    if (split > start && split + 1 < end) properties.set(text.slice(start, split), text.slice(split + 1, end))
    start = end + 1
  }
  return properties
}

export function encodeProperties(properties: ReadonlyMap<string, string>): string {
  let text = ''
  for (const [name, value] of properties) text += `${name}\u0001${value}\u0002`
  return text
}

/** Where a property's value lies, found again by {@link findProperty}. */
export interface PropertyPlace {
  /** Of the name. */
  start: number
  valueStart: number
  valueEnd: number
  /** Behind the separator, if there is one. */
  end: number
}

/**
 * Finds a property in its bytes, making nothing.
 *
 * @param name ASCII
 * @returns false when it is not there; otherwise `place` tells where it is
 */
export function findProperty(
  bytes: Uint8Array,
  start: number,
  end: number,
  name: Uint8Array,
  place: PropertyPlace,
): boolean {
  const { length } = name
  for (let at = start; at < end; ) {
    let same = true
    let split = at
    for (; split < end; split++) {
      const byte = bytes[split]!
      if (byte === NAME_END || byte === VALUE_END) break
      if (same && byte !== name[split - at]) same = false
    }
    let valueEnd = split
    while (valueEnd < end && bytes[valueEnd] !== VALUE_END) valueEnd++
    if (same && split - at === length && bytes[split] === NAME_END && valueEnd > split + 1) {
      place.start = at
      place.valueStart = split + 1
      place.valueEnd = valueEnd
      place.end = Math.min(valueEnd + 1, end)
      return true
    }
    at = valueEnd + 1
  }
  return false
}
