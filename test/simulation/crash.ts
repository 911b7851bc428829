/**
 * What makes people trust the store: crashes it, fails its disk, flips its bits, kills its process, and looks at what is
 * left. docs/reliability.md tells what each part shows.
 *
 *   npm run crash -- --seeds 1000 [--from 1]    crashes at random operations, one seed after the other
 *   npm run crash -- --seed 42 [--history]      one seed, and what happened in it
 *   npm run crash -- --images 10000 [--from 1]  R1: images of the disk at every operation of recorded traces
 *   npm run crash -- --kills 20                 R2: kill -9 of a real process under load
 *   npm run crash -- --each-io [MODE] [--code EIO|ENOSPC]   R3: every call of the disk fails once
 *   npm run crash -- --flips 2000               R4: one bit flipped, anywhere
 *   npm run crash -- --minutes 60 [--from 1]    R1, R3 and R4 by turns for so long, with seeds never used twice
 *   npm run crash -- --ci                       R1 to R4 as CI wants them, in under 8 minutes on two cores
 *
 * The first failure is printed with the command that shows it again, and ends with exit code 1.
 */
import { spawn } from 'node:child_process'
import { parseArgs } from 'node:util'
import * as parts from './crash-parts.ts'
import type { FlushMode } from './every-operation.ts'

const text = { type: 'string' } as const
const flag = { type: 'boolean', default: false } as const
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seeds: { type: 'string', default: '1000' },
    from: { type: 'string', default: '1' },
    seed: text,
    history: flag,
    images: text,
    trace: text,
    image: text,
    kills: text,
    'each-io': flag,
    nth: text,
    code: { type: 'string', default: 'EIO' },
    stride: { type: 'string', default: '1' },
    flips: text,
    store: text,
    flip: text,
    minutes: text,
    ci: flag,
  },
})

const from = Number(values.from)
const mode: FlushMode = positionals[0] === 'ASYNC_FLUSH' ? 'ASYNC_FLUSH' : 'SYNC_FLUSH'
const code = values.code === 'ENOSPC' ? 'ENOSPC' : 'EIO'
const started = performance.now()

function say(line: string): void {
  process.stdout.write(`${line} (${((performance.now() - started) / 1000).toFixed(1)} s)\n`)
}

function showHistory(lines: readonly string[]): void {
  if (values.history) process.stdout.write(`${lines.join('\n')}\n`)
}

async function seeds(count: number): Promise<void> {
  let crashes = 0
  for (let seed = from; seed < from + count; seed++) {
    const run = await parts.runSeed(seed)
    crashes += run.crashes
    showHistory(run.history)
  }
  say(`${count} seeds from ${from}, ${crashes} crashes: nothing acknowledged was lost`)
}

async function images(count: number, first: number): Promise<void> {
  const result = await parts.runImages(count, first)
  say(`R1: ${result.images} crash points in ${result.traces} traces from ${first}: nothing promised was lost`)
}

async function everyOperation(of: FlushMode, failure: 'EIO' | 'ENOSPC', stride: number): Promise<void> {
  const { calls, refused, wentOn } = await parts.runEveryOperation(of, failure, stride)
  say(
    `R3: ${calls} calls of the disk failed, each once (${of}, ${failure}): ${wentOn} lives went on, ${refused} refused to ` +
      'start; nothing promised was lost',
  )
}

async function flips(count: number, first: number): Promise<void> {
  const { flips: done, ends, unseenFields } = await parts.runFlips(count, first)
  const words = Object.entries(ends).map(([end, number]) => `${number} ${end}`)
  say(`R4: ${done} bits flipped: ${words.join(', ')}; no healthy message was lost, no wrong body served`)
  if (ends.unseen === 0) return
  const fields = Object.entries(unseenFields).map(([field, number]) => `${field} ${number}`)
  say(`    unseen, where no checksum of the format reaches: ${fields.join(', ')}`)
}

async function kills(cycles: number, seed: number): Promise<void> {
  const { sent, acknowledged, kept, slowestStartMs } = await parts.runKills(cycles, seed)
  say(
    `R2: ${cycles} kills of a real process: ${acknowledged} of ${sent} messages acknowledged, ${kept} kept, none lost; ` +
      `slowest start ${slowestStartMs} ms`,
  )
}

async function minutes(count: number): Promise<void> {
  const until = started + count * 60_000
  let seed = from
  let done = 0
  for (; performance.now() < until; seed++) {
    await parts.runSeed(seed)
    done += (await parts.runImages(1, seed)).images
    const operation = 1 + (seed % 900)
    await parts.runOperation(
      seed % 2 === 0 ? 'SYNC_FLUSH' : 'ASYNC_FLUSH',
      seed % 3 === 0 ? 'ENOSPC' : 'EIO',
      operation,
    )
    await parts.runFlips(20, seed)
  }
  say(`${seed - from} rounds from ${from} with ${done} crash points: nothing promised was lost`)
}

/** Two lanes, one for each core; each part is a process of its own. */
async function ci(): Promise<void> {
  const lanes = [
    [['--images', '10000']],
    [
      ['--seeds', '200'],
      ['--kills', '20'],
      ['--flips', '2000'],
      ['--each-io', 'SYNC_FLUSH'],
      ['--each-io', 'ASYNC_FLUSH', '--code', 'ENOSPC', '--stride', '4'],
    ],
  ]
  await Promise.all(
    lanes.map(async (lane) => {
      for (const args of lane) await runPart(args)
    }),
  )
  say('R1 to R4: all held')
}

const running = new Set<ReturnType<typeof spawn>>()

function runPart(args: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [process.argv[1]!, ...args], { stdio: 'inherit' })
    running.add(child)
    child.on('error', reject)
    child.on('exit', (exitCode) => {
      running.delete(child)
      if (exitCode === 0) return resolve()
      for (const other of running) other.kill('SIGTERM')
      reject(new Error(`crash ${args.join(' ')} failed`))
    })
  })
}

async function run(): Promise<void> {
  if (values.ci) return ci()
  if (values.minutes !== undefined) return minutes(Number(values.minutes))
  if (values.seed !== undefined) return showHistory((await parts.runSeed(Number(values.seed))).history)
  if (values.trace !== undefined) return showHistory(await parts.runImage(Number(values.trace), Number(values.image)))
  if (values.store !== undefined) return showHistory(await parts.runFlip(Number(values.store), Number(values.flip)))
  if (values.images !== undefined) return images(Number(values.images), from)
  if (values.kills !== undefined) return kills(Number(values.kills), from)
  if (values.flips !== undefined) return flips(Number(values.flips), from)
  if (values['each-io'] && values.nth !== undefined)
    return showHistory((await parts.runOperation(mode, code, Number(values.nth))).history)
  if (values['each-io']) return everyOperation(mode, code, Number(values.stride))
  return seeds(Number(values.seeds))
}

try {
  await run()
} catch (error) {
  if (error instanceof parts.Failed) {
    showHistory(error.history)
    process.stderr.write(`${error.message}\nreplay it with: ${error.replay}\n`)
  } else process.stderr.write(`${error instanceof Error ? error.stack : error}\n`)
  process.exit(1)
}
