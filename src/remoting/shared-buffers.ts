import { FieldTable } from '../protocol/field-table.ts'
import { OutputBuffer } from '../protocol/output-buffer.ts'

const FIRST_BYTES = 4_096
const LARGEST_KEPT_BYTES = 262_144
const MOST_KEPT = 32

/**
 * What the connections of one server or client share, since each needs it only while a chunk is read or until what it
 * wrote in one turn is handed over. A silent connection holds no buffer.
 */
export class SharedBuffers {
  readonly fields: FieldTable = new FieldTable()
  readonly #free: OutputBuffer[] = []

  take(): OutputBuffer {
    return this.#free.pop() ?? new OutputBuffer(FIRST_BYTES)
  }

  /** Only when nothing refers to its bytes any more. */
  give(output: OutputBuffer): void {
    if (this.#free.length >= MOST_KEPT || output.bytes.length > LARGEST_KEPT_BYTES) return
    output.clear()
    this.#free.push(output)
  }
}
