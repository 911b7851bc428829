import { ESCAPED, FIELD_STRIDE, NULL_VALUE } from './field-table.ts'
import type { AnyFields, FieldKind } from './fields.ts'
import type { Frame } from './frame.ts'
import { unescapeInto, unescapeJson } from './json-text.ts'

/** A header that its command cannot be made of; the router answers with its message. */
export class BadHeader extends Error {
  override readonly name = 'BadHeader'
}

/** Reads a frame's fields into an object of fixed shape. */
export type Decoder = (frame: Frame) => Record<string, unknown>

/**
 * Compiles the decoder of one header: a switch over key length and first byte, a comparison of the other bytes, and an
 * object literal, so that every object it makes has the same shape.
 */
export function compileDecoder(commandName: string, fields: AnyFields): Decoder {
  const specs = Object.entries(fields).map(([name, field], index) => ({ name, field, index, key: field.key ?? name }))
  if (specs.length === 0) return () => ({})
  const readers = specs.map(({ name, field }) => readerOf(field.kind, name, commandName))
  const byLength = Map.groupBy(specs, ({ key }) => key.length)
  const cases = [...byLength].map(([length, alike]) => {
    const tests = alike.map(({ key, index }) => {
      const same = [...key]
        .map((char, at) => `bytes[k${at === 0 ? '' : ` + ${at}`}] === ${char.charCodeAt(0)}`)
        .join(' && ')
      return `if (${same}) f${index} = r[${index}](bytes, places[at + 2], places[at + 3], places[at + 4])`
    })
    return `case ${length}: ${tests.join('\n else ')}\n break`
  })
  const absent = specs.map(({ name, field, index }) => {
    if (field.absence === 'refused') return `if (f${index} === undefined) missing(${JSON.stringify(name)})`
    return field.absence === 'default' ? `if (f${index} === undefined) f${index} = d[${index}]` : ''
  })
  const source = `
    return function decode(frame) {
      let ${specs.map(({ index }) => `f${index} = undefined`).join(', ')}
      if (frame.parsedFields !== undefined) {
        const fields = frame.parsedFields
        ${specs.map(({ key, index }) => `f${index} = p[${index}](fields.get(${JSON.stringify(key)}))`).join('\n')}
      } else {
        const bytes = frame.bytes, places = frame.table.places, end = frame.hasFields ? frame.table.count * ${FIELD_STRIDE} : 0
        for (let at = 0; at < end; at += ${FIELD_STRIDE}) {
          const k = places[at]
          switch (places[at + 1] - k) {
            ${cases.join('\n')}
          }
        }
      }
      ${absent.join('\n')}
      return { ${specs.map(({ name, index }) => `${JSON.stringify(name)}: f${index}`).join(', ')} }
    }`
  const missing = (name: string): never => {
    throw new BadHeader(`${commandName} needs the header field '${name}'`)
  }
  const fallbacks = specs.map(({ field }) => field.fallback)
  const parsers = specs.map(({ name, field }) => parserOf(field.kind, name, commandName))
  return new Function('r', 'p', 'd', 'missing', source)(readers, parsers, fallbacks, missing) as Decoder
}

type Reader = (bytes: Buffer, start: number, end: number, state: number) => unknown

/** Reads a value in place; undefined for none. */
function readerOf(kind: FieldKind, name: string, commandName: string): Reader {
  const wrong = (what: string, found: string): never => {
    throw new BadHeader(`${commandName}: the header field '${name}' takes ${what}, not '${found.slice(0, 80)}'`)
  }
  switch (kind) {
    case 'text':
      return readText
    case 'name':
      return remembering()
    case 'int':
      return (bytes, start, end, state) => {
        if (state === NULL_VALUE) return undefined
        const value = readInteger(bytes, start, end)
        if (value === undefined || (value | 0) !== value)
          return wrong('a whole number of 32 bits', bytes.utf8Slice(start, end))
        return value
      }
    case 'long':
      return (bytes, start, end, state) => {
        if (state === NULL_VALUE) return undefined
        return (
          readInteger(bytes, start, end) ??
          (end - start > 20 ? undefined : parseLong(bytes.utf8Slice(start, end))) ??
          wrong('a whole number', bytes.utf8Slice(start, Math.min(end, start + 80)))
        )
      }
    case 'bool':
      return (bytes, start, end, state) => (state === NULL_VALUE ? undefined : isTrue(bytes, start, end))
    case 'bytes':
      return rawBytes(wrong)
  }
}

/** The same from text, for headers that went through the tolerant parser. */
function parserOf(kind: FieldKind, name: string, commandName: string): (text: string | null | undefined) => unknown {
  const read = readerOf(kind, name, commandName)
  return (text) => {
    if (text === null || text === undefined) return undefined
    if (kind === 'text' || kind === 'name') return text
    // A lone surrogate becomes '?', as Java encodes it.
    const bytes = Buffer.from(kind === 'bytes' ? text.replace(/\p{Surrogate}/gu, '?') : text, 'utf8')
    return kind === 'bytes' ? bytes : read(bytes, 0, bytes.length, 0)
  }
}

function readText(bytes: Buffer, start: number, end: number, state: number): string | undefined {
  if (state === 0) return bytes.utf8Slice(start, end)
  if (state === NULL_VALUE) return undefined
  return unescapeJson(bytes.utf8Slice(start, end))
}

/** A reader that gives the last string again when the bytes are the same: nearly always, for topics and groups. */
function remembering(): Reader {
  let last = ''
  let lastBytes: Uint8Array = new Uint8Array(0)
  return (bytes, start, end, state) => {
    if (state !== 0) return readText(bytes, start, end, state)
    const length = end - start
    if (length === lastBytes.length) {
      let at = 0
      while (at < length && bytes[start + at] === lastBytes[at]) at++
      if (at === length) return last
    }
    last = bytes.utf8Slice(start, end)
    lastBytes = Uint8Array.prototype.slice.call(bytes, start, end)
    return last
  }
}

/** undefined for what is not an integer of at most 15 digits. */
function readInteger(bytes: Buffer, start: number, end: number): number | undefined {
  let at = start
  const negative = bytes[at] === 0x2d
  if (negative) at++
  if (at === end || end - at > 15) return undefined
  let value = 0
  for (; at < end; at++) {
    const digit = bytes[at]! - 0x30
    if (digit < 0 || digit > 9) return undefined
    value = value * 10 + digit
  }
  return negative ? -value : value
}

/** Saturates at the safe range; undefined for no integer, or one beyond 64 bits. */
function parseLong(text: string): number | undefined {
  if (!/^[+-]?\d{1,19}$/.test(text)) return undefined
  const value = BigInt(text)
  if (value > 0x7fff_ffff_ffff_ffffn || value < -0x8000_0000_0000_0000n) return undefined
  return Math.max(Number.MIN_SAFE_INTEGER, Math.min(Number.MAX_SAFE_INTEGER, Number(value)))
}

function isTrue(bytes: Buffer, start: number, end: number): boolean {
  // 't', 'r', 'u', 'e' in any case
  return (
    end - start === 4 &&
    (bytes[start]! | 0x20) === 0x74 &&
    (bytes[start + 1]! | 0x20) === 0x72 &&
    (bytes[start + 2]! | 0x20) === 0x75 &&
    (bytes[start + 3]! | 0x20) === 0x65
  )
}

function rawBytes(wrong: (what: string, found: string) => never): Reader {
  let scratch = new Uint8Array(1_024)
  return (bytes, start, end, state) => {
    if (state === NULL_VALUE) return undefined
    if (state !== ESCAPED) return bytes.subarray(start, end)
    if (end - start > scratch.length) scratch = new Uint8Array((end - start) * 2)
    const length = unescapeInto(bytes, start, end, scratch)
    if (length < 0) return wrong('text', bytes.utf8Slice(start, end))
    return scratch.subarray(0, length)
  }
}
