/**
 * What the store costs beside Java in one interleaved run: `npm run bench -- store [--blocks 3] [--gigabytes 1.5] [--write]`.
 *
 * G5 and G6: SYNC_FLUSH against what the device allows in the same minute. G15 and G16: starts after kill -9 and after a
 * clean stop. G10: what a consumer far behind does to producers. G27: how long the loop stands still.
 */
import { execFileSync } from 'node:child_process'
import {
  closeSync,
  fdatasyncSync,
  globSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import type { DrainResult } from './drainer.ts'
import { blastFrom, runOf, type Server, type ServerOptions, startComet, startJava } from './servers.ts'

const root = resolve(import.meta.dirname, '..')
const { values } = parseArgs({
  options: {
    blocks: { type: 'string', default: '3' },
    gigabytes: { type: 'string', default: '1.5' },
    only: { type: 'string', default: 'G5,G10,G15,G27' },
    write: { type: 'boolean' },
  },
})
const blocks = Number(values.blocks)
const gigabytes = Number(values.gigabytes)
const only = new Set(values.only.split(','))
const IN_FLIGHT = 256

type Who = 'CometMQ' | 'Java'
const start: Record<Who, (folder: string, options?: ServerOptions) => Promise<Server>> = {
  CometMQ: startComet,
  Java: startJava,
}

const say = (line: string): void => void process.stdout.write(`${line}\n`)
const rounded = (value: number, digits = 2): number => Number(value.toFixed(digits))
const median = (numbers: readonly number[]): number =>
  [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN

async function inFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'cometmq-bench-'))
  try {
    return await work(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
    execFileSync('sync')
  }
}

/** Blocks A B B A: which product comes first changes from block to block. */
async function interleaved(
  measure: (who: Who) => Promise<Record<string, number>>,
): Promise<Record<Who, Record<string, number>[]>> {
  const rows: Record<Who, Record<string, number>[]> = { CometMQ: [], Java: [] }
  for (let block = 0; block < blocks; block++) {
    for (const who of block % 2 === 0 ? (['CometMQ', 'Java'] as const) : (['Java', 'CometMQ'] as const)) {
      const row = await measure(who)
      rows[who].push(row)
      say(`${who.padEnd(8)} ${JSON.stringify(row)}`)
    }
  }
  return rows
}

/** Median time of fdatasync after 4 KiB, ms, on the file system of the folder, now. */
function datasyncMs(folder: string): number {
  const file = openSync(join(folder, 'datasync'), 'w')
  const times: number[] = []
  const page = Buffer.alloc(4_096, 1)
  for (let count = 0; count < 300; count++) {
    writeSync(file, page)
    const begun = performance.now()
    fdatasyncSync(file)
    times.push(performance.now() - begun)
  }
  closeSync(file)
  return median(times)
}

/** G5, G6. */
const syncFlush = (who: Who): Promise<Record<string, number>> =>
  inFolder(async (folder) => {
    const rateOf = async (flushDiskType: string, more: readonly string[]): Promise<{ rate: number; p50Ms: number }> => {
      const server = await start[who](folder, { settings: { flushDiskType } })
      await blastFrom(server, who === 'Java' ? 15 : 3)
      const { sent, seconds, p50Ms } = await blastFrom(server, 6, more)
      await server.kill()
      return { rate: sent / seconds, p50Ms }
    }
    const fdatasyncP50 = datasyncMs(folder)
    const asynchronous = await rateOf('ASYNC_FLUSH', [])
    const synchronous = await rateOf('SYNC_FLUSH', [])
    const alone = await rateOf('SYNC_FLUSH', ['--connections', '1', '--in-flight', '1'])
    const possible = Math.min(asynchronous.rate, IN_FLIGHT / ((1.5 * fdatasyncP50) / 1000))
    return {
      fdatasyncP50Ms: rounded(fdatasyncP50, 3),
      asyncPerSecond: Math.round(asynchronous.rate),
      syncPerSecond: Math.round(synchronous.rate),
      shareOfPossible: rounded(synchronous.rate / possible),
      aloneP50Ms: alone.p50Ms,
      aboveFdatasyncMs: rounded(alone.p50Ms - fdatasyncP50, 3),
    }
  })

async function fill(server: Server, bytes: number): Promise<void> {
  for (let written = 0; written < bytes; ) written += (await blastFrom(server, 4)).sent * 1_280
}

const logBytes = (folder: string): number =>
  globSync(join(folder, '**/commitlog/*')).reduce(
    (sum, path) => sum + Number(execFileSync('stat', ['-c', '%b', path], { encoding: 'utf8' })) * 512,
    0,
  )

/** G15, G16. */
const starts = (who: Who): Promise<Record<string, number>> =>
  inFolder(async (folder) => {
    const first = await start[who](folder)
    await fill(first, gigabytes * 2 ** 30)
    await first.kill()
    const bytes = logBytes(folder)
    const again = await start[who](folder, { toFirstSend: true })
    const afterKillMs = again.firstSendMs!
    await again.stop()
    const clean = await start[who](folder, { toFirstSend: true })
    const afterStopMs = clean.firstSendMs!
    await clean.stop()
    const little = await inFolder(async (small) => {
      const server = await start[who](small)
      await blastFrom(server, 1)
      await server.stop()
      const next = await start[who](small, { toFirstSend: true })
      await next.kill()
      return next.firstSendMs!
    })
    return {
      gigabytes: rounded(bytes / 2 ** 30),
      afterKillMs: Math.round(afterKillMs),
      afterStopMs: Math.round(afterStopMs),
      afterStopOfLittleMs: Math.round(little),
      secondsPerGigabyte: rounded((afterKillMs - little) / 1000 / (bytes / 2 ** 30)),
    }
  })

/** G10: the log leaves the page cache, then it is read from its beginning while producers go on. */
const behind = (who: Who): Promise<Record<string, number>> =>
  inFolder(async (folder) => {
    const first = await start[who](folder)
    await fill(first, gigabytes * 2 ** 30)
    await first.stop()
    execFileSync('sync')
    for (const path of globSync(join(folder, '**/commitlog/*')))
      execFileSync('dd', [`if=${path}`, 'iflag=nocache', 'count=0', 'status=none'])
    const server = await start[who](folder)
    const paced = ['--rate', '10000']
    await blastFrom(server, who === 'Java' ? 15 : 3, paced)
    const quiet = await blastFrom(server, 8, paced)
    const address = ['--address', `127.0.0.1:${server.brokerPort}`, '--seconds', '8']
    const [drained, meanwhile] = await Promise.all([
      runOf<DrainResult>('bench/drainer.ts', address),
      blastFrom(server, 8, paced),
    ])
    await server.kill()
    return {
      quietP99Ms: quiet.p99Ms,
      drainingP99Ms: meanwhile.p99Ms,
      ratio: rounded(meanwhile.p99Ms / quiet.p99Ms),
      drainedPerSecond: Math.round(drained.messages / drained.seconds),
    }
  })

/** G27: the longest stand-still of the loop at half of what the device takes, and without bound. */
const stalls = (): Promise<Record<string, number>> =>
  inFolder(async (folder) => {
    const watchFile = join(folder, 'loop.json')
    const block = Buffer.alloc(1_048_576, 1)
    const file = openSync(join(folder, 'device'), 'w')
    const begun = performance.now()
    for (let count = 0; count < 512; count++) {
      writeSync(file, block)
      if (count % 32 === 31) fdatasyncSync(file)
    }
    const deviceMegabytes = 512 / ((performance.now() - begun) / 1000)
    closeSync(file)
    const server = await startComet(folder, {
      node: ['--import', join(root, 'bench/loop-watch.ts')],
      env: { LOOP_WATCH_FILE: watchFile },
    })
    const longest = async (more: readonly string[]): Promise<{ maxMs: number; rate: number }> => {
      await blastFrom(server, 3, more)
      rmSync(watchFile, { force: true })
      await new Promise((done) => setTimeout(done, 600))
      const { sent, seconds } = await blastFrom(server, 10, more)
      await new Promise((done) => setTimeout(done, 400))
      return { maxMs: JSON.parse(readFileSync(watchFile, 'utf8')).maxMs, rate: sent / seconds }
    }
    const half = await longest(['--rate', String(Math.round((deviceMegabytes / 2) * 820))])
    const all = await longest([])
    await server.stop()
    return {
      deviceMegabytesPerSecond: Math.round(deviceMegabytes),
      halfPerSecond: Math.round(half.rate),
      halfMaxMs: rounded(half.maxMs, 1),
      unboundedPerSecond: Math.round(all.rate),
      unboundedMaxMs: rounded(all.maxMs, 1),
    }
  })

function table(title: string, rows: Record<Who, Record<string, number>[]>): string {
  const keys = Object.keys(rows.CometMQ[0] ?? {})
  const line = (who: Who): string =>
    `| ${who} | ${keys.map((key) => rounded(median(rows[who].map((row) => row[key]!)), 3)).join(' | ')} |`
  const body = [`| | ${keys.join(' | ')} |`, `|---|${keys.map(() => '---').join('|')}|`, line('CometMQ')]
  if (rows.Java.length > 0) body.push(line('Java'))
  return `## ${title}\n\n${body.join('\n')}\n`
}

const parts: string[] = []
if (only.has('G5'))
  parts.push(table('SYNC_FLUSH against what the device allows (G5, G6)', await interleaved(syncFlush)))
if (only.has('G15'))
  parts.push(table('Starts after kill -9 and after a clean stop (G15, G16)', await interleaved(starts)))
if (only.has('G10')) parts.push(table('A consumer far behind (G10)', await interleaved(behind)))
if (only.has('G27')) {
  const rows: Record<Who, Record<string, number>[]> = { CometMQ: [], Java: [] }
  for (let block = 0; block < blocks; block++) {
    rows.CometMQ.push(await stalls())
    say(`CometMQ  ${JSON.stringify(rows.CometMQ.at(-1))}`)
  }
  parts.push(table('How long the loop stands still (G27)', rows))
}
const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: root, encoding: 'utf8' }).trim()
const page = `# Benchmarks of the store

Printed by \`npm run bench -- store --blocks ${blocks} --gigabytes ${gigabytes} --only ${values.only} --write\` at commit ${commit},
${new Date().toISOString().slice(0, 10)}, on ${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}, Node ${process.versions.node}, shared and noisy: only what stands
side by side in one row of one run compares. Medians of ${blocks} interleaved blocks. \`shareOfPossible\` is the rate of SYNC_FLUSH at
${IN_FLIGHT} in flight against the lesser of the ASYNC_FLUSH rate and ${IN_FLIGHT} messages each 1.5 × the median fdatasync of that minute.

${parts.join('\n')}`
say(`\n${page}`)
if (values.write === true) writeFileSync(join(root, 'docs/benchmarks-store.md'), page)
