import type { Disk } from '../base/disk.ts'
import type { Log } from '../base/log.ts'
import type { Probes } from '../base/probe.ts'
import type { Random } from '../base/random.ts'
import type { Scheduler } from '../base/scheduler.ts'
import type { Watermark } from '../base/watermark.ts'
import type { Appended } from './appended.ts'
import type { Arrival } from './dispatch.ts'
import type { ReadRequest, ReadResult } from './get-message.ts'
import type { Host, MessageDraft } from './message-draft.ts'
import type { MessageQuery, QueriedMessages } from './message-queries.ts'
import type { Boundary } from './offset-by-time.ts'
import type { DestroyedQueue } from './queue-retention.ts'
import type { StoreSettings } from './settings.ts'
import type { WritePolicy } from './write-guard.ts'

export { type Appended, PutStatus } from './appended.ts'
export type { Arrival } from './dispatch.ts'
export { GetStatus, type MessageFilter, type ReadRequest, type ReadResult } from './get-message.ts'
export type { Host, MessageDraft } from './message-draft.ts'
export type { MessageQuery, QueriedMessages } from './message-queries.ts'
export type { Boundary } from './offset-by-time.ts'
export type { DestroyedQueue } from './queue-retention.ts'
export { StoreCorrupt, StoreLocked, StoreRefused } from './store-errors.ts'

export interface StoreOptions {
  settings: StoreSettings
  disk: Disk
  scheduler: Scheduler
  random: Random
  log: Log
  probes: Probes
  /** Written into every record, and part of offset message ids. */
  storeHost: Host
  /** Of the machine, or of the limit under which the process runs; asked of the machine by default. */
  memoryBytes?: number
  /** Of this process, by default; a simulation has its own. */
  processId?: number
  /** Fixed, for tests; by default the measured durations decide. */
  writePolicy?: WritePolicy
}

/** One entry of a consume queue. */
export interface QueueEntry {
  queueOffset: number
  position: number
  sizeBytes: number
  tagsCode: bigint
}

export interface Positions {
  min: number
  appended: number
  written: number
  flushed: number
  /** Consumers see up to here: what the flush mode promises. */
  readable: number
}

export interface MessageStore {
  /** Synchronous; the result is reused by the next call. The answer waits on `durable` (or `written`). */
  append(draft: MessageDraft): Appended
  readonly written: Watermark
  readonly flushed: Watermark
  /** What replicas must have too; without any, what is readable. */
  readonly confirmed: Watermark
  /** What an answer waits for in this flush mode. The store expires deadlines, to a tenth of a second. */
  readonly durable: Watermark
  readonly syncFlushTimeoutMs: number
  readonly positions: Positions
  readonly writable: boolean
  readonly notWritableReason: string | undefined
  /** Calls back now when it can, later when the disk must be asked. */
  read(request: ReadRequest, done: (result: ReadResult) => void): void
  /** 0 for an unknown queue. */
  minOffset(topic: string, queueId: number): number
  /** Next offset to become readable; 0 for an unknown queue. */
  maxOffset(topic: string, queueId: number): number
  queueExists(topic: string, queueId: number): boolean
  offsetByTime(topic: string, queueId: number, timestampMs: number, boundary: Boundary): number
  /** -1 when there is no such message. */
  storeTimestampAt(topic: string, queueId: number, queueOffset: number): number
  /** Of the log, or of one queue; -1 when empty. */
  earliestStoreTimestamp(topic?: string, queueId?: number): number
  /** One whole record, verified; undefined when none begins there. */
  recordAt(position: number): Buffer | undefined
  /** Messages by key, unique key or tag; the newest that fit, the oldest of them first. */
  queryMessages(query: MessageQuery): Promise<QueriedMessages>
  entries(topic: string, queueId: number, fromOffset: number, count: number): QueueEntry[]
  deleteTopic(topic: string): void
  /** Names of all topics that have a consume queue, or had one a moment ago. */
  readonly topics: string[]
  /** Deletes, in the next rounds, segments that have expired, whatever the hour. */
  deleteExpiredLog(): void
  /** Forgets consume queues of which the log holds no message; their next message has offset 0. */
  destroyExpiredQueues(isKept: (topic: string) => boolean): Promise<DestroyedQueue[]>
  onArrival(listener: Arrival): void
  /** Bytes of another log's tail, exactly at the end of this one: for replication. */
  appendRaw(position: number, bytes: Uint8Array): void
  /** Drops everything from `position` on, durably, before it returns. */
  truncateTo(position: number): void
  /** The store's keys of GET_BROKER_RUNTIME_INFO. */
  runtimeInfo(): Record<string, string>
  close(): Promise<void>
}
