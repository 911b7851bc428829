import type { DiskError, DiskFile } from '../base/disk.ts'

/** An open file that is closed only once nothing is in flight on it: a descriptor must not change its file meanwhile. */
export class FileHandle {
  readonly file: DiskFile
  #inFlight = 0
  #closing = false

  constructor(file: DiskFile) {
    this.file = file
  }

  write(bytes: Uint8Array, position: number, done: (error: DiskError | null) => void): void {
    this.#begin()
    this.file.write(bytes, position, (error) => {
      this.#end()
      done(error)
    })
  }

  read(into: Uint8Array, position: number, done: (error: DiskError | null, count: number) => void): void {
    this.#begin()
    this.file.read(into, position, (error, count) => {
      this.#end()
      done(error, count)
    })
  }

  datasync(done: (error: DiskError | null) => void): void {
    this.#begin()
    this.file.datasync((error) => {
      this.#end()
      done(error)
    })
  }

  close(): void {
    if (this.#closing) return
    this.#closing = true
    if (this.#inFlight === 0) this.file.closeSync()
  }

  #begin(): void {
    this.#inFlight++
  }

  #end(): void {
    this.#inFlight--
    if (this.#closing && this.#inFlight === 0) this.file.closeSync()
  }
}
