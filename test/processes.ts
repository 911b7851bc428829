import assert from 'node:assert/strict'
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

const main = resolve(import.meta.dirname, '../src/cli/main.ts')

/** A process did not do within this time what takes it a fraction of a second. */
const PATIENCE_MS = 30_000

export interface Ended {
  code: number | null
  signal: NodeJS.Signals | null
  stdout: string
  stderr: string
}

export interface SpawnOptions {
  cwd?: string
  env?: Record<string, string>
  /** A shell, whose children end with it. */
  group?: boolean
}

/** A process of the command line, and all it said. */
export class Running {
  readonly child: ChildProcessWithoutNullStreams
  readonly ended: Promise<Ended>
  stdout = ''
  stderr = ''
  readonly #heard = new Set<() => void>()
  readonly #isGroup: boolean
  #isOver = false

  constructor(file: string, args: readonly string[], options: SpawnOptions = {}) {
    const env = { ...process.env, ...options.env }
    this.#isGroup = options.group ?? false
    this.child = spawn(file, args, { cwd: options.cwd, env, stdio: 'pipe', detached: this.#isGroup })
    this.child.stdin.on('error', () => {})
    this.child.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text
      this.#tell()
    })
    this.child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text
      this.#tell()
    })
    this.ended = new Promise((resolve, reject) => {
      this.child.once('error', reject)
      this.child.once('close', (code, signal) => {
        this.#isOver = true
        this.#tell()
        resolve({ code, signal, stdout: this.stdout, stderr: this.stderr })
      })
    })
  }

  get isOver(): boolean {
    return this.#isOver
  }

  /** Resolves once what it said so far matches; fails when it ends before. */
  until(pattern: RegExp, stream: 'stdout' | 'stderr' = 'stdout'): Promise<RegExpExecArray> {
    return within(
      new Promise((resolve, reject) => {
        const look = (): void => {
          const found = pattern.exec(this[stream])
          if (found === null && !this.#isOver) return
          this.#heard.delete(look)
          if (found !== null) resolve(found)
          else reject(new Error(`ended without ${pattern} on ${stream}; said: ${this.stdout}${this.stderr}`))
        }
        this.#heard.add(look)
        look()
      }),
      () => `${pattern} on ${stream}; said: ${this.stdout}${this.stderr}`,
    )
  }

  /** Ends it, and what it started when it is a group. */
  kill(): void {
    if (this.#isGroup) process.kill(-this.child.pid!, 'SIGKILL')
    else this.child.kill('SIGKILL')
  }

  /** Sends the signal and waits for the end. */
  stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<Ended> {
    this.child.kill(signal)
    return this.end()
  }

  end(): Promise<Ended> {
    return within(this.ended, () => `the end; said: ${this.stdout}${this.stderr}`)
  }

  #tell(): void {
    for (const look of [...this.#heard]) look()
  }
}

export async function within<T>(result: Promise<T>, what: () => string): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${PATIENCE_MS} ms: ${what()}`)), PATIENCE_MS)
  })
  try {
    return await Promise.race([result, late])
  } finally {
    clearTimeout(timer)
  }
}

/** Folders and processes of a test file; all gone at its end. */
export class Workshop {
  readonly folder: string = mkdtempSync(join(tmpdir(), 'cometmq-test-'))
  readonly #running = new Set<Running>()
  #folders = 0

  newFolder(): string {
    return join(this.folder, `data-${++this.#folders}`)
  }

  spawn(file: string, args: readonly string[], options?: SpawnOptions): Running {
    const running = new Running(file, args, { cwd: this.folder, ...options })
    this.#running.add(running)
    return running
  }

  /** `cometmq ARGS` */
  cometmq(...args: string[]): Running {
    return this.spawn(process.execPath, [main, ...args])
  }

  /** `cometmq ARGS` with this input, to its end. */
  async run(args: readonly string[], input: string | Buffer = ''): Promise<Ended> {
    const running = this.cometmq(...args)
    running.child.stdin.end(input)
    return running.end()
  }

  /** `cometmq start` on free ports, ready. */
  async start(...args: string[]): Promise<{ server: Running; nameServer: string; broker: string }> {
    const server = this.cometmq('start', '--namesrv-port', '0', '--broker-port', '0', ...args)
    const ready = await server.until(/^ready {2}name server (\S+) {2}broker (\S+)\n/)
    return { server, nameServer: ready[1]!, broker: ready[2]! }
  }

  async close(): Promise<void> {
    for (const running of this.#running) {
      if (running.isOver) continue
      running.kill()
      await running.ended
    }
    rmSync(this.folder, { recursive: true, force: true })
  }
}

/** One sentence on standard error, nothing on standard output, exit code 1, no stack. */
export function assertFailedClearly(ended: Ended, sentence: RegExp): void {
  assert.match(ended.stderr, sentence)
  assert.match(ended.stderr, /^cometmq: [^\n]+\n$/, 'one line')
  assert.doesNotMatch(ended.stderr, /\n\s+at /)
  assert.equal(ended.stdout, '')
  assert.deepEqual([ended.code, ended.signal], [1, null])
}
