import type { Disk } from '../base/disk.ts'

const LONGEST_NUMBER = 16

/**
 * `abort`: there while a broker runs, so its presence at start means that the last one did not stop in order. Holds
 * the process id, as Java's does.
 */
export class AbortFile {
  readonly #disk: Disk
  readonly #path: string

  constructor(disk: Disk, path: string) {
    this.#disk = disk
    this.#path = path
  }

  get isPresent(): boolean {
    return this.#disk.statSync(this.#path) !== undefined
  }

  /** Who made it; undefined when nobody did, or the file does not tell. */
  get processId(): number | undefined {
    if (!this.isPresent) return undefined
    const file = this.#disk.openSync(this.#path, 'read')
    try {
      const bytes = Buffer.alloc(LONGEST_NUMBER)
      const text = bytes.toString('latin1', 0, file.readSync(bytes, 0)).trim()
      return /^\d+$/.test(text) ? Number(text) : undefined
    } finally {
      file.closeSync()
    }
  }

  create(processId: number): void {
    const bytes = Buffer.from(String(processId))
    const file = this.#disk.openSync(this.#path, 'write')
    try {
      file.truncateSync(bytes.length)
      file.writeSync(bytes, 0)
      file.datasyncSync()
    } finally {
      file.closeSync()
    }
    this.#syncDirectory()
  }

  remove(): void {
    this.#disk.removeSync(this.#path)
    this.#syncDirectory()
  }

  #syncDirectory(): void {
    this.#disk.syncDirectorySync(this.#path.slice(0, this.#path.lastIndexOf('/')))
  }
}
