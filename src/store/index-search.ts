import type { Scheduler } from '../base/scheduler.ts'
import type { IndexFile } from './index-file.ts'
import { UNIT_BYTES, unitAt, unitsAt } from './index-layout.ts'

/** A chain mostly jumps; where it goes through neighbours, more is read at once. */
const LEAST_BLOCK_BYTES = 4096
const MOST_BLOCK_BYTES = 65_536
/** Units looked at in one turn. */
const TURN_UNITS = 2048

export interface IndexQuestion {
  hash: number
  beginTimestamp: number
  endTimestamp: number
  /** Monotonic. */
  deadline: number
}

/** The file says what cannot be. */
export class IndexDamaged extends Error {
  override readonly name = 'IndexDamaged'
}

/** Whether a file may hold messages of these times, by Java's rule. */
export function mayHold(file: IndexFile, beginTimestamp: number, endTimestamp: number): boolean {
  const { beginTimestamp: fileBegin, endTimestamp: fileEnd } = file.header
  if (beginTimestamp < fileBegin && endTimestamp > fileEnd) return true
  if (beginTimestamp >= fileBegin && beginTimestamp <= fileEnd) return true
  return endTimestamp >= fileBegin && endTimestamp <= fileEnd
}

/**
 * Positions of records that are in a file under a hash and in a time, the newest first. Times are told to a second, as
 * the file tells them.
 *
 * @throws DiskError, IndexDamaged
 */
export async function* positionsIn(
  file: IndexFile,
  { hash, beginTimestamp, endTimestamp, deadline }: IndexQuestion,
  scheduler: Scheduler,
): AsyncGenerator<number, void, undefined> {
  let unit = await file.newestUnit(hash)
  const { nextUnit, beginTimestamp: fileBegin } = file.header
  if (unit <= 0 || unit > nextUnit || nextUnit <= 1) return
  const blocks = new Blocks(file)
  for (let looked = 1; ; looked++) {
    let place = file.unitInMemory(unit) ?? blocks.find(unit)
    if (place === undefined) {
      if (scheduler.monotonic() > deadline) return
      place = await blocks.load(unit)
    } else if (looked % TURN_UNITS === 0) {
      await scheduler.sleep(0)
      if (scheduler.monotonic() > deadline) return
      place = file.unitInMemory(unit) ?? blocks.find(unit) ?? (await blocks.load(unit))
    }
    const { view, at } = place
    const seconds = view.getInt32(at + 12)
    const before = view.getInt32(at + 16)
    if (seconds < 0) return
    const time = fileBegin + seconds * 1000
    if (view.getInt32(at) === hash && time >= beginTimestamp && time <= endTimestamp) {
      const position = view.getInt32(at + 4) * 0x1_0000_0000 + view.getUint32(at + 8)
      yield position
    }
    if (before <= 0 || time < beginTimestamp) return
    // Chains go back only: anything else could go round for ever.
    if (before >= unit) throw new IndexDamaged(`unit ${unit} of ${file.path} is said to come behind unit ${before}`)
    unit = before
  }
}

/** What was read of a file, one block at a time. */
class Blocks {
  readonly #file: IndexFile
  #bytes = Buffer.alloc(0)
  #view = new DataView(this.#bytes.buffer, this.#bytes.byteOffset, 0)
  /** Of the first byte held, and behind the last. */
  #start = 0
  #end = 0
  #blockBytes = LEAST_BLOCK_BYTES
  readonly #place = { view: this.#view, at: 0 }

  constructor(file: IndexFile) {
    this.#file = file
  }

  find(unit: number): { view: DataView; at: number } | undefined {
    const position = unitAt(this.#file.shape, unit)
    if (position < this.#start || position + UNIT_BYTES > this.#end) return undefined
    this.#place.view = this.#view
    this.#place.at = position - this.#start
    return this.#place
  }

  /** Reads the block that ends with the unit: the chain goes on before it. */
  async load(unit: number): Promise<{ view: DataView; at: number }> {
    const end = unitAt(this.#file.shape, unit) + UNIT_BYTES
    const isNear = this.#start > 0 && end > this.#start - this.#blockBytes
    this.#blockBytes = isNear ? Math.min(MOST_BLOCK_BYTES, this.#blockBytes * 2) : LEAST_BLOCK_BYTES
    const start = Math.max(unitsAt(this.#file.shape), end - this.#blockBytes)
    const bytes = Buffer.allocUnsafe(end - start)
    const count = await this.#file.read(bytes, start)
    if (count < bytes.length) throw new IndexDamaged(`${this.#file.path} ends before unit ${unit}`)
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    this.#start = start
    this.#end = end
    return this.find(unit)!
  }
}
