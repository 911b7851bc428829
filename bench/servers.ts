/** The two servers under measurement, each in a process of its own and a fresh directory. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { existsSync, globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createConnection, createServer } from 'node:net'
import { join, resolve } from 'node:path'
import type { BlastResult } from './blaster.ts'

const root = resolve(import.meta.dirname, '..')

export interface Server {
  brokerPid: number
  brokerPort: number
  /** From the spawn to the first accepted send, when asked for. */
  firstSendMs: number | undefined
  /** Cleanly. */
  stop(): Promise<void>
  /** As a crash of the process does it. */
  kill(): Promise<void>
}

/** The compiled package, as users run it; built once. */
function compiled(): string {
  const dist = join(root, '.cache/bench/package')
  if (!built) {
    mkdirSync(dist, { recursive: true })
    const config = join(root, '.tsconfig-bench.json')
    writeFileSync(
      config,
      JSON.stringify({
        extends: './tsconfig.json',
        compilerOptions: { noEmit: false, declaration: false, rootDir: 'src', outDir: join(dist, 'dist') },
        include: [],
        files: ['src/cli/main.ts'],
      }),
    )
    execFileSync(join(root, 'node_modules/.bin/tsc'), ['-p', config], { cwd: root })
    execFileSync('rm', [config])
    writeFileSync(join(dist, 'package.json'), '{"name":"cometmq","version":"0.0.0","type":"module"}')
    built = true
  }
  return join(dist, 'dist/cli/main.js')
}
let built = false

export interface ServerOptions {
  /** Waits for the first accepted send, and tells how long that took. */
  toFirstSend?: boolean
  /** Keys of broker.conf; the directory stays the same from start to start. */
  settings?: Readonly<Record<string, string>>
  /** Arguments of Node before the program. */
  node?: readonly string[]
  env?: NodeJS.ProcessEnv
}

export async function startComet(folder: string, options: ServerOptions = {}): Promise<Server> {
  const main = compiled()
  const [namesrvPort, brokerPort] = [await freePort(), await freePort()]
  const args = [
    'start',
    '--data',
    join(folder, 'data'),
    '--namesrv-port',
    `${namesrvPort}`,
    '--broker-port',
    `${brokerPort}`,
    ...Object.entries(options.settings ?? {}).flatMap(([key, value]) => ['--set', `${key}=${value}`]),
  ]
  const begun = performance.now()
  const child = spawn(process.execPath, [...(options.node ?? []), main, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...options.env },
  })
  const firstSend =
    options.toFirstSend === true ? sendUntilAccepted(brokerPort).then(() => performance.now() - begun) : undefined
  await lineOf(child, /^ready/m)
  const firstSendMs = await firstSend
  return {
    brokerPid: child.pid!,
    brokerPort,
    firstSendMs,
    stop: () => stopped(child, 'SIGTERM'),
    kill: () => stopped(child, 'SIGKILL'),
  }
}

export async function startJava(folder: string, options: ServerOptions = {}): Promise<Server> {
  const lib = globSync(join(root, '.cache/interop/*/lib')).find((path) =>
    existsSync(join(path, 'rocketmq-broker-5.5.0.jar')),
  )
  if (lib === undefined) throw new Error('the Java broker is not fetched yet: npm run interop does it')
  mkdirSync(join(folder, 'conf'), { recursive: true })
  const [namesrvPort, brokerPort] = [await freePort(), await freePort()]
  const java = (heap: string[], main: string, args: string[]): ChildProcess =>
    spawn(
      'java',
      [
        ...heap,
        `-Drocketmq.home.dir=${folder}`,
        `-Duser.home=${folder}`,
        '-cp',
        `${folder}/conf:${lib}/*`,
        main,
        ...args,
      ],
      {
        stdio: ['ignore', 'pipe', 'ignore'],
        cwd: folder,
      },
    )
  writeFileSync(join(folder, 'namesrv.properties'), `listenPort=${namesrvPort}\n`)
  writeFileSync(
    join(folder, 'broker.conf'),
    [
      'brokerClusterName=DefaultCluster',
      'brokerName=broker-a',
      'brokerId=0',
      'brokerIP1=127.0.0.1',
      `listenPort=${brokerPort}`,
      'brokerRole=ASYNC_MASTER',
      'flushDiskType=ASYNC_FLUSH',
      'autoCreateTopicEnable=true',
      `storePathRootDir=${folder}/store`,
      'diskMaxUsedSpaceRatio=95',
      'diskSpaceWarningLevelRatio=98',
      ...Object.entries(options.settings ?? {}).map(([key, value]) => `${key}=${value}`),
    ].join('\n'),
  )
  const small = ['-Xms128m', '-Xmx192m', '-XX:+UseSerialGC']
  const nameServer = java(small, 'org.apache.rocketmq.namesrv.NamesrvStartup', [
    '-c',
    join(folder, 'namesrv.properties'),
  ])
  await lineOf(nameServer, /boot success/)
  const begun = performance.now()
  const heap = ['-Xms1g', '-Xmx1g', '-XX:MaxDirectMemorySize=1g']
  const broker = java(heap, 'org.apache.rocketmq.broker.BrokerStartup', [
    '-n',
    `127.0.0.1:${namesrvPort}`,
    '-c',
    join(folder, 'broker.conf'),
  ])
  await lineOf(broker, /boot success/)
  await sendUntilAccepted(brokerPort)
  const firstSendMs = performance.now() - begun
  const end = (signal: NodeJS.Signals) => async () => {
    await stopped(broker, signal)
    await stopped(nameServer, 'SIGKILL')
  }
  return {
    brokerPid: broker.pid!,
    brokerPort,
    firstSendMs,
    stop: end('SIGTERM'),
    kill: end('SIGKILL'),
  }
}

/** Runs the blaster in a process of its own, so that its work is not the broker's. */
export function blastFrom(server: Server, seconds: number, more: readonly string[] = []): Promise<BlastResult> {
  const args = ['--address', `127.0.0.1:${server.brokerPort}`, '--topic', 'Bench', '--seconds', `${seconds}`, ...more]
  return runOf<BlastResult>('bench/blaster.ts', args)
}

/** Runs a program of this folder that prints one JSON line. */
export function runOf<T>(program: string, args: readonly string[]): Promise<T> {
  return new Promise((done, fail) => {
    const child = spawn(process.execPath, [join(root, program), ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
    let text = ''
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
    })
    child.on('exit', (code) =>
      code === 0 ? done(JSON.parse(text) as T) : fail(new Error(`${program} ended with ${code}`)),
    )
  })
}

/** User and system time of a process and its threads, in s. */
export function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ')
  return (Number(fields[11]) + Number(fields[12])) / 100
}

export function residentMegabytes(pid: number): number {
  const line = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
  return Number(line?.[1] ?? 0) / 1024
}

/** Connects and sends one message until a broker takes it. */
export async function sendUntilAccepted(port: number): Promise<void> {
  const until = performance.now() + 60_000
  while (performance.now() < until) {
    if (await sendOnce(port)) return
    await new Promise((done) => setTimeout(done, 2))
  }
  throw new Error('no send was accepted within 60 s')
}

function sendOnce(port: number): Promise<boolean> {
  return new Promise((done) => {
    const fields = {
      a: 'bench',
      b: 'Bench',
      c: 'TBW102',
      d: '8',
      e: '0',
      f: '0',
      g: String(Date.now()),
      h: '0',
      i: 'WAIT\u0001true\u0002',
      j: '0',
      k: 'false',
      m: 'false',
    }
    const header = Buffer.from(
      JSON.stringify({ code: 310, extFields: fields, flag: 0, language: 'JAVA', opaque: 1, version: 513 }),
    )
    const frame = Buffer.concat([Buffer.alloc(8), header, Buffer.from('hello')])
    frame.writeInt32BE(frame.length - 4, 0)
    frame.writeInt32BE(header.length, 4)
    const socket = createConnection({ host: '127.0.0.1', port }, () => socket.write(frame))
    socket.on('data', (bytes) => {
      socket.destroy()
      done(bytes.subarray(8).toString('latin1').includes('"code":0,'))
    })
    socket.on('error', () => done(false))
    socket.setTimeout(2_000, () => {
      socket.destroy()
      done(false)
    })
  })
}

function lineOf(child: ChildProcess, pattern: RegExp): Promise<void> {
  return new Promise((done, fail) => {
    let text = ''
    child.stdout!.setEncoding('utf8').on('data', (chunk: string) => {
      text = (text + chunk).slice(-10_000)
      if (pattern.test(text)) done()
    })
    child.once('exit', (code) => fail(new Error(`ended with ${code} before it was ready: ${text}`)))
  })
}

function stopped(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  return new Promise((done) => {
    if (child.exitCode !== null || child.signalCode !== null) return done()
    child.once('exit', () => done())
    child.kill(signal)
  })
}

/** Ports 20 apart, since a broker also takes the ones beside its own. */
async function freePort(): Promise<number> {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 1_000) * 20
    const free = await new Promise<boolean>((done) => {
      const probe = createServer()
      probe.once('error', () => done(false))
      probe.listen(port, '127.0.0.1', () => probe.close(() => done(true)))
    })
    if (free) return port
  }
}
