import { openSync, writeSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { watchAllocations } from './allocations.ts'
import { type FuzzResult, runFuzz } from './fuzz-run.ts'
import type { Execute } from './fuzz-target.ts'
import { targets } from './targets.ts'

/** A part of one target's executions. */
export interface FuzzJob {
  target: string
  seed: number
  executions: number
}

/** What a worker says of a job. */
export type FuzzReport = { job: FuzzJob; grownBytes: number; largestBytes: number } & (
  | { result: FuzzResult }
  | { finding: string }
)

/** Executions before the memory is measured: what is made once is there then. */
const WARM_EXECUTIONS = 1_000

/** Which execution runs, for whoever finds that it does not end, or has ended the process. */
const progressFile = openSync(process.argv[2]!, 'r+')
const seedNow = Buffer.alloc(4)
const prepared = new Map<string, Promise<Execute>>()
const allocations = watchAllocations()

process.on('message', async (job: FuzzJob) => process.send!(await run(job)))

async function run(job: FuzzJob): Promise<FuzzReport> {
  const target = targets.find(({ name }) => name === job.target)!
  const progress = (seed: number): void => {
    seedNow.writeInt32LE(seed)
    writeSync(progressFile, seedNow, 0, 4, 0)
  }
  let grownBytes = 0
  try {
    let execute = prepared.get(job.target)
    if (execute === undefined) prepared.set(job.target, (execute = target.prepare()))
    const ready = await execute
    await runFuzz(target, ready, { ...job, executions: Math.min(job.executions, WARM_EXECUTIONS), progress })
    const before = await usedBytes()
    allocations.reset()
    const result = await runFuzz(target, ready, { ...job, progress })
    grownBytes = (await usedBytes()) - before
    return { job, grownBytes, largestBytes: allocations.largestBytes, result }
  } catch (error) {
    return { job, grownBytes, largestBytes: allocations.largestBytes, finding: (error as Error).message }
  }
}

/** The least of some measurements: what is freed off the thread is counted a little later. */
async function usedBytes(): Promise<number> {
  let least = Number.POSITIVE_INFINITY
  for (let round = 0; round < 4; round++) {
    gc!()
    await sleep(10)
    const { heapUsed, external } = process.memoryUsage()
    least = Math.min(least, heapUsed + external)
  }
  return least
}
