/** A timer that was set; cancelling one that has fired does nothing. */
export interface Timer {
  cancel(): void
}

/**
 * Time and turns, as an argument. Nobody outside `base/` asks the machine for either, so a whole cluster runs on a
 * simulated one.
 */
export interface Scheduler {
  /** Wall clock, in ms since 1970; may jump. */
  now(): number
  /** Monotonic, in ms with fractions; for durations and deadlines. */
  monotonic(): number
  /** Calls back once, `delayMs` from now. Errors thrown by the callback are fatal to the process. */
  after(delayMs: number, callback: () => void): Timer
  /** Calls back every `periodMs`, first after one period. */
  every(periodMs: number, callback: () => void): Timer
  /** Runs the callback once the input of this turn has been read (the check phase): batches form here. */
  defer(callback: () => void): void
  /** Runs the callback when the one that runs now has returned: what it wrote goes out together. */
  soon(callback: () => void): void
  /** Resolves after `delayMs`, or rejects with the signal's reason. */
  sleep(delayMs: number, signal?: AbortSignal): Promise<void>
}
