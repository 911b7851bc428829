import type { Disk, DiskError, DiskFile, FileStat, FileSystemSpace, OpenMode } from '../../src/base/disk.ts'
import type { Random } from '../../src/base/random.ts'
import type { SimulatedDisk } from '../../src/base/simulated-disk.ts'

/** What the harness may do to one operation that changes the disk. */
export interface FaultPlan {
  /** The machine goes down at this operation, counted from 1; Infinity for never. */
  downAt: number
  /** A write or sync of the log fails at these operations, and the machine stays up. */
  failAt: ReadonlySet<number>
  /** So does a sync of the log, and takes with it what it should have made durable. */
  failSyncAt?: ReadonlySet<number>
  /** Mutants of the harness itself: promises that a bad store would break. */
  /** Of the log, while it runs. */
  skipDatasync?: boolean
  skipDirectorySync?: boolean
  ignoreFailedSync?: boolean
  ignoreFailedWrites?: boolean
}

export type FaultKind = 'ENOSPC' | 'EIO'

function failure(code: FaultKind | 'EDOWN', path: string): DiskError {
  const error: DiskError = new Error(`${code}: simulated, ${path}`)
  error.code = code
  return error
}

/**
 * Counts what changes the disk, and takes the machine down in the middle of one such operation. From then on nothing
 * reaches the disk and nothing answers, so whatever the store still does in this life is without effect.
 */
export class CrashingDisk implements Disk {
  readonly inner: SimulatedDisk
  readonly plan: FaultPlan
  operations = 0
  isDown = false
  /** What was hit, for the history. */
  events: string[] = []
  /** Called when a sync fails while the machine stays up: from now on what is on the device is not known. */
  onSyncFailed: () => void = () => {}
  readonly #random: Random

  constructor(inner: SimulatedDisk, plan: FaultPlan, random: Random) {
    this.inner = inner
    this.plan = plan
    this.#random = random
  }

  /** Before an operation that changes something; throws when it is the one that fails. */
  step(what: string, path: string): void {
    if (this.isDown) throw failure('EDOWN', path)
    this.operations++
    if (this.operations !== this.plan.downAt) return
    this.isDown = true
    this.events.push(`down at ${what} ${path}`)
    throw failure('EDOWN', path)
  }

  /** A write may go through in part before the machine goes down, or fail in part. */
  stepWrite(path: string, bytes: Uint8Array, write: (bytes: Uint8Array) => void): void {
    const isLog = path.includes('/commitlog/')
    try {
      this.step('write', path)
    } catch (error) {
      if (this.isDown && this.operations === this.plan.downAt && bytes.length > 1) {
        const part = this.#random.below(bytes.length)
        if (part > 0) write(bytes.subarray(0, part))
        this.operations++ // only once
      }
      throw error
    }
    if (isLog && this.plan.failAt.has(this.operations)) {
      const part = this.#random.below(bytes.length)
      if (part > 0) write(bytes.subarray(0, part))
      this.events.push(`write failed after ${part} of ${bytes.length} bytes`)
      if (this.plan.ignoreFailedWrites === true) return
      throw failure(this.#random.below(2) === 0 ? 'ENOSPC' : 'EIO', path)
    }
    write(bytes)
  }

  openSync(path: string, mode: OpenMode): DiskFile {
    if (mode === 'create' || (mode === 'write' && this.inner.statSync(path) === undefined)) this.step('create', path)
    if (this.isDown) throw failure('EDOWN', path)
    return new CrashingFile(this, this.inner.openSync(path, mode))
  }

  listSync(directory: string): string[] {
    return this.inner.listSync(directory)
  }

  statSync(path: string): FileStat | undefined {
    return this.inner.statSync(path)
  }

  makeDirectorySync(directory: string, durable?: 'later'): void {
    this.step('mkdir', directory)
    this.inner.makeDirectorySync(directory, durable)
  }

  renameSync(from: string, to: string): void {
    this.step('rename', from)
    this.inner.renameSync(from, to)
  }

  removeSync(path: string): void {
    this.step('remove', path)
    this.inner.removeSync(path)
  }

  remove(path: string, done: (error: DiskError | null) => void): void {
    this.step('remove', path)
    this.inner.remove(path, (error) => {
      if (!this.isDown) done(error)
    })
  }

  removeTreeSync(directory: string): void {
    this.step('remove tree', directory)
    this.inner.removeTreeSync(directory)
  }

  syncDirectorySync(directory: string): void {
    this.step('sync directory', directory)
    if (this.plan.skipDirectorySync !== true) this.inner.syncDirectorySync(directory)
  }

  syncDirectory(directory: string, done: (error: DiskError | null) => void): void {
    this.step('sync directory', directory)
    // The root holds nothing that is not synced: asking for it takes its time and does nothing.
    this.inner.syncDirectory(this.plan.skipDirectorySync === true ? '/' : directory, (error) => {
      if (!this.isDown) done(error)
    })
  }

  spaceSync(path: string): FileSystemSpace {
    return this.inner.spaceSync(path)
  }
}

class CrashingFile implements DiskFile {
  readonly path: string
  readonly #disk: CrashingDisk
  readonly #file: DiskFile

  constructor(disk: CrashingDisk, file: DiskFile) {
    this.#disk = disk
    this.#file = file
    this.path = file.path
  }

  writeSync(bytes: Uint8Array, position: number): void {
    this.#disk.stepWrite(this.path, bytes, (part) => this.#file.writeSync(part, position))
  }

  write(bytes: Uint8Array, position: number, done: (error: DiskError | null) => void): void {
    let failed: DiskError | null = null
    let part: Uint8Array = new Uint8Array(0)
    try {
      this.#disk.stepWrite(this.path, bytes, (allowed) => {
        part = allowed
      })
    } catch (error) {
      failed = error as DiskError
    }
    // A read of nothing takes its time; a machine that goes down meanwhile has not written.
    this.#file.read(new Uint8Array(0), 0, () => {
      if (this.#disk.isDown) return
      this.#file.writeSync(part, position)
      done(failed)
    })
  }

  readSync(into: Uint8Array, position: number): number {
    if (this.#disk.isDown) throw failure('EDOWN', this.path)
    return this.#file.readSync(into, position)
  }

  read(into: Uint8Array, position: number, done: (error: DiskError | null, count: number) => void): void {
    this.#file.read(into, position, (error, count) => {
      if (!this.#disk.isDown) done(error, count)
    })
  }

  datasync(done: (error: DiskError | null) => void): void {
    this.#disk.step('datasync', this.path)
    const fails = this.path.includes('/commitlog/') && this.#disk.plan.failSyncAt?.has(this.#disk.operations) === true
    if (this.#disk.plan.skipDatasync === true && this.path.includes('/commitlog/')) {
      this.#file.read(new Uint8Array(0), 0, () => {
        if (!this.#disk.isDown) done(null)
      })
      return
    }
    // A sync covers what was written before it was asked for, and may miss what came later.
    if (!fails) {
      this.#file.datasync((error) => {
        if (!this.#disk.isDown) done(error)
      })
      return
    }
    this.#file.read(new Uint8Array(0), 0, () => {
      if (this.#disk.isDown) return
      let failed: DiskError | null = null
      this.#disk.inner.fault = (call) => (call === 'datasync' ? failure('EIO', this.path) : undefined)
      try {
        this.#file.datasyncSync()
      } catch (error) {
        failed = this.#disk.plan.ignoreFailedSync === true ? null : (error as DiskError)
        this.#disk.events.push(`datasync failed ${this.path}`)
        this.#disk.onSyncFailed()
      }
      this.#disk.inner.fault = undefined
      done(failed)
    })
  }

  datasyncSync(): void {
    this.#disk.step('datasync', this.path)
    this.#file.datasyncSync()
  }

  truncateSync(sizeBytes: number): void {
    this.#disk.step('truncate', this.path)
    this.#file.truncateSync(sizeBytes)
  }

  sizeSync(): number {
    return this.#file.sizeSync()
  }

  closeSync(): void {
    this.#file.closeSync()
  }
}
