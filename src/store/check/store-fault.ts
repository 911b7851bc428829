/** Where a fault lies. */
export type FaultKind =
  | 'record'
  | 'segment'
  | 'log-end'
  | 'foreign-file'
  | 'consume-queue'
  | 'index'
  | 'checkpoint'
  | 'config'

/** One thing that is wrong in a store directory, said once. */
export interface StoreFault {
  kind: FaultKind
  path: string
  /** Byte of the file at which it begins. */
  byte: number
  /** Address in the commit log, where it has one. */
  position?: number
  /** Bytes that are affected. */
  sizeBytes: number
  /** What is wrong. */
  what: string
  /** What would be lost, or why nothing is. */
  effect: string
  /** What mends it. */
  remedy: string
  /** An unclean stop leaves such things, and the next start mends them by itself: no damage. */
  isOrdinary: boolean
}

/** How far something long has got. */
export interface StoreProgress {
  /** What is being done, in a word or three. */
  step: string
  doneBytes: number
  totalBytes: number
  /** Messages met so far. */
  messages: number
}

export type OnProgress = (progress: StoreProgress) => void

/** A directory that cannot be looked at offline: the message says why. */
export class StoreUnreadable extends Error {
  override readonly name = 'StoreUnreadable'
}
