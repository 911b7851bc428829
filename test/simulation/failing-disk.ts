import type { Disk, DiskError, DiskFile, FileStat, FileSystemSpace, OpenMode } from '../../src/base/disk.ts'
import type { SimulatedDisk } from '../../src/base/simulated-disk.ts'

/** Counts every call of the disk, and makes one of them fail. A sync that fails loses what it should have kept. */
export class FailingDisk implements Disk {
  calls = 0
  /** What failed; undefined until then. */
  failed: string | undefined
  /** The process is gone: nothing has an effect any more, and nobody is told. */
  isDown = false
  readonly inner: SimulatedDisk
  /** The number of the call that fails. */
  failAt: number
  readonly #code: 'EIO' | 'ENOSPC'

  constructor(inner: SimulatedDisk, failAt: number, code: 'EIO' | 'ENOSPC') {
    this.inner = inner
    this.failAt = failAt
    this.#code = code
  }

  /** The error of this call, if it is the one that fails. */
  next(call: string, path: string): DiskError | undefined {
    if (this.isDown) return Object.assign(new Error(`EDOWN: simulated, ${path}`), { code: 'EDOWN' })
    this.calls++
    if (this.calls !== this.failAt) return undefined
    this.failed = `${call} ${path}`
    return Object.assign(new Error(`${this.#code}: simulated, ${call} ${path}`), { code: this.#code })
  }

  #check(call: string, path: string): void {
    const error = this.next(call, path)
    if (error !== undefined) throw error
  }

  openSync(path: string, mode: OpenMode): DiskFile {
    this.#check('open', path)
    return new FailingFile(this, this.inner.openSync(path, mode))
  }

  listSync(directory: string): string[] {
    this.#check('list', directory)
    return this.inner.listSync(directory)
  }

  statSync(path: string): FileStat | undefined {
    this.#check('stat', path)
    return this.inner.statSync(path)
  }

  makeDirectorySync(directory: string, durable?: 'later'): void {
    this.#check('mkdir', directory)
    this.inner.makeDirectorySync(directory, durable)
  }

  renameSync(from: string, to: string): void {
    this.#check('rename', from)
    this.inner.renameSync(from, to)
  }

  removeSync(path: string): void {
    this.#check('remove', path)
    this.inner.removeSync(path)
  }

  remove(path: string, done: (error: DiskError | null) => void): void {
    const error = this.next('remove', path)
    if (error === undefined) this.inner.remove(path, this.whileUp(done))
    else this.later(error, done)
  }

  removeTreeSync(directory: string): void {
    this.#check('remove tree', directory)
    this.inner.removeTreeSync(directory)
  }

  syncDirectorySync(directory: string): void {
    this.#check('sync directory', directory)
    this.inner.syncDirectorySync(directory)
  }

  syncDirectory(directory: string, done: (error: DiskError | null) => void): void {
    const error = this.next('sync directory', directory)
    if (error === undefined) this.inner.syncDirectory(directory, this.whileUp(done))
    else this.later(error, done)
  }

  spaceSync(path: string): FileSystemSpace {
    this.#check('space', path)
    return this.inner.spaceSync(path)
  }

  whileUp<A extends unknown[]>(done: (...args: A) => void): (...args: A) => void {
    return (...args) => {
      if (!this.isDown) done(...args)
    }
  }

  later(error: DiskError, done: (error: DiskError) => void): void {
    this.inner.syncDirectory('/', () => {
      if (!this.isDown) done(error)
    })
  }
}

class FailingFile implements DiskFile {
  readonly path: string
  readonly #disk: FailingDisk
  readonly #file: DiskFile

  constructor(disk: FailingDisk, file: DiskFile) {
    this.#disk = disk
    this.#file = file
    this.path = file.path
  }

  writeSync(bytes: Uint8Array, position: number): void {
    const error = this.#disk.next('write', this.path)
    // Half of it has arrived when it fails.
    if (error !== undefined && bytes.length > 1 && !this.#disk.isDown) {
      this.#file.writeSync(bytes.subarray(0, bytes.length >> 1), position)
    }
    if (error !== undefined) throw error
    this.#file.writeSync(bytes, position)
  }

  write(bytes: Uint8Array, position: number, done: (error: DiskError | null) => void): void {
    const error = this.#disk.next('write', this.path)
    if (error === undefined) this.#file.write(bytes, position, this.#disk.whileUp(done))
    else
      this.#file.write(
        bytes.subarray(0, bytes.length >> 1),
        position,
        this.#disk.whileUp(() => done(error)),
      )
  }

  readSync(into: Uint8Array, position: number): number {
    const error = this.#disk.next('read', this.path)
    if (error !== undefined) throw error
    return this.#file.readSync(into, position)
  }

  read(into: Uint8Array, position: number, done: (error: DiskError | null, count: number) => void): void {
    const error = this.#disk.next('read', this.path)
    if (error === undefined) this.#file.read(into, position, this.#disk.whileUp(done))
    else this.#disk.later(error, (failure) => done(failure, 0))
  }

  datasync(done: (error: DiskError | null) => void): void {
    const error = this.#disk.next('datasync', this.path)
    if (error === undefined) this.#file.datasync(this.#disk.whileUp(done))
    else
      this.#disk.later(error, () => {
        this.#drop(error)
        done(error)
      })
  }

  datasyncSync(): void {
    const error = this.#disk.next('datasync', this.path)
    if (error !== undefined) {
      this.#drop(error)
      throw error
    }
    this.#file.datasyncSync()
  }

  /** The kernel takes the pages for clean, and they never reach the device. */
  #drop(error: DiskError): void {
    const { inner } = this.#disk
    inner.fault = (call) => (call === 'datasync' ? error : undefined)
    try {
      this.#file.datasyncSync()
    } catch {
      // As meant.
    }
    inner.fault = undefined
  }

  truncateSync(sizeBytes: number): void {
    const error = this.#disk.next('truncate', this.path)
    if (error !== undefined) throw error
    this.#file.truncateSync(sizeBytes)
  }

  sizeSync(): number {
    const error = this.#disk.next('size', this.path)
    if (error !== undefined) throw error
    return this.#file.sizeSync()
  }

  closeSync(): void {
    this.#file.closeSync()
  }
}
