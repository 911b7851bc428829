import { mkdirSync } from 'node:fs'
import path from 'node:path'
import { Child } from './children.ts'
import { goDriver, type JavaVersion, javaFor } from './toolchain.ts'

/** What a scenario reports: `ok`, `error` when not, and whatever it measured. */
export interface Facts {
  ok: boolean
  error?: string
  [fact: string]: unknown
}

export type DriverArgs = Record<string, string | number>

/** An official client in a process of its own that runs one scenario after another, or several at once. */
export class Driver {
  readonly name: string
  readonly child: Child
  readonly ready: Promise<readonly string[]>
  #nextId = 1
  readonly #waiting = new Map<string, (facts: Facts) => void>()
  readonly #progress = new Map<string, (count: number) => void>()

  constructor(name: string, child: Child) {
    this.name = name
    this.child = child
    this.ready = child
      .waitForLine((line) => line.startsWith('READY '), 60_000)
      .then((line) => line.slice('READY '.length).split(' '))
    // Whoever awaits `ready` hears of it; nobody else must die of it.
    this.ready.catch(() => {})
    child.onLine((line) => {
      const [word, id, ...rest] = line.split(' ')
      if (word === 'RESULT') this.#settle(id!, JSON.parse(rest.join(' ')) as Facts)
      if (word === 'PROGRESS') this.#progress.get(id!)?.(Number(rest[0]))
    })
    void child.ended.then(({ code, signal }) => {
      for (const id of this.#waiting.keys())
        this.#settle(id, { ok: false, error: `the driver ended (${signal ?? code})\n${child.tail()}` })
    })
  }

  #settle(id: string, facts: Facts): void {
    const settle = this.#waiting.get(id)
    this.#waiting.delete(id)
    this.#progress.delete(id)
    settle?.(facts)
  }

  /** Runs to the end or to the time limit; never throws. */
  async run(
    scenario: string,
    args: DriverArgs,
    options: { timeoutMs?: number; onProgress?: (count: number) => void } = {},
  ): Promise<Facts> {
    const timeoutMs = options.timeoutMs ?? 90_000
    const id = String(this.#nextId++)
    const words = Object.entries(args).map(([key, value]) => `${key}=${encodeURIComponent(value)}`)
    return new Promise((resolve) => {
      const timer = setTimeout(
        () => this.#settle(id, { ok: false, error: `no result after ${timeoutMs} ms\n${this.child.tail()}` }),
        timeoutMs,
      )
      this.#waiting.set(id, (facts) => {
        clearTimeout(timer)
        resolve(facts)
      })
      if (options.onProgress !== undefined) this.#progress.set(id, options.onProgress)
      if (this.child.isRunning) this.child.write([id, scenario, ...words].join(' '))
      else this.#settle(id, { ok: false, error: `the driver is not running\n${this.child.tail()}` })
    })
  }

  /** As `run`, and throws what the scenario complains of. */
  async must(scenario: string, args: DriverArgs, options?: Parameters<Driver['run']>[2]): Promise<Facts> {
    const facts = await this.run(scenario, args, options)
    if (!facts.ok) throw new Error(`${this.name} ${scenario}: ${facts.error}`)
    return facts
  }

  async close(): Promise<void> {
    this.child.process.stdin?.end()
    await this.child.stop(3_000)
  }
}

export function javaDriver(version: JavaVersion, work: string): Driver {
  const { classPath } = javaFor(version)
  const home = path.join(work, `client-${version}`)
  mkdirSync(home, { recursive: true })
  const flags = ['-Xms64m', '-Xmx224m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', `-Duser.home=${home}`]
  const child = new Child(`java-${version}`, 'java', [...flags, '-cp', classPath, 'interop.Main'], { cwd: home })
  return new Driver(`java-${version}`, child)
}

export function goClient(work: string): Driver {
  const driver = goDriver()
  const home = path.join(work, 'client-go')
  mkdirSync(home, { recursive: true })
  // GODEBUG off, HOME ours: the client keeps broadcast offsets and logs there.
  return new Driver('go-v2', new Child('go-v2', driver, [], { cwd: home, env: { ...process.env, HOME: home } }))
}
