import type { Disk } from '../../src/base/disk.ts'
import { bodyRange, decodeMessage, MAGIC_BLANK, propertiesRange, topicRange } from '../../src/protocol/message.ts'
import { readFile } from './log-on-disk.ts'

/** Parts of a record of the commit log, those of IPv4 hosts. */
export type RecordField =
  | 'totalSize'
  | 'magic'
  | 'bodyCRC'
  | 'queueId'
  | 'flag'
  | 'queueOffset'
  | 'position'
  | 'sysFlag'
  | 'bornTimestamp'
  | 'bornHost'
  | 'storeTimestamp'
  | 'storeHost'
  | 'reconsumeTimes'
  | 'preparedTransactionOffset'
  | 'bodyLength'
  | 'body'
  | 'topicLength'
  | 'topic'
  | 'propertiesLength'
  | 'properties'

const FIXED: readonly (readonly [RecordField, end: number])[] = [
  ['totalSize', 4],
  ['magic', 8],
  ['bodyCRC', 12],
  ['queueId', 16],
  ['flag', 20],
  ['queueOffset', 28],
  ['position', 36],
  ['sysFlag', 40],
  ['bornTimestamp', 48],
  ['bornHost', 56],
  ['storeTimestamp', 64],
  ['storeHost', 72],
  ['reconsumeTimes', 76],
  ['preparedTransactionOffset', 84],
  ['bodyLength', 88],
]

export interface StoredRecord {
  bytes: Buffer
  position: number
  path: string
}

/** Every record by `topic queue offset`, read in the plainest way. */
export function recordsInLog(disk: Disk, directory: string): Map<string, StoredRecord> {
  const found = new Map<string, StoredRecord>()
  for (const name of disk.listSync(directory).sort()) {
    const path = `${directory}/${name}`
    const bytes = readFile(disk, path)
    for (let at = 0; at + 8 <= bytes.length; ) {
      const size = bytes.readInt32BE(at)
      if (size <= 0 || bytes.readInt32BE(at + 4) === MAGIC_BLANK) break
      const { topic, queueId, queueOffset, position } = decodeMessage(bytes.subarray(at, at + size), 0)
      found.set(`${topic} ${queueId} ${queueOffset}`, { bytes: bytes.subarray(at, at + size), position, path })
      at += size
    }
  }
  return found
}

/** Which part of which record a byte of a segment is; undefined behind the last. */
export function recordFieldAt(
  records: ReadonlyMap<string, StoredRecord>,
  path: string,
  byte: number,
): RecordField | undefined {
  const base = Number(path.slice(path.lastIndexOf('/') + 1))
  for (const record of records.values()) {
    const at = base + byte - record.position
    if (record.path === path && at >= 0 && at < record.bytes.length) return fieldAt(record.bytes, at)
  }
  return undefined
}

function fieldAt(bytes: Buffer, at: number): RecordField {
  for (const [field, end] of FIXED) if (at < end) return field
  if (at < bodyRange(bytes, 0).end) return 'body'
  if (at < topicRange(bytes, 0).start) return 'topicLength'
  if (at < topicRange(bytes, 0).end) return 'topic'
  return at < propertiesRange(bytes, 0).start ? 'propertiesLength' : 'properties'
}
