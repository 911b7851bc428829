import type { Scheduler, Timer } from './scheduler.ts'

/** The machine's own time and turns. */
export const systemScheduler: Scheduler = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(delayMs, callback) {
    const handle = setTimeout(callback, clampDelay(delayMs))
    return { cancel: () => clearTimeout(handle) }
  },
  every(periodMs, callback) {
    const handle = setInterval(callback, clampDelay(periodMs))
    return { cancel: () => clearInterval(handle) }
  },
  defer(callback) {
    setImmediate(callback)
  },
  soon(callback) {
    process.nextTick(callback)
  },
  sleep(delayMs, signal) {
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) return reject(signal.reason)
      const onAbort = (): void => {
        timer.cancel()
        reject(signal!.reason)
      }
      const timer: Timer = this.after(delayMs, () => {
        signal?.removeEventListener('abort', onAbort)
        resolve()
      })
      signal?.addEventListener('abort', onAbort, { once: true })
    })
  },
}

/** Timers of the runtime hold 31 bits of milliseconds; a longer delay would fire at once. */
function clampDelay(delayMs: number): number {
  return Math.min(Math.max(0, delayMs), 0x7fff_ffff)
}
