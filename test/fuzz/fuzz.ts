/**
 * Feeds damaged files to everything that reads them.
 *
 *   npm run fuzz                                          every target, 200,000 executions each
 *   npm run fuzz -- --target scan --executions 1000000 [--seed 1]
 *
 * Each execution follows from its seed alone, so the command that a failure prints does the same again.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { FuzzJob, FuzzReport } from './fuzz-worker.ts'
import { targets } from './targets.ts'

const WORKERS = Math.min(4, availableParallelism())
/** Executions handed out at a time. */
const PIECE = 50_000
/** Longest time without the next execution; the machine may be busy with others. */
const STUCK_MS = 60_000
/** What may remain in memory after one piece: less than 200 bytes an execution. */
const GROWTH_BYTES = 8_388_608
/** Largest buffer: the windows through which the store looks take 4 MiB. */
const LARGEST_BYTES = 8_388_608

const { values } = parseArgs({
  options: {
    target: { type: 'string', multiple: true },
    executions: { type: 'string', default: '200000' },
    seed: { type: 'string', default: '1' },
  },
})

interface Total {
  executions: number
  processorMs: number
  slowestMs: number
  grownBytes: number
  outcomes: Map<string, number>
}

const names = values.target ?? targets.map(({ name }) => name)
const unknown = names.find((name) => !targets.some((target) => target.name === name))
if (unknown !== undefined) {
  fail(`no target ${unknown}: one of ${targets.map(({ name }) => name).join(', ')}`)
}
const totals = new Map<string, Total>()
const workers: ChildProcess[] = []
const folder = mkdtempSync(join(tmpdir(), 'cometmq-fuzz-'))
process.on('exit', () => {
  for (const worker of workers) worker.kill('SIGKILL')
  rmSync(folder, { recursive: true, force: true })
})
const started = performance.now()
await runAll(jobsOf(names, Number(values.seed), Number(values.executions)))
for (const name of names) process.stdout.write(`${line(name, totals.get(name)!)}\n`)
const seconds = ((performance.now() - started) / 1000).toFixed(1)
const all = [...totals.values()].reduce((sum, { executions }) => sum + executions, 0)
process.stdout.write(`${all} executions from seed ${values.seed}: nothing found (${seconds} s, ${WORKERS} workers)\n`)

function jobsOf(wanted: readonly string[], seed: number, executions: number): FuzzJob[] {
  const jobs: FuzzJob[] = []
  for (const name of wanted) {
    // A target that is asked for alone gets all of the executions.
    const oneIn = wanted.length === 1 ? 1 : (targets.find((target) => target.name === name)!.oneIn ?? 1)
    const count = Math.max(1, Math.ceil(executions / oneIn))
    const piece = Math.ceil(PIECE / oneIn)
    for (let done = 0; done < count; done += piece) {
      jobs.push({ target: name, seed: seed + done, executions: Math.min(piece, count - done) })
    }
  }
  return jobs
}

async function runAll(jobs: FuzzJob[]): Promise<void> {
  const queue = [...jobs]
  await Promise.all(Array.from({ length: Math.min(WORKERS, jobs.length) }, (_, number) => work(queue, number)))
}

/** One worker, until nothing is left to do. */
async function work(queue: FuzzJob[], number: number): Promise<void> {
  const progress = join(folder, String(number))
  writeFileSync(progress, Buffer.alloc(4))
  const worker = fork(join(import.meta.dirname, 'fuzz-worker.ts'), [progress], {
    execArgv: ['--expose-gc', '--max-old-space-size=512'],
    serialization: 'advanced',
  })
  workers.push(worker)
  for (let job = queue.shift(); job !== undefined; job = queue.shift()) note(await reportOf(worker, job, progress))
  worker.disconnect()
}

function reportOf(worker: ChildProcess, job: FuzzJob, progress: string): Promise<FuzzReport> {
  const seedNow = (): number => readFileSync(progress).readInt32LE(0)
  return new Promise((resolve) => {
    let seen = -1
    let since = performance.now()
    const stuck = setInterval(() => {
      const seed = seedNow()
      if (seed !== seen) {
        seen = seed
        since = performance.now()
      } else if (performance.now() - since > STUCK_MS) found(job.target, seen, 'does not end')
    }, 1_000)
    const finish = (report: FuzzReport): void => {
      clearInterval(stuck)
      worker.off('message', finish)
      worker.off('exit', ended)
      resolve(report)
    }
    const ended = (code: number | null, signal: string | null): void =>
      found(job.target, seedNow(), `ends the process (${code ?? signal}): half a gigabyte was not enough, perhaps`)
    worker.on('message', finish)
    worker.on('exit', ended)
    worker.send(job)
  })
}

function note(report: FuzzReport): void {
  const { job, grownBytes, largestBytes } = report
  if ('finding' in report) fail(report.finding)
  const { result } = report
  const replay = `replay it with: npm run fuzz -- --target ${job.target} --seed ${job.seed} --executions ${job.executions}`
  if (grownBytes > GROWTH_BYTES) {
    fail(`${job.target}: ${grownBytes} bytes more after ${job.executions} executions from seed ${job.seed}\n${replay}`)
  }
  if (largestBytes > LARGEST_BYTES) {
    fail(
      `${job.target}: a buffer of ${largestBytes} bytes, between seed ${job.seed} and ${job.executions} on\n${replay}`,
    )
  }
  const total = totals.get(job.target) ?? {
    executions: 0,
    processorMs: 0,
    slowestMs: 0,
    grownBytes: 0,
    outcomes: new Map<string, number>(),
  }
  total.executions += result.executions
  total.processorMs += result.processorMs
  total.slowestMs = Math.max(total.slowestMs, result.slowestMs)
  total.grownBytes = Math.max(total.grownBytes, grownBytes)
  for (const [outcome, count] of result.outcomes) {
    total.outcomes.set(outcome, (total.outcomes.get(outcome) ?? 0) + count)
  }
  totals.set(job.target, total)
}

function line(name: string, { executions, processorMs, slowestMs, grownBytes, outcomes }: Total): string {
  const shares = [...outcomes].sort(([, a], [, b]) => b - a)
  const came = shares.map(([outcome, count]) => `${outcome} ${((count / executions) * 100).toFixed(0)}%`).join(', ')
  const each = ((processorMs / executions) * 1000).toFixed(0)
  const grown = `${Math.max(0, Math.round(grownBytes / 1024))} KiB more`
  return `${name.padEnd(18)} ${String(executions).padStart(8)} × ${each.padStart(5)} µs, slowest ${slowestMs.toFixed(1)} ms, ${grown}: ${came}`
}

function found(target: string, seed: number, what: string): never {
  return fail(
    `${target}, seed ${seed}: ${what}\nreplay it with: npm run fuzz -- --target ${target} --seed ${seed} --executions 1`,
  )
}

function fail(message: string): never {
  process.stderr.write(`${message}\n`)
  process.exit(1)
}
