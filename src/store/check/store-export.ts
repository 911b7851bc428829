import { isUtf8 } from 'node:buffer'
import { inflateSync, zstdDecompressSync } from 'node:zlib'
import { decodeMessage } from '../../protocol/message.ts'
import { MessageSysFlag } from '../../protocol/names.ts'
import { isPlaceholder } from '../lost-records.ts'
import { logWalk } from './store-check.ts'
import type { StoreDirectory } from './store-directory.ts'
import type { OnProgress } from './store-fault.ts'

const COMPRESSED = 0x1
const COMPRESSION_MASK = 0x700
const LZ4 = 0x100
const ZSTD = 0x200

export interface ExportFilter {
  topic: string | undefined
  queueId: number | undefined
  fromOffset: number | undefined
  toOffset: number | undefined
  /** Store times in ms; `to` is not included, of offsets neither. */
  fromMs: number | undefined
  toMs: number | undefined
}

/** A message as it is exported: one line of JSON. */
export interface ExportedMessage {
  topic: string
  queueId: number
  queueOffset: number
  position: number
  storeTimestamp: number
  bornTimestamp: number
  bornHost: string
  flag: number
  sysFlag: number
  reconsumeTimes: number
  transaction?: 'prepared' | 'committed' | 'rolled back'
  properties: Record<string, string>
  /** One of the two: text when it is UTF-8. */
  body?: string
  bodyBase64?: string
  /** The body could not be unpacked, and is as it was stored. */
  compression?: string
}

export interface ExportCount {
  messages: number
  /** Ranges that could not be read, and were passed over. */
  damaged: { position: number; sizeBytes: number; what: string }[]
}

/** Hands over the messages of a store in the order of its log, over damage. */
export function exportStore(
  directory: StoreDirectory,
  filter: ExportFilter,
  onMessage: (message: ExportedMessage) => void,
  onProgress: OnProgress,
): ExportCount {
  const count: ExportCount = { messages: 0, damaged: [] }
  logWalk(directory, true).run({
    record(bytes, at) {
      if (isPlaceholder(bytes, at)) return undefined
      const message = decodeMessage(bytes, at)
      if (!isWanted(filter, message)) return undefined
      count.messages++
      const { host, port } = message.bornHost
      onMessage({
        topic: message.topic,
        queueId: message.queueId,
        queueOffset: message.queueOffset,
        position: message.position,
        storeTimestamp: message.storeTimestamp,
        bornTimestamp: message.bornTimestamp,
        bornHost: `${host}:${port}`,
        flag: message.flag,
        sysFlag: message.sysFlag,
        reconsumeTimes: message.reconsumeTimes,
        ...transactionOf(message.sysFlag),
        properties: Object.fromEntries(message.properties),
        ...bodyOf(message.body, message.sysFlag),
      })
      return undefined
    },
    damage: ({ position, end, what }) => count.damaged.push({ position, sizeBytes: end - position, what }),
    progress: (doneBytes) =>
      onProgress({ step: 'exporting', doneBytes, totalBytes: directory.logBytes, messages: count.messages }),
  })
  return count
}

function isWanted(
  { topic, queueId, fromOffset, toOffset, fromMs, toMs }: ExportFilter,
  message: { topic: string; queueId: number; queueOffset: number; storeTimestamp: number },
): boolean {
  return (
    (topic === undefined || message.topic === topic) &&
    (queueId === undefined || message.queueId === queueId) &&
    (fromOffset === undefined || message.queueOffset >= fromOffset) &&
    (toOffset === undefined || message.queueOffset < toOffset) &&
    (fromMs === undefined || message.storeTimestamp >= fromMs) &&
    (toMs === undefined || message.storeTimestamp < toMs)
  )
}

function transactionOf(sysFlag: number): Pick<ExportedMessage, 'transaction'> {
  switch (sysFlag & MessageSysFlag.TRANSACTION_MASK) {
    case MessageSysFlag.TRANSACTION_PREPARED:
      return { transaction: 'prepared' }
    case MessageSysFlag.TRANSACTION_COMMIT:
      return { transaction: 'committed' }
    case MessageSysFlag.TRANSACTION_ROLLBACK:
      return { transaction: 'rolled back' }
    default:
      return {}
  }
}

function bodyOf(stored: Buffer, sysFlag: number): Pick<ExportedMessage, 'body' | 'bodyBase64' | 'compression'> {
  let body = stored
  let compression: string | undefined
  if ((sysFlag & COMPRESSED) !== 0) {
    const kind = sysFlag & COMPRESSION_MASK
    try {
      if (kind === LZ4) compression = 'lz4'
      else body = kind === ZSTD ? zstdDecompressSync(stored) : inflateSync(stored)
    } catch {
      compression = kind === ZSTD ? 'zstd' : 'zlib'
    }
  }
  const more = compression === undefined ? {} : { compression }
  return isUtf8(body) ? { body: body.toString('utf8'), ...more } : { bodyBase64: body.toString('base64'), ...more }
}
