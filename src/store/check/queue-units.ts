import type { Disk, DiskFile } from '../../base/disk.ts'
import { UNIT_BYTES, type Units, unitPresent } from '../queue-unit.ts'
import { fileNameOf } from '../store-paths.ts'
import type { FoundQueue } from './store-directory.ts'

/** Entries read together. */
const WINDOW_UNITS = 512
/** Queues whose entries are in memory at once, and files open. */
const WINDOWS = 2048
const OPEN_FILES = 256

interface Window {
  /** Queue offset of the first entry. */
  start: number
  count: number
  bytes: Buffer
  view: DataView
}

/** Entries of consume queue files as they lie there, found by queue offset; for tools that have no broker. */
export class QueueUnits {
  readonly unitsPerFile: number
  readonly #disk: Disk
  readonly #fileBytes: number
  /** Both in order of use, the longest unused first. */
  readonly #windows = new Map<FoundQueue, Window>()
  readonly #open = new Map<string, DiskFile>()
  readonly #units: Units = { view: new DataView(new ArrayBuffer(UNIT_BYTES)), at: 0, count: 0 }

  constructor(disk: Disk, fileBytes: number) {
    this.#disk = disk
    this.#fileBytes = fileBytes
    this.unitsPerFile = Math.floor(fileBytes / UNIT_BYTES)
  }

  /** Queue offset at which the files begin. */
  first(queue: FoundQueue): number {
    return (queue.files[0]?.base ?? 0) / UNIT_BYTES
  }

  /** The entry at an offset, valid until the next question; undefined where none is present. */
  find(queue: FoundQueue, queueOffset: number): Units | undefined {
    if (queueOffset < 0) return undefined
    let window = this.#windows.get(queue)
    if (window === undefined || queueOffset < window.start || queueOffset >= window.start + window.count) {
      window = this.#load(queue, queueOffset)
    }
    const at = (queueOffset - window.start) * UNIT_BYTES
    if (queueOffset >= window.start + window.count || !unitPresent(window.view, at)) return undefined
    this.#units.view = window.view
    this.#units.at = at
    this.#units.count = 1
    return this.#units
  }

  #load(queue: FoundQueue, queueOffset: number): Window {
    let window = this.#windows.get(queue)
    this.#windows.delete(queue)
    if (window === undefined) {
      const bytes = Buffer.allocUnsafeSlow(WINDOW_UNITS * UNIT_BYTES)
      window = { start: 0, count: 0, bytes, view: new DataView(bytes.buffer, bytes.byteOffset, bytes.length) }
      if (this.#windows.size >= WINDOWS) this.#windows.delete(this.#windows.keys().next().value!)
    }
    this.#windows.set(queue, window)
    const file = Math.floor(queueOffset / this.unitsPerFile)
    const within = queueOffset - file * this.unitsPerFile
    const count = Math.min(WINDOW_UNITS, this.unitsPerFile - within)
    const base = file * this.#fileBytes
    const found = queue.files.find((each) => each.base === base)
    const bytes = window.bytes.subarray(0, count * UNIT_BYTES)
    window.start = queueOffset
    window.count =
      found === undefined ? 0 : Math.floor(this.#file(found.path).readSync(bytes, within * UNIT_BYTES) / UNIT_BYTES)
    return window
  }

  #file(path: string): DiskFile {
    let file = this.#open.get(path)
    if (file !== undefined) {
      this.#open.delete(path)
    } else {
      file = this.#disk.openSync(path, 'read')
      if (this.#open.size >= OPEN_FILES) {
        const oldest = this.#open.keys().next().value!
        this.#open.get(oldest)!.closeSync()
        this.#open.delete(oldest)
      }
    }
    this.#open.set(path, file)
    return file
  }

  /** Where an entry lies. */
  place(queue: FoundQueue, queueOffset: number): { path: string; byte: number } {
    const file = Math.floor(queueOffset / this.unitsPerFile)
    return {
      path: `${queue.directory}/${fileNameOf(file * this.#fileBytes)}`,
      byte: (queueOffset - file * this.unitsPerFile) * UNIT_BYTES,
    }
  }

  close(): void {
    for (const file of this.#open.values()) file.closeSync()
    this.#open.clear()
    this.#windows.clear()
  }
}
