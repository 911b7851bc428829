import type { DiskError, DiskFile, OpenMode } from '../../src/base/disk.ts'
import type { Random } from '../../src/base/random.ts'
import type { Scheduler } from '../../src/base/scheduler.ts'
import { SimulatedDisk, type SimulatedDiskOptions } from '../../src/base/simulated-disk.ts'

/** One change of the disk; a sync that ran beside others has a beginning and an end. */
export type DiskOperation =
  | { kind: 'open'; path: string; mode: OpenMode }
  | { kind: 'write'; path: string; position: number; bytes: Buffer; file: number }
  | { kind: 'truncate'; path: string; sizeBytes: number; file: number }
  | { kind: 'sync'; path: string; file: number }
  | { kind: 'sync begins' | 'sync ends'; path: string; file: number; sync: number }
  | { kind: 'mkdir'; path: string; durable: 'later' | undefined }
  | { kind: 'remove' | 'remove tree' | 'sync directory'; path: string }
  | { kind: 'rename'; path: string; to: string }

/** A simulated disk that writes down what changes it, in the order in which it does. */
export class RecordingDisk extends SimulatedDisk {
  readonly trace: DiskOperation[] = []
  #files = 0
  #syncs = 0
  /** Operations that are made of others are recorded whole. */
  #depth = 0

  #record(operation: DiskOperation): void {
    if (this.#depth === 0) this.trace.push(operation)
  }

  #whole(operation: DiskOperation, work: () => void): void {
    this.#record(operation)
    this.#depth++
    try {
      work()
    } finally {
      this.#depth--
    }
  }

  override openSync(path: string, mode: OpenMode): DiskFile {
    const file = super.openSync(path, mode)
    if (mode === 'read') return file
    const number = this.#files++
    this.#record({ kind: 'open', path, mode })
    const wrote = (bytes: Uint8Array, position: number): void =>
      this.#record({ kind: 'write', path, position, bytes: Buffer.from(bytes), file: number })
    return {
      ...file,
      writeSync: (bytes, position) => {
        file.writeSync(bytes, position)
        wrote(bytes, position)
      },
      write: (bytes, position, done) =>
        file.write(bytes, position, (error) => {
          if (error === null) wrote(bytes, position)
          done(error)
        }),
      truncateSync: (sizeBytes) => {
        file.truncateSync(sizeBytes)
        this.#record({ kind: 'truncate', path, sizeBytes, file: number })
      },
      datasyncSync: () => {
        file.datasyncSync()
        this.#record({ kind: 'sync', path, file: number })
      },
      datasync: (done) => {
        const sync = this.#syncs++
        this.#record({ kind: 'sync begins', path, file: number, sync })
        file.datasync((error) => {
          if (error === null) this.#record({ kind: 'sync ends', path, file: number, sync })
          done(error)
        })
      },
    }
  }

  override makeDirectorySync(path: string, durable?: 'later'): void {
    this.#whole({ kind: 'mkdir', path, durable }, () => super.makeDirectorySync(path, durable))
  }

  override renameSync(path: string, to: string): void {
    super.renameSync(path, to)
    this.#record({ kind: 'rename', path, to })
  }

  override removeSync(path: string): void {
    this.#whole({ kind: 'remove', path }, () => super.removeSync(path))
  }

  override removeTreeSync(path: string): void {
    this.#whole({ kind: 'remove tree', path }, () => super.removeTreeSync(path))
  }

  override syncDirectorySync(path: string): void {
    super.syncDirectorySync(path)
    this.#record({ kind: 'sync directory', path })
  }

  /** Recorded as if it were done at its end, which makes no less durable than it did. */
  override syncDirectory(path: string, done: (error: DiskError | null) => void): void {
    super.syncDirectory(path, (error) => {
      if (error === null) this.#record({ kind: 'sync directory', path })
      done(error)
    })
  }
}

/** What a call of a disk that answers later asked for; run when the trace says that it was answered. */
class Later implements Pick<Scheduler, 'after' | 'now'> {
  last: () => void = () => {}

  now(): number {
    return 1_700_000_000_000
  }

  after(_delayMs: number, callback: () => void): { cancel(): void } {
    this.last = callback
    return { cancel() {} }
  }
}

/** Does a trace's operations again, one after the other, on a disk of its own. */
export class TraceReplay {
  readonly disk: SimulatedDisk
  /** Operations done. */
  done = 0
  readonly #trace: readonly DiskOperation[]
  readonly #later = new Later()
  readonly #files: DiskFile[] = []
  readonly #syncs = new Map<number, () => void>()

  constructor(trace: readonly DiskOperation[], random: Random) {
    this.#trace = trace
    const options: SimulatedDiskOptions = { scheduler: this.#later as unknown as Scheduler, latencyMs: 0 }
    this.disk = new SimulatedDisk(random, options)
  }

  /** Goes on until so many operations are done. */
  advanceTo(count: number): void {
    while (this.done < count) this.#do(this.#trace[this.done++]!)
  }

  #do(operation: DiskOperation): void {
    const { disk } = this
    switch (operation.kind) {
      case 'open':
        this.#files.push(disk.openSync(operation.path, operation.mode === 'create' ? 'write' : operation.mode))
        break
      case 'write':
        this.#files[operation.file]!.writeSync(operation.bytes, operation.position)
        break
      case 'truncate':
        this.#files[operation.file]!.truncateSync(operation.sizeBytes)
        break
      case 'sync':
        this.#files[operation.file]!.datasyncSync()
        break
      case 'sync begins':
        this.#files[operation.file]!.datasync((error: DiskError | null) => {
          if (error !== null) throw error
        })
        this.#syncs.set(operation.sync, this.#later.last)
        break
      case 'sync ends':
        this.#syncs.get(operation.sync)!()
        this.#syncs.delete(operation.sync)
        break
      case 'mkdir':
        disk.makeDirectorySync(operation.path, operation.durable)
        break
      case 'rename':
        disk.renameSync(operation.path, operation.to)
        break
      case 'remove':
        disk.removeSync(operation.path)
        break
      case 'remove tree':
        disk.removeTreeSync(operation.path)
        break
      case 'sync directory':
        disk.syncDirectorySync(operation.path)
    }
  }
}
