/**
 * The first numbers, beside Java in one interleaved run: `npm run bench -- sends [--blocks 5 --seconds 10 --java-warm 20 --write]`.
 *
 * G1: sends per broker CPU-second, 8 connections × 32 in flight, 1 KB, JSON headers, ASYNC_FLUSH. Blocks are A B B A; the
 * score is the median over blocks of the ratio within a block. One broker runs at a time, each in a fresh directory.
 * Also: memory when idle, and time from start to the first accepted send.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir, totalmem } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { blastFrom, cpuSeconds, residentMegabytes, type Server, startComet, startJava } from './servers.ts'

const root = resolve(import.meta.dirname, '..')
const { values } = parseArgs({
  options: {
    blocks: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '10' },
    'java-warm': { type: 'string', default: '20' },
    'comet-warm': { type: 'string', default: '3' },
    write: { type: 'boolean' },
    'no-java': { type: 'boolean' },
  },
})
const blocks = Number(values.blocks)
const seconds = Number(values.seconds)

interface Cell {
  who: 'CometMQ' | 'Java'
  sent: number
  refused: number
  perSecond: number
  perCpuSecond: number
  cpuMicrosPerSend: number
  p50Ms: number
  p99Ms: number
  rssMegabytes: number
}

async function measure(who: Cell['who']): Promise<Cell> {
  const folder = mkdtempSync(join(tmpdir(), 'cometmq-bench-'))
  let server: Server | undefined
  try {
    server = who === 'Java' ? await startJava(folder) : await startComet(folder)
    const warm = Number(who === 'Java' ? values['java-warm'] : values['comet-warm'])
    await blastFrom(server, warm)
    const before = cpuSeconds(server.brokerPid)
    const { sent, refused, seconds: took, p50Ms, p99Ms, firstRefusal } = await blastFrom(server, seconds)
    const cpu = cpuSeconds(server.brokerPid) - before
    if (refused > 0) process.stderr.write(`${who} refused ${refused}: ${firstRefusal}\n`)
    return {
      who,
      sent,
      refused,
      perSecond: Math.round(sent / took),
      perCpuSecond: Math.round(sent / cpu),
      cpuMicrosPerSend: Number(((cpu / sent) * 1e6).toFixed(2)),
      p50Ms,
      p99Ms,
      rssMegabytes: Math.round(residentMegabytes(server.brokerPid)),
    }
  } finally {
    await server?.kill()
    rmSync(folder, { recursive: true, force: true })
    execFileSync('sync')
  }
}

const median = (numbers: number[]): number => {
  const sorted = [...numbers].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}

async function startTimes(runs: number): Promise<number[]> {
  const times: number[] = []
  for (let run = 0; run < runs; run++) {
    const folder = mkdtempSync(join(tmpdir(), 'cometmq-bench-'))
    const server = await startComet(folder, { toFirstSend: true })
    times.push(Math.round(server.firstSendMs ?? Number.NaN))
    await server.stop()
    rmSync(folder, { recursive: true, force: true })
  }
  return times
}

async function idle(): Promise<{ rss: number; cpuPercent: number }> {
  const folder = mkdtempSync(join(tmpdir(), 'cometmq-bench-'))
  const server = await startComet(folder)
  await new Promise((done) => setTimeout(done, 5_000))
  const before = cpuSeconds(server.brokerPid)
  await new Promise((done) => setTimeout(done, 10_000))
  const cpuPercent = (cpuSeconds(server.brokerPid) - before) * 10
  const rss = residentMegabytes(server.brokerPid)
  await server.stop()
  rmSync(folder, { recursive: true, force: true })
  return { rss: Number(rss.toFixed(1)), cpuPercent: Number(cpuPercent.toFixed(2)) }
}

const cells: Cell[] = []
const ratios: number[] = []
const say = (line: string): void => void process.stdout.write(`${line}\n`)
const format = (cell: Cell): string =>
  `${cell.who.padEnd(8)} ${String(cell.perCpuSecond).padStart(8)} sends/CPU-s  ${cell.cpuMicrosPerSend.toFixed(1).padStart(6)} µs  ` +
  `${String(cell.perSecond).padStart(7)}/s  p50 ${cell.p50Ms} ms  p99 ${cell.p99Ms} ms  ${cell.rssMegabytes} MB  refused ${cell.refused}`

for (let block = 0; block < blocks; block++) {
  const order: Cell['who'][] =
    values['no-java'] === true ? ['CometMQ'] : block % 2 === 0 ? ['CometMQ', 'Java'] : ['Java', 'CometMQ']
  const measured: Partial<Record<Cell['who'], Cell>> = {}
  for (const who of order) {
    const cell = await measure(who)
    cells.push(cell)
    measured[who] = cell
    say(format(cell))
  }
  if (measured.Java !== undefined && measured.CometMQ !== undefined) {
    const ratio = measured.CometMQ.perCpuSecond / measured.Java.perCpuSecond
    ratios.push(ratio)
    say(`block ${block + 1}: ratio ${ratio.toFixed(1)}`)
  }
}
const starts = await startTimes(7)
const resting = await idle()

const of = (who: Cell['who']): Cell[] => cells.filter((cell) => cell.who === who)
const row = (who: Cell['who']): string => {
  const own = of(who)
  const pick = (field: keyof Cell): number => median(own.map((cell) => cell[field] as number))
  return `| ${who} | ${pick('perCpuSecond')} | ${pick('cpuMicrosPerSend')} | ${pick('perSecond')} | ${pick('p50Ms')} | ${pick('p99Ms')} | ${pick('rssMegabytes')} |`
}
const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: root, encoding: 'utf8' }).trim()
const report = `# Benchmarks

Printed by \`npm run bench -- sends --blocks ${blocks} --seconds ${seconds} --java-warm ${values['java-warm']} --write\` at commit ${commit}, ${new Date().toISOString().slice(0, 10)}.
Machine: ${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}, ${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${execFileSync('uname', ['-r'], { encoding: 'utf8' }).trim()}, Node ${process.versions.node}; shared
and noisy, so only the ratios count.

## Sends per broker CPU-second (G1)

8 connections × 32 in flight, 1 KB bodies, JSON headers, ASYNC_FLUSH, one topic with 8 queues, generator
\`bench/blaster.ts\`. CPU is user + system time of the broker's process from /proc. Java is Apache RocketMQ 5.5.0, warmed up
for ${values['java-warm']} s before each measurement. CometMQ's process is name server and broker; Java's is the broker alone.
Medians of ${of('CometMQ').length} runs each, interleaved:

| | sends per CPU-s | CPU µs per send | sends per s | p50 ms | p99 ms | memory MB |
|---|---|---|---|---|---|---|
${row('CometMQ')}
${of('Java').length > 0 ? row('Java') : ''}

Ratio within a block: median **${median(ratios).toFixed(1)}** (${ratios.map((ratio) => ratio.toFixed(1)).join(', ')}); refused sends: CometMQ ${of('CometMQ').reduce((sum, cell) => sum + cell.refused, 0)}, Java ${of('Java').reduce((sum, cell) => sum + cell.refused, 0)}.

## Start and rest

- From starting the process to the first accepted send, empty store, compiled package: median **${median(starts)} ms** (${starts.join(', ')}).
- Name server and broker in one process, idle for 15 s after the start: **${resting.rss} MB** resident, ${resting.cpuPercent} % of a core.
`
say(`\n${report}`)
if (values.write === true) writeFileSync(join(root, 'docs/benchmarks.md'), report)
