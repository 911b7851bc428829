/** An address as records store it. */
export interface Host {
  /** 4 bytes (IPv4) or 16 (IPv6). */
  address: Uint8Array
  port: number
}

/**
 * What the store is asked to keep. Not a request: retries, delays, timers, transactions and POP append too.
 *
 * Bytes are read before `append` returns, so views of a network buffer are welcome.
 */
export interface MessageDraft {
  topic: string
  queueId: number
  flag: number
  /** `MessageSysFlag` bits; the store sets those that tell IPv6 hosts. */
  sysFlag: number
  bornTimestamp: number
  bornHost: Host
  reconsumeTimes: number
  /** Commit and rollback records: position of the half message; else 0. */
  preparedTransactionOffset: number
  /** Encoded `name \1 value \2` pairs. */
  properties: Uint8Array
  body: Uint8Array
  /** The body is a client batch: each element becomes a record of its own, all in one segment. */
  batch: boolean
}
