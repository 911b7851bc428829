import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { Child } from './children.ts'
import { freePorts } from './ports.ts'
import { waitForRoute } from './route-probe.ts'
import { javaFor, prepareHome, root } from './toolchain.ts'

/** A name server and a broker that clients can reach. */
export interface Pair {
  nameServer: string
  broker: string
  /** A clean stop of all processes; throws when one had to be killed or did not exit with success. */
  stop(): Promise<void>
  /** What `kill -9` does to the broker (and to whatever shares its process). */
  killBroker(): Promise<void>
  /** Starts what was killed, on the same directory and ports. */
  restartBroker(): Promise<void>
  tail(): string
}

export interface One {
  address: string
  child: Child
}

/** Keys of Java's broker configuration beyond those that every run has. */
export type BrokerSettings = Record<string, string | number>

/** One of the two products: how its roles are started. */
export interface Product {
  name: 'cometmq' | 'java'
  startNameServer(work: string): Promise<One>
  /** `store` is the directory in which commitlog/, consumequeue/ and config/ lie. */
  startBroker(work: string, nameServer: string, store: string, settings?: BrokerSettings): Promise<One>
  startPair(work: string, store: string, settings?: BrokerSettings): Promise<Pair>
}

export async function stopCleanly(one: One | Child): Promise<void> {
  const child = one instanceof Child ? one : one.child
  // A JVM on a busy machine takes its time; of ours more is asked.
  const seconds = child.name.startsWith('java') ? 60 : 20
  const { code, signal, wasKilled } = await child.stop(seconds * 1_000)
  if (wasKilled)
    throw new Error(`${child.name} did not stop within ${seconds} s of SIGTERM and was killed\n${child.tail()}`)
  // A JVM that SIGTERM ended after its shutdown hooks says 143.
  if (code !== 0 && code !== 143)
    throw new Error(`${child.name} ended with ${signal ?? code} after SIGTERM\n${child.tail()}`)
}

let started = 0

function logFile(work: string, role: string): string {
  return path.join(work, `${role}-${++started}.log`)
}

// ---------------------------------------------------------------- Apache RocketMQ 5.5.0

function startJavaRole(
  work: string,
  role: string,
  heap: readonly string[],
  main: string,
  args: readonly string[],
): Child {
  const { jars } = javaFor('5.5.0')
  const home = prepareHome(path.join(work, `home-${role}-${++started}`))
  const flags = [
    ...heap,
    '-XX:+UseSerialGC',
    '-XX:TieredStopAtLevel=1',
    `-Drocketmq.home.dir=${home}`,
    `-Duser.home=${home}`,
  ]
  return new Child(`java ${role}`, 'java', [...flags, '-cp', `${home}/conf${path.delimiter}${jars}`, main, ...args], {
    cwd: home,
    logFile: logFile(work, `java-${role}`),
  })
}

export const java: Product = {
  name: 'java',

  async startNameServer(work) {
    const { nameServer } = await freePorts()
    return startJavaNameServer(work, nameServer)
  },

  async startBroker(work, nameServer, store, settings) {
    const { broker } = await freePorts()
    return startJavaBroker(work, nameServer, broker, store, settings)
  },

  async startPair(work, store, settings = {}) {
    const ports = await freePorts()
    const nameServer = await startJavaNameServer(work, ports.nameServer)
    let broker = await startJavaBroker(work, nameServer.address, ports.broker, store, settings)
    return {
      nameServer: nameServer.address,
      broker: broker.address,
      async stop() {
        await stopCleanly(broker)
        await stopCleanly(nameServer)
      },
      async killBroker() {
        await broker.child.kill()
      },
      async restartBroker() {
        broker = await startJavaBroker(work, nameServer.address, ports.broker, store, settings)
      },
      tail: () => broker.child.tail(),
    }
  },
}

async function startJavaNameServer(work: string, port: number): Promise<One> {
  const file = path.join(work, `namesrv-${port}.conf`)
  writeFileSync(file, `listenPort=${port}\n`)
  const heap = ['-Xms64m', '-Xmx128m']
  const child = startJavaRole(work, 'namesrv', heap, 'org.apache.rocketmq.namesrv.NamesrvStartup', ['-c', file])
  await child.waitForLine((line) => line.includes('boot success'), 60_000)
  return { address: `127.0.0.1:${port}`, child }
}

async function startJavaBroker(
  work: string,
  nameServer: string,
  port: number,
  store: string,
  settings: BrokerSettings = {},
): Promise<One> {
  const file = path.join(work, `broker-${port}.conf`)
  mkdirSync(store, { recursive: true })
  const fixed = readFileSync(path.join(root, 'interop/java/broker.conf'), 'utf8')
  const storePathCommitLog = path.join(store, 'commitlog')
  const own = { listenPort: port, storePathRootDir: store, storePathCommitLog, ...settings }
  writeFileSync(file, fixed + Object.entries(own).reduce((text, [key, value]) => `${text}${key}=${value}\n`, ''))
  const heap = ['-Xms256m', '-Xmx512m', '-XX:MaxDirectMemorySize=512m']
  const args = ['-n', nameServer, '-c', file]
  const child = startJavaRole(work, 'broker', heap, 'org.apache.rocketmq.broker.BrokerStartup', args)
  await child.waitForLine((line) => line.includes('boot success'), 90_000)
  await waitForRoute(nameServer, 40_000)
  return { address: `127.0.0.1:${port}`, child }
}

// ---------------------------------------------------------------- CometMQ

function startOurs(work: string, role: string, args: readonly string[]): Child {
  return new Child(`cometmq ${role}`, process.execPath, [path.join(root, 'src/cli/main.ts'), role, ...args], {
    cwd: work,
    env: { ...process.env, UV_THREADPOOL_SIZE: '8' },
    logFile: logFile(work, `cometmq-${role}`),
  })
}

const isReady = (line: string): boolean => line.startsWith('ready')

export const cometmq: Product = {
  name: 'cometmq',

  async startNameServer(work) {
    const { nameServer: port } = await freePorts()
    const data = path.join(work, `namesrv-${port}`)
    const child = startOurs(work, 'namesrv', ['--data', data, '--host', '127.0.0.1', '--namesrv-port', String(port)])
    await child.waitForLine(isReady, 20_000)
    return { address: `127.0.0.1:${port}`, child }
  },

  async startBroker(work, nameServer, store, settings = {}) {
    const { broker: port } = await freePorts()
    const args = ['--host', '127.0.0.1', '--broker-port', String(port), '-n', nameServer]
    const child = startOurs(work, 'broker', [...storeArgs(store, settings), ...args])
    await child.waitForLine(isReady, 20_000)
    return { address: `127.0.0.1:${port}`, child }
  },

  async startPair(work, store, settings = {}) {
    const ports = await freePorts()
    const args = ['--namesrv-port', String(ports.nameServer), '--broker-port', String(ports.broker)]
    const start = async (): Promise<Child> => {
      const child = startOurs(work, 'start', [...storeArgs(store, settings), '--host', '127.0.0.1', ...args])
      await child.waitForLine(isReady, 20_000)
      return child
    }
    let child = await start()
    return {
      nameServer: `127.0.0.1:${ports.nameServer}`,
      broker: `127.0.0.1:${ports.broker}`,
      stop: () => stopCleanly(child),
      async killBroker() {
        await child.kill()
      },
      async restartBroker() {
        child = await start()
      },
      tail: () => child.tail(),
    }
  },
}

/** The store under the name that Java knows it by, so that both products can be shown the same directory. */
function storeArgs(store: string, settings: BrokerSettings): string[] {
  mkdirSync(store, { recursive: true })
  return [
    '--data', path.dirname(store),
    '--set', `storePathRootDir=${store}`,
    '--set', `storePathCommitLog=${path.join(store, 'commitlog')}`,
    '--set', 'brokerIP1=127.0.0.1',
    ...Object.entries(settings).flatMap(([key, value]) => ['--set', `${key}=${value}`]),
  ] // biome-ignore format: one setting a line
}
