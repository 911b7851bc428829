import type { Disk } from '../base/disk.ts'
import type { Scheduler } from '../base/scheduler.ts'
import type { Segment } from './segment.ts'

/**
 * How long ago a segment was last written, without trusting the wall clock to jump.
 *
 * Segments that fill up while the store runs are timed by the monotonic clock. Of those found at the start the file's
 * last modification tells, taken against the wall clock as it stood then and what has passed since. A step of the wall
 * clock backwards counts at once, since the earlier time was wrong; one forwards counts once it has lasted as long as
 * segments are kept: until then it could be the new time that is wrong, and everything would be deleted.
 */
export class SegmentAges {
  readonly #disk: Disk
  readonly #scheduler: Scheduler
  /** Base of the segment that was in use at the start: files before it tell their own age. */
  readonly #firstOfThisRun: number
  /** Monotonic time at which each segment of this run was first seen to be full. */
  readonly #fullSince = new Map<number, number>()
  /** Wall clock minus monotonic clock, as far as it is believed. */
  #offset: number
  /** A larger one that is not believed yet, and since when it lasts. */
  #ahead: { offset: number; since: number } | undefined

  constructor(disk: Disk, scheduler: Scheduler, segments: readonly Segment[]) {
    this.#disk = disk
    this.#scheduler = scheduler
    this.#firstOfThisRun = segments[segments.length - 1]?.base ?? 0
    this.#offset = scheduler.now() - scheduler.monotonic()
  }

  /** Looks at clocks and segments; at least once in a round. */
  observe(segments: readonly Segment[], reservedMs: number): void {
    const monotonic = this.#scheduler.monotonic()
    const offset = this.#scheduler.now() - monotonic
    if (offset <= this.#offset) {
      this.#offset = offset
      this.#ahead = undefined
    } else {
      this.#ahead = { offset: Math.min(offset, this.#ahead?.offset ?? offset), since: this.#ahead?.since ?? monotonic }
      if (monotonic - this.#ahead.since >= reservedMs) {
        this.#offset = this.#ahead.offset
        this.#ahead = undefined
      }
    }
    for (const { base } of segments.slice(0, -1)) {
      if (base >= this.#firstOfThisRun && !this.#fullSince.has(base)) this.#fullSince.set(base, monotonic)
    }
    const first = segments[0]?.base ?? 0
    for (const base of this.#fullSince.keys()) if (base < first) this.#fullSince.delete(base)
  }

  /** Of a full segment, in ms; never more than its true age. */
  ageMs({ base, path }: Segment): number {
    const monotonic = this.#scheduler.monotonic()
    if (base >= this.#firstOfThisRun) return monotonic - (this.#fullSince.get(base) ?? monotonic)
    const stat = this.#disk.statSync(path)
    return stat === undefined ? 0 : this.#offset + monotonic - stat.modifiedMs
  }
}
