import { javaHashCode, javaHashCodeOfUtf8 } from '../protocol/java-hash.ts'
import { propertiesRange, readSysFlag, topicRange } from '../protocol/message.ts'
import { MessageSysFlag } from '../protocol/names.ts'
import { NAME_END, parseProperties, VALUE_END } from '../protocol/properties.ts'

const HASH = 0x23
const BLANK = 0x20
const KEYS = Buffer.from('KEYS')
const TAGS = Buffer.from('TAGS')
const UNIQ_KEY = Buffer.from('UNIQ_KEY')
const TAG_PREFIX = 'T#'

/**
 * What a record is indexed under, as hashes in Java's order: its unique key, each word of its keys, its tag. The text
 * that is hashed is `topic#key`, for a tag `topic#T#tag`. A rolled back transaction is not indexed, a prepared one is.
 *
 * The result is left in `hashes`, so that nothing is allocated per message.
 */
export class IndexKeys {
  /** The first `count` of them are the record's. */
  hashes = new Int32Array(16)
  count = 0
  /** Hash of `topic#` of the record before: neighbours are often of one topic. */
  #topic: Buffer = Buffer.alloc(0)
  #topicHash = 0
  #uniqueKey = { start: 0, end: 0 }
  #keys = { start: 0, end: 0 }
  #tags = { start: 0, end: 0 }

  collect(bytes: Buffer, at: number): number {
    this.count = 0
    const transaction = readSysFlag(bytes, at) & MessageSysFlag.TRANSACTION_MASK
    if (transaction === MessageSysFlag.TRANSACTION_ROLLBACK) return 0
    const name = topicRange(bytes, at)
    const start = name.end + 2
    const end = start + bytes.readInt16BE(name.end)
    if (start === end) return 0
    this.#find(bytes, start, end)
    const uniqueKey = this.#uniqueKey
    const keys = this.#keys
    const tags = this.#tags
    if (uniqueKey.end === 0 && keys.end === 0 && tags.end === 0) return 0
    const topic = this.#hashTopic(bytes, name.start, name.end)
    if (uniqueKey.end > 0) this.#add(hashOn(topic, bytes, uniqueKey.start, uniqueKey.end))
    for (let word = keys.start; word < keys.end; ) {
      let wordEnd = word
      while (wordEnd < keys.end && bytes[wordEnd] !== BLANK) wordEnd++
      if (wordEnd > word) this.#add(hashOn(topic, bytes, word, wordEnd))
      word = wordEnd + 1
    }
    if (tags.end > 0) this.#add(hashOn(hashOnText(topic, TAG_PREFIX), bytes, tags.start, tags.end))
    return this.count
  }

  /** Of a name that stands there twice the last counts, as in Java's map. */
  #find(bytes: Buffer, start: number, end: number): void {
    this.#uniqueKey.end = 0
    this.#keys.end = 0
    this.#keys.start = 0
    this.#tags.end = 0
    for (let at = start; at < end; ) {
      let split = at
      while (split < end && bytes[split] !== NAME_END && bytes[split] !== VALUE_END) split++
      let valueEnd = split
      while (valueEnd < end && bytes[valueEnd] !== VALUE_END) valueEnd++
      if (valueEnd > split + 1) {
        const length = split - at
        if (length === 4) {
          if (isName(bytes, at, KEYS)) setRange(this.#keys, split + 1, valueEnd)
          else if (isName(bytes, at, TAGS)) setRange(this.#tags, split + 1, valueEnd)
        } else if (length === 8 && isName(bytes, at, UNIQ_KEY)) setRange(this.#uniqueKey, split + 1, valueEnd)
      }
      at = valueEnd + 1
    }
  }

  #hashTopic(bytes: Buffer, start: number, end: number): number {
    const known = this.#topic
    if (known.length !== end - start || !isName(bytes, start, known)) {
      this.#topic = Buffer.from(bytes.subarray(start, end))
      this.#topicHash = (Math.imul(javaHashCodeOfUtf8(bytes, start, end), 31) + HASH) | 0
    }
    return this.#topicHash
  }

  #add(hash: number): void {
    if (this.count === this.hashes.length) {
      const grown = new Int32Array(this.count * 2)
      grown.set(this.hashes)
      this.hashes = grown
    }
    this.hashes[this.count++] = absolute(hash)
  }
}

function setRange(range: { start: number; end: number }, start: number, end: number): void {
  range.start = start
  range.end = end
}

function isName(bytes: Buffer, at: number, name: Buffer): boolean {
  for (let index = 0; index < name.length; index++) if (bytes[at + index] !== name[index]) return false
  return true
}

/** The hash of a text that goes on with UTF-8 bytes. */
function hashOn(hash: number, bytes: Buffer, start: number, end: number): number {
  let grown = hash
  for (let at = start; at < end; at++) {
    const byte = bytes[at]!
    if (byte > 0x7f) return hashOnText(hash, bytes.utf8Slice(start, end))
    grown = (Math.imul(grown, 31) + byte) | 0
  }
  return grown
}

function hashOnText(hash: number, text: string): number {
  let grown = hash
  for (let at = 0; at < text.length; at++) grown = (Math.imul(grown, 31) + text.charCodeAt(at)) | 0
  return grown
}

/** Java's absolute value has one that stays negative; it stands at 0. */
function absolute(hash: number): number {
  return hash === -0x8000_0000 ? 0 : Math.abs(hash)
}

/** Under which hash a key, or a whole tag, is found. */
export function indexHash(topic: string, key: string, isTag: boolean): number {
  return absolute(javaHashCode(`${topic}#${isTag ? TAG_PREFIX : ''}${key}`))
}

/** Whether the record is truly what is asked for: other keys have the same hash. */
export function isIndexedUnder(record: Buffer, topic: string, key: string, isTag: boolean): boolean {
  const name = topicRange(record, 0)
  if (record.utf8Slice(name.start, name.end) !== topic) return false
  const range = propertiesRange(record, 0)
  const properties = parseProperties(record.utf8Slice(range.start, range.end))
  if (isTag) return properties.get('TAGS') === key
  return properties.get('UNIQ_KEY') === key || (properties.get('KEYS')?.split(' ').includes(key) ?? false)
}
