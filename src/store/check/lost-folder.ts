import type { Disk, DiskFile } from '../../base/disk.ts'
import { folderOf } from '../store-paths.ts'

const PIECE_BYTES = 1_048_576
const PAGE_BYTES = 4096

export interface KeptPiece {
  /** Where it stood, below the store's root. */
  from: string
  byte: number
  sizeBytes: number
  /** Where it is now, below the folder. */
  to: string
  why: string
}

/** `lost+found/<stamp>/`: whatever a repair takes out of the files, and `kept.json` that tells where it stood. */
export class LostFolder {
  readonly path: string
  readonly kept: KeptPiece[] = []
  readonly #disk: Disk
  readonly #root: string

  constructor(disk: Disk, root: string, stamp: string) {
    this.#disk = disk
    this.#root = root
    let path = `${root}/lost+found/${stamp}`
    for (let number = 2; disk.statSync(path) !== undefined; number++) path = `${root}/lost+found/${stamp}-${number}`
    this.path = path
  }

  /** Copies a part of a file, as far as it goes; durable when it returns. What is there already is not copied again. */
  keep(path: string, byte: number, sizeBytes: number, why: string): void {
    const below = this.#below(path)
    const isWhole = byte === 0 && sizeBytes >= (this.#disk.statSync(path)?.sizeBytes ?? 0)
    const to = isWhole ? below : `${below}.${byte}-${byte + sizeBytes}`
    if (this.#disk.statSync(`${this.path}/${to}`) !== undefined) return
    this.#copyRange(path, byte, sizeBytes, `${this.path}/${to}`)
    this.kept.push({ from: below, byte, sizeBytes, to, why })
  }

  /** Moves a file or a folder. */
  move(path: string, why: string): void {
    const to = this.#below(path)
    const target = `${this.path}/${to}`
    this.#makeFolderOf(target)
    const { sizeBytes } = this.#disk.statSync(path)!
    this.#disk.renameSync(path, target)
    this.#disk.syncDirectorySync(folderOf(target))
    this.#disk.syncDirectorySync(folderOf(path))
    this.kept.push({ from: to, byte: 0, sizeBytes, to, why })
  }

  /** A whole file, within the store; the new name appears when it is complete. */
  copy(from: string, to: string): void {
    const temporary = `${to}.repair`
    this.#copyRange(from, 0, this.#disk.statSync(from)!.sizeBytes, temporary)
    this.#disk.renameSync(temporary, to)
    this.#disk.syncDirectorySync(folderOf(to))
  }

  finish(): void {
    if (this.kept.length === 0) return
    const path = `${this.path}/kept.json`
    this.#makeFolderOf(path)
    const file = this.#disk.openSync(path, 'write')
    try {
      file.writeSync(Buffer.from(`${JSON.stringify(this.kept, undefined, 2)}\n`), 0)
      file.datasyncSync()
    } finally {
      file.closeSync()
    }
    this.#disk.syncDirectorySync(this.path)
  }

  #below(path: string): string {
    return path.startsWith(`${this.#root}/`) ? path.slice(this.#root.length + 1) : path.replace(/^\/+/, '')
  }

  #makeFolderOf(path: string): void {
    if (this.#disk.statSync(folderOf(path)) === undefined) this.#disk.makeDirectorySync(folderOf(path))
  }

  #copyRange(from: string, byte: number, sizeBytes: number, to: string): void {
    this.#makeFolderOf(to)
    const source = this.#disk.openSync(from, 'read')
    let target: DiskFile | undefined
    try {
      target = this.#disk.openSync(to, 'write')
      const piece = Buffer.allocUnsafe(Math.max(1, Math.min(PIECE_BYTES, sizeBytes)))
      const zeros = Buffer.alloc(PAGE_BYTES)
      let at = 0
      while (at < sizeBytes) {
        const count = source.readSync(piece.subarray(0, Math.min(piece.length, sizeBytes - at)), byte + at)
        if (count === 0) break
        for (let start = 0; start < count; start += PAGE_BYTES) {
          const end = Math.min(count, start + PAGE_BYTES)
          if (piece.compare(zeros, 0, end - start, start, end) !== 0) {
            target.writeSync(piece.subarray(start, end), at + start)
          }
        }
        at += count
      }
      // Holes stay holes, and the length is that of what was there.
      target.truncateSync(at)
      target.datasyncSync()
    } finally {
      target?.closeSync()
      source.closeSync()
    }
    this.#disk.syncDirectorySync(folderOf(to))
  }
}
