import { Missing } from './toolchain.ts'

/** One line per scenario, the story of each failure, and the count at the end. */
export class Report {
  passed = 0
  failed = 0
  skipped = 0
  readonly #only: readonly string[]
  readonly #failures: string[] = []

  constructor(only: readonly string[]) {
    this.#only = only
  }

  wants(scenario: string): boolean {
    return this.#only.length === 0 || this.#only.some((part) => scenario.includes(part))
  }

  /** Runs one scenario; `body` throws when it fails and may answer a remark for the line. */
  async scenario(
    who: string,
    name: string,
    body: () => Promise<string | undefined>,
    tail?: () => string,
  ): Promise<void> {
    if (this.wants(name)) await this.#attempt(who, name, body, (remark) => remark, tail)
  }

  /** What others stand on, a server or a client: whatever `--only` says. Answers undefined when it failed. */
  need<T>(who: string, name: string, body: () => Promise<T>, tail?: () => string): Promise<T | undefined> {
    return this.#attempt(who, name, body, () => undefined, tail)
  }

  async #attempt<T>(
    who: string,
    name: string,
    body: () => Promise<T>,
    remarkOf: (value: T) => string | undefined,
    tail: (() => string) | undefined,
  ): Promise<T | undefined> {
    const started = performance.now()
    const seconds = (): string => `${((performance.now() - started) / 1000).toFixed(1)} s`
    try {
      const value = await body()
      const remark = remarkOf(value)
      this.passed++
      print(`ok    ${pad(who, name)}  ${seconds()}${remark === undefined ? '' : `  ${remark}`}`)
      return value
    } catch (error) {
      if (error instanceof Missing) {
        this.skip(who, name, error.message)
        return undefined
      }
      this.failed++
      this.#failures.push(`${who} ${name}`)
      print(`FAIL  ${pad(who, name)}  ${seconds()}`)
      print(indent(error instanceof Error ? error.message : String(error)))
      const last = tail?.()
      if (last !== undefined && last !== '') print(indent(`the server's last words:\n${indent(last)}`))
      return undefined
    }
  }

  /** A skip is a printed reason here and a failure under CI=true. */
  skip(who: string, name: string, reason: string): void {
    const isFailure = process.env['CI'] === 'true'
    if (isFailure) {
      this.failed++
      this.#failures.push(`${who} ${name}`)
    } else this.skipped++
    print(`${isFailure ? 'FAIL' : 'skip'}  ${pad(who, name)}  ${reason}`)
  }

  close(): number {
    if (this.#failures.length > 0) print(`failed: ${this.#failures.join(', ')}`)
    print(`${this.passed} passed, ${this.failed} failed${this.skipped > 0 ? `, ${this.skipped} skipped` : ''}`)
    return this.failed > 0 || this.passed === 0 ? 1 : 0
  }
}

function pad(who: string, name: string): string {
  return `${who.padEnd(11)} ${name.padEnd(20)}`
}

function indent(text: string): string {
  return text
    .split('\n')
    .map((line) => `      ${line}`)
    .join('\n')
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}
