/**
 * Many queues (G18, G16): `node bench/many-queues.ts [--topics 10000] [--queues 8] [--filled 8] [--seconds 5] [--rest 40] [--set KEY=VALUE]
 * [--folder DIR] [--trace]`.
 *
 * One process is name server and broker. It gets the topics by UPDATE_AND_CREATE_TOPIC (17), one message for each queue,
 * then what many queues cost is measured beside a topic of 8 queues: sends, route queries, memory, open files, the
 * longest stall of the loop, a clean stop, and starts after it and after kill -9 up to the first accepted send. With
 * --trace starts are counted by strace. One JSON object comes out at the end.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { createConnection, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { cpuSeconds, residentMegabytes, sendUntilAccepted } from './servers.ts'

const root = resolve(import.meta.dirname, '..')
const { values } = parseArgs({
  options: {
    topics: { type: 'string', default: '10000' },
    queues: { type: 'string', default: '8' },
    filled: { type: 'string' },
    seconds: { type: 'string', default: '5' },
    rest: { type: 'string', default: '40' },
    folder: { type: 'string' },
    set: { type: 'string', multiple: true, default: [] },
    trace: { type: 'boolean', default: false },
    'no-kill': { type: 'boolean', default: false },
  },
})
const topics = Number(values.topics)
const queues = Number(values.queues)
/** Queues of each topic that get messages. */
const filled = Number(values.filled ?? queues)
const seconds = Number(values.seconds)
const folder = values.folder ?? mkdtempSync(join(tmpdir(), 'cometmq-many-'))
const watchFile = join(folder, 'loop.json')
const NAMESRV_PORT = 29_600 + (process.pid % 100) * 4
const BROKER_PORT = 39_600 + (process.pid % 100) * 20

const say = (text: string): void => void process.stderr.write(`${text}\n`)
const pause = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms))

/** Requests over one connection, many at a time. */
class Pipe {
  readonly #socket: Socket
  readonly #waiting = new Map<number, (code: number) => void>()
  #opaque = 1_000_000
  #pending: Buffer = Buffer.alloc(0)

  constructor(port: number) {
    this.#socket = createConnection({ host: '127.0.0.1', port, noDelay: true })
    this.#socket.on('data', (chunk) => this.#onData(chunk))
    this.#socket.on('error', (error) => say(String(error)))
  }

  #onData(chunk: Buffer): void {
    const bytes = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk])
    let at = 0
    while (bytes.length - at >= 8) {
      const end = at + 4 + bytes.readInt32BE(at)
      if (end > bytes.length) break
      const header = bytes.latin1Slice(at + 8, at + 8 + (bytes.readInt32BE(at + 4) & 0xff_ffff))
      const opaque = Number(/"opaque":(\d+)/.exec(header)?.[1])
      const code = Number(/"code":(-?\d+)/.exec(header)?.[1])
      this.#waiting.get(opaque)?.(code)
      this.#waiting.delete(opaque)
      at = end
    }
    this.#pending = bytes.subarray(at)
  }

  ask(code: number, extFields: Record<string, string>, body: Buffer = Buffer.alloc(0)): Promise<number> {
    const opaque = this.#opaque++
    const header = Buffer.from(JSON.stringify({ code, extFields, flag: 0, language: 'JAVA', opaque, version: 513 }))
    const head = Buffer.alloc(8)
    head.writeInt32BE(4 + header.length + body.length, 0)
    head.writeInt32BE(header.length, 4)
    this.#socket.write(Buffer.concat([head, header, body]))
    return new Promise((done) => this.#waiting.set(opaque, done))
  }

  end(): void {
    this.#socket.destroy()
  }
}

/** Runs `count` requests, `inFlight` at a time. @returns those that did not succeed */
async function pump(count: number, inFlight: number, one: (index: number) => Promise<number>): Promise<number> {
  let next = 0
  let refused = 0
  await Promise.all(
    Array.from({ length: Math.min(inFlight, count) }, async () => {
      while (next < count) if ((await one(next++)) !== 0) refused++
    }),
  )
  return refused
}

const topicName = (index: number): string => `Many_${String(index).padStart(7, '0')}`
const body = Buffer.alloc(1024, 0x61)

const sendFields = (topic: string, queueId: number): Record<string, string> => ({
  a: 'bench',
  b: topic,
  c: 'TBW102',
  d: '8',
  e: String(queueId),
  f: '0',
  g: String(Date.now()),
  h: '0',
  i: 'WAIT\u0001true\u0002TAGS\u0001TagA\u0002',
  j: '0',
  k: 'false',
  m: 'false',
})

async function start(): Promise<{
  child: ChildProcess
  pid: number
  startMs: number
  readyMs: number
  calls: Record<string, number>
}> {
  const main = [
    '--import',
    join(root, 'bench/loop-watch.ts'),
    ...(process.env['PROF'] ? ['--cpu-prof', '--cpu-prof-dir', process.env['PROF']] : []),
    join(root, 'src/cli/main.ts'),
    ...['start', '--data', join(folder, 'data'), '--namesrv-port', String(NAMESRV_PORT)],
    ...['--broker-port', String(BROKER_PORT)],
    ...values.set.flatMap((each) => ['--set', each]),
  ]
  const trace = join(folder, 'trace.txt')
  const [command, args] = values.trace
    ? ['strace', ['-f', '-c', '-o', trace, '-e', 'trace=file,desc', process.execPath, ...main]]
    : [process.execPath, main]
  const begun = performance.now()
  const child = spawn(command, args, {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, LOOP_WATCH_FILE: watchFile },
  })
  const ready = new Promise<void>((done, fail) => {
    let text = ''
    child.stdout!.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
      if (/^ready/m.test(text)) done()
    })
    child.once('exit', (code) => fail(new Error(`ended with ${code}: ${text}`)))
  })
  await ready
  const readyMs = performance.now() - begun
  await sendUntilAccepted(BROKER_PORT)
  return { child, pid: child.pid!, startMs: performance.now() - begun, readyMs, calls: {} }
}

async function stop(child: ChildProcess, signal: NodeJS.Signals): Promise<number> {
  const begun = performance.now()
  const ended = new Promise((done) => child.once('exit', done))
  child.kill(signal)
  await ended
  return performance.now() - begun
}

const round = (value: number): number => Number(value.toFixed(value < 10 ? 2 : 0))

/** The longest stall since the last call. */
async function stallMs(): Promise<number> {
  await pause(600)
  const text = existsSync(watchFile) ? readFileSync(watchFile, 'utf8') : ''
  if (text === '') return await stallMs() // it is being written
  const max = (JSON.parse(text) as { maxMs: number }).maxMs
  rmSync(watchFile, { force: true })
  await pause(300)
  return round(max)
}

const openFiles = (pid: number): number => readdirSync(`/proc/${pid}/fd`).length

/** Sends over 8 connections × 32 in flight. */
async function sendRate(
  pick: (index: number) => [topic: string, queueId: number],
): Promise<{ perSecond: number; perCpuSecond: number; refused: number }> {
  const pipes = Array.from({ length: 8 }, () => new Pipe(BROKER_PORT))
  const until = performance.now() + seconds * 1000
  let sent = 0
  let refused = 0
  const cpu = cpuSeconds(server.pid)
  const begun = performance.now()
  await Promise.all(
    pipes.flatMap((pipe) =>
      Array.from({ length: 32 }, async () => {
        while (performance.now() < until) {
          const [topic, queueId] = pick(sent++)
          if ((await pipe.ask(310, sendFields(topic, queueId), body)) !== 0) refused++
        }
      }),
    ),
  )
  const took = (performance.now() - begun) / 1000
  for (const pipe of pipes) pipe.end()
  return { perSecond: round(sent / took), perCpuSecond: round(sent / (cpuSeconds(server.pid) - cpu)), refused }
}

const percentile = (times: number[], share: number): number => {
  times.sort((a, b) => a - b)
  return round(times[Math.floor(times.length * share)] ?? Number.NaN)
}

const report: Record<string, unknown> = {
  topics,
  queues: topics * queues,
  filledQueues: topics * filled,
  machine: execFileSync('uname', ['-nr'], { encoding: 'utf8' }).trim(),
}
const note = (name: string, value: unknown): void => {
  report[name] = value
  say(`${name.padEnd(28)} ${JSON.stringify(value)}`)
}

let server = await start()
try {
  note('emptyStartMs', round(server.startMs))
  note('emptyRssMB', round(residentMegabytes(server.pid)))
  await stallMs()
  let pipe = new Pipe(BROKER_PORT)
  let begun = performance.now()
  const refusedTopics = await pump(topics, 256, (index) =>
    pipe.ask(17, {
      topic: topicName(index),
      defaultTopic: 'TBW102',
      readQueueNums: String(queues),
      writeQueueNums: String(queues),
      perm: '6',
      topicFilterType: 'SINGLE_TAG',
      topicSysFlag: '0',
      order: 'false',
    }),
  )
  note('createSeconds', round((performance.now() - begun) / 1000))
  note('createRefused', refusedTopics)
  note('createStallMs', await stallMs())
  note('topicsRssMB', round(residentMegabytes(server.pid)))

  begun = performance.now()
  const refusedSends = await pump(topics * filled, 256, (index) =>
    pipe.ask(310, sendFields(topicName(Math.floor(index / filled)), index % filled), body.subarray(0, 100)),
  )
  note('firstSendsPerSecond', round((topics * filled) / ((performance.now() - begun) / 1000)))
  note('firstSendsRefused', refusedSends)
  note('firstSendsStallMs', await stallMs())
  note('queuesRssMB', round(residentMegabytes(server.pid)))
  note('openFiles', openFiles(server.pid))

  await pause(Number(values.rest) * 1000)
  note('restStallMs', await stallMs())
  const cpuBefore = cpuSeconds(server.pid)
  await pause(10_000)
  note('restCpuPercent', round((cpuSeconds(server.pid) - cpuBefore) * 10))

  const random = (index: number): number =>
    Math.floor((((index * 2_654_435_761) % 4_294_967_296) / 4_294_967_296) * topics)
  const eight = (index: number): [string, number] => ['Bench', index % 8]
  await sendRate(eight)
  note('sendEightQueues', await sendRate(eight))
  await stallMs()
  note('sendAllQueues', await sendRate((index) => [topicName(random(index)), index % filled]))
  note('sendAllStallMs', await stallMs())
  note('sendEightQueuesAgain', await sendRate(eight))
  note('rssMB', round(residentMegabytes(server.pid)))
  note('openFilesAfter', openFiles(server.pid))

  const routePipe = new Pipe(NAMESRV_PORT)
  const times: number[] = []
  const routes = await pump(20_000, 1, async (index) => {
    const asked = performance.now()
    const code = await routePipe.ask(105, { topic: topicName(random(index * 7 + 1)) })
    times.push(performance.now() - asked)
    return code
  })
  note('route', {
    refused: routes,
    p50Ms: percentile(times, 0.5),
    p99Ms: percentile(times, 0.99),
    maxMs: percentile(times, 0.99999),
  })
  routePipe.end()
  pipe.end()

  note('cleanStopMs', round(await stop(server.child, 'SIGTERM')))
  server = await start()
  note('startAfterCleanMs', round(server.startMs))
  note('startedRssMB', round(residentMegabytes(server.pid)))
  note('startStallMs', await stallMs())
  pipe = new Pipe(NAMESRV_PORT)
  const unknown = await pump(1_000, 16, (index) => pipe.ask(105, { topic: topicName(random(index)) }))
  note('routesUnknownAfterStart', unknown)
  pipe.end()
  if (!values['no-kill']) {
    note('sendBeforeKill', await sendRate((index) => [topicName(random(index)), index % filled]))
    await stop(server.child, 'SIGKILL')
    server = await start()
    note('startAfterKillMs', round(server.startMs))
  }
  note('lastStopMs', round(await stop(server.child, 'SIGTERM')))
  if (values.trace)
    process.stderr.write(readFileSync(join(folder, 'trace.txt'), 'utf8').split('\n').slice(0, 14).join('\n'))
  process.stdout.write(`${JSON.stringify(report)}\n`)
} finally {
  server.child.kill('SIGKILL')
  if (values.folder === undefined) rmSync(folder, { recursive: true, force: true })
}
