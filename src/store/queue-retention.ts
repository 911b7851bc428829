import type { Disk, DiskError } from '../base/disk.ts'
import type { Log } from '../base/log.ts'
import type { Scheduler } from '../base/scheduler.ts'
import type { ConsumeQueues } from './consume-queue.ts'
import type { QueueFiles } from './queue-files.ts'
import type { QueueTable } from './queue-table.ts'
import { FILLER_SIZE, unitPosition, unitPresent, unitSize } from './queue-unit.ts'

/** Queues looked at in one turn; fewer when the disk answers slowly. */
const TURN_QUEUES = 128
const TURN_MS = 2

/** So few queues that all can be looked at after each segment; more are looked at once, when the last one has gone. */
const FEW_QUEUES = 4096

export interface DestroyedQueue {
  topic: string
  queueId: number
}

/** Lets the consume queues follow the log's first position: their min offsets, and files of which nothing is left. */
export class QueueRetention {
  readonly probe = { deletedQueueFiles: 0, deletedQueueFileBytes: 0 }
  readonly #table: QueueTable
  readonly #queues: ConsumeQueues
  readonly #files: QueueFiles
  readonly #disk: Disk
  readonly #scheduler: Scheduler
  readonly #log: Log
  readonly #pauseMs: () => number

  constructor(options: {
    table: QueueTable
    queues: ConsumeQueues
    files: QueueFiles
    disk: Disk
    scheduler: Scheduler
    log: Log
    /** Pause after each file deleted. */
    pauseMs: () => number
  }) {
    this.#table = options.table
    this.#queues = options.queues
    this.#files = options.files
    this.#disk = options.disk
    this.#scheduler = options.scheduler
    this.#log = options.log
    this.#pauseMs = options.pauseMs
  }

  get areFew(): boolean {
    return this.#table.count <= FEW_QUEUES
  }

  /**
   * Messages before `logMin` are gone: what readers are told is the first that is there. Some queues a turn.
   *
   * @returns whether the disk has told it of all queues
   */
  async correctMins(logMin: () => number, signal: AbortSignal): Promise<boolean> {
    let areAllKnown = true
    let started = this.#scheduler.monotonic()
    for (let queue = 0; queue < this.#table.count && !signal.aborted; queue++) {
      const isHere = this.#table.topicOf(queue) !== undefined
      if (isHere && !this.#tryCorrectMin(queue, logMin())) areAllKnown = false
      if ((queue + 1) % TURN_QUEUES !== 0 && this.#scheduler.monotonic() - started < TURN_MS) continue
      await this.#turn()
      started = this.#scheduler.monotonic()
    }
    return areAllKnown
  }

  /** A queue that cannot be read keeps its min; the others are not to wait for it. */
  #tryCorrectMin(queue: number, logMin: number): boolean {
    try {
      this.#correctMin(queue, logMin)
      return true
    } catch (cause) {
      const topic = this.#table.topicOf(queue)!.name
      this.#log.warn('first message of a queue not known', { topic, queueId: this.#table.queueId[queue], cause })
      return false
    }
  }

  #correctMin(queue: number, logMin: number): void {
    const table = this.#table
    const [min, max, last] = [table.min[queue]!, table.max[queue]!, table.lastPosition[queue]!]
    if (min >= max) return
    // Most queues are idle ones, of which the disk need not be asked.
    if (last >= 0 && last < logMin) {
      table.min[queue] = max
      return
    }
    if (this.#positionAt(queue, min) >= logMin) return
    let low = min
    let high = max
    while (low < high) {
      const middle = Math.floor((low + high) / 2)
      if (this.#positionAt(queue, middle) >= logMin) high = middle
      else low = middle + 1
    }
    table.min[queue] = low
  }

  /** -1 for an entry that points to no message. */
  #positionAt(queue: number, queueOffset: number): number {
    const units = this.#queues.units(queue, queueOffset, 1)
    if (units.count === 0 || !unitPresent(units.view, units.at)) return -1
    return unitSize(units.view, units.at) === FILLER_SIZE ? -1 : unitPosition(units.view, units.at)
  }

  /** Deletes files whose last entry points before `logMin`, one at a time; the newest file of a queue stays. */
  async deleteFiles(logMin: number, signal: AbortSignal): Promise<void> {
    const before = { ...this.probe }
    const started = this.#scheduler.monotonic()
    let queuesTouched = 0
    let turnStarted = started
    for (let queue = 0; queue < this.#table.count && !signal.aborted; queue++) {
      let deleted = 0
      while (!signal.aborted && this.#isFirstFileBehind(queue, logMin)) {
        if (!(await this.#deleteFirstFile(queue))) break
        deleted++
        await this.#scheduler.sleep(this.#pauseMs(), signal).catch(() => {})
      }
      if (deleted > 0) queuesTouched++
      if ((queue + 1) % TURN_QUEUES !== 0 && this.#scheduler.monotonic() - turnStarted < TURN_MS) continue
      await this.#turn()
      turnStarted = this.#scheduler.monotonic()
    }
    if (queuesTouched === 0) return
    this.#log.info('consume queue files deleted: the log no longer holds their messages', {
      queues: queuesTouched,
      files: this.probe.deletedQueueFiles - before.deletedQueueFiles,
      bytes: this.probe.deletedQueueFileBytes - before.deletedQueueFileBytes,
      logMinPosition: logMin,
      durationMs: Math.round(this.#scheduler.monotonic() - started),
    })
  }

  #isFirstFileBehind(queue: number, logMin: number): boolean {
    const table = this.#table
    const first = table.firstFile[queue]!
    if (table.topicOf(queue) === undefined || first < 0 || first >= table.lastFile[queue]!) return false
    const last = table.lastPosition[queue]!
    if (last >= 0 && last < logMin) return true
    const lastEntry = (first + 1) * this.#files.unitsPerFile - 1
    if (lastEntry >= table.min[queue]!) return false
    const units = this.#queues.units(queue, lastEntry, 1)
    return units.count === 1 && unitPresent(units.view, units.at) && unitPosition(units.view, units.at) < logMin
  }

  /** Whether it is gone. */
  #deleteFirstFile(queue: number): Promise<boolean> {
    const path = this.#files.retireFirst(queue)
    const { promise, resolve } = Promise.withResolvers<boolean>()
    const ended = (error: DiskError | null): void => {
      this.#files.retired(path)
      if (error === null) {
        this.probe.deletedQueueFiles++
        this.probe.deletedQueueFileBytes += this.#files.fileBytes
      } else this.#log.warn('consume queue file not deleted: the next start finds it again', { path, cause: error })
      resolve(error === null)
    }
    try {
      this.#disk.remove(path, ended)
    } catch (error) {
      ended(error as DiskError)
    }
    return promise
  }

  /** Forgets whole queues of which the log holds nothing any more; the next message of such a queue has offset 0. */
  async destroyExpired(
    logMin: () => number,
    isKept: (topic: string) => boolean,
    signal: AbortSignal,
  ): Promise<DestroyedQueue[]> {
    const table = this.#table
    const destroyed: DestroyedQueue[] = []
    for (let queue = 0; queue < table.count && !signal.aborted; queue++) {
      if ((queue + 1) % TURN_QUEUES === 0) await this.#turn()
      const topic = table.topicOf(queue)
      if (topic === undefined || isKept(topic.name)) continue
      const last = table.lastPosition[queue]!
      // A message on its way to the queue keeps it.
      if (last < 0 || last >= logMin() || table.next[queue] !== table.max[queue]) continue
      destroyed.push({ topic: topic.name, queueId: table.queueId[queue]! })
      table.deleteQueue(queue)
      this.#queues.removeQueue(topic.name, queue)
      await this.#turn()
    }
    return destroyed
  }

  #turn(): Promise<void> {
    return new Promise((resolve) => this.#scheduler.defer(resolve))
  }
}
