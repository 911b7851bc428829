/** Whether the store takes messages, and if not, why: for ever, for now, or until it is opened again. */
export class WriteGate {
  /** The store is closing. */
  closed = false
  /** Until a restart: what was synced and what was not is no longer known. */
  fatal: string | undefined
  /** For now, until the cause is seen to be gone: a disk that is full, the log, and the consume queues. */
  pausedByDisk: string | undefined
  pausedByLog: string | undefined
  pausedByQueues: string | undefined

  get reason(): string | undefined {
    if (this.fatal !== undefined) return this.fatal
    if (this.closed) return 'the store is closed'
    return this.pausedByDisk ?? this.pausedByLog ?? this.pausedByQueues
  }

  get isOpen(): boolean {
    return this.reason === undefined
  }
}
