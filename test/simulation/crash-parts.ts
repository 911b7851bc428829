import assert from 'node:assert/strict'
import { silentLog } from '../../src/base/console-log.ts'
import type { Log } from '../../src/base/log.ts'
import { BitFlips, type FlipEnd } from './bit-flips.ts'
import { ClusterRun } from './cluster-run.ts'
import { CrashImages, ImageError } from './crash-images.ts'
import { CrashRun } from './crash-run.ts'
import { EveryOperation, type FlushMode } from './every-operation.ts'
import { KillCycles } from './kill-cycles.ts'
import { record } from './recorded-run.ts'

/** A part of the harness that failed, with the command that shows it again. */
export class Failed extends Error {
  override readonly name = 'Failed'
  readonly replay: string
  readonly history: readonly string[]

  constructor(what: string, cause: unknown, replay: string, history: readonly string[]) {
    super(`${what}: ${cause instanceof Error ? cause.stack : cause}`, { cause })
    this.replay = `npm run crash -- ${replay}`
    this.history = history
  }
}

/** One seed in so many is run against a whole broker with its clients; all are run against a store alone. */
const WHOLE_BROKER = 10
const IMAGES_PER_OPERATION = 1
/** Flips in one directory; the next has another form and another end. */
const FLIPS_PER_STORE = 250

/** @returns the history, and how often the machine went down */
export async function runSeed(seed: number): Promise<{ history: string[]; crashes: number }> {
  const store = new CrashRun(seed)
  const cluster = seed % WHOLE_BROKER === 0 ? new ClusterRun(seed) : undefined
  const history = (): string[] => [...store.history, ...(cluster?.history.lines ?? [])]
  try {
    await store.run()
    await cluster?.run()
  } catch (error) {
    throw new Failed(`seed ${seed}`, error, `--seed ${seed} --history`, history())
  }
  return { history: history(), crashes: store.crashes + (cluster?.crashes ?? 0) }
}

/** R1. Images of recorded traces, from this trace on, until there are so many. */
export async function runImages(wanted: number, from: number): Promise<{ images: number; traces: number }> {
  let images = 0
  let seed = from
  for (; images < wanted; seed++) {
    const recording = await record(seed)
    const explorer = new CrashImages(recording)
    try {
      await explorer.explore(IMAGES_PER_OPERATION)
    } catch (error) {
      const image = error instanceof ImageError ? error.image : 0
      const replay = `--trace ${seed} --image ${image} --history`
      throw new Failed(`trace ${seed}`, error, replay, recording.history.lines)
    }
    images += explorer.images
  }
  return { images, traces: seed - from }
}

export async function runImage(trace: number, image: number): Promise<string[]> {
  const recording = await record(trace)
  const history = [...recording.history.lines, ...recording.trace.map(describeOperation)]
  try {
    await new CrashImages(recording).examine(image, IMAGES_PER_OPERATION, linesLog(history))
  } catch (error) {
    throw new Failed(`trace ${trace}`, error, `--trace ${trace} --image ${image} --history`, history)
  }
  return history
}

/** R3. Every call of the disk in the script fails once; `stride`: only one in so many. */
export async function runEveryOperation(
  mode: FlushMode,
  code: 'EIO' | 'ENOSPC',
  stride = 1,
): Promise<{ calls: number; refused: number; wentOn: number }> {
  const undisturbed = new EveryOperation(mode, Number.POSITIVE_INFINITY)
  await undisturbed.run()
  const result = { calls: 0, refused: 0, wentOn: 0 }
  for (let nth = 1; nth <= undisturbed.calls; nth += stride) {
    const { ending } = await runOperation(mode, code, nth)
    result.calls++
    if (ending === 'refused') result.refused++
    else result.wentOn++
  }
  return result
}

export async function runOperation(
  mode: FlushMode,
  code: 'EIO' | 'ENOSPC',
  nth: number,
): Promise<{ ending: string; history: string[] }> {
  const script = new EveryOperation(mode, nth, code)
  const { lines } = script.history
  try {
    const { ending, failed, why } = await script.run()
    assert.notEqual(ending, 'died', `an error that nobody caught, after ${failed}: ${why}`)
    return { ending, history: lines }
  } catch (error) {
    throw new Failed(`call ${nth}`, error, `--each-io ${mode} --code ${code} --nth ${nth} --history`, lines)
  }
}

export interface FlipResult {
  flips: number
  ends: Record<FlipEnd, number>
  /** Parts of a record that no checksum of the format covers, and how often a flip there was not seen. */
  unseenFields: Record<string, number>
}

/** R4. */
export async function runFlips(wanted: number, from: number): Promise<FlipResult> {
  const result: FlipResult = {
    flips: 0,
    ends: { refused: 0, detected: 0, harmless: 0, unseen: 0 },
    unseenFields: {},
  }
  for (let seed = from; result.flips < wanted; seed++) {
    const flips = new BitFlips(await recordStore(seed))
    for (let number = 0; number < FLIPS_PER_STORE && result.flips < wanted; number++) {
      const { end, field } = await flipOne(flips, seed, number)
      result.flips++
      result.ends[end]++
      if (end === 'unseen') result.unseenFields[field!] = (result.unseenFields[field!] ?? 0) + 1
    }
  }
  return result
}

export async function runFlip(seed: number, number: number): Promise<string[]> {
  const flip = await flipOne(new BitFlips(await recordStore(seed)), seed, number)
  return [JSON.stringify(flip)]
}

/** Every third store was killed, the others stopped in order; in every second, records carry a checksum of the whole. */
function recordStore(seed: number): ReturnType<typeof record> {
  const settings = { enabledAppendPropCRC: String(seed % 2 === 0) }
  return record(seed, { ends: [seed % 3 === 0 ? 'kill' : 'stop'], loadMs: 300, settings })
}

async function flipOne(flips: BitFlips, seed: number, number: number): ReturnType<BitFlips['flip']> {
  try {
    return await flips.flip(number)
  } catch (error) {
    throw new Failed(`flip ${number} of store ${seed}`, error, `--store ${seed} --flip ${number} --history`, [])
  }
}

/** R2. */
export async function runKills(cycles: number, seed: number): ReturnType<KillCycles['run']> {
  const kills = new KillCycles(seed)
  try {
    return await kills.run(cycles)
  } catch (error) {
    throw new Failed('kill cycles', error, `--kills ${cycles} --from ${seed}`, kills.history.lines.slice(-200))
  }
}

function describeOperation(operation: object, index: number): string {
  const bytes = 'bytes' in operation ? (operation.bytes as Buffer).length : undefined
  return JSON.stringify({ operation: index + 1, ...operation, bytes })
}

function linesLog(lines: string[]): Log {
  const at =
    (level: string) =>
    (message: string, fields: Record<string, unknown> = {}): void => {
      const words = Object.entries(fields).map(([key, value]) => [key, value instanceof Error ? value.message : value])
      lines.push(JSON.stringify({ what: level, message, ...Object.fromEntries(words) }))
    }
  const log: Log = { ...silentLog, info: at('info'), warn: at('warn'), error: at('error'), with: () => log }
  return log
}
