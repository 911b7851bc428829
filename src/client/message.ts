import zlib from 'node:zlib'
import type { StoredMessage } from '../protocol/message.ts'
import { MessageSysFlag } from '../protocol/names.ts'
import type { Codec } from './codec.ts'
import { CometError } from './errors.ts'

/** A message as a consumer sees it. */
export interface Message<T> {
  readonly topic: string
  readonly brokerName: string
  readonly queueId: number
  /** Index within its queue. */
  readonly queueOffset: number
  /** Client-made id, the same on every redelivery. */
  readonly id: string
  /** Where it lies: store host and commit-log position. */
  readonly offsetId: string
  readonly tag: string | undefined
  readonly keys: readonly string[]
  readonly properties: ReadonlyMap<string, string>
  /** ms since 1970, by the producer's clock. */
  readonly bornAt: number
  /** ms since 1970, by the broker's clock. */
  readonly storedAt: number
  /** 1 when it is handed out for the first time. */
  readonly attempt: number
  /** The body, decompressed. */
  readonly body: Buffer
  /** The body through the topic's codec; decoded when first read. */
  readonly value: T
  text(): string
}

export class ReceivedMessage<T> implements Message<T> {
  readonly brokerName: string
  readonly #stored: StoredMessage
  readonly #codec: Codec<T>
  #body: Buffer | undefined
  #value: { decoded: T } | undefined
  attempt: number

  constructor(stored: StoredMessage, brokerName: string, codec: Codec<T>) {
    this.#stored = stored
    this.brokerName = brokerName
    this.#codec = codec
    this.attempt = stored.reconsumeTimes + 1
  }

  get topic(): string {
    return this.properties.get('RETRY_TOPIC') ?? this.#stored.topic
  }
  get queueId(): number {
    return this.#stored.queueId
  }
  get queueOffset(): number {
    return this.#stored.queueOffset
  }
  /** Commit-log position on its broker. */
  get position(): number {
    return this.#stored.position
  }
  get sizeBytes(): number {
    return this.#stored.sizeBytes
  }
  get id(): string {
    return this.properties.get('UNIQ_KEY') ?? this.offsetId
  }
  get offsetId(): string {
    return this.#stored.offsetMessageId
  }
  get tag(): string | undefined {
    return this.properties.get('TAGS')
  }
  get keys(): readonly string[] {
    return (this.properties.get('KEYS') ?? '').split(' ').filter((key) => key !== '')
  }
  get properties(): ReadonlyMap<string, string> {
    return this.#stored.properties
  }
  get bornAt(): number {
    return this.#stored.bornTimestamp
  }
  get storedAt(): number {
    return this.#stored.storeTimestamp
  }
  get body(): Buffer {
    this.#body ??= decompress(this.#stored.body, this.#stored.sysFlag)
    return this.#body
  }
  get value(): T {
    this.#value ??= { decoded: this.#codec.decode(this.body) }
    return this.#value.decoded
  }
  text(): string {
    return this.body.toString('utf8')
  }
}

/** Largest body a consumer inflates; a broker stores no more than 4 MiB compressed. */
const MAX_INFLATED_BYTES = 64 * 1024 * 1024

function decompress(body: Buffer, sysFlag: number): Buffer {
  if ((sysFlag & MessageSysFlag.COMPRESSED) === 0) return body
  const type = sysFlag & MessageSysFlag.COMPRESSION_TYPE_MASK
  switch (type) {
    case 0:
    case MessageSysFlag.COMPRESSION_ZLIB:
      return zlib.inflateSync(body, { maxOutputLength: MAX_INFLATED_BYTES })
    case MessageSysFlag.COMPRESSION_ZSTD:
      return zlib.zstdDecompressSync(body, { maxOutputLength: MAX_INFLATED_BYTES })
    default:
      throw new CometError(
        `the body is compressed in a way this version does not read (type bits 0x${type.toString(16)})`,
        {
          code: 'UNKNOWN_COMPRESSION',
          hint: 'let the producer use ZLIB or ZSTD',
        },
      )
  }
}
