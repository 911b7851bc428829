import type { Writable } from 'node:stream'
import { Failure } from './failure.ts'

/** Standard output whose reader may leave, as `head` does: nobody's mistake, so what follows is not printed. */
export class Output {
  readonly #stream: Writable
  readonly #gone = new AbortController()

  constructor(stream: Writable) {
    this.#stream = stream
    // Who writes hears of it too; here it only must not end the process.
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (isGone(error)) this.#gone.abort()
    })
  }

  /** Aborted once nobody reads any more. */
  get gone(): AbortSignal {
    return this.#gone.signal
  }

  /**
   * Waits until the machine took it.
   *
   * @returns false when nobody reads any more, or `signal` came first
   * @throws Failure when it cannot be written for another reason, as on a full disk
   */
  write(text: string | Uint8Array, signal?: AbortSignal): Promise<boolean> {
    if (this.#gone.signal.aborted || signal?.aborted === true) return Promise.resolve(false)
    return new Promise((resolve, reject) => {
      const onAbort = (): void => resolve(false)
      signal?.addEventListener('abort', onAbort, { once: true })
      this.#stream.write(text, (error) => {
        signal?.removeEventListener('abort', onAbort)
        if (error === null || error === undefined) resolve(true)
        else if (isGone(error)) resolve(false)
        else reject(new Failure(`standard output cannot be written: ${error.message}`, { cause: error }))
      })
    })
  }
}

function isGone(error: NodeJS.ErrnoException): boolean {
  return error.code === 'EPIPE' || error.code === 'ERR_STREAM_DESTROYED'
}
