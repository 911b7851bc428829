import type { Disk, DiskError, DiskFile } from '../base/disk.ts'
import type { Log } from '../base/log.ts'
import { FileHandle } from './file-handle.ts'
import type { QueueTable } from './queue-table.ts'
import { FILLER_SIZE, UNIT_BYTES, unitPosition, unitPresent, writeUnit } from './queue-unit.ts'
import { StoreRefused } from './store-errors.ts'
import { fileNameOf, firstByteOf } from './store-paths.ts'

/** Descriptors kept open, all queues together. */
const OPEN_FILES = 1024
/** Syncs of a round that run at a time while somebody waits for its end: the device takes several together. */
const HURRY_LANES = 4
/** Files up to this size are searched in memory. */
const SMALL_BYTES = 65_536
/** Of larger ones what is searched in memory first: most queues are short, and each further look costs a page. */
const HEAD_BYTES = 4080

/**
 * The files of all consume queues: `<topic>/<queueId>/<20 digits>`, each of one size, full length from the moment it
 * is visible. Knows entries by queue offset; what they mean is not its concern.
 */
export class QueueFiles {
  readonly unitsPerFile: number
  readonly fileBytes: number
  /** Nobody looked at the files at this start; each is when it is first used. */
  isListed = false
  /** A file is not as the list said. */
  onLost: () => void = () => {}
  readonly #disk: Disk
  readonly #directory: string
  readonly #table: QueueTable
  readonly #log: Log
  /** In order of use, the longest unused first. */
  #open = new Map<string, FileHandle>()
  /** Files written since they were last synced, and folders with new names in them. */
  #unsynced = new Set<string>()
  #unsyncedDirectories = new Set<string>()
  /** While a round of syncs runs: who wants one after it. */
  #waitingSyncs: ((error: DiskError | null) => void)[] | undefined

  constructor(options: { disk: Disk; directory: string; fileBytes: number; table: QueueTable; log: Log }) {
    this.#disk = options.disk
    this.#directory = options.directory
    this.fileBytes = Math.ceil(options.fileBytes / UNIT_BYTES) * UNIT_BYTES
    this.unitsPerFile = this.fileBytes / UNIT_BYTES
    this.#table = options.table
    this.#log = options.log
  }

  /** Gives every queue on disk its number, its files, and as `max` the end of its entries. */
  load(): void {
    for (const topic of this.#disk.listSync(this.#directory).sort()) {
      const topicPath = `${this.#directory}/${topic}`
      if (this.#disk.statSync(topicPath)?.isDirectory !== true) continue
      const entry = this.#table.internTopic(topic)
      for (const name of this.#disk.listSync(topicPath)) {
        if (!/^\d{1,10}$/.test(name)) {
          this.#log.warn('not a consume queue, ignored', { path: `${topicPath}/${name}` })
          continue
        }
        const files = this.#filesIn(`${topicPath}/${name}`)
        if (files.length > 0) this.#loadQueue(this.#table.intern(entry, Number(name)), files)
      }
    }
  }

  #filesIn(path: string): number[] {
    const files: number[] = []
    for (const name of this.#disk.listSync(path).sort()) {
      const base = firstByteOf(name)
      if (base === undefined) {
        this.#log.warn('not a consume queue file, ignored', { path: `${path}/${name}` })
        continue
      }
      const sizeBytes = this.#disk.statSync(`${path}/${name}`)!.sizeBytes
      if (base % this.fileBytes !== 0 || sizeBytes > this.fileBytes) {
        throw new StoreRefused(
          `${path}/${name} of ${sizeBytes} bytes does not fit mappedFileSizeConsumeQueue=${this.fileBytes}: ` +
            'set it to the size with which this store was written',
        )
      }
      if (sizeBytes < this.fileBytes) {
        // Entries can be rebuilt from the log, so a crash that cut the file is no loss; zeros are absent entries.
        this.#log.warn('short consume queue file', { path: `${path}/${name}`, sizeBytes })
        const file = this.#disk.openSync(`${path}/${name}`, 'write')
        file.truncateSync(this.fileBytes)
        file.closeSync()
        this.#unsynced.add(`${path}/${name}`)
      }
      const before = files[files.length - 1]
      const number = base / this.fileBytes
      // A missing file in between: what comes before it is of no use to readers, the log may still fill it.
      if (before !== undefined && before + 1 !== number) {
        this.#log.warn('consume queue file missing', { path, after: before, before: number })
        files.length = 0
      }
      files.push(number)
    }
    return files
  }

  #loadQueue(queue: number, files: number[]): void {
    const table = this.#table
    table.firstFile[queue] = files[0]!
    table.lastFile[queue] = files[files.length - 1]!
    let max = files[0]! * this.unitsPerFile
    let lastPosition = -1
    for (let index = files.length - 1; index >= 0; index--) {
      const found = this.#endOf(queue, files[index]!)
      if (found.count === 0) continue
      max = files[index]! * this.unitsPerFile + found.count
      lastPosition = found.lastPosition
      break
    }
    table.max[queue] = max
    table.lastPosition[queue] = lastPosition
  }

  /** How many entries a file holds: all before the first one that is absent, since they are written in order. */
  #endOf(queue: number, file: number): { count: number; lastPosition: number } {
    const handle = this.#handle(queue, file).file
    const head = Buffer.alloc(this.fileBytes <= SMALL_BYTES ? this.fileBytes : HEAD_BYTES)
    handle.readSync(head, 0)
    const headView = new DataView(head.buffer, head.byteOffset, head.length)
    const headUnits = head.length / UNIT_BYTES
    let low = 0
    while (low < headUnits && unitPresent(headView, low * UNIT_BYTES)) low++
    if (low < headUnits || low === this.unitsPerFile) {
      return { count: low, lastPosition: low === 0 ? -1 : unitPosition(headView, (low - 1) * UNIT_BYTES) }
    }
    const unit = Buffer.alloc(UNIT_BYTES)
    const view = new DataView(unit.buffer, unit.byteOffset, UNIT_BYTES)
    for (let high = this.unitsPerFile; low < high; ) {
      const middle = (low + high) >>> 1
      handle.readSync(unit, middle * UNIT_BYTES)
      if (unitPresent(view, 0)) low = middle + 1
      else high = middle
    }
    handle.readSync(unit, (low - 1) * UNIT_BYTES)
    return { count: low, lastPosition: unitPosition(view, 0) }
  }

  /** Fills `into` with whole entries from `queueOffset` on; how many there are is told, zero ones included. */
  read(queue: number, queueOffset: number, into: Buffer): number {
    const table = this.#table
    const wanted = Math.floor(into.length / UNIT_BYTES)
    let got = 0
    while (got < wanted) {
      const offset = queueOffset + got
      const file = Math.floor(offset / this.unitsPerFile)
      if (table.firstFile[queue]! < 0 || file < table.firstFile[queue]! || file > table.lastFile[queue]!) break
      const within = offset - file * this.unitsPerFile
      const count = Math.min(wanted - got, this.unitsPerFile - within)
      const piece = into.subarray(got * UNIT_BYTES, (got + count) * UNIT_BYTES)
      this.#handle(queue, file).file.readSync(piece, within * UNIT_BYTES)
      got += count
    }
    return got
  }

  /** Writes whole entries from `queueOffset` on, creating files as needed. */
  write(queue: number, queueOffset: number, bytes: Buffer): void {
    for (let done = 0; done < bytes.length; ) {
      const offset = queueOffset + done / UNIT_BYTES
      const file = Math.floor(offset / this.unitsPerFile)
      const within = (offset - file * this.unitsPerFile) * UNIT_BYTES
      const count = Math.min(bytes.length - done, this.fileBytes - within)
      if (file > this.#table.lastFile[queue]! || file < this.#table.firstFile[queue]!) this.#create(queue, file, within)
      const handle = this.#handle(queue, file)
      handle.file.writeSync(bytes.subarray(done, done + count), within)
      this.#unsynced.add(this.#pathOf(queue, file))
      this.#unsyncedDirectories.add(this.#directoryOf(queue))
      done += count
    }
  }

  /** @param firstByte where the first entry goes, when the queue has no file yet */
  #create(queue: number, file: number, firstByte: number): void {
    const table = this.#table
    const directory = this.#directoryOf(queue)
    const isFirst = table.lastFile[queue]! < 0
    if (isFirst) {
      this.#disk.makeDirectorySync(directory, 'later')
      this.#unsyncedDirectories.add(this.#directory).add(directory.slice(0, directory.lastIndexOf('/')))
    }
    const path = this.#pathOf(queue, file)
    const created = this.#disk.openSync(path, 'write')
    try {
      created.truncateSync(this.fileBytes)
      // Before the table knows the file: a second try begins again here.
      if (isFirst && firstByte > 0) created.writeSync(fillers(firstByte / UNIT_BYTES), 0)
    } catch (error) {
      created.closeSync()
      throw error
    }
    this.#keep(path, created)
    this.#unsynced.add(path)
    this.#unsyncedDirectories.add(directory)
    if (isFirst || file < table.firstFile[queue]!) table.firstFile[queue] = file
    if (isFirst) table.lastFile[queue] = file
    while (table.lastFile[queue]! < file) {
      table.lastFile[queue]!++
      if (table.lastFile[queue]! < file) this.#create(queue, table.lastFile[queue]!, 0)
    }
  }

  /** Makes absent what stands at `queueOffset` and behind. */
  cut(queue: number, queueOffset: number): void {
    const table = this.#table
    if (table.lastFile[queue]! < 0) return
    const keep = Math.max(Math.floor(queueOffset / this.unitsPerFile), table.firstFile[queue]!)
    while (table.lastFile[queue]! > keep) {
      const path = this.#pathOf(queue, table.lastFile[queue]!)
      this.#forget(path)
      this.#disk.removeSync(path)
      this.#unsyncedDirectories.add(this.#directoryOf(queue))
      table.lastFile[queue]!--
    }
    if (table.lastFile[queue]! < keep) return
    const at = Math.max(0, queueOffset - keep * this.unitsPerFile) * UNIT_BYTES
    if (at >= this.fileBytes) return
    // Shorter and as long as before: to read what stands there, mostly nothing, takes a thousand times as long.
    const { file } = this.#handle(queue, keep)
    file.truncateSync(at)
    file.truncateSync(this.fileBytes)
    this.#unsynced.add(this.#pathOf(queue, keep))
  }

  /** Takes the first file away from a queue that has more; removing it is the caller's, who then calls {@link retired}. */
  retireFirst(queue: number): string {
    const path = this.#pathOf(queue, this.#table.firstFile[queue]!)
    this.#table.firstFile[queue]!++
    this.#forget(path)
    this.#unsyncedDirectories.add(this.#directoryOf(queue))
    return path
  }

  /** A round of syncs may have opened it again in the meantime. */
  retired(path: string): void {
    this.#forget(path)
  }

  /** Removes the files of one queue. */
  removeQueue(topic: string, queueId: number): void {
    this.#removeBelow(`${this.#directory}/${topic}/${queueId}`, `${this.#directory}/${topic}`)
  }

  /** Removes the files of a topic. */
  removeTopic(topic: string): void {
    this.#removeBelow(`${this.#directory}/${topic}`, this.#directory)
  }

  #removeBelow(directory: string, parent: string): void {
    for (const path of [...this.#open.keys()]) if (path.startsWith(`${directory}/`)) this.#forget(path)
    for (const path of [...this.#unsynced]) if (path.startsWith(`${directory}/`)) this.#unsynced.delete(path)
    for (const path of [...this.#unsyncedDirectories]) {
      if (path === directory || path.startsWith(`${directory}/`)) this.#unsyncedDirectories.delete(path)
    }
    this.#disk.removeTreeSync(directory)
    if (this.#disk.statSync(parent) !== undefined) this.#disk.syncDirectorySync(parent)
  }

  /** Removes everything, when nothing of the log is left. */
  removeAll(): void {
    for (const path of [...this.#open.keys()]) this.#forget(path)
    this.#unsynced.clear()
    this.#unsyncedDirectories.clear()
    this.#disk.removeTreeSync(this.#directory)
  }

  /** Makes all that is written so far durable, a few files at a time, off the loop. One such round runs at a time. */
  sync(done: (error: DiskError | null) => void, inHurry = false): void {
    if (this.#waitingSyncs !== undefined) {
      this.#waitingSyncs.push(done)
      return
    }
    this.#waitingSyncs = []
    this.#syncRound(inHurry ? HURRY_LANES : 1, (error) => {
      const waiting = this.#waitingSyncs!
      this.#waitingSyncs = undefined
      done(error)
      for (const each of waiting) {
        // A failed round has lost track of what is durable, and so has each after it.
        if (error === null) this.sync(each)
        else each(error)
      }
    })
  }

  #syncRound(lanes: number, done: (error: DiskError | null) => void): void {
    const paths = [...this.#unsynced]
    const directories = [...this.#unsyncedDirectories]
    this.#unsynced.clear()
    this.#unsyncedDirectories.clear()
    let left = lanes
    let failed: DiskError | null = null
    const end = (error: DiskError | null): void => {
      failed ??= error
      if (--left === 0) done(failed)
    }
    const next = (error: DiskError | null): void => {
      if (error !== null || failed !== null) {
        end(error)
        return
      }
      try {
        for (let path = paths.pop(); path !== undefined; path = paths.pop()) {
          const handle = this.#open.get(path) ?? this.#reopen(path)
          if (handle === undefined) continue
          handle.datasync(next)
          return
        }
        for (let directory = directories.pop(); directory !== undefined; directory = directories.pop()) {
          if (this.#disk.statSync(directory) === undefined) continue
          this.#disk.syncDirectory(directory, next)
          return
        }
      } catch (cause) {
        end(cause as DiskError)
        return
      }
      end(null)
    }
    for (let lane = 0; lane < lanes; lane++) next(null)
  }

  close(): void {
    for (const handle of this.#open.values()) handle.close()
    this.#open.clear()
  }

  #directoryOf(queue: number): string {
    const topic = this.#table.topicOf(queue)!
    return `${this.#directory}/${topic.name}/${this.#table.queueId[queue]}`
  }

  pathIn(topic: string, queueId: number, file: number): string {
    return `${this.#directory}/${topic}/${queueId}/${fileNameOf(file * this.fileBytes)}`
  }

  #pathOf(queue: number, file: number): string {
    return `${this.#directoryOf(queue)}/${fileNameOf(file * this.fileBytes)}`
  }

  /** A file that was closed to make room, and may have been removed since. */
  #reopen(path: string): FileHandle | undefined {
    if (this.#disk.statSync(path) === undefined) return undefined
    return this.#keep(path, this.#disk.openSync(path, 'write'))
  }

  #handle(queue: number, file: number): FileHandle {
    const path = this.#pathOf(queue, file)
    const known = this.#open.get(path)
    if (known === undefined) return this.#keep(path, this.#whole(path, this.#disk.openSync(path, 'write')))
    this.#open.delete(path)
    this.#open.set(path, known)
    return known
  }

  /** A file that the list of queues told of, and that is not there or too short, holds nothing until the next start. */
  #whole(path: string, file: DiskFile): DiskFile {
    if (!this.isListed) return file
    const sizeBytes = file.sizeSync()
    if (sizeBytes >= this.fileBytes) return file
    this.onLost()
    this.#log.error('consume queue file lost: the next start builds it again from the log', { path, sizeBytes })
    file.truncateSync(this.fileBytes)
    return file
  }

  #keep(path: string, file: DiskFile): FileHandle {
    const handle = new FileHandle(file)
    this.#open.set(path, handle)
    if (this.#open.size > OPEN_FILES) this.#forgetHandle(this.#open.keys().next().value!)
    return handle
  }

  #forgetHandle(path: string): void {
    this.#open.get(path)?.close()
    this.#open.delete(path)
  }

  #forget(path: string): void {
    this.#forgetHandle(path)
    this.#unsynced.delete(path)
  }
}

function fillers(count: number): Buffer {
  const bytes = Buffer.alloc(count * UNIT_BYTES)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  for (let unit = 0; unit < count; unit++) writeUnit(view, unit * UNIT_BYTES, 0, FILLER_SIZE, 0, 0)
  return bytes
}
