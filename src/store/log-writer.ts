import type { DiskError } from '../base/disk.ts'
import type { Scheduler } from '../base/scheduler.ts'
import type { CommitLog } from './commit-log.ts'
import type { Segment } from './segment.ts'
import type { WriteGuard } from './write-guard.ts'

/** Longest single write. */
const WRITE_BYTES = 262_144
/** Bytes written synchronously in one turn; the rest follows in the next, so that input is read in between. */
const TURN_BYTES = 1_048_576
/** Longest asynchronous write: one is in flight, what arrives meanwhile waits in the chunks. */
const ASYNC_WRITE_BYTES = 1_048_576

export interface LogWriterProbe {
  writes: number
  writtenBytes: number
  failedWrites: number
}

/**
 * The one who writes the log: never two writes at once, because the kernel would let the second wait on the inode.
 * Appends of one loop turn leave in one write.
 */
export class LogWriter {
  readonly guard: WriteGuard
  readonly #log: CommitLog
  readonly #scheduler: Scheduler
  readonly #probe: LogWriterProbe
  readonly #reserve: (end: number) => void
  readonly #onWritten: () => void
  readonly #onFailed: (error: DiskError) => void
  #asked = false
  #inFlightSince: number | undefined
  #stopped = false
  #idle: (() => void)[] = []

  constructor(options: {
    log: CommitLog
    scheduler: Scheduler
    guard: WriteGuard
    probe: LogWriterProbe
    /** Called before something is written that ends here. @throws DiskError when it must not be written */
    reserve: (end: number) => void
    /** `log.written` has grown. */
    onWritten: () => void
    /** Nothing behind `log.written` is in the file; what was appended behind it must be taken back. */
    onFailed: (error: DiskError) => void
  }) {
    this.guard = options.guard
    this.#log = options.log
    this.#scheduler = options.scheduler
    this.#probe = options.probe
    this.#reserve = options.reserve
    this.#onWritten = options.onWritten
    this.#onFailed = options.onFailed
  }

  get isWriting(): boolean {
    return this.#inFlightSince !== undefined
  }

  /** How long the write that is now in flight has taken. */
  get waitingMs(): number {
    return this.#inFlightSince === undefined ? 0 : this.#scheduler.monotonic() - this.#inFlightSince
  }

  /** Something was appended: it is written when this turn's input has been read. */
  ask(): void {
    if (this.#asked || this.#inFlightSince !== undefined || this.#stopped) return
    this.#asked = true
    this.#scheduler.defer(this.#turn)
  }

  readonly #turn = (): void => {
    this.#asked = false
    if (this.#stopped || this.#inFlightSince !== undefined) return
    if (this.guard.policy === 'sync') this.#writeSync()
    else this.#writeAsync()
  }

  #writeSync(): void {
    const log = this.#log
    let left = TURN_BYTES
    const started = this.#scheduler.monotonic()
    try {
      while (log.written < log.whole && left > 0) {
        const chunk = log.chunks.findFrom(log.written)!
        const from = Math.max(log.written, chunk.base)
        const at = from - chunk.base
        const bytes = chunk.wholeRecords(at, WRITE_BYTES, log.whole - chunk.base)
        const segment = log.segmentAt(from)!
        this.#reserve(from + bytes)
        segment.writeSync(chunk.bytes.subarray(at, at + bytes), from)
        this.#advance(from + bytes, bytes)
        left -= bytes
      }
    } catch (error) {
      this.#failed(error as DiskError)
      return
    }
    this.guard.measured(this.#scheduler.monotonic() - started)
    this.#onWritten()
    if (log.written < log.whole) this.ask()
    else this.#tellIdle()
  }

  #writeAsync(): void {
    const log = this.#log
    const chunk = log.chunks.findFrom(log.written)
    if (chunk === undefined || log.written >= log.whole) {
      this.#tellIdle()
      return
    }
    const from = Math.max(log.written, chunk.base)
    const at = from - chunk.base
    const bytes = chunk.wholeRecords(at, ASYNC_WRITE_BYTES, log.whole - chunk.base)
    let segment: Segment
    try {
      segment = log.segmentAt(from)!
      this.#reserve(from + bytes)
      const started = this.#scheduler.monotonic()
      this.#inFlightSince = started
      segment.write(chunk.bytes.subarray(at, at + bytes), from, (error) => {
        this.#inFlightSince = undefined
        if (error === null) {
          this.guard.measured(this.#scheduler.monotonic() - started)
          this.#advance(from + bytes, bytes)
          this.#onWritten()
          if (log.written < log.whole && !this.#stopped) this.ask()
          else this.#tellIdle()
        } else this.#failed(error)
      })
    } catch (error) {
      this.#inFlightSince = undefined
      this.#failed(error as DiskError)
    }
  }

  #advance(position: number, bytes: number): void {
    const log = this.#log
    log.written = position
    // Behind a blank record the rest of its segment is skipped.
    const next = log.chunks.findFrom(position)
    if (next !== undefined && next.base > position) log.written = next.base
    this.#probe.writes++
    this.#probe.writtenBytes += bytes
  }

  #failed(error: DiskError): void {
    this.#probe.failedWrites++
    this.#onFailed(error)
    this.#tellIdle()
  }

  /** Calls back when everything appended is written, or has failed; writes what is left at once when it can. */
  whenIdle(done: () => void): void {
    this.#idle.push(done)
    if (this.#inFlightSince === undefined && !this.#asked) {
      if (this.#log.written < this.#log.whole && !this.#stopped) this.ask()
      else this.#tellIdle()
    }
  }

  #tellIdle(): void {
    if (this.#idle.length === 0) return
    const waiting = this.#idle
    this.#idle = []
    for (const done of waiting) done()
  }

  /** Writes all that is left now, for what cannot wait; true when it could. No write may be in flight. */
  writeAllNow(): boolean {
    const { whole } = this.#log
    while (this.#log.written < this.#log.whole) {
      const before = this.#log.written
      this.#writeSync()
      if (this.#log.written === before) return false
    }
    return this.#log.written === whole // less when a failed write took back the rest
  }

  /** Nothing is written any more. */
  stop(): void {
    this.#stopped = true
  }
}
