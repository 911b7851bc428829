import type { DiskError, DiskFile } from '../base/disk.ts'

/**
 * An open file that is closed only once nothing is in flight on it: a descriptor must not change its file meanwhile.
 * Every failure comes by the callback, also one that the disk throws at once.
 */
export class FileHandle {
  readonly file: DiskFile
  #inFlight = 0
  #closing = false
  #closed: () => void = () => {}

  constructor(file: DiskFile) {
    this.file = file
  }

  write(bytes: Uint8Array, position: number, done: (error: DiskError | null) => void): void {
    this.#start(done, (ended) => this.file.write(bytes, position, ended))
  }

  read(into: Uint8Array, position: number, done: (error: DiskError | null, count: number) => void): void {
    let got = 0
    this.#start(
      (error) => done(error, got),
      (ended) =>
        this.file.read(into, position, (error, count) => {
          got = count
          ended(error)
        }),
    )
  }

  datasync(done: (error: DiskError | null) => void): void {
    this.#start(done, (ended) => this.file.datasync(ended))
  }

  /** @param closed called back once, when what was in flight has ended and the file is closed */
  close(closed: () => void = () => {}): void {
    if (this.#closing) return
    this.#closing = true
    this.#closed = closed
    if (this.#inFlight === 0) this.#end()
  }

  #end(): void {
    this.file.closeSync()
    this.#closed()
  }

  #start(done: (error: DiskError | null) => void, call: (ended: (error: DiskError | null) => void) => void): void {
    this.#inFlight++
    const ended = (error: DiskError | null): void => {
      this.#inFlight--
      if (this.#closing && this.#inFlight === 0) this.#end()
      done(error)
    }
    try {
      call(ended)
    } catch (error) {
      ended(error as DiskError)
    }
  }
}
