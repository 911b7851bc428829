import { encodeProperties } from '../../src/protocol/properties.ts'
import type { MessageDraft } from '../../src/store/message-draft.ts'

/** A message whose every byte follows from its number, so that whoever receives it can tell whether it is whole. */
export interface ModelMessage {
  id: number
  body: Buffer
  tag: string | undefined
  properties: Buffer
}

const TAGS = [undefined, 'a', 'order-created', 'ß', undefined]

export function modelMessage(id: number, waits = true): ModelMessage {
  const tag = TAGS[id % TAGS.length]
  const properties = new Map([
    ['ID', String(id)],
    ['KEYS', `key-${id} key-${id % 7}`],
    ['UNIQ_KEY', id.toString(16).toUpperCase().padStart(32, '0')],
  ])
  if (tag !== undefined) properties.set('TAGS', tag)
  if (!waits) properties.set('WAIT', 'false')
  return { id, body: bodyOf(id), tag, properties: Buffer.from(encodeProperties(properties)) }
}

/** Mostly short; some are longer than a page. */
function bodyOf(id: number): Buffer {
  const mixed = Math.imul(id, 0x9e3779b1) >>> 0
  const sizeBytes = mixed % 10 === 0 ? 1 + (mixed % 6_007) : 1 + (mixed % 300)
  return Buffer.alloc(sizeBytes, `${id}:${mixed.toString(36)};`)
}

/** The same as a draft for the store. */
export function draftOfModel(id: number, topic: string, queueId: number): MessageDraft {
  const { body, properties } = modelMessage(id)
  return {
    topic,
    queueId,
    flag: 0,
    sysFlag: 0,
    bornTimestamp: 1,
    bornHost: { address: Uint8Array.of(10, 0, 0, 1), port: 50_000 },
    reconsumeTimes: 0,
    preparedTransactionOffset: 0,
    properties,
    body,
    batch: false,
  }
}
