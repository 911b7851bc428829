import type { Log } from '../base/log.ts'
import type { Scheduler } from '../base/scheduler.ts'

/** Between two lines. */
const LINE_MS = 5_000
/** Between two looks at the clock. */
const LOOK_BYTES = 4_194_304

/** Says from time to time how far a long scan has got: a start that is silent for a minute looks like one that hangs. */
export class RecoveryProgress {
  readonly #scheduler: Scheduler
  readonly #log: Log
  readonly #from: number
  readonly #end: number
  readonly #started: number
  #lastLine: number
  #nextLook: number

  /** @param end of what there may be to scan */
  constructor(scheduler: Scheduler, log: Log, from: number, end: number) {
    this.#scheduler = scheduler
    this.#log = log
    this.#from = from
    this.#end = end
    this.#started = scheduler.monotonic()
    this.#lastLine = this.#started
    this.#nextLook = from + LOOK_BYTES
  }

  at(position: number): void {
    if (position < this.#nextLook) return
    this.#nextLook = position + LOOK_BYTES
    const now = this.#scheduler.monotonic()
    if (now - this.#lastLine < LINE_MS) return
    this.#lastLine = now
    const doneBytes = position - this.#from
    const totalBytes = Math.max(doneBytes, this.#end - this.#from)
    const bytesPerSecond = (doneBytes * 1000) / (now - this.#started)
    this.#log.info('recovering the commit log', {
      percent: Math.floor((doneBytes / totalBytes) * 100),
      position,
      bytesPerSecond: Math.round(bytesPerSecond),
      secondsLeft: Math.ceil((totalBytes - doneBytes) / bytesPerSecond),
    })
  }
}
