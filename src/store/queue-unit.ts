/**
 * One entry of a consume queue: `| position 0–7 | sizeBytes 8–11 | tagsCode 12–19 |`, big-endian.
 *
 * An entry is present when its position is not negative and its size is positive: bytes never written are zero.
 */
export const UNIT_BYTES = 20

/** Size in the entries that stand before the first real one of a queue that does not begin at 0. */
export const FILLER_SIZE = 0x7fffffff

const HIGH = 0x1_0000_0000

export function writeUnit(
  view: DataView,
  at: number,
  position: number,
  sizeBytes: number,
  tagsLow: number,
  tagsHigh: number,
): void {
  view.setInt32(at, Math.floor(position / HIGH))
  view.setUint32(at + 4, position % HIGH)
  view.setInt32(at + 8, sizeBytes)
  view.setInt32(at + 12, tagsHigh)
  view.setInt32(at + 16, tagsLow)
}

export const unitPosition = (view: DataView, at: number): number => view.getInt32(at) * HIGH + view.getUint32(at + 4)
export const unitSize = (view: DataView, at: number): number => view.getInt32(at + 8)
export const unitTagsHigh = (view: DataView, at: number): number => view.getInt32(at + 12)
export const unitTagsLow = (view: DataView, at: number): number => view.getInt32(at + 16)
export const unitPresent = (view: DataView, at: number): boolean => view.getInt32(at) >= 0 && view.getInt32(at + 8) > 0

/** A tag code at or below -2147483649 is an address in a consume queue extension, not a code. */
export const isExtensionAddress = (tagsLow: number, tagsHigh: number): boolean =>
  tagsHigh < -1 || (tagsHigh === -1 && tagsLow >= 0)

/** Some entries in a row, as they lie in memory; reused by the next question. */
export interface Units {
  view: DataView
  /** Byte at which the first one begins. */
  at: number
  count: number
}
