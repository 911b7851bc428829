import { ESCAPED, type FieldTable } from './field-table.ts'
import { FrameError } from './frame-error.ts'
import { isObject, parseJavaJson } from './java-json.ts'
import { LanguageCode, languageCode, languageName } from './language.ts'

/** The fixed part of a header, as both serialisations fill it. */
export interface HeaderFields {
  code: number
  flag: number
  opaque: number
  version: number
  /** Code of the language; -1 when nobody knows it. */
  language: number
  remark: string | undefined
  /** Set only by the tolerant parser; otherwise the field table holds the fields. */
  parsedFields: Map<string, string | null> | undefined
  /** False when the header carries no field map at all. */
  hasFields: boolean
}

/** No request has more; parsing a million takes seconds in which nobody else is served. */
const MAX_VALUES = 4_096
/** Larger headers are written by programs, in the shape that is read in place: answers that list a batch's message ids. */
const MAX_TOLERANT_BYTES = 262_144

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COLON = 0x3a
const COMMA = 0x2c
const OPEN = 0x7b
const CLOSE = 0x7d
const MINUS = 0x2d
const SPACE = 0x20

const EXT_FIELDS = Buffer.from('extFields')
const LANGUAGE = Buffer.from('language')
const REMARK = Buffer.from('remark')
const CODE = Buffer.from('code')
const FLAG = Buffer.from('flag')
const OPAQUE = Buffer.from('opaque')
const VERSION = Buffer.from('version')

/** 1 for what may follow a backslash, but for the u of four hex digits; 2 for hex digits. */
const JSON_CLASS = new Uint8Array(256)
for (const char of '"\\/bfnrt') JSON_CLASS[char.charCodeAt(0)]! |= 1
for (const char of '0123456789abcdefABCDEF') JSON_CLASS[char.charCodeAt(0)]! |= 2

/**
 * Reads a JSON header in place when it has the shape every client sends: string keys without escapes, no blanks, plain
 * numbers, string values. Anything else goes to the tolerant parser, which reads what fastjson2 reads.
 *
 * @throws FrameError for what Java's decoder would close the connection for
 */
export function readJsonHeader(
  bytes: Buffer,
  start: number,
  end: number,
  fields: FieldTable,
  header: HeaderFields,
): void {
  fields.count = 0
  header.code = 0
  header.flag = 0
  header.opaque = 0
  header.version = 0
  header.language = LanguageCode.JAVA
  header.remark = undefined
  header.parsedFields = undefined
  header.hasFields = false
  if (scan(bytes, start, end, fields, header)) return
  fields.count = 0
  header.remark = undefined
  if (end - start > MAX_TOLERANT_BYTES) {
    throw new FrameError(`a header of ${end - start} bytes in an unusual shape; ${MAX_TOLERANT_BYTES} are allowed`)
  }
  readTolerantly(bytes.utf8Slice(start, end), header)
}

/** @returns false when the header is not of the usual shape; what was filled by then is to be forgotten */
function scan(bytes: Buffer, start: number, end: number, fields: FieldTable, header: HeaderFields): boolean {
  let at = start
  if (bytes[at++] !== OPEN) return false
  for (;;) {
    if (bytes[at++] !== QUOTE) return false
    const keyStart = at
    while (at < end && bytes[at] !== QUOTE) {
      if (bytes[at] === BACKSLASH) return false
      at++
    }
    const length = at - keyStart
    if (bytes[at + 1] !== COLON) return false
    at += 2
    if (isKey(bytes, keyStart, length, EXT_FIELDS)) {
      if (header.hasFields) return false
      at = scanFields(bytes, at, end, fields)
      if (at < 0) return false
      header.hasFields = true
    } else if (bytes[at] === QUOTE) {
      const valueStart = ++at
      while (at < end && bytes[at] !== QUOTE) {
        if (bytes[at] === BACKSLASH) return false
        at++
      }
      if (at >= end) return false
      if (isKey(bytes, keyStart, length, LANGUAGE)) {
        const code = languageAt(bytes, valueStart, at)
        if (code < 0) return false
        header.language = code
      } else if (isKey(bytes, keyStart, length, REMARK)) header.remark = bytes.utf8Slice(valueStart, at)
      // Other texts say nothing to us, such as serializeTypeCurrentRPC; numbers may come as texts.
      else if (length < 8) return false
      at++
    } else {
      const valueStart = at
      const negative = bytes[at] === MINUS
      if (negative) at++
      let value = 0
      const digits = at
      for (let byte = bytes[at]!; byte >= 0x30 && byte <= 0x39 && at < end && at - digits < 11; byte = bytes[++at]!)
        value = value * 10 + byte - 0x30
      if (at === digits || at - valueStart > 11) return false
      if (negative) value = -value
      if ((value | 0) !== value) return false
      if (isKey(bytes, keyStart, length, CODE)) header.code = value
      else if (isKey(bytes, keyStart, length, FLAG)) header.flag = value
      else if (isKey(bytes, keyStart, length, OPAQUE)) header.opaque = value
      else if (isKey(bytes, keyStart, length, VERSION)) header.version = value
      else return false
    }
    const next = bytes[at++]
    if (at > end) return false
    if (next === CLOSE) return at === end
    if (next !== COMMA) return false
  }
}

function isKey(bytes: Buffer, start: number, length: number, key: Uint8Array): boolean {
  if (length !== key.length) return false
  for (let at = 0; at < length; at++) if (bytes[start + at] !== key[at]) return false
  return true
}

/** @returns the position behind the map, or -1 */
function scanFields(bytes: Buffer, from: number, end: number, fields: FieldTable): number {
  let at = from
  if (bytes[at++] !== OPEN) return -1
  if (bytes[at] === CLOSE) return at + 1
  for (;;) {
    if (bytes[at++] !== QUOTE) return -1
    const keyStart = at
    while (at < end && bytes[at] !== QUOTE) {
      if (bytes[at] === BACKSLASH) return -1
      at++
    }
    const keyEnd = at
    if (bytes[at + 1] !== COLON || bytes[at + 2] !== QUOTE) return -1
    at += 3
    const valueStart = at
    let state = 0
    for (;;) {
      if (at >= end) return -1
      const byte = bytes[at]
      if (byte === QUOTE) break
      if (byte === BACKSLASH) {
        const size = escapeSize(bytes, at)
        if (size < 0) return -1
        state = ESCAPED
        at += size
      } else if (byte! < SPACE) return -1
      else at++
    }
    if (!fields.add(keyStart, keyEnd, valueStart, at, state)) return -1
    at++
    const next = bytes[at++]
    if (next === CLOSE) return at
    if (next !== COMMA) return -1
  }
}

/** Bytes of the escape that begins here; -1 for one that JSON does not know, though Java may. */
function escapeSize(bytes: Buffer, at: number): number {
  const letter = bytes[at + 1]!
  if (letter !== 0x75) return (JSON_CLASS[letter]! & 1) === 0 ? -1 : 2
  const digits = JSON_CLASS[bytes[at + 2]!]! & JSON_CLASS[bytes[at + 3]!]!
  return (digits & JSON_CLASS[bytes[at + 4]!]! & JSON_CLASS[bytes[at + 5]!]! & 2) === 0 ? -1 : 6
}

/** The languages of nearly all clients without making a string. */
function languageAt(bytes: Buffer, start: number, end: number): number {
  if (
    end - start === 4 &&
    bytes[start] === 0x4a &&
    bytes[start + 1] === 0x41 &&
    bytes[start + 2] === 0x56 &&
    bytes[start + 3] === 0x41
  ) {
    return LanguageCode.JAVA
  }
  if (end - start === 2 && bytes[start] === 0x47 && bytes[start + 1] === 0x4f) return LanguageCode.GO
  return languageCode(bytes.latin1Slice(start, end))
}

function readTolerantly(text: string, header: HeaderFields): void {
  let parsed: unknown
  try {
    parsed = parseJavaJson(text, MAX_VALUES)
  } catch (error) {
    throw new FrameError(`the header is not JSON: ${(error as Error).message}`)
  }
  if (!isObject(parsed)) throw new FrameError('the header is not a JSON object')
  header.code = intOf(parsed, 'code')
  header.flag = intOf(parsed, 'flag')
  header.opaque = intOf(parsed, 'opaque')
  header.version = intOf(parsed, 'version')
  header.language = languageOf(parsed['language'])
  const remark = parsed['remark']
  header.remark = remark === undefined || remark === null ? undefined : textOf(remark)
  const fields = parsed['extFields']
  header.hasFields = isObject(fields)
  header.parsedFields = new Map()
  if (fields !== undefined && fields !== null && !isObject(fields)) throw new FrameError('extFields is not an object')
  if (isObject(fields)) {
    for (const key of Object.keys(fields))
      header.parsedFields.set(key, fields[key] === null ? null : textOf(fields[key]))
  }
}

function intOf(parsed: Record<string, unknown>, key: string): number {
  const value = parsed[key]
  if (value === undefined || value === null) return 0
  const number =
    typeof value === 'string'
      ? /^[+-]?\d{1,40}$/.test(value)
        ? Number(value)
        : Number.NaN
      : typeof value === 'boolean'
        ? Number(value)
        : value
  if (typeof number !== 'number' || Number.isNaN(number)) throw new FrameError(`${key} is not a number`)
  const whole = Math.trunc(number)
  if ((whole | 0) !== whole) throw new FrameError(`${key} is beyond 32 bits`)
  return whole
}

function languageOf(value: unknown): number {
  if (value === undefined) return LanguageCode.JAVA
  if (typeof value === 'number') return languageName(value) === undefined ? -1 : value
  return typeof value === 'string' ? languageCode(value) : -1
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : typeof value === 'object' ? JSON.stringify(value) : String(value)
}
