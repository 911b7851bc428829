/** Numbers per field: key start, key end, value start, value end, 1 when the value holds escapes or 2 when it is null. */
export const FIELD_STRIDE = 5
export const ESCAPED = 1
export const NULL_VALUE = 2

/** Fields beyond this are no header that any peer sends; the tolerant parser counts further, up to its own bound. */
const MAX_FIELDS = 256

/** Where the fields of one header lie in its bytes; filled by a scan, read by a command's decoder, used again. */
export class FieldTable {
  readonly places: Int32Array = new Int32Array(FIELD_STRIDE * MAX_FIELDS)
  count = 0

  /** @returns false when there is no room */
  add(keyStart: number, keyEnd: number, valueStart: number, valueEnd: number, state: number): boolean {
    if (this.count === MAX_FIELDS) return false
    const at = this.count * FIELD_STRIDE
    const { places } = this
    places[at] = keyStart
    places[at + 1] = keyEnd
    places[at + 2] = valueStart
    places[at + 3] = valueEnd
    places[at + 4] = state
    this.count++
    return true
  }
}
