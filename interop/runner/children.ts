import { type ChildProcess, spawn } from 'node:child_process'
import { appendFileSync } from 'node:fs'

const running = new Set<Child>()

/** Whatever ends this process ends its children. */
export function endChildrenWithUs(): void {
  process.on('exit', killAll)
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => process.exit(130))
}

function killAll(): void {
  for (const child of running) child.process.kill('SIGKILL')
}

export interface Ended {
  code: number | null
  signal: NodeJS.Signals | null
}

/** A child process: its lines, its last words, and its end. */
export class Child {
  readonly name: string
  readonly process: ChildProcess
  readonly ended: Promise<Ended>
  isRunning = true
  readonly #tail: string[] = []
  readonly #listeners = new Set<(line: string) => void>()
  #pending: Record<'stdout' | 'stderr', string> = { stdout: '', stderr: '' }
  readonly #logFile: string | undefined

  constructor(
    name: string,
    command: string,
    args: readonly string[],
    options: { cwd?: string; env?: NodeJS.ProcessEnv; logFile?: string } = {},
  ) {
    this.name = name
    this.#logFile = options.logFile
    this.process = spawn(command, args, {
      cwd: options.cwd,
      env: options.env ?? process.env,
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    running.add(this)
    // A child that died takes no more input; its end is reported elsewhere.
    this.process.stdin?.on('error', () => {})
    this.process.stdout?.on('data', (chunk: Buffer) => this.#take('stdout', chunk))
    this.process.stderr?.on('data', (chunk: Buffer) => this.#take('stderr', chunk))
    this.ended = new Promise((resolve) => {
      const end = (ended: Ended): void => {
        this.isRunning = false
        running.delete(this)
        resolve(ended)
      }
      this.process.on('error', (error) => {
        this.#keep(`could not be run: ${error.message}`)
        end({ code: -1, signal: null })
      })
      this.process.on('close', (code, signal) => end({ code, signal }))
    })
  }

  #take(stream: 'stdout' | 'stderr', chunk: Buffer): void {
    const lines = (this.#pending[stream] + chunk.toString('utf8')).split('\n')
    this.#pending[stream] = lines.pop() ?? ''
    for (const line of lines) {
      this.#keep(line)
      if (stream === 'stdout') for (const listener of this.#listeners) listener(line)
    }
  }

  #keep(line: string): void {
    if (line.includes('|-INFO in org.apache.rocketmq.logging')) return
    if (this.#logFile !== undefined) appendFileSync(this.#logFile, `${line}\n`)
    this.#tail.push(line.length > 500 ? `${line.slice(0, 500)}…` : line)
    if (this.#tail.length > 60) this.#tail.shift()
  }

  tail(lines = 8): string {
    return this.#tail
      .filter((line) => line !== '' && !/^PROGRESS|^RESULT|\|-(INFO|WARN) in /.test(line))
      .slice(-lines)
      .join('\n')
  }

  onLine(listener: (line: string) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  write(line: string): void {
    this.process.stdin?.write(`${line}\n`)
  }

  /** The first line of standard output that satisfies `matches`. */
  waitForLine(matches: (line: string) => boolean, timeoutMs: number): Promise<string> {
    return new Promise((resolve, reject) => {
      const finish = (action: () => void): void => {
        clearTimeout(timer)
        forget()
        action()
      }
      const forget = this.onLine((line) => {
        if (matches(line)) finish(() => resolve(line))
      })
      const timer = setTimeout(() => {
        finish(() => reject(new Error(`${this.name} was not ready after ${timeoutMs} ms\n${this.tail()}`)))
      }, timeoutMs)
      void this.ended.then(({ code, signal }) =>
        finish(() => reject(new Error(`${this.name} ended (${signal ?? code}) before it was ready\n${this.tail()}`))),
      )
    })
  }

  kill(): Promise<Ended> {
    this.process.kill('SIGKILL')
    return this.ended
  }

  /** Asks to stop, and insists when that takes too long. */
  async stop(timeoutMs = 20_000): Promise<Ended & { wasKilled: boolean }> {
    if (!this.isRunning) return { ...(await this.ended), wasKilled: false }
    let wasKilled = false
    const timer = setTimeout(() => {
      wasKilled = true
      this.process.kill('SIGKILL')
    }, timeoutMs)
    this.process.kill('SIGTERM')
    const ended = await this.ended
    clearTimeout(timer)
    return { ...ended, wasKilled }
  }
}
