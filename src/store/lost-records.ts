import { encodeRecord, MAGIC_BLANK, propertiesRange, recordSize } from '../protocol/message.ts'
import { MessageSysFlag } from '../protocol/names.ts'
import { findProperty, type PropertyPlace } from '../protocol/properties.ts'
import { BLANK_BYTES } from './commit-log.ts'

/** A message that the log should hold and does not, as far as its queue tells. */
export interface LostEntry {
  topic: string
  queueId: number
  queueOffset: number
  /** -1 when its entry is not there either. */
  position: number
  sizeBytes: number
  tagsLow: number
  tagsHigh: number
  /** It stood between these two positions. */
  after: number
  before: number
}

/**
 * What stands in the log in place of records that damage took, so that both brokers read on behind them:
 *
 * - where the queue and its offset are known, a message of zeros with that offset: queues stay dense, which both brokers need;
 * - else a record of a transaction rolled back, which belongs in no queue and no index;
 * - up to the end of a segment, the blank record.
 *
 * Java blank records cannot stand in the middle: its scan goes on in the next segment.
 */
const LOST_FLAG = 0x434d514c
const LOST_PROPERTY = Buffer.from('CMQ_LOST')
const FILLER_TOPIC = Buffer.from('CMQ_LOST')
/** Room for the property that marks a placeholder. */
const MARK_BYTES = 32
const FILLER_BYTES = 1_048_576
const LOOPBACK = { address: Uint8Array.of(127, 0, 0, 1), port: 0 }
/** Longer topic names take a record of version 2. */
const SHORT_TOPIC_BYTES = 127

export interface LostRange {
  position: number
  end: number
  /** The blank record that ended the segment is damaged too. */
  isSegmentEnd: boolean
  /** Of a message nearby, so that searches by time stay right. */
  storeTimestamp: number
  entries: readonly LostEntry[]
}

/** Whether a valid record stands for one that was lost: consumers are not shown it. */
export function isPlaceholder(bytes: Buffer, at: number): boolean {
  if (bytes.readInt32BE(at + 16) !== LOST_FLAG) return false
  const properties = propertiesRange(bytes, at)
  const place: PropertyPlace = { start: 0, valueStart: 0, valueEnd: 0, end: 0 }
  return findProperty(bytes, properties.start, properties.end, LOST_PROPERTY, place)
}

/** The bytes that replace a range, from its first to its last; undefined when it is too small for anything valid. */
export function placeholders(range: LostRange): Buffer | undefined {
  const bytes = Buffer.alloc(range.end - range.position)
  const limit = range.isSegmentEnd ? range.end - BLANK_BYTES : range.end
  const slots = slotsOf(range, limit)
  if (slots === undefined) return undefined
  let at = range.position
  for (const [index, slot] of slots.entries()) {
    // Too little room for a record before it: then it begins earlier than the lost one did.
    if (slot.position > at && fill(bytes, range, at, slot.position)) at = slot.position
    const end = slots[index + 1]?.position ?? limit
    const least = leastBytes(slot.entry)
    let to = Math.max(at + least, Math.min(end, at + Math.max(least + MARK_BYTES, slot.entry.sizeBytes)))
    // What is left must hold a record of its own, or becomes part of this one; before a blank record it need not.
    const isLast = index === slots.length - 1
    if (!(isLast && range.isSegmentEnd) && end - to !== 0 && end - to < FILLER_LEAST) to = end
    if (to > end) return undefined
    encode(bytes, range, at, to, slot.entry)
    at = to
    if (!isLast && at < end) {
      if (!fill(bytes, range, at, end)) return undefined
      at = end
    }
  }
  if (range.isSegmentEnd) {
    if (range.end - at < BLANK_BYTES) return undefined
    bytes.writeInt32BE(range.end - at, at - range.position)
    bytes.writeInt32BE(MAGIC_BLANK, at - range.position + 4)
    // Nobody reads what follows a blank record.
    return bytes.subarray(0, at - range.position + BLANK_BYTES)
  }
  return at === range.end || fill(bytes, range, at, range.end) ? bytes : undefined
}

interface Slot {
  position: number
  entry: LostEntry
}

/** Where each lost message stood; those of which nobody knows share the room evenly. */
function slotsOf({ position, entries }: LostRange, limit: number): Slot[] | undefined {
  if (entries.length === 0) return []
  const known = entries.filter((entry) => entry.position >= 0)
  if (known.length === entries.length) return known.map((entry) => ({ position: entry.position, entry }))
  const share = Math.floor((limit - position) / entries.length)
  if (entries.some((entry) => leastBytes(entry) > share)) return undefined
  return entries.map((entry, index) => ({ position: position + index * share, entry: { ...entry, sizeBytes: 0 } }))
}

const versionOf = (topic: Buffer): 1 | 2 => (topic.length > SHORT_TOPIC_BYTES ? 2 : 1)

function leastBytes({ topic }: LostEntry): number {
  const name = Buffer.from(topic)
  return recordSize(0, name.length, 0, versionOf(name), false, false)
}

const FILLER_LEAST = recordSize(0, FILLER_TOPIC.length, 0, 1, false, false)

function encode(bytes: Buffer, range: LostRange, from: number, to: number, entry: LostEntry): void {
  const topic = Buffer.from(entry.topic)
  const text = Buffer.from(`${LOST_PROPERTY}\u0001${from}\u0002`)
  const room = to - from - leastBytes(entry)
  const properties = room >= text.length ? text : Buffer.alloc(0)
  put(bytes, range, from, {
    topic,
    version: versionOf(topic),
    queueId: entry.queueId,
    queueOffset: entry.queueOffset,
    sysFlag: 0,
    properties,
    body: Buffer.alloc(room - properties.length),
  })
}

/** Records that belong nowhere; false when there is no room for one. */
function fill(bytes: Buffer, range: LostRange, from: number, to: number): boolean {
  if (to - from < FILLER_LEAST) return false
  for (let at = from; at < to; ) {
    const left = to - at
    const size = left < FILLER_BYTES + FILLER_LEAST ? left : FILLER_BYTES
    put(bytes, range, at, {
      topic: FILLER_TOPIC,
      version: 1,
      queueId: 0,
      queueOffset: 0,
      sysFlag: MessageSysFlag.TRANSACTION_ROLLBACK,
      properties: Buffer.alloc(0),
      body: Buffer.alloc(size - FILLER_LEAST),
    })
    at += size
  }
  return true
}

function put(
  bytes: Buffer,
  range: LostRange,
  position: number,
  parts: {
    topic: Buffer
    version: 1 | 2
    queueId: number
    queueOffset: number
    sysFlag: number
    properties: Buffer
    body: Buffer
  },
): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  encodeRecord(bytes, view, position - range.position, {
    ...parts,
    flag: LOST_FLAG,
    position,
    bornTimestamp: range.storeTimestamp,
    bornHost: LOOPBACK,
    storeTimestamp: range.storeTimestamp,
    storeHost: LOOPBACK,
    reconsumeTimes: 0,
    preparedTransactionOffset: 0,
  })
}
