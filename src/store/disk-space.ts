import type { Disk, DiskError } from '../base/disk.ts'
import type { Log } from '../base/log.ts'
import type { Scheduler, Timer } from '../base/scheduler.ts'
import { sizeText, usedPercent } from './space-text.ts'
import type { WriteGate } from './write-gate.ts'

/** How often the disk is looked at. */
const LOOK_MS = 10_000
/** And while it is full: whoever frees space sees messages taken soon after. */
const LOOK_WHEN_FULL_MS = 1_000
/** As often within so many percent of the limit, for others write too. */
const NEAR_PERCENT = 3
/** While the log is written the disk is looked at each second, or when half of the room was taken; not for less. */
const LOOK_WHEN_WRITING_MS = 1_000
const LEAST_LOOK_BYTES = 65_536
/** Pauses before the next try on a disk that has room by its numbers, but takes nothing. */
const TRY_AGAIN_MS = [1_000, 2_000, 4_000, 8_000] as const
const NO_SPACE_CODES: ReadonlySet<string | undefined> = new Set(['ENOSPC', 'EDQUOT'])

export interface SpaceLimits {
  readonly diskMaxUsedSpaceRatio: number
  readonly diskSpaceCleanForciblyRatio: number
  readonly diskSpaceWarningLevelRatio: number
}

/** The file system of one folder of the store, as it was last seen. */
export interface DiskUse {
  path: string
  /** Of what is used and what this process may still use; -1 for unknown. */
  percent: number
  usedBytes: number
  /** What this process may still use. */
  freeBytes: number
}

/** A write that met a disk without room. */
interface Blocked {
  path: string
  cause: string
  tries: number
  /** Monotonic; before it nothing is tried. */
  retryAt: number
}

/**
 * Refuses messages before the disk is full to the last byte, so that consume queues, offsets and configuration can
 * still be written, and takes them again once there is room. Reads never ask it.
 */
export class DiskSpace {
  /** There is room, or it is time to try whether there is. */
  onRoom: () => void = () => {}
  readonly probe = { diskUsedPercent: 0, diskFreeBytes: 0, diskFull: 0, diskFullTimes: 0 }
  readonly #disk: Disk
  readonly #paths: readonly string[]
  readonly #limits: SpaceLimits
  readonly #scheduler: Scheduler
  readonly #log: Log
  readonly #gate: WriteGate
  #uses: DiskUse[] = []
  #timer: Timer | undefined
  #stopped = false
  /** Monotonic time since when messages are refused. */
  #fullSince: number | undefined
  #blocked: Blocked | undefined
  /** Position of the log at which the disk is looked at next. */
  #lookAt = Number.POSITIVE_INFINITY
  #lastLook = 0
  #position = 0

  constructor(options: {
    disk: Disk
    /** The commit log's folder first, then that of the consume queues. */
    paths: readonly string[]
    limits: SpaceLimits
    scheduler: Scheduler
    log: Log
    gate: WriteGate
  }) {
    this.#disk = options.disk
    this.#paths = options.paths
    this.#limits = options.limits
    this.#scheduler = options.scheduler
    this.#log = options.log
    this.#gate = options.gate
  }

  get isFull(): boolean {
    return this.#fullSince !== undefined
  }

  /** The fuller of the file systems that hold log and consume queues. */
  get fullest(): DiskUse {
    return this.#uses.reduce((most, use) => (use.percent > most.percent ? use : most))
  }

  /** Looks at once, and from then on by the clock. */
  start(position: number): void {
    this.#position = position
    this.look()
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
  }

  /** The log was written up to here: a disk that took it has room, and some of what there was is gone. */
  written(position: number): void {
    this.#position = position
    if (this.#blocked !== undefined && this.#gate.pausedByDisk === undefined) this.proven()
    if (position >= this.#lookAt || this.#scheduler.monotonic() - this.#lastLook >= LOOK_WHEN_WRITING_MS) this.look()
  }

  /** What there was no room for has been written. */
  proven(): void {
    if (this.#blocked === undefined) return
    this.#blocked = undefined
    this.look()
  }

  /** Whether a failed write is a matter of space; then it is told of here, once, and messages are refused. */
  isNoSpace(error: DiskError, path: string): boolean {
    if (!NO_SPACE_CODES.has(error.code)) return false
    const tries = this.#blocked?.tries ?? 0
    const pauseMs = TRY_AGAIN_MS[Math.min(tries, TRY_AGAIN_MS.length - 1)]!
    this.#blocked = { path, cause: error.message, tries: tries + 1, retryAt: this.#scheduler.monotonic() + pauseMs }
    this.look()
    return true
  }

  /** Whether what could not be written is sufficiently told by what is told of the disk; messages do not depend on it. */
  explains(error: DiskError): boolean {
    if (!NO_SPACE_CODES.has(error.code)) return false
    this.look()
    return this.isFull
  }

  /** Looks at the disk, and closes or opens the gate by what it sees. */
  look(): void {
    if (this.#stopped) return
    this.#timer?.cancel()
    this.#lastLook = this.#scheduler.monotonic()
    const wasOver = this.#over !== undefined
    this.#uses = this.#paths.map((path) => this.#useOf(path))
    const over = this.#over
    if (over !== undefined) this.#refuse(over)
    else if (this.#blocked !== undefined) this.#tryAgain(this.#blocked, wasOver)
    else this.#end()
    const { percent, freeBytes } = this.fullest
    this.probe.diskUsedPercent = percent
    this.probe.diskFreeBytes = freeBytes
    this.#lookAt = this.#position + Math.max(LEAST_LOOK_BYTES, this.#roomBytes / 2)
    const isNear = percent > this.#limits.diskSpaceWarningLevelRatio - NEAR_PERCENT
    this.#timer = this.#scheduler.after(this.isFull || isNear ? LOOK_WHEN_FULL_MS : LOOK_MS, () => this.look())
  }

  get #over(): DiskUse | undefined {
    return this.#uses.find(({ percent }) => percent > this.#limits.diskSpaceWarningLevelRatio)
  }

  /** Bytes until messages are refused. */
  get #roomBytes(): number {
    const share = this.#limits.diskSpaceWarningLevelRatio / 100
    return Math.min(...this.#uses.map(({ usedBytes, freeBytes }) => share * (usedBytes + freeBytes) - usedBytes))
  }

  #useOf(path: string): DiskUse {
    try {
      const space = this.#disk.spaceSync(path)
      const usedBytes = space.totalBytes - space.freeBytes
      return { path, percent: usedPercent(space), usedBytes, freeBytes: space.availableBytes }
    } catch (cause) {
      this.#log.warn('space of the disk not known', { path, cause })
      return { path, percent: -1, usedBytes: 0, freeBytes: Number.POSITIVE_INFINITY }
    }
  }

  #refuse(use: DiskUse): void {
    const limit = this.#limits.diskSpaceWarningLevelRatio
    const { path, percent, usedBytes, freeBytes } = use
    const total = usedBytes + freeBytes
    this.#gate.pausedByDisk =
      `the disk of ${path} is full: ${sizeText(usedBytes)} of ${sizeText(total)} used (${percent} %), ` +
      `${sizeText(freeBytes)} free, limit ${sizeText((total * limit) / 100)} (${limit} %, diskSpaceWarningLevelRatio). ` +
      'Retry in 10 s, or at another broker'
    this.#begin({ ...use, limitBytes: Math.floor((total * limit) / 100), limitPercent: limit })
  }

  /** By its numbers the disk has room: one try shows whether it is true. */
  #tryAgain(blocked: Blocked, wasOver: boolean): void {
    const { path, cause, retryAt } = blocked
    const use = this.#uses[0]!
    this.#begin({ ...use, path, cause })
    if (wasOver || this.#scheduler.monotonic() >= retryAt) {
      if (this.#gate.pausedByDisk !== undefined) this.#open()
      return
    }
    this.#gate.pausedByDisk =
      `no room for ${path} (${cause}), though ${sizeText(use.freeBytes)} of its disk are free, ` +
      `${sizeText(use.usedBytes)} used (${use.percent} %): is there a quota? Retry in 10 s, or at another broker`
  }

  #begin(fields: Record<string, unknown>): void {
    if (this.#fullSince !== undefined) return
    this.#fullSince = this.#scheduler.monotonic()
    this.probe.diskFull = 1
    this.probe.diskFullTimes++
    this.#log.error('disk full: messages are refused, reads go on', fields)
  }

  #open(): void {
    this.#gate.pausedByDisk = undefined
    this.#scheduler.defer(() => this.onRoom())
  }

  #end(): void {
    if (this.#fullSince === undefined) return
    this.#open()
    const fullMs = Math.round(this.#scheduler.monotonic() - this.#fullSince)
    this.#fullSince = undefined
    this.probe.diskFull = 0
    this.#log.info('disk has room again: messages are taken', { ...this.fullest, fullMs })
  }
}
