import { setTimeout as sleep } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { parentPort, workerData } from 'node:worker_threads'
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

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void
const seedNow = new Int32Array((workerData as { progress: SharedArrayBuffer }).progress)
const prepared = new Map<string, Promise<Execute>>()
const allocations = watchAllocations()

parentPort!.on('message', async (job: FuzzJob) => parentPort!.postMessage(await run(job)))

async function run(job: FuzzJob): Promise<FuzzReport> {
  const target = targets.find(({ name }) => name === job.target)!
  const progress = (seed: number): void => {
    seedNow[0] = seed
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
    collect()
    await sleep(10)
    const { heapUsed, external } = process.memoryUsage()
    least = Math.min(least, heapUsed + external)
  }
  return least
}
