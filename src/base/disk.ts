/** What a failed disk operation reports: `code` is the errno name (`ENOSPC`, `EIO`, `ENOENT`, …). */
export type DiskError = Error & { code?: string }

export interface FileStat {
  sizeBytes: number
  isDirectory: boolean
  /** Last modification, in ms since 1970. */
  modifiedMs: number
}

export interface FileSystemSpace {
  totalBytes: number
  /** Free, what is kept for the superuser included. */
  freeBytes: number
  /** Free for an unprivileged process. */
  availableBytes: number
}

/** An open file. Calls ending in `Sync` throw a {@link DiskError}; the others answer through a callback, later. */
export interface DiskFile {
  readonly path: string
  /** Writes all of `bytes` at `position`; short writes are retried inside. */
  writeSync(bytes: Uint8Array, position: number): void
  write(bytes: Uint8Array, position: number, done: (error: DiskError | null) => void): void
  /** Reads up to `into.length` bytes at `position`; the count is short only at the end of the file. */
  readSync(into: Uint8Array, position: number): number
  read(into: Uint8Array, position: number, done: (error: DiskError | null, count: number) => void): void
  /** fdatasync: what was written before the call is on the device once `done(null)` is called. */
  datasync(done: (error: DiskError | null) => void): void
  datasyncSync(): void
  truncateSync(sizeBytes: number): void
  sizeSync(): number
  closeSync(): void
}

/** `read`: must exist; `write`: opened for reading and writing, created if absent; `create`: must not exist. */
export type OpenMode = 'read' | 'write' | 'create'

/**
 * Files, as an argument. A directory entry (created, renamed, deleted) is durable only after `syncDirectorySync` of
 * its directory; the simulated disk loses it otherwise.
 */
export interface Disk {
  openSync(path: string, mode: OpenMode): DiskFile
  /** Names in a directory, unsorted; empty when it does not exist. */
  listSync(directory: string): string[]
  /** undefined when nothing is there. */
  statSync(path: string): FileStat | undefined
  /**
   * Creates missing parents too, and makes all of them durable; with `'later'` that is left to who syncs the parents:
   * a directory sync for each of many new folders would stall the loop for minutes.
   */
  makeDirectorySync(directory: string, durable?: 'later'): void
  renameSync(from: string, to: string): void
  /** No error when nothing is there. */
  removeSync(path: string): void
  /** Off the loop: removing a written 1 GiB file takes 58 ms. */
  remove(path: string, done: (error: DiskError | null) => void): void
  /** Removes a directory with all it holds; no error when nothing is there. */
  removeTreeSync(directory: string): void
  syncDirectorySync(directory: string): void
  /** Off the loop: after a large file was removed, this waits for the device to free it. */
  syncDirectory(directory: string, done: (error: DiskError | null) => void): void
  /** Space of the file system that holds `path`, or its nearest existing parent. */
  spaceSync(path: string): FileSystemSpace
}
