import type { Log } from '../base/log.ts'
import type { Scheduler, Timer } from '../base/scheduler.ts'
import type { Frame } from '../protocol/frame.ts'
import { RequestTimeout } from './remoting-errors.ts'

/** Hears of the answer, or why there is none. The frame is valid until it returns. */
export type AnswerListener = (error: Error | undefined, frame: Frame | undefined) => void

interface PendingRequest {
  deadline: number
  done: AnswerListener
}

const LAST_OPAQUE = 0x7fff_ffff

/** Who waits for which answer on one connection; one timer, for the earliest deadline, serves all. */
export class PendingRequests {
  readonly #scheduler: Scheduler
  readonly #log: Log
  readonly #peer: () => string
  readonly #waiting = new Map<number, PendingRequest>()
  #nextOpaque: number
  #timer: Timer | undefined
  #timerDue = Number.POSITIVE_INFINITY

  constructor(scheduler: Scheduler, log: Log, peer: () => string, firstOpaque = 1) {
    this.#scheduler = scheduler
    this.#log = log
    this.#peer = peer
    this.#nextOpaque = firstOpaque
  }

  get size(): number {
    return this.#waiting.size
  }

  /** A number that no request bears which still waits; begins again at 1 when 31 bits are used up. */
  takeOpaque(): number {
    let opaque = this.#nextOpaque
    while (this.#waiting.has(opaque)) opaque = opaque === LAST_OPAQUE ? 1 : opaque + 1
    this.#nextOpaque = opaque === LAST_OPAQUE ? 1 : opaque + 1
    return opaque
  }

  add(opaque: number, timeoutMs: number, done: AnswerListener): void {
    const deadline = this.#scheduler.monotonic() + timeoutMs
    this.#waiting.set(opaque, { deadline, done })
    if (deadline < this.#timerDue) this.#setTimer(deadline)
  }

  /** @returns false when nobody waits: late, a second time, or never asked for */
  answer(frame: Frame): boolean {
    const pending = this.#waiting.get(frame.opaque)
    if (pending === undefined) return false
    this.#waiting.delete(frame.opaque)
    this.#tell(pending.done, undefined, frame)
    return true
  }

  failAll(error: Error): void {
    this.#timer?.cancel()
    for (const [opaque, { done }] of this.#waiting) {
      this.#waiting.delete(opaque)
      this.#tell(done, error, undefined)
    }
  }

  /** A listener's fault must not take the connection's other answers with it. */
  #tell(done: AnswerListener, error: Error | undefined, frame: Frame | undefined): void {
    try {
      done(error, frame)
    } catch (cause) {
      this.#log.error('an answer could not be taken', { peer: this.#peer(), cause, stack: (cause as Error)?.stack })
    }
  }

  #setTimer(deadline: number): void {
    this.#timer?.cancel()
    this.#timerDue = deadline
    this.#timer = this.#scheduler.after(Math.max(0, deadline - this.#scheduler.monotonic()), this.#expire)
  }

  readonly #expire = (): void => {
    this.#timerDue = Number.POSITIVE_INFINITY
    const now = this.#scheduler.monotonic()
    let next = Number.POSITIVE_INFINITY
    for (const [opaque, { deadline, done }] of this.#waiting) {
      if (deadline <= now) {
        this.#waiting.delete(opaque)
        this.#tell(done, new RequestTimeout(`${this.#peer()} did not answer in time`), undefined)
      } else if (deadline < next) next = deadline
    }
    if (next < this.#timerDue) this.#setTimer(next)
  }
}
