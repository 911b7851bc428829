import type { FileHandle } from './file-handle.ts'
import { HEADER_BYTES, type IndexShape, SLOT_BYTES, unitsAt } from './index-layout.ts'

const PAGE_BYTES = 4096
/** Neighbouring pages are written together up to this. */
const RUN_PAGES = 64

/**
 * The slots of the index file that is being filled. The memory is asked for as a whole and the kernel gives a page of
 * it when that is first touched; so does this with the file's. Changed pages are written behind.
 */
export class IndexSlots {
  readonly #bytes: Buffer
  readonly #view: DataView
  /** By page of the file: 0 in the file only, 1 here as in the file, 2 changed. */
  readonly #states: Uint8Array
  #changed = 0
  /** Pages read from the file. */
  loadedPages = 0
  /** Nothing has ever been written to the file: what is not here is 0. */
  readonly #isNew: boolean
  readonly #file: () => FileHandle

  constructor(shape: IndexShape, isNew: boolean, file: () => FileHandle) {
    const sizeBytes = unitsAt(shape)
    this.#bytes = Buffer.from(new ArrayBuffer(sizeBytes))
    this.#view = new DataView(this.#bytes.buffer)
    this.#states = new Uint8Array(Math.ceil(sizeBytes / PAGE_BYTES))
    this.#isNew = isNew
    this.#file = file
  }

  get changedPages(): number {
    return this.#changed
  }

  /** @throws DiskError when a page cannot be read */
  get(slot: number): number {
    const at = HEADER_BYTES + slot * SLOT_BYTES
    const page = Math.floor(at / PAGE_BYTES)
    if (this.#states[page] === 0) this.#load(page)
    return this.#view.getInt32(at)
  }

  /** Of a slot that was got before. */
  set(slot: number, unit: number): void {
    const at = HEADER_BYTES + slot * SLOT_BYTES
    const page = Math.floor(at / PAGE_BYTES)
    if (this.#states[page] !== 2) {
      this.#states[page] = 2
      this.#changed++
    }
    this.#view.setInt32(at, unit)
  }

  /** What is here of a slot; undefined when only the file tells. */
  peek(slot: number): number | undefined {
    const at = HEADER_BYTES + slot * SLOT_BYTES
    return this.#states[Math.floor(at / PAGE_BYTES)] === 0 && !this.#isNew ? undefined : this.#view.getInt32(at)
  }

  #load(page: number): void {
    if (!this.#isNew) {
      const { start, end } = this.#rangeOf(page, page + 1)
      this.loadedPages++
      this.#file().file.readSync(this.#bytes.subarray(start, end), start)
    }
    this.#states[page] = 1
  }

  #rangeOf(page: number, endPage: number): { start: number; end: number } {
    return {
      start: Math.max(HEADER_BYTES, page * PAGE_BYTES),
      end: Math.min(this.#bytes.length, endPage * PAGE_BYTES),
    }
  }

  /**
   * Takes the next changed pages from `fromPage` on, as they stand: to be written before anything else is done.
   * `undefined` when no more are.
   */
  takeChanged(fromPage: number): { bytes: Buffer; position: number; nextPage: number } | undefined {
    const states = this.#states
    const page = states.indexOf(2, fromPage)
    if (page < 0) return undefined
    let endPage = page
    while (endPage < states.length && states[endPage] === 2 && endPage - page < RUN_PAGES) {
      states[endPage++] = 1
      this.#changed--
    }
    const { start, end } = this.#rangeOf(page, endPage)
    return { bytes: this.#bytes.subarray(start, end), position: start, nextPage: endPage }
  }

  /** Pages that were taken and could not be written. */
  putBack(position: number, length: number): void {
    const end = Math.ceil((position + length) / PAGE_BYTES)
    for (let page = Math.floor(position / PAGE_BYTES); page < end; page++) {
      if (this.#states[page] === 2) continue
      this.#states[page] = 2
      this.#changed++
    }
  }
}
