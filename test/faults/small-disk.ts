import { spawnSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, rmSync, statfsSync, unlinkSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const CHUNK_BYTES = 65_536

/** A file system of a given size, in memory, with a file on it that takes room and gives it back. */
export class SmallDisk implements Disposable {
  readonly path: string
  readonly #filler: string

  private constructor(path: string) {
    this.path = path
    this.#filler = join(path, 'filler')
  }

  /** @returns the reason, in words, where such a thing may not be mounted */
  static mount(sizeBytes: number): SmallDisk | string {
    if (process.platform !== 'linux') return `tmpfs is mounted on Linux only, this is ${process.platform}`
    const path = mkdtempSync(join(tmpdir(), 'cometmq-faults-'))
    const options = ['-t', 'tmpfs', '-o', `size=${sizeBytes},mode=0777`, 'cometmq-faults', path]
    const mounted = spawnSync('mount', options, { encoding: 'utf8' })
    if (mounted.status === 0) return new SmallDisk(path)
    rmSync(path, { recursive: true })
    return `mounting is not allowed here: ${(mounted.stderr ?? mounted.error?.message ?? '').split('\n')[0]}`
  }

  get space(): { totalBytes: number; usedBytes: number; freeBytes: number } {
    const { blocks, bsize, bfree, bavail } = statfsSync(this.path)
    return { totalBytes: blocks * bsize, usedBytes: (blocks - bfree) * bsize, freeBytes: bavail * bsize }
  }

  /** Takes so many bytes, or all there are. @returns what it got */
  occupy(bytes: number): number {
    const file = openSync(this.#filler, 'a')
    const chunk = Buffer.alloc(CHUNK_BYTES, 1)
    let got = 0
    try {
      while (got < bytes) got += writeSync(file, chunk, 0, Math.ceil(Math.min(chunk.length, bytes - got)))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
    } finally {
      closeSync(file)
    }
    return got
  }

  free(): void {
    unlinkSync(this.#filler)
  }

  [Symbol.dispose](): void {
    const unmounted = spawnSync('umount', [this.path], { encoding: 'utf8' })
    if (unmounted.status !== 0) process.stderr.write(`${this.path} stays mounted: ${unmounted.stderr}\n`)
    else rmSync(this.path, { recursive: true })
  }
}
