import {
  close,
  closeSync,
  constants,
  fdatasync,
  fdatasyncSync,
  fstatSync,
  fsync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  open,
  openSync,
  read,
  readdirSync,
  readSync,
  renameSync,
  rm,
  rmSync,
  statfsSync,
  statSync,
  unlinkSync,
  write,
  writeSync,
} from 'node:fs'
import { dirname } from 'node:path'
import type { Disk, DiskError, DiskFile, OpenMode } from './disk.ts'

class SystemFile implements DiskFile {
  readonly path: string
  readonly #fd: number

  constructor(path: string, fd: number) {
    this.path = path
    this.#fd = fd
  }

  writeSync(bytes: Uint8Array, position: number): void {
    for (let done = 0; done < bytes.length; ) {
      done += writeSync(this.#fd, bytes, done, bytes.length - done, position + done)
    }
  }

  write(bytes: Uint8Array, position: number, done: (error: DiskError | null) => void): void {
    write(this.#fd, bytes, 0, bytes.length, position, (error, count) => {
      if (error === null && count < bytes.length) this.write(bytes.subarray(count), position + count, done)
      else done(error)
    })
  }

  readSync(into: Uint8Array, position: number): number {
    let done = 0
    while (done < into.length) {
      const count = readSync(this.#fd, into, done, into.length - done, position + done)
      if (count === 0) break
      done += count
    }
    return done
  }

  read(into: Uint8Array, position: number, done: (error: DiskError | null, count: number) => void): void {
    read(this.#fd, into, 0, into.length, position, (error, count) => {
      if (error !== null || count === 0 || count === into.length) done(error, count)
      else this.read(into.subarray(count), position + count, (later, more) => done(later, count + more))
    })
  }

  datasync(done: (error: DiskError | null) => void): void {
    fdatasync(this.#fd, done)
  }

  datasyncSync(): void {
    fdatasyncSync(this.#fd)
  }

  truncateSync(sizeBytes: number): void {
    ftruncateSync(this.#fd, sizeBytes)
  }

  sizeSync(): number {
    return fstatSync(this.#fd).size
  }

  closeSync(): void {
    closeSync(this.#fd)
  }
}

const flags: Record<OpenMode, string | number> = {
  read: 'r',
  write: constants.O_RDWR | constants.O_CREAT,
  create: 'wx+',
}

/** The machine's own files. */
export const systemDisk: Disk = {
  openSync(path, mode) {
    return new SystemFile(path, openSync(path, flags[mode]))
  },
  listSync(directory) {
    return orNothing(() => readdirSync(directory)) ?? []
  },
  statSync(path) {
    const stat = orNothing(() => statSync(path), 'ENOTDIR')
    return stat && { sizeBytes: stat.size, isDirectory: stat.isDirectory(), modifiedMs: stat.mtimeMs }
  },
  makeDirectorySync(directory, durable) {
    const first = mkdirSync(directory, { recursive: true })
    if (first === undefined || durable === 'later') return
    for (let path = directory; path.length >= first.length; path = dirname(path)) this.syncDirectorySync(dirname(path))
  },
  renameSync(from, to) {
    renameSync(from, to)
  },
  removeSync(path) {
    orNothing(() => unlinkSync(path))
  },
  remove(path, done) {
    rm(path, { force: true }, done)
  },
  removeTreeSync(directory) {
    rmSync(directory, { recursive: true, force: true })
  },
  syncDirectorySync(directory) {
    if (process.platform === 'win32') return // a directory cannot be opened there; entries are journalled
    const fd = openSync(directory, 'r')
    try {
      fsyncSync(fd)
    } finally {
      closeSync(fd)
    }
  },
  syncDirectory(directory, done) {
    if (process.platform === 'win32') return done(null)
    open(directory, 'r', (failed, fd) => {
      if (failed !== null) return done(failed)
      fsync(fd, (error) => close(fd, (closing) => done(error ?? closing ?? null)))
    })
  },
  spaceSync(path) {
    for (let at = path; ; at = dirname(at)) {
      const stat = orNothing(() => statfsSync(at))
      if (stat !== undefined) {
        const { blocks, bfree, bavail, bsize } = stat
        return { totalBytes: blocks * bsize, freeBytes: bfree * bsize, availableBytes: bavail * bsize }
      }
      if (at === dirname(at)) throw new Error(`no file system holds ${path}`)
    }
  },
}

/** undefined when nothing is there; other errors than these are thrown. */
function orNothing<T>(operation: () => T, nothingToo?: 'ENOTDIR'): T | undefined {
  try {
    return operation()
  } catch (error) {
    const { code } = error as DiskError
    if (code === 'ENOENT' || (code !== undefined && code === nothingToo)) return undefined
    throw error
  }
}
