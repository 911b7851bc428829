import { inspect } from 'node:util'
import { SeededRandom } from '../../src/base/random.ts'
import type { Execute, FuzzTarget } from './fuzz-target.ts'

/** Processor time that one execution may take. */
const STALL_MS = 50
/** What is slow once may be the compiler or the collector. */
const STALL_ATTEMPTS = 3
/** Longest input shown in full. */
const SHOWN_BYTES = 65_536

export interface FuzzResult {
  executions: number
  /** How often which came of it. */
  outcomes: Map<string, number>
  processorMs: number
  slowestMs: number
}

/** Something that must not happen, and the seed that makes it happen again. */
export class Finding extends Error {
  override readonly name = 'Finding'
  readonly target: string
  readonly seed: number

  constructor(target: string, seed: number, what: string) {
    super(
      `${target}, seed ${seed}: ${what}\nreplay it with: npm run fuzz -- --target ${target} --seed ${seed} --executions 1`,
    )
    this.target = target
    this.seed = seed
  }
}

/**
 * Executes a target with `executions` seeds from `seed` on: each input follows from its seed alone.
 *
 * @throws Finding for the first that goes wrong
 */
export async function runFuzz(
  target: FuzzTarget,
  execute: Execute,
  { seed, executions, progress }: { seed: number; executions: number; progress?: (seed: number) => void },
): Promise<FuzzResult> {
  const result: FuzzResult = { executions: 0, outcomes: new Map(), processorMs: 0, slowestMs: 0 }
  const traceLimit = Error.stackTraceLimit
  try {
    for (let each = seed; each < seed + executions; each++) {
      progress?.(each)
      // Most of what is read is refused by throwing, and nobody reads those traces.
      Error.stackTraceLimit = 0
      const started = process.threadCpuUsage()
      let outcome: string | Promise<string>
      try {
        outcome = execute({ random: new SeededRandom(each), input: () => {} })
        if (typeof outcome !== 'string') outcome = await outcome
      } catch {
        Error.stackTraceLimit = 30
        throw await describe(target, execute, each)
      }
      const took = processorMsSince(started)
      result.executions++
      result.processorMs += took
      result.outcomes.set(outcome, (result.outcomes.get(outcome) ?? 0) + 1)
      if (took > STALL_MS) await refuseStall(target, execute, each)
      else if (took > result.slowestMs) result.slowestMs = took
    }
  } finally {
    Error.stackTraceLimit = traceLimit
  }
  return result
}

function processorMsSince(started: NodeJS.CpuUsage): number {
  const { user, system } = process.threadCpuUsage(started)
  return (user + system) / 1000
}

async function refuseStall(target: FuzzTarget, execute: Execute, seed: number): Promise<void> {
  let least = Number.POSITIVE_INFINITY
  for (let attempt = 0; attempt < STALL_ATTEMPTS; attempt++) {
    const started = process.threadCpuUsage()
    await execute({ random: new SeededRandom(seed), input: () => {} })
    least = Math.min(least, processorMsSince(started))
  }
  if (least > STALL_MS) throw new Finding(target.name, seed, `takes ${least.toFixed(0)} ms of processor time`)
}

/** Does it again, and listens to what the input is. */
async function describe(target: FuzzTarget, execute: Execute, seed: number): Promise<Finding> {
  const inputs: string[] = []
  const input = (name: string, bytes: Uint8Array | string): void => {
    inputs.push(`${name}: ${typeof bytes === 'string' ? JSON.stringify(bytes) : shown(bytes)}`)
  }
  try {
    await execute({ random: new SeededRandom(seed), input })
    return new Finding(target.name, seed, 'went wrong once, and not when it was repeated')
  } catch (error) {
    const what = error instanceof Error ? (error.stack ?? error.message) : inspect(error)
    return new Finding(target.name, seed, [what, ...inputs].join('\n'))
  }
}

function shown(bytes: Uint8Array): string {
  const hex = Buffer.from(bytes.subarray(0, SHOWN_BYTES)).toString('hex')
  return `${bytes.length} bytes ${hex.replace(/(00){16,}/g, (zeros) => `[00×${zeros.length / 2}]`)}`
}
