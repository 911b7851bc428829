import type { DiskError } from '../base/disk.ts'
import type { Scheduler, Timer } from '../base/scheduler.ts'
import type { CommitLog } from './commit-log.ts'

/** So many bytes are not left unsynced, whatever the interval says: small syncs keep the device's queue short. */
const DIRTY_BYTES = 33_554_432

export interface FlusherProbe {
  datasyncs: number
  datasyncMaxMs: number
}

/**
 * Makes the written log durable. One fdatasync is in flight at a time, on the thread pool. SYNC_FLUSH starts one as
 * soon as there is something and the last has ended, so all that arrived meanwhile shares it; ASYNC_FLUSH starts one
 * by the clock or by the bytes.
 *
 * A failed fdatasync is final: the kernel may have dropped the pages, and a later success would prove nothing.
 */
export class Flusher {
  /** End of what is on the device. */
  flushed = 0
  readonly #log: CommitLog
  readonly #scheduler: Scheduler
  readonly #atOnce: boolean
  readonly #intervalMs: number
  readonly #probe: FlusherProbe
  readonly #onFlushed: () => void
  readonly #onFailed: (error: DiskError) => void
  #inFlight = false
  #failed = false
  #stopping = false
  /** Moves with every truncation: a sync that began before says nothing about the log after. */
  #generation = 0
  /** Monotonic: of the oldest write that no sync covers, also not the one in flight. */
  #dirtySince: number | undefined
  #timer: Timer | undefined
  #waiting: (() => void)[] = []

  constructor(options: {
    log: CommitLog
    scheduler: Scheduler
    /** SYNC_FLUSH. */
    atOnce: boolean
    intervalMs: number
    probe: FlusherProbe
    onFlushed: () => void
    onFailed: (error: DiskError) => void
  }) {
    this.#log = options.log
    this.#scheduler = options.scheduler
    this.#atOnce = options.atOnce
    this.#intervalMs = options.intervalMs
    this.#probe = options.probe
    this.#onFlushed = options.onFlushed
    this.#onFailed = options.onFailed
  }

  /** `log.written` has grown. */
  written(): void {
    if (this.#failed) return
    const now = this.#scheduler.monotonic()
    this.#dirtySince ??= now
    if (this.#inFlight) return
    if (this.#atOnce || this.#stopping || this.#log.written - this.flushed >= DIRTY_BYTES) this.#start()
    else this.#timer ??= this.#scheduler.after(this.#dirtySince + this.#intervalMs - now, this.#due)
  }

  readonly #due = (): void => {
    this.#timer = undefined
    this.#start()
  }

  #start(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    if (this.#inFlight || this.#failed) return
    if (this.#log.written <= this.flushed) {
      this.#tellWaiting()
      return
    }
    this.#inFlight = true
    this.#dirtySince = undefined
    this.#sync(Math.max(this.flushed, this.#log.min), this.#log.written, this.#generation)
  }

  /** Syncs segment after segment, the older first, up to `target`. */
  #sync(from: number, target: number, generation: number): void {
    if (this.#failed) {
      this.#inFlight = false
      return
    }
    const segment = this.#log.segmentAt(from)
    if (segment === undefined || from >= target) {
      this.#inFlight = false
      if (generation === this.#generation && target > this.flushed) {
        this.flushed = target
        this.#onFlushed()
      }
      this.#next()
      return
    }
    const started = this.#scheduler.monotonic()
    const done = (error: DiskError | null): void => {
      this.#probe.datasyncs++
      this.#probe.datasyncMaxMs = Math.max(this.#probe.datasyncMaxMs, this.#scheduler.monotonic() - started)
      if (error === null && generation === this.#generation) {
        this.#sync(segment.end, target, generation)
        return
      }
      this.#inFlight = false
      if (error === null) this.#next()
      else this.fail(error)
    }
    try {
      segment.datasync(done)
    } catch (error) {
      done(error as DiskError)
    }
  }

  #next(): void {
    if (this.#log.written > this.flushed) this.written()
    else this.#tellWaiting()
  }

  /** A sync of the log has failed, here or elsewhere. */
  fail(error: DiskError): void {
    if (this.#failed) return
    this.#failed = true
    this.#onFailed(error)
    this.#tellWaiting()
  }

  /** Calls back when all that is written is synced, or never will be. */
  finish(done: () => void): void {
    this.#stopping = true
    this.#waiting.push(done)
    if (this.#failed) this.#tellWaiting()
    else this.#start()
  }

  #tellWaiting(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const done of waiting) done()
  }

  /** The log now ends at `position`, and is durable up to there. */
  reset(position: number): void {
    this.#generation++
    this.flushed = position
  }

  stop(): void {
    this.#timer?.cancel()
    this.#timer = undefined
  }
}
