import type { Random } from '../../src/base/random.ts'

/** One execution: makes an input by chance and reads it. */
export interface Execution {
  /** Of this execution alone. */
  random: Random
  /** Says what the input is, so that a failure can be told; only listened to when it is repeated. */
  input(name: string, bytes: Uint8Array | string): void
}

/** @returns in a word what came of it; throws when something did that must not */
export type Execute = (execution: Execution) => string | Promise<string>

/** Something that is read from a disk. */
export interface FuzzTarget {
  name: string
  about: string
  /** One in so many executions is enough, since each of them does a lot. */
  oneIn?: number
  /** The valid bytes from which mutations start, and whatever else is made only once. */
  prepare(): Promise<Execute>
}
