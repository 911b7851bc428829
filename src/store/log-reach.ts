import type { AbortFile } from './abort-file.ts'
import type { Checkpoint } from './checkpoint.ts'

/** The note moves ahead by so much, or by this share of a segment when that is less. */
const STEP_BYTES = 33_554_432
const STEP_SHARE = 32

/**
 * Up to where the log may have been written. The checkpoint notes it durably before a byte is written behind it, and
 * moves it ahead in steps; so a start after a crash need not read the rest of a segment to know that it is empty.
 */
export class LogReach {
  readonly stepBytes: number
  readonly #checkpoint: Checkpoint

  constructor(checkpoint: Checkpoint, segmentBytes: number) {
    this.#checkpoint = checkpoint
    this.stepBytes = Math.min(STEP_BYTES, Math.ceil(segmentBytes / STEP_SHARE))
  }

  /** May be written up to here. */
  get durable(): number {
    return this.#checkpoint.durable?.reach ?? 0
  }

  /** For the next note; it never goes back. */
  from(position: number): number {
    return Math.max(this.durable, position + this.stepBytes)
  }

  /** Half of the last step is used up: time for the next. */
  isShortAt(position: number): boolean {
    return this.durable - position < this.stepBytes / 2
  }
}

/**
 * What the last run noted, as a start may believe it: only when that run was ours, and no Java broker came after it,
 * which would have left its own number in the abort file or moved its fields in the checkpoint.
 */
export function reachOfLastRun(checkpoint: Checkpoint, abort: AbortFile): number {
  const { note } = checkpoint
  const isOurs = note !== undefined && note.reach > 0 && checkpoint.isUntouched
  return isOurs && !note.clean && abort.processId === note.processId ? note.reach : Number.POSITIVE_INFINITY
}
