import type { Scheduler, Timer } from './scheduler.ts'

interface Event {
  due: number
  order: number
  callback: () => void
  cancelled: boolean
}

/**
 * Time that moves only when told to. Callbacks fire in the order of their due time, then of their asking; between any
 * two of them, promises and deferred callbacks run until nothing is left to do at that instant.
 */
export class SimulatedScheduler implements Scheduler {
  #elapsed = 0
  #wallStart: number
  #asked = 0
  readonly #heap: Event[] = []
  #deferred: (() => void)[] = []

  /** @param startMs wall clock at the start, ms since 1970 */
  constructor(startMs = 1_700_000_000_000) {
    this.#wallStart = startMs
  }

  /** Timers set and not fired. */
  get pending(): number {
    return this.#heap.filter((event) => !event.cancelled).length
  }

  now(): number {
    return Math.floor(this.#wallStart + this.#elapsed)
  }

  monotonic(): number {
    return this.#elapsed
  }

  after(delayMs: number, callback: () => void): Timer {
    const event: Event = { due: this.#elapsed + Math.max(0, delayMs), order: this.#asked++, callback, cancelled: false }
    this.#push(event)
    return {
      cancel: () => {
        event.cancelled = true
      },
    }
  }

  every(periodMs: number, callback: () => void): Timer {
    let current: Timer
    const again = (): void => {
      current = this.after(Math.max(1, periodMs), () => {
        again()
        callback()
      })
    }
    again()
    return { cancel: () => current.cancel() }
  }

  defer(callback: () => void): void {
    this.#deferred.push(callback)
  }

  soon(callback: () => void): void {
    queueMicrotask(callback)
  }

  sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) return reject(signal.reason)
      const onAbort = (): void => {
        timer.cancel()
        reject(signal!.reason)
      }
      const timer = this.after(delayMs, () => {
        signal?.removeEventListener('abort', onAbort)
        resolve()
      })
      signal?.addEventListener('abort', onAbort, { once: true })
    })
  }

  /** A step of the wall clock, as NTP makes; the monotonic clock goes on. */
  jumpWallClock(byMs: number): void {
    this.#wallStart += byMs
  }

  /** Delivers what is in flight, then fires what falls due within `ms`, in order. */
  async advance(ms: number): Promise<void> {
    const until = this.#elapsed + ms
    await this.settle()
    for (let event = this.#next(until); event !== undefined; event = this.#next(until)) {
      this.#elapsed = Math.max(this.#elapsed, event.due)
      event.callback()
      await this.settle()
    }
    this.#elapsed = until
  }

  /** Runs promises and deferred callbacks until nothing is left to do at this instant. */
  async settle(): Promise<void> {
    await drainMicrotasks()
    while (this.#deferred.length > 0) {
      const callbacks = this.#deferred
      this.#deferred = []
      for (const callback of callbacks) callback()
      await drainMicrotasks()
    }
  }

  /** Takes the first event that is due by `until`; cancelled ones vanish on the way. */
  #next(until: number): Event | undefined {
    for (;;) {
      const first = this.#heap[0]
      if (first === undefined || (!first.cancelled && first.due > until)) return undefined
      this.#pop()
      if (!first.cancelled) return first
    }
  }

  #push(event: Event): void {
    const heap = this.#heap
    let at = heap.push(event) - 1
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!earlier(event, heap[parent]!)) break
      heap[at] = heap[parent]!
      at = parent
    }
    heap[at] = event
  }

  #pop(): void {
    const heap = this.#heap
    const last = heap.pop()!
    if (heap.length === 0) return
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && earlier(heap[child + 1]!, heap[child]!)) child++
      if (!earlier(heap[child]!, last)) break
      heap[at] = heap[child]!
      at = child
    }
    heap[at] = last
  }
}

function earlier(a: Event, b: Event): boolean {
  return a.due === b.due ? a.order < b.order : a.due < b.due
}

/** The runtime empties its queue of promises before the next turn begins. */
function drainMicrotasks(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
