import { NAME_END, VALUE_END } from '../protocol/properties.ts'

/** Properties that ask for what is not served yet, by what it is. */
const NOT_SERVED: ReadonlyMap<string, string> = new Map([
  ['DELAY', 'delayed messages'],
  ['TIMER_DELAY_SEC', 'timer messages'],
  ['TIMER_DELAY_MS', 'timer messages'],
  ['TIMER_DELIVER_MS', 'timer messages'],
  ['TIMER_DEL_UNIQKEY', 'recalling timer messages'],
  ['TRAN_MSG', 'transactional messages'],
  ['INNER_NUM', 'inner batches'],
  ['__LITE_TOPIC', 'lite topics'],
])
/** Properties of the broker's own making, which a client's message must not carry. */
const STRIPPED: ReadonlySet<string> = new Set(['POP_CK', '__CRC32#'])
const STRIPPED_PREFIX = '__RMQ.TRANSIENT.'
const LONGEST_NAME = 17

const DELAY_NAMES: ReadonlySet<string> = new Set(['DELAY'])

/**
 * Rewrites the properties of a message on its way in, in one pass over the bytes: entries without a name or value and
 * those of the broker's own making vanish, and what the broker adds is put behind. Notes what the send path must know.
 */
export class SendProperties {
  /** The result; overwritten by the next message. */
  bytes: Uint8Array = new Uint8Array(0)
  /** What is asked for and not served, or undefined. */
  notServed: string | undefined
  /** "false": the answer may come before flush and replication. */
  waitStore = true
  /** undefined when the client gave none. */
  uniqueKey: string | undefined
  hasKeys = false
  readonly #added: Uint8Array
  #scratch: Buffer = Buffer.allocUnsafeSlow(2_048)

  /** @param added encoded properties that every message gets */
  constructor(added: string) {
    this.#added = Buffer.from(added, 'utf8')
  }

  /** @param makeUniqueKey called when the message has none */
  rewrite(source: Uint8Array | undefined, makeUniqueKey: () => string): void {
    this.notServed = undefined
    this.waitStore = true
    this.uniqueKey = undefined
    this.hasKeys = false
    const length = source === undefined ? 0 : source.length
    this.#makeRoom(length + this.#added.length + 128)
    const target = this.#scratch
    let to = 0
    for (let start = 0; start < length; ) {
      let split = start
      while (split < length && source![split] !== NAME_END && source![split] !== VALUE_END) split++
      let end = split
      while (end < length && source![end] !== VALUE_END) end++
      // Without a name, a value, or the sign between them it is no property; Java drops it too.
      if (split > start && source![split] === NAME_END && end > split + 1 && this.#keep(source!, start, split, end)) {
        target.set(source!.subarray(start, end), to)
        to += end - start
        target[to++] = VALUE_END
      }
      start = end + 1
    }
    if (this.uniqueKey === undefined) {
      this.uniqueKey = makeUniqueKey()
      to += target.latin1Write(`UNIQ_KEY\u0001${this.uniqueKey}\u0002`, to)
    }
    target.set(this.#added, to)
    this.bytes = target.subarray(0, to + this.#added.length)
  }

  /** @returns false for what is not to be stored */
  #keep(source: Uint8Array, start: number, split: number, end: number): boolean {
    const length = split - start
    // Names of one to three letters, and long ones of users, cannot be any that matter here.
    if (length < 4) return true
    const first = source[start]
    if (length === 8 && first === 0x55 && latin1(source, start, split) === 'UNIQ_KEY') {
      this.uniqueKey = Buffer.from(source.buffer, source.byteOffset, source.length).utf8Slice(split + 1, end)
      return true
    }
    if (length === 4) {
      if (first === 0x57 && latin1(source, start, split) === 'WAIT') this.waitStore = !isFalse(source, split + 1, end)
      else if (first === 0x4b && latin1(source, start, split) === 'KEYS') this.hasKeys = true
      return true
    }
    // Only D, T, I, P and _ begin a name that matters.
    if (first !== 0x44 && first !== 0x54 && first !== 0x49 && first !== 0x50 && first !== 0x5f) return true
    if (first === 0x5f && latin1(source, start, split).startsWith(STRIPPED_PREFIX)) return false
    if (length > LONGEST_NAME) return true
    const name = latin1(source, start, split)
    if (STRIPPED.has(name)) return false
    const what = NOT_SERVED.get(name)
    if (what !== undefined && asksFor(name, latin1(source, split + 1, end))) this.notServed = what
    return true
  }

  #makeRoom(bytes: number): void {
    if (this.#scratch.length < bytes) this.#scratch = Buffer.allocUnsafeSlow(bytes * 2)
  }
}

/** A delay level of 0 and a TRAN_MSG that is not true ask for nothing. */
function asksFor(name: string, value: string): boolean {
  if (DELAY_NAMES.has(name)) return !(Number(value) <= 0)
  return name !== 'TRAN_MSG' || value.toLowerCase() === 'true'
}

function latin1(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).latin1Slice(start, end)
}

function isFalse(bytes: Uint8Array, start: number, end: number): boolean {
  return end - start === 5 && latin1(bytes, start, end).toLowerCase() === 'false'
}
