import type { Disk, DiskError, DiskFile } from '../base/disk.ts'
import { FileHandle } from './file-handle.ts'
import { fileNameOf } from './store-paths.ts'

/** One file of the commit log: `sizeBytes` long from the moment it is visible, named by its first address. */
export class Segment {
  readonly base: number
  readonly sizeBytes: number
  readonly path: string
  readonly #disk: Disk
  #handle: FileHandle | undefined
  #removed = false

  constructor(disk: Disk, directory: string, base: number, sizeBytes: number) {
    this.#disk = disk
    this.base = base
    this.sizeBytes = sizeBytes
    this.path = `${directory}/${fileNameOf(base)}`
  }

  get end(): number {
    return this.base + this.sizeBytes
  }

  /** Opened when first used, and again after {@link reopen}. */
  get #open(): FileHandle {
    if (this.#removed) throw new Error(`segment ${this.path} was removed`)
    this.#handle ??= new FileHandle(this.#disk.openSync(this.path, 'write'))
    return this.#handle
  }

  /** For what is done at once; what answers later goes through this segment, which then keeps the file open. */
  get file(): Pick<DiskFile, 'sizeSync' | 'datasyncSync'> {
    return this.#open.file
  }

  /** Creates the file in its full length. Length and name are not durable yet. */
  create(): void {
    this.#open.file.truncateSync(this.sizeBytes)
  }

  readSync(into: Uint8Array, position: number): number {
    return this.#open.file.readSync(into, position - this.base)
  }

  read(into: Uint8Array, position: number, done: (error: DiskError | null, count: number) => void): void {
    this.#open.read(into, position - this.base, done)
  }

  writeSync(bytes: Uint8Array, position: number): void {
    this.#open.file.writeSync(bytes, position - this.base)
  }

  write(bytes: Uint8Array, position: number, done: (error: DiskError | null) => void): void {
    this.#open.write(bytes, position - this.base, done)
  }

  datasync(done: (error: DiskError | null) => void): void {
    this.#open.datasync(done)
  }

  /** After a failed write the descriptor is not trusted any more. */
  reopen(): void {
    this.close()
    void this.#open
  }

  /** Removes the file; whoever still reads gets an error, not a new empty file. */
  remove(): void {
    this.close()
    this.#removed = true
    this.#disk.removeSync(this.path)
  }

  /** No longer part of the log: reads under way end, later ones fail. Calls back when nothing holds the file open. */
  retire(done: () => void): void {
    const handle = this.#handle
    this.#handle = undefined
    this.#removed = true
    if (handle === undefined) done()
    else handle.close(done)
  }

  close(): void {
    const handle = this.#handle
    this.#handle = undefined
    handle?.close()
  }
}
