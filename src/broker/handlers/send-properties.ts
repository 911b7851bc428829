import '../../protocol/native-buffer.ts'
import { NAME_END, VALUE_END } from '../../protocol/properties.ts'

/** What the send path does about a property of a certain name. */
type Meaning = 'uniqueKey' | 'wait' | 'priority' | 'innerBatch' | 'stripped' | 'delay' | 'transaction' | 'notServed'

interface KnownName {
  bytes: Uint8Array
  meaning: Meaning
  /** What a message with it asks for, where that is not served yet. */
  what: string
}

const KNOWN: readonly (readonly [name: string, meaning: Meaning, what?: string])[] = [
  ['WAIT', 'wait'],
  ['UNIQ_KEY', 'uniqueKey'],
  ['_SYS_MSG_PRIORITY_', 'priority'],
  ['INNER_NUM', 'innerBatch'],
  // Of the broker's own making: a client's message must not carry them.
  ['POP_CK', 'stripped'],
  ['__CRC32#', 'stripped'],
  // Put behind anew: a message that was read and is sent on has them already.
  ['CLUSTER', 'stripped'],
  ['TRACE_ON', 'stripped'],
  ['MSG_REGION', 'stripped'],
  ['DELAY', 'delay', 'delayed messages'],
  ['TRAN_MSG', 'transaction', 'transactional messages'],
  ['TIMER_DELAY_SEC', 'notServed', 'timer messages'],
  ['TIMER_DELAY_MS', 'notServed', 'timer messages'],
  ['TIMER_DELIVER_MS', 'notServed', 'timer messages'],
  ['TIMER_DEL_UNIQKEY', 'notServed', 'recalls of timer messages'],
  ['INNER_MULTI_DISPATCH', 'notServed', 'light message queues'],
  ['__LITE_TOPIC', 'notServed', 'lite topics'],
]
const TRANSIENT_PREFIX = Buffer.from('__RMQ.TRANSIENT.')
const TRUE = Buffer.from('true')

/** Names that matter, by their length: nearly every other name is told apart by that alone. */
const byLength: readonly (readonly KnownName[])[] = Array.from({ length: 21 }, (_, length) =>
  KNOWN.filter(([name]) => name.length === length).map(([name, meaning, what = '']) => ({
    bytes: Buffer.from(name),
    meaning,
    what,
  })),
)

/**
 * Rewrites the properties of a message on its way in, in one pass over the bytes: entries without a name or value and
 * those of the broker's own making vanish, and what the broker adds is put behind. Notes what the send path must know.
 */
export class SendProperties {
  /** The result; overwritten by the next message. */
  bytes: Uint8Array = new Uint8Array(0)
  /** What is asked for and not served, or undefined. */
  notServed: string | undefined
  /** False: the answer may come before flush and replication. */
  waitStore = true
  uniqueKey = ''
  hasPriority = false
  isInnerBatch = false
  readonly #added: Uint8Array
  #target: Buffer = Buffer.allocUnsafeSlow(4_096)

  /** @param added encoded properties that every message gets */
  constructor(added: string) {
    this.#added = Buffer.from(added, 'utf8')
  }

  /** @param makeUniqueKey called when the message has none */
  rewrite(source: Uint8Array | undefined, makeUniqueKey: () => string): void {
    this.notServed = undefined
    this.waitStore = true
    this.uniqueKey = ''
    this.hasPriority = false
    this.isInnerBatch = false
    const length = source === undefined ? 0 : source.length
    // 128: a unique key, and the separator that the last entry may lack.
    const most = length + this.#added.length + 128
    if (this.#target.length < most) this.#target = Buffer.allocUnsafeSlow(most * 2)
    const target = this.#target
    if (length > 0) target.set(source!)
    let to = this.#scan(target, length)
    if (this.uniqueKey === '') {
      this.uniqueKey = makeUniqueKey()
      to += target.latin1Write(`UNIQ_KEY\u0001${this.uniqueKey}\u0002`, to)
    }
    target.set(this.#added, to)
    this.bytes = target.subarray(0, to + this.#added.length)
  }

  /** Reads all entries, and moves those that stay together. @returns the end of what stays */
  #scan(target: Buffer, length: number): number {
    let to = 0
    for (let start = 0; start < length; ) {
      let split = start
      let byte = target[split]
      while (split < length && byte !== NAME_END && byte !== VALUE_END) byte = target[++split]
      let end = split
      while (end < length && target[end] !== VALUE_END) end++
      // Without a name, a value, or the sign between them it is no property; Java drops it too.
      if (split > start && end > split + 1 && byte === NAME_END && this.#keep(target, start, split, end)) {
        if (to !== start) target.copyWithin(to, start, end)
        to += end - start
        // Room is there: what was kept is never longer than what was read, but for the last separator.
        target[to++] = VALUE_END
      }
      start = end + 1
    }
    return to
  }

  /** @returns false for what is not to be stored */
  #keep(target: Buffer, start: number, split: number, end: number): boolean {
    const length = split - start
    if (length > 16 && isAt(target, start, TRANSIENT_PREFIX)) return false
    const candidates = byLength[length]
    if (candidates === undefined) return true
    for (let index = 0; index < candidates.length; index++) {
      const known = candidates[index]!
      if (isAt(target, start, known.bytes)) return this.#note(known, target, split + 1, end)
    }
    return true
  }

  #note({ meaning, what }: KnownName, target: Buffer, start: number, end: number): boolean {
    switch (meaning) {
      case 'uniqueKey':
        this.uniqueKey = target.utf8Slice(start, end)
        break
      case 'wait':
        this.waitStore = isTrue(target, start, end)
        break
      case 'priority':
        this.hasPriority = true
        break
      case 'innerBatch':
        this.isInnerBatch = true
        break
      case 'stripped':
        return false
      case 'delay':
        // Level 0 and below is no delay; what is no number is for the refusal to name.
        if (!(Number(target.latin1Slice(start, end)) <= 0)) this.notServed = what
        break
      case 'transaction':
        if (isTrue(target, start, end)) this.notServed = what
        break
      default:
        this.notServed = what
    }
    return true
  }
}

function isAt(bytes: Uint8Array, start: number, wanted: Uint8Array): boolean {
  for (let at = 0; at < wanted.length; at++) if (bytes[start + at] !== wanted[at]) return false
  return true
}

/** As Java reads a boolean: `true` in any case. */
function isTrue(bytes: Uint8Array, start: number, end: number): boolean {
  if (end - start !== TRUE.length) return false
  for (let at = 0; at < TRUE.length; at++) if ((bytes[start + at]! | 0x20) !== TRUE[at]) return false
  return true
}
