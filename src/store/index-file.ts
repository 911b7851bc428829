import type { Disk, DiskError } from '../base/disk.ts'
import { FileHandle } from './file-handle.ts'
import {
  encodeHeader,
  HEADER_BYTES,
  type IndexHeader,
  type IndexShape,
  indexFileBytes,
  SLOT_BYTES,
  secondsSince,
  UNIT_BYTES,
  unitAt,
} from './index-layout.ts'
import { IndexSlots } from './index-slots.ts'

/** Units written at once: 64 KiB, almost. */
const PIECE_UNITS = 3276

/** Units that are not in the file yet, from `first` on. */
class Piece {
  readonly first: number
  readonly bytes: Buffer = Buffer.allocUnsafeSlow(PIECE_UNITS * UNIT_BYTES)
  readonly view: DataView = new DataView(this.bytes.buffer, this.bytes.byteOffset, this.bytes.length)
  count = 0
  stored = 0

  constructor(first: number) {
    this.first = first
  }
}

/**
 * One file of the index, full length from the moment it is visible. The newest is filled: units wait in memory to be
 * written in pieces, changed slots until somebody asks for them, the header comes last. The others are only read.
 */
export class IndexFile {
  readonly name: string
  readonly path: string
  readonly shape: IndexShape
  readonly header: IndexHeader
  /** All that was put is in the file. */
  isClean: boolean
  /** … and on the device. */
  isSynced = false
  /** A header of its own is in the file. */
  isWritten: boolean
  /** How many of the last units are of the last record. */
  unitsOfLast = 0
  /** What the file holds is not known any more. */
  syncFailed = false
  readonly #disk: Disk
  #isNew: boolean
  #handle: FileHandle | undefined
  #removed = false
  #slots: IndexSlots | undefined
  #pieces: Piece[] = []

  constructor(disk: Disk, directory: string, name: string, shape: IndexShape, header: IndexHeader, isNew: boolean) {
    this.#disk = disk
    this.name = name
    this.path = `${directory}/${name}`
    this.shape = shape
    this.header = header
    this.#isNew = isNew
    this.isClean = !isNew
    this.isWritten = !isNew
  }

  get isFull(): boolean {
    return this.header.nextUnit >= this.shape.units
  }

  /** Units in memory. */
  get waitingUnits(): number {
    let count = 0
    for (const piece of this.#pieces) count += piece.count - piece.stored
    return count
  }

  /** Pages of slots that were read from the file while the loop waited. */
  get loadedPages(): number {
    return this.#slots?.loadedPages ?? 0
  }

  /** A whole piece waits to be written. */
  get hasWholePiece(): boolean {
    const first = this.#pieces[0]
    return first !== undefined && first.count === PIECE_UNITS
  }

  get isOpen(): boolean {
    return this.#handle !== undefined
  }

  readonly #open = (): FileHandle => {
    if (this.#removed) throw new Error(`index file ${this.path} was removed`)
    this.#handle ??= new FileHandle(this.#disk.openSync(this.path, 'write'))
    return this.#handle
  }

  /** @throws DiskError; then nothing is left of it */
  create(): void {
    try {
      const file = this.#disk.openSync(this.path, 'create')
      this.#handle = new FileHandle(file)
      file.truncateSync(indexFileBytes(this.shape))
    } catch (error) {
      this.remove()
      throw error
    }
  }

  /**
   * Adds a key of a record; the caller knows that the file is not full.
   *
   * @throws DiskError when what the file holds already cannot be read
   */
  put(hash: number, position: number, storeTimestamp: number): void {
    const { header, shape } = this
    this.#slots ??= new IndexSlots(shape, this.#isNew, this.#open)
    const slot = hash % shape.slots
    const unit = header.nextUnit
    let before = this.#slots.get(slot)
    if (before < 0 || before > unit) before = 0
    let piece = this.#pieces[this.#pieces.length - 1]
    if (piece === undefined || piece.count === PIECE_UNITS) {
      piece = new Piece(unit)
      this.#pieces.push(piece)
    }
    const { view } = piece
    const at = piece.count * UNIT_BYTES
    view.setInt32(at, hash)
    view.setInt32(at + 4, Math.floor(position / 0x1_0000_0000))
    view.setUint32(at + 8, position >>> 0)
    view.setInt32(at + 12, secondsSince(header.beginTimestamp, storeTimestamp))
    view.setInt32(at + 16, before)
    piece.count++
    this.#slots.set(slot, unit)
    if (unit <= 1) {
      header.beginPosition = position
      header.beginTimestamp = storeTimestamp
    }
    if (before === 0) header.usedSlots++
    this.unitsOfLast = unit > 1 && header.endPosition === position ? this.unitsOfLast + 1 : 1
    header.nextUnit++
    header.endPosition = position
    header.endTimestamp = storeTimestamp
    this.isClean = false
    this.isSynced = false
  }

  /** Writes the pieces that are whole. */
  async writePieces(): Promise<void> {
    while (this.hasWholePiece) {
      await this.#writePiece(this.#pieces[0]!)
      this.#pieces.shift()
    }
  }

  async #writePiece(piece: Piece): Promise<void> {
    const { stored, count } = piece
    if (count === stored) return
    const bytes = piece.bytes.subarray(stored * UNIT_BYTES, count * UNIT_BYTES)
    await this.#write(bytes, unitAt(this.shape, piece.first + stored))
    piece.stored = count
  }

  /** Writes all that waits; the header last, and only what was there when this began. */
  async writeAll(sync: boolean): Promise<void> {
    const header = encodeHeader(this.header)
    const { nextUnit } = this.header
    await this.writePieces()
    const last = this.#pieces[0]
    if (last !== undefined) await this.#writePiece(last)
    for (let page = 0; ; ) {
      const run = this.#slots?.takeChanged(page)
      if (run === undefined) break
      try {
        await this.#write(run.bytes, run.position)
      } catch (error) {
        this.#slots?.putBack(run.position, run.bytes.length)
        throw error
      }
      page = run.nextPage
    }
    // A header must not reach the device before what it speaks of.
    if (sync) await this.#sync()
    await this.#write(header, 0)
    if (sync) await this.#sync()
    this.isWritten = nextUnit > 1
    if (nextUnit !== this.header.nextUnit) return
    this.isClean = true
    if (sync) this.isSynced = true
  }

  /** Gives back the memory of a file that nothing is put into any more, or not for a while. */
  rest(): void {
    if (!this.isClean) return
    this.#slots = undefined
    this.#pieces = []
    this.#isNew = false
  }

  #write(bytes: Uint8Array, position: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#open().write(bytes, position, (error) => (error === null ? resolve() : reject(error)))
    })
  }

  #sync(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#open().datasync((error) => {
        if (error === null) return resolve()
        this.syncFailed = true
        reject(error)
      })
    })
  }

  /** Number of the newest unit of a hash's chain; 0 for none. */
  async newestUnit(hash: number): Promise<number> {
    const slot = hash % this.shape.slots
    const here = this.#slots?.peek(slot)
    if (here !== undefined) return here
    const bytes = Buffer.alloc(SLOT_BYTES)
    await this.read(bytes, HEADER_BYTES + slot * SLOT_BYTES)
    return bytes.readInt32BE(0)
  }

  /** A unit that is in memory, as a view that holds until the next turn. */
  unitInMemory(unit: number): { view: DataView; at: number } | undefined {
    for (let index = this.#pieces.length - 1; index >= 0; index--) {
      const piece = this.#pieces[index]!
      if (unit >= piece.first && unit < piece.first + piece.count) {
        return { view: piece.view, at: (unit - piece.first) * UNIT_BYTES }
      }
    }
    return undefined
  }

  read(into: Uint8Array, position: number): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#open().read(into, position, (error: DiskError | null, count) =>
        error === null ? resolve(count) : reject(error),
      )
    })
  }

  /** Removes the file; whoever still reads gets an error, not a new empty file. */
  remove(): void {
    this.close()
    this.#removed = true
    this.#disk.removeSync(this.path)
  }

  /** The same off the loop: so large a file takes its time. */
  removeLater(): Promise<void> {
    this.close()
    this.#removed = true
    return new Promise((resolve, reject) => {
      this.#disk.remove(this.path, (error) => (error === null ? resolve() : reject(error)))
    })
  }

  close(): void {
    const handle = this.#handle
    this.#handle = undefined
    handle?.close()
  }
}
