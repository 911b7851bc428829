import type { Disk, DiskError } from '../base/disk.ts'
import type { Log } from '../base/log.ts'
import type { Scheduler } from '../base/scheduler.ts'
import type { CommitLog } from './commit-log.ts'
import type { DiskSpace, DiskUse } from './disk-space.ts'
import type { DestroyedQueue, QueueRetention } from './queue-retention.ts'
import type { Segment } from './segment.ts'
import { SegmentAges } from './segment-ages.ts'
import type { StoreSettings } from './settings.ts'

/** The first round comes so long after the start. */
const FIRST_ROUND_MS = 60_000
/** Rounds for which a request to delete what has expired holds, whatever the hour. */
const ASKED_ROUNDS = 20
const HOUR_MS = 3_600_000

export type RetentionSettings = Pick<
  StoreSettings,
  | 'deleteWhen'
  | 'fileReservedTime'
  | 'diskMaxUsedSpaceRatio'
  | 'diskSpaceCleanForciblyRatio'
  | 'cleanFileForciblyEnable'
  | 'deleteFileBatchMax'
  | 'cleanResourceInterval'
  | 'deleteCommitLogFilesInterval'
  | 'destroyMapedFileIntervalForcibly'
  | 'redeleteHangedFileInterval'
>

export interface RetentionParts {
  commitLog: CommitLog
  queues: QueueRetention
  space: DiskSpace
  disk: Disk
  scheduler: Scheduler
  log: Log
  /** Read anew in each round: they may be changed while the store runs. */
  settings: RetentionSettings
  /** What is not synced, or not readable yet, is not deleted: the first position of which that is so. */
  settled: () => number
}

/** A segment that is out of the log, and whose file is still there. */
interface Hung {
  segment: Segment
  reason: string
  ageMs: number
  /** Monotonic. */
  retryAt: number
}

/**
 * Deletes the oldest segments: those that have expired, in the hours for it, when it was asked for or when the disk
 * fills up; and when it is nearly full also those that have not. One at a time and off the loop; never the segment in
 * use. A segment first leaves the log, so that readers are told of the new beginning, then its file goes, and its name
 * is durably gone before the next one follows: no crash leaves a gap.
 */
export class Retention {
  readonly probe = { retentionRounds: 0, deletedSegments: 0, deletedBytes: 0, forcedSegments: 0, hungSegments: 0 }
  readonly #parts: RetentionParts
  readonly #ages: SegmentAges
  readonly #abort = new AbortController()
  readonly #listeners: ((position: number) => void)[] = []
  #askedRounds = 0
  #hung: Hung | undefined
  /** Files before this position are gone. */
  #deletedTo: number
  /** The queues have followed up to here. */
  #followedTo: number
  #running: Promise<void> = Promise.resolve()

  constructor(parts: RetentionParts) {
    const { commitLog, disk, scheduler } = parts
    this.#parts = parts
    this.#ages = new SegmentAges(disk, scheduler, commitLog.segments)
    this.#deletedTo = commitLog.min
    this.#followedTo = commitLog.min
  }

  start(): void {
    this.#running = this.#run()
  }

  /** Resolves when nothing is on its way any more. */
  async stop(): Promise<void> {
    this.#abort.abort()
    await this.#running
  }

  /** Called with the first position that is left, when files before it are gone for good. */
  onDeleted(listener: (position: number) => void): void {
    this.#listeners.push(listener)
  }

  /** What has expired is deleted in the next rounds, whatever the hour. */
  deleteExpired(): void {
    this.#askedRounds = ASKED_ROUNDS
  }

  /** Consume queues of which nothing is left are forgotten now. */
  async destroyExpiredQueues(isKept: (topic: string) => boolean): Promise<DestroyedQueue[]> {
    const { queues, commitLog } = this.#parts
    return await queues.destroyExpired(() => commitLog.min, isKept, this.#abort.signal)
  }

  async #run(): Promise<void> {
    const { signal } = this.#abort
    const { scheduler, settings, log } = this.#parts
    let pauseMs = FIRST_ROUND_MS
    for (;;) {
      await scheduler.sleep(pauseMs, signal).catch(() => {})
      if (signal.aborted) return
      try {
        await this.#round(signal)
      } catch (cause) {
        log.error('old files not deleted', { cause })
      }
      pauseMs = settings.cleanResourceInterval
    }
  }

  async #round(signal: AbortSignal): Promise<void> {
    const { commitLog, queues, settings, scheduler, space } = this.#parts
    this.probe.retentionRounds++
    this.#ages.observe(commitLog.segments, settings.fileReservedTime * HOUR_MS)
    space.look()
    if (this.#hung !== undefined) await this.#retry(this.#hung)
    const asked = this.#askedRounds > 0
    if (asked) this.#askedRounds--
    for (let deleted = 0; deleted < settings.deleteFileBatchMax && !signal.aborted; deleted++) {
      if (this.#hung !== undefined) break
      const reason = this.#reasonToDelete(asked)
      if (reason === undefined) break
      await this.#deleteFirst(reason, signal)
      await scheduler.sleep(settings.deleteCommitLogFilesInterval, signal).catch(() => {})
      space.look()
    }
    if (this.#followedTo < commitLog.min || this.#followedTo < this.#deletedTo) {
      const target = Math.min(commitLog.min, this.#deletedTo)
      const areMinsKnown = await queues.correctMins(() => commitLog.min, signal)
      for (const listener of this.#listeners) listener(target)
      await queues.deleteFiles(target, signal)
      if (!signal.aborted && areMinsKnown) this.#followedTo = target
    }
  }

  /** Why the oldest segment is to go now; undefined when it stays. */
  #reasonToDelete(asked: boolean): string | undefined {
    const { commitLog, settings, space, settled } = this.#parts
    const [first, second] = commitLog.segments
    if (first === undefined || second === undefined || first.end > settled()) return undefined
    const { percent, path } = space.fullest
    const isExpired = this.#ages.ageMs(first) >= settings.fileReservedTime * HOUR_MS
    if (isExpired) {
      if (this.#isTheHour) return `expired, deleteWhen=${settings.deleteWhen}`
      if (asked) return 'expired, deletion was asked for'
      const limit = settings.diskMaxUsedSpaceRatio
      if (percent > limit || percent < 0) return `expired, disk of ${path} used ${percent} % of ${limit} %`
    }
    const limit = settings.diskSpaceCleanForciblyRatio
    if (settings.cleanFileForciblyEnable && percent > limit) {
      return `forced though not expired, disk of ${path} used ${percent} % of ${limit} %`
    }
    return undefined
  }

  get #isTheHour(): boolean {
    const { scheduler, settings } = this.#parts
    const hour = new Date(scheduler.now()).getHours()
    return settings.deleteWhen.split(';').some((each) => Number(each) === hour)
  }

  async #deleteFirst(reason: string, signal: AbortSignal): Promise<void> {
    const { commitLog, queues, scheduler, settings } = this.#parts
    const ageMs = this.#ages.ageMs(commitLog.segments[0]!)
    const segment = commitLog.retireFirst()
    if (queues.areFew) await queues.correctMins(() => commitLog.min, signal)
    await this.#released(segment, settings.destroyMapedFileIntervalForcibly)
    await this.#remove({ segment, reason, ageMs, retryAt: scheduler.monotonic() })
  }

  async #retry(hung: Hung): Promise<void> {
    if (this.#parts.scheduler.monotonic() >= hung.retryAt) await this.#remove(hung)
  }

  /** Reads that are under way end first, if they do within the time. */
  #released(segment: Segment, patienceMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const { signal } = this.#abort
    const timer = this.#parts.scheduler.after(patienceMs, resolve)
    const stopped = (): void => resolve()
    signal.addEventListener('abort', stopped)
    segment.retire(resolve)
    return promise.finally(() => {
      timer.cancel()
      signal.removeEventListener('abort', stopped)
    })
  }

  async #remove(doomed: Hung): Promise<void> {
    const { commitLog, disk, log, scheduler, settings, space } = this.#parts
    const { segment, reason, ageMs } = doomed
    const { path, sizeBytes } = segment
    try {
      await ended((done) => disk.remove(path, done))
      await ended((done) => disk.syncDirectory(commitLog.directory, done))
    } catch (cause) {
      const isNew = this.#hung === undefined
      this.#hung = { ...doomed, retryAt: scheduler.monotonic() + settings.redeleteHangedFileInterval }
      this.probe.hungSegments = 1
      if (isNew) {
        log.error('segment not deleted, and none after it: tried again', {
          path,
          retryMs: settings.redeleteHangedFileInterval,
          cause,
        })
      }
      return
    }
    this.#hung = undefined
    this.#deletedTo = segment.end
    this.probe.hungSegments = 0
    this.probe.deletedSegments++
    this.probe.deletedBytes += sizeBytes
    if (reason.startsWith('forced')) this.probe.forcedSegments++
    space.look()
    const { usedBytes, freeBytes }: DiskUse = space.fullest
    log.info('segment deleted', {
      path,
      sizeBytes,
      ageHours: Number((ageMs / HOUR_MS).toFixed(2)),
      reason,
      logMinPosition: commitLog.min,
      usedBytes,
      freeBytes,
    })
  }
}

function ended(call: (done: (error: DiskError | null) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => call((error) => (error === null ? resolve() : reject(error))))
}
