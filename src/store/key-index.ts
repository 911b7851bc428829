import type { Disk, DiskError } from '../base/disk.ts'
import type { Log } from '../base/log.ts'
import type { Scheduler, Timer } from '../base/scheduler.ts'
import { readStoreTimestamp } from '../protocol/message.ts'
import type { CommitLog } from './commit-log.ts'
import type { DiskSpace } from './disk-space.ts'
import type { IndexFile } from './index-file.ts'
import { IndexFolder, type IndexTrust } from './index-folder.ts'
import { IndexKeys } from './index-keys.ts'
import type { IndexShape } from './index-layout.ts'
import { LogFollower } from './log-follower.ts'

/** Messages are indexed some at a time: nobody waits for it, and the loop has other things to do. */
const DELAY_MS = 10
/** Period in which the file in use is written as it stands. A kill loses it anyway: it is made again from the log. */
const FLUSH_MS = 30_000
/** … but a new file soon tells its times, for a Java broker that comes after a kill drops it by these. */
const FIRST_FLUSH_MS = 200
const RETRY_MS = 1_000
/** Without a message for so long the memory of the slots is given back. */
const REST_MS = 60_000
/** Units in memory at which the disk is waited for: 4 MB. */
const MOST_WAITING_UNITS = 200_000
const MOST_SEALING = 2
/** A stop waits so long for the index; then the abort file stays. */
const FINISH_MS = 30_000

export interface KeyIndexParts {
  disk: Disk
  directory: string
  shape: IndexShape
  scheduler: Scheduler
  log: Log
  commitLog: CommitLog
  space: DiskSpace
}

/**
 * Finds messages by key, unique key and tag. Derived from the log alone, behind its readable end: never on the way of an
 * answer, and when it is missing, short or wrong it is made again, by the same walk over the log that extends it.
 */
export class KeyIndex {
  /** More of the index has become durable: see {@link durableTimestamp}. */
  onSealed: () => void = () => {}
  readonly #parts: KeyIndexParts
  readonly #folder: IndexFolder
  readonly #follower: LogFollower
  readonly #keys = new IndexKeys()
  readonly probe = {
    indexedKeys: 0,
    indexRebuilds: 0,
    indexFiles: (): number => this.#folder.files.length,
    indexBehindBytes: (): number => Math.max(0, this.#target - this.position),
  }
  /** End of what is to be indexed. */
  #target = 0
  /** Keys of one record that are in the files while others are not yet. */
  #partial = { position: -1, count: 0 }
  /** Whether all keys between the files that were found are in them. */
  #checked = false
  #running: Promise<void> | undefined
  #writing: Promise<void> | undefined
  #timer: Timer | undefined
  #flushTimer: Timer | undefined
  #restTimer: Timer | undefined
  #retryTimer: Timer | undefined
  #flushDue = false
  #lastPut = 0
  /** Of the file in use, as last seen: reads hold up the loop. */
  #loadedPages = 0
  /** Full files that are not durable yet, the oldest first. */
  #sealing: IndexFile[] = []
  /** Ends of durable files that the checkpoint does not tell yet. */
  #stamps: { position: number; timestamp: number }[] = []
  #durableTimestamp = 0
  #failure: DiskError | undefined
  /** A file was not synced, so what is durable is not known until a start has looked. */
  #unsyncable = false
  #closing = false

  constructor(parts: KeyIndexParts) {
    this.#parts = parts
    this.#folder = new IndexFolder(parts)
    this.#follower = new LogFollower(parts.commitLog, parts.scheduler, parts.log)
  }

  get files(): readonly IndexFile[] {
    return this.#folder.files
  }

  /** All records before it are indexed. */
  get position(): number {
    return this.#checked ? this.#follower.position : 0
  }

  /** Takes up what is on the disk; what is missing is made behind, once {@link readable} tells how far. */
  load(trust: IndexTrust): void {
    try {
      this.#folder.load(trust)
    } catch (cause) {
      this.#parts.log.error('index not read: all of it is built again', { path: this.#parts.directory, cause })
      this.#folder.files.length = 0
    }
    const last = this.#folder.last?.header.endTimestamp ?? 0
    this.#durableTimestamp = Math.min(trust.syncedTimestamp, last)
  }

  /** The log can be read up to here. */
  readable(position: number): void {
    this.#target = position
    if (this.#running === undefined && this.#retryTimer === undefined && !this.#closing) {
      this.#timer ??= this.#parts.scheduler.after(DELAY_MS, this.#start)
    }
  }

  readonly #start = (): void => {
    this.#timer?.cancel()
    this.#timer = undefined
    if (this.#running !== undefined) return
    this.#running = this.#run()
      .catch((cause: DiskError) => this.#failed('index not built', cause))
      .finally(() => {
        this.#running = undefined
        this.#follower.rest()
        if (!this.#isBehind) return
        // A disk that is behind calls back itself.
        if (this.#isFull) this.#write()
        else this.readable(this.#target)
      })
  }

  get #isBehind(): boolean {
    return !this.#checked || this.#follower.position < this.#target
  }

  /** More waits for the disk than should. */
  get #isFull(): boolean {
    const last = this.#folder.last
    return this.#sealing.length >= MOST_SEALING || (last !== undefined && last.waitingUnits > MOST_WAITING_UNITS)
  }

  async #run(): Promise<void> {
    await this.#folder.dropBefore(this.#parts.commitLog.min)
    if (!this.#checked) await this.#checkGaps()
    if (!this.#checked) return
    await this.#follower.follow(this.#target, this.#take)
    this.#write()
    const { last } = this.#folder
    if (last === undefined || last.isClean) return
    this.#flushTimer ??= this.#parts.scheduler.after(last.isWritten ? FLUSH_MS : FIRST_FLUSH_MS, this.#flush)
  }

  /** Files before, between or behind which keys are missing are dropped: they are made again in the order of the log. */
  async #checkGaps(): Promise<void> {
    const { files } = this.#folder
    for (let index = 0; index < files.length; index++) {
      const before = files[index - 1]
      const from = Math.max(before?.header.endPosition ?? 0, this.#parts.commitLog.min)
      const to = files[index]!.header.beginPosition
      if (to <= from) continue
      let isMissing = false
      this.#follower.jump(from)
      const isThrough = await this.#follower.follow(to, (bytes, at, position) => {
        const known = position === before?.header.endPosition ? before.unitsOfLast : 0
        isMissing = this.#keys.collect(bytes, at) > known
        return !isMissing
      })
      if (isMissing) {
        this.#parts.log.warn('index files are missing, or lack keys: built again from the log', {
          before: files[index]!.path,
          position: this.#follower.position,
        })
        this.probe.indexRebuilds++
        await this.#folder.dropFromLater(index)
        break
      }
      if (!isThrough) return // the log was cut meanwhile
    }
    this.#resume()
  }

  /** Goes on behind the last unit. */
  #resume(): void {
    const last = this.#folder.last
    const position = last?.header.endPosition ?? this.#parts.commitLog.min
    this.#partial = { position, count: last === undefined ? 0 : this.#folder.unitsOfLast }
    this.#follower.jump(position)
    this.#checked = true
  }

  readonly #take = (bytes: Buffer, at: number, position: number): boolean => {
    const count = this.#keys.collect(bytes, at)
    if (count === 0) return true
    const partial = this.#partial
    let done = partial.position === position ? partial.count : 0
    if (done >= count) return true
    const { hashes } = this.#keys
    const storeTimestamp = readStoreTimestamp(bytes, at)
    try {
      for (; done < count; done++) {
        let file = this.#folder.last
        if (file === undefined || file.isFull) {
          if (this.#isFull) return false
          file = this.#roll(file)
        }
        file.put(hashes[done]!, position, storeTimestamp)
        this.probe.indexedKeys++
      }
    } finally {
      partial.position = position
      partial.count = done
    }
    const last = this.#folder.last
    if (last !== undefined && last.loadedPages !== this.#loadedPages) {
      this.#loadedPages = last.loadedPages
      this.#follower.look()
    }
    if (last?.hasWholePiece === true) {
      this.#write()
      if (last.waitingUnits > MOST_WAITING_UNITS) return false
    }
    return true
  }

  #roll(full: IndexFile | undefined): IndexFile {
    const file = this.#folder.add(this.#parts.scheduler.now())
    if (full !== undefined) this.#sealing.push(full)
    this.#flushTimer?.cancel()
    this.#flushTimer = undefined
    this.#write()
    return file
  }

  readonly #flush = (): void => {
    this.#flushTimer = undefined
    this.#flushDue = true
    this.#lastPut = this.#parts.scheduler.monotonic()
    this.#restTimer ??= this.#parts.scheduler.after(REST_MS, this.#rest)
    this.#write()
  }

  readonly #rest = (): void => {
    this.#restTimer = undefined
    const left = this.#lastPut + REST_MS - this.#parts.scheduler.monotonic()
    if (left > 0) this.#restTimer = this.#parts.scheduler.after(left, this.#rest)
    else this.#folder.last?.rest()
  }

  #write(): void {
    if (this.#writing !== undefined || this.#retryTimer !== undefined) return
    this.#writing = this.#writeAll()
      .catch((cause: DiskError) => this.#failed('index not written', cause))
      .finally(() => {
        this.#writing = undefined
        if (this.#hasWork && !this.#closing) this.#write()
        if (this.#isBehind) this.readable(this.#target)
      })
  }

  /** Something waits to be written. */
  get #hasWork(): boolean {
    const last = this.#folder.last
    return this.#sealing.length > 0 || last?.hasWholePiece === true || (this.#flushDue && last !== undefined)
  }

  /** One file at a time, one write at a time. */
  async #writeAll(): Promise<void> {
    for (;;) {
      const sealed = this.#sealing[0]
      const last = this.#folder.last
      if (sealed !== undefined) await this.#seal(sealed)
      else if (last?.hasWholePiece === true) await this.#unlessRemoved(last, last.writePieces())
      else if (this.#flushDue && last !== undefined) {
        this.#flushDue = false
        await this.#unlessRemoved(last, last.writeAll(false))
      } else return
      if (this.#failure === undefined) continue
      this.#failure = undefined
      this.#parts.log.info('index is written again', {})
    }
  }

  async #seal(file: IndexFile): Promise<void> {
    await this.#unlessRemoved(file, this.#makeDurable(file))
    const at = this.#sealing.indexOf(file)
    if (at < 0) return // removed meanwhile
    this.#sealing.splice(at, 1)
    file.rest()
    file.close()
    if (this.#unsyncable) return
    this.#stamps.push({ position: file.header.endPosition, timestamp: file.header.endTimestamp })
    this.onSealed()
  }

  async #makeDurable(file: IndexFile): Promise<void> {
    try {
      if (!file.syncFailed) {
        await file.writeAll(true)
        this.#folder.syncNames()
      }
    } catch (cause) {
      if (!file.syncFailed) throw cause
      this.#unsyncable = true
      this.#parts.log.error('index file not synced: the next start builds it again', { path: file.path, cause })
    }
  }

  async #unlessRemoved(file: IndexFile, work: Promise<void>): Promise<void> {
    try {
      await work
    } catch (error) {
      if (this.#folder.files.includes(file)) throw error
    }
  }

  #failed(message: string, cause: DiskError): void {
    const isTold = this.#failure !== undefined || this.#parts.space.explains(cause)
    if (!isTold) this.#parts.log.error(message, { position: this.#follower.position, cause })
    this.#failure = cause
    this.#flushDue = true
    if (this.#closing) return
    this.#retryTimer ??= this.#parts.scheduler.after(RETRY_MS, () => {
      this.#retryTimer = undefined
      this.#write()
      this.readable(this.#target)
    })
  }

  /** Store time up to which the index is durable, of a log that is durable up to `flushed`: for the checkpoint. */
  durableTimestamp(flushed: number): number {
    for (let first = this.#stamps[0]; first !== undefined && first.position < flushed; first = this.#stamps[0]) {
      this.#durableTimestamp = first.timestamp
      this.#stamps.shift()
    }
    return this.#durableTimestamp
  }

  /** Forgets all from `position` on, durably. Before the log does. */
  truncateTo(position: number): void {
    const { files } = this.#folder
    const from = files.findIndex(({ header }) => header.endPosition >= position)
    if (from >= 0) this.#folder.dropFrom(from)
    this.#sealing = this.#sealing.filter((file) => files.includes(file))
    this.#stamps = this.#stamps.filter((stamp) => stamp.position < position)
    this.#durableTimestamp = Math.min(this.#durableTimestamp, this.#folder.last?.header.endTimestamp ?? 0)
    this.#target = Math.min(this.#target, position)
    if (this.#checked) this.#resume()
    else this.#follower.stop()
    this.readable(this.#target)
  }

  /** Waits until the index holds all before `position`, but not for ever, nor while it cannot be written. */
  async awaitPosition(position: number, deadline: number): Promise<void> {
    const { scheduler } = this.#parts
    if (this.position < position && this.#timer !== undefined) this.#start()
    while (this.position < position && !this.#closing && this.#failure === undefined) {
      if (scheduler.monotonic() >= deadline) return
      await scheduler.sleep(2)
    }
  }

  /**
   * Brings the index to the end of the log and to the device.
   *
   * @returns why it could not; then a start must not take it for whole
   */
  async finish(): Promise<string | undefined> {
    const { scheduler } = this.#parts
    this.#closing = true
    for (const timer of [this.#timer, this.#flushTimer, this.#restTimer, this.#retryTimer]) timer?.cancel()
    this.#retryTimer = undefined
    this.#follower.hurries = true
    let isOver = false
    const timer = scheduler.after(FINISH_MS, () => {
      isOver = true
      this.#follower.stop()
    })
    try {
      await this.#finish(() => isOver)
    } catch (error) {
      return (error as Error).message
    } finally {
      timer.cancel()
    }
    if (this.#unsyncable) return 'an index file was not synced'
    return this.#isBehind ? `the index is behind, at ${this.position} of ${this.#target}` : undefined
  }

  async #finish(isOver: () => boolean): Promise<void> {
    await this.#running
    await this.#writing
    this.#failure = undefined
    while (this.#isBehind && !isOver()) {
      const before = this.#progress
      await this.#run()
      await this.#drain()
      if (this.#failure !== undefined) throw this.#failure
      if (this.#progress === before && this.#checked) break
    }
    await this.#drain()
    if (this.#failure !== undefined) throw this.#failure
    const last = this.#folder.last
    if (last !== undefined && !isOver() && !last.isSynced) await this.#makeDurable(last)
    this.durableTimestamp(Number.POSITIVE_INFINITY)
  }

  async #drain(): Promise<void> {
    do {
      this.#write()
      await this.#writing
    } while (this.#hasWork && this.#failure === undefined)
  }

  get #progress(): string {
    return `${this.#follower.position} ${this.#partial.position} ${this.#partial.count}`
  }

  /** Gives back files that were opened to be searched. */
  closeIdle(): void {
    const { files, last } = this.#folder
    for (const file of files) if (file !== last && !this.#sealing.includes(file)) file.close()
  }

  close(): void {
    this.#closing = true
    for (const timer of [this.#timer, this.#flushTimer, this.#restTimer, this.#retryTimer]) timer?.cancel()
    this.#follower.stop()
    this.#folder.close()
  }
}
