/**
 * JSON as RocketMQ's Java side writes and reads it (fastjson2): maps with number keys print them bare (`{0:"a"}`), maps
 * keyed by queues print the queue as an object (`{{"brokerName":"b","queueId":0,"topic":"t"}:1}`), and the reader takes
 * single quotes, comments and trailing commas.
 */
import { resolveReferences } from './json-references.ts'

/** Text that is not JSON in this dialect; says where. */
export class JavaJsonError extends Error {
  override readonly name = 'JavaJsonError'
}

/** Deeper texts are refused, as Java's reader refuses them; nothing RocketMQ writes goes beyond 8. */
const MAX_DEPTH = 512

/** Beyond any double written out; making a number of a million digits takes a tenth of a second. */
const MAX_NUMBER_LENGTH = 1_100

const BACKSLASH = 0x5c

/** What follows a backslash, beside \\u and \\x. */
const ESCAPES: ReadonlyMap<string, number> = new Map([
  ...[...'"\'\\/'].map((char) => [char, char.charCodeAt(0)] as const),
  ...[...'01234567'].map((char) => [char, Number(char)] as const),
  ['n', 0x0a],
  ['r', 0x0d],
  ['t', 0x09],
  ['b', 0x08],
  ['f', 0x0c],
  ['F', 0x0c],
  ['v', 0x0b],
])

/** @returns -1 when they are not all hex digits */
function hexOf(text: string, at: number, digits: number): number {
  let value = 0
  for (let step = 0; step < digits; step++) {
    const digit = Number.parseInt(text[at + step] ?? '', 16)
    if (Number.isNaN(digit)) return -1
    value = value * 16 + digit
  }
  return value
}

export type JsonObject = Record<string, unknown>

/**
 * Parses a document. Objects have no prototype, so a key such as `__proto__` is data. Object-literal keys come as their
 * text. Integers beyond 2^53 saturate; empty text is undefined.
 *
 * @param maxValues refuses documents of more values than this, before they have taken much time
 * @throws JavaJsonError
 */
export function parseJavaJson(text: string, maxValues: number = Number.POSITIVE_INFINITY): unknown {
  const parser = new Parser(text, maxValues)
  return parser.document()
}

/** The document as an object, or an empty one when it is something else. */
export function parseJavaObject(text: string): JsonObject {
  const value = parseJavaJson(text)
  return isObject(value) ? value : Object.create(null)
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

class Parser {
  readonly #text: string
  readonly #maxValues: number
  #values = 0
  #at = 0
  #hasReferences = false

  constructor(text: string, maxValues: number) {
    this.#text = text
    this.#maxValues = maxValues
  }

  document(): unknown {
    this.#skipBlank()
    if (this.#at === this.#text.length) return undefined
    const value = this.#value(0)
    this.#skipBlank()
    if (this.#at < this.#text.length) throw this.#error('text after the document')
    if (this.#hasReferences && !resolveReferences(value)) throw this.#error('references to too much')
    return value
  }

  #value(depth: number): unknown {
    if (depth > MAX_DEPTH) throw this.#error(`deeper than ${MAX_DEPTH}`)
    if (++this.#values > this.#maxValues) throw this.#error(`more than ${this.#maxValues} values`)
    const char = this.#text[this.#at]
    switch (char) {
      case '{':
        return this.#object(depth)
      case '[':
        return this.#array(depth)
      case '"':
      case "'":
        return this.#string(char)
      case 't':
        return this.#word('true', true)
      case 'f':
        return this.#word('false', false)
      case 'n':
        return this.#word('null', null)
      default:
        return this.#number()
    }
  }

  #object(depth: number): JsonObject {
    if (depth > MAX_DEPTH) throw this.#error(`deeper than ${MAX_DEPTH}`)
    const result: JsonObject = Object.create(null)
    this.#at++
    for (;;) {
      this.#skipBlank()
      const char = this.#text[this.#at]
      if (char === '}') {
        this.#at++
        return result
      }
      const key = this.#key(depth)
      if (key === '$ref') this.#hasReferences = true
      this.#skipBlank()
      if (this.#text[this.#at] !== ':') throw this.#error("':' expected")
      this.#at++
      this.#skipBlank()
      result[key] = this.#value(depth + 1)
      this.#separator('}')
    }
  }

  /** A quoted name, a bare number, or an object literal, whose text is the key. */
  #key(depth: number): string {
    const char = this.#text[this.#at]
    if (char === '"' || char === "'") return this.#string(char)
    if (char === '{') {
      const start = this.#at
      this.#object(depth + 1)
      return this.#text.slice(start, this.#at)
    }
    const number = this.#match(/-?\d+/y)
    if (number === undefined) throw this.#error('a key in quotes expected')
    return number
  }

  #array(depth: number): unknown[] {
    const result: unknown[] = []
    this.#at++
    for (;;) {
      this.#skipBlank()
      if (this.#text[this.#at] === ']') {
        this.#at++
        return result
      }
      result.push(this.#value(depth + 1))
      this.#separator(']')
    }
  }

  /** A comma (also before the end), or the end, which is left to the caller. */
  #separator(end: string): void {
    this.#skipBlank()
    const char = this.#text[this.#at]
    if (char === ',') this.#at++
    else if (char !== end) throw this.#error(`',' or '${end}' expected`)
  }

  #string(quote: string): string {
    const start = this.#at + 1
    const end = this.#stringEnd(quote, start)
    this.#at = end + 1
    const raw = this.#text.slice(start, end)
    return raw.includes('\\') ? this.#unescape(raw, start) : raw
  }

  /** Where the closing quote is: the first one behind an even number of backslashes. */
  #stringEnd(quote: string, start: number): number {
    const text = this.#text
    for (let end = text.indexOf(quote, start); end >= 0; end = text.indexOf(quote, end + 1)) {
      let before = end
      while (before > start && text.charCodeAt(before - 1) === BACKSLASH) before--
      if ((end - before) % 2 === 0) return end
    }
    throw this.#error('a string without end')
  }

  /** Unit by unit, because a text of escapes as pieces to be joined takes a microsecond for each. */
  #unescape(raw: string, start: number): string {
    const units = Buffer.allocUnsafe(raw.length * 2)
    let size = 0
    for (let at = 0; at < raw.length; at++) {
      let unit = raw.charCodeAt(at)
      if (unit === BACKSLASH) {
        const letter = raw[++at]!
        const digits = letter === 'u' ? 4 : letter === 'x' ? 2 : 0
        unit = digits === 0 ? (ESCAPES.get(letter) ?? -1) : hexOf(raw, at + 1, digits)
        if (unit < 0) {
          this.#at = start + at
          throw this.#error(digits === 0 ? `unknown escape \\${letter}` : `\\${letter} takes ${digits} hex digits`)
        }
        at += digits
      }
      units[size++] = unit & 0xff
      units[size++] = unit >> 8
    }
    return units.toString('utf16le', 0, size)
  }

  #number(): number {
    const text = this.#match(/[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?/y)
    if (text === undefined) throw this.#error('a value expected')
    if (text.length > MAX_NUMBER_LENGTH) throw this.#error(`a number of more than ${MAX_NUMBER_LENGTH} characters`)
    // Java suffixes of longs, bytes, shorts, floats and doubles.
    this.#match(/[LSBFD](?![\w])/y)
    const value = Number(text)
    return Math.max(Number.MIN_SAFE_INTEGER, Math.min(Number.MAX_SAFE_INTEGER, value))
  }

  #word<T>(word: string, value: T): T {
    if (!this.#text.startsWith(word, this.#at)) throw this.#error('a value expected')
    this.#at += word.length
    return value
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at
    const found = pattern.exec(this.#text)?.[0]
    if (found !== undefined) this.#at += found.length
    return found
  }

  #skipBlank(): void {
    const text = this.#text
    for (;;) {
      const char = text.charCodeAt(this.#at)
      if (char === 0x20 || char === 0x0a || char === 0x0d || char === 0x09 || char === 0x0c || char === 0x08) this.#at++
      else if (char === 0x2f && text[this.#at + 1] === '/') {
        const end = text.indexOf('\n', this.#at)
        this.#at = end < 0 ? text.length : end + 1
      } else if (char === 0x2f && text[this.#at + 1] === '*') {
        const end = text.indexOf('*/', this.#at + 2)
        if (end < 0) throw this.#error('a comment without end')
        this.#at = end + 2
      } else return
    }
  }

  #error(what: string): JavaJsonError {
    return new JavaJsonError(`${what} at character ${this.#at}`)
  }
}

/** A map that prints with bare number keys, as Java's `Map<Integer, …>` does. */
export class NumberKeyMap<V> extends Map<number, V> {}

/** A queue as the key of a map. */
export interface QueueKey {
  topic: string
  brokerName: string
  queueId: number
}

/** A map keyed by queues: its keys print as object literals, compact and in the order every RocketMQ tool expects. */
export class QueueKeyMap<V> {
  readonly entries: [QueueKey, V][]

  constructor(entries: [QueueKey, V][] = []) {
    this.entries = entries
  }

  set(key: QueueKey, value: V): void {
    this.entries.push([key, value])
  }
}

/** Reads the text of an object-literal key back. */
export function readQueueKey(text: string): QueueKey {
  const key = parseJavaObject(text)
  return {
    topic: String(key['topic'] ?? ''),
    brokerName: String(key['brokerName'] ?? ''),
    queueId: Number(key['queueId'] ?? 0),
  }
}

export interface StringifyOptions {
  /** Tabs and line breaks, as Java's files have. */
  pretty?: boolean
  /** Number keys in quotes and only ASCII: what clients ask for that read standard JSON alone. */
  standard?: boolean
}

/** Writes a value: keys of objects in alphabetical order, nulls and undefined left out, maps in their own order. */
export function stringifyJavaJson(value: unknown, options: StringifyOptions = {}): string {
  const text = write(value, options, options.pretty === true ? '\n' : '') ?? 'null'
  return options.standard === true ? text.replace(/[\u0080-\uffff]/g, escapeUnit) : text
}

function write(value: unknown, options: StringifyOptions, indent: string): string | undefined {
  switch (typeof value) {
    case 'string':
      return JSON.stringify(value)
    case 'number':
      if (value >= Number.MAX_SAFE_INTEGER) return '9223372036854775807'
      if (value <= Number.MIN_SAFE_INTEGER) return '-9223372036854775808'
      return Number.isFinite(value) ? String(value) : undefined
    case 'boolean':
    case 'bigint':
      return String(value)
    case 'object':
      break
    default:
      return undefined
  }
  if (value === null) return undefined
  const inner = indent === '' ? '' : `${indent}\t`
  if (Array.isArray(value)) return writeArray(value, options, indent, inner)
  if (value instanceof Set) return writeArray([...value], options, indent, inner)
  const members: string[] = []
  if (value instanceof Map) {
    const bare = value instanceof NumberKeyMap && options.standard !== true
    for (const [key, each] of value)
      member(members, bare ? String(key) : JSON.stringify(String(key)), each, options, inner)
  } else if (value instanceof QueueKeyMap) {
    for (const [{ topic, brokerName, queueId }, each] of value.entries) {
      const key = `{"brokerName":${JSON.stringify(brokerName)},"queueId":${queueId},"topic":${JSON.stringify(topic)}}`
      member(members, key, each, options, inner)
    }
  } else {
    for (const key of Object.keys(value).sort())
      member(members, JSON.stringify(key), (value as JsonObject)[key], options, inner)
  }
  return members.length === 0 ? '{}' : `{${members.join(',')}${indent}}`
}

function member(members: string[], key: string, value: unknown, options: StringifyOptions, inner: string): void {
  const text = write(value, options, inner)
  if (text !== undefined) members.push(`${inner}${key}:${text}`)
}

function writeArray(values: readonly unknown[], options: StringifyOptions, indent: string, inner: string): string {
  if (values.length === 0) return '[]'
  const flat = indent === '' || values.every((each) => typeof each === 'number')
  const texts = values.map((each) => write(each, options, flat ? indent : inner) ?? 'null')
  return flat ? `[${texts.join(',')}]` : `[${inner}${texts.join(`,${inner}`)}${indent}]`
}

function escapeUnit(char: string): string {
  return `\\u${char.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}`
}
