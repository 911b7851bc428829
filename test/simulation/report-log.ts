import { silentLog } from '../../src/base/console-log.ts'
import type { Log } from '../../src/base/log.ts'

/** Something that a store found wrong, and how often it said so. */
export interface Reported {
  message: string
  path: string | undefined
  position: number | undefined
  count: number
}

/** Counts what is said aloud, by message and place. */
export class ReportLog implements Log {
  readonly #reports = new Map<string, Reported>()

  get reports(): Reported[] {
    return [...this.#reports.values()]
  }

  get text(): string {
    return JSON.stringify(this.reports)
  }

  debug(): void {}

  info(message: string, fields: Record<string, unknown> = {}): void {
    if (message === 'store recovered') this.#say(message, fields)
  }

  warn(message: string, fields: Record<string, unknown> = {}): void {
    this.#say(message, fields)
  }

  error(message: string, fields: Record<string, unknown> = {}): void {
    this.#say(message, fields)
  }

  with(): Log {
    return Object.assign(Object.create(silentLog) as Log, {
      warn: this.warn.bind(this),
      error: this.error.bind(this),
      with: () => this,
    })
  }

  #say(message: string, fields: Record<string, unknown>): void {
    const path = typeof fields['path'] === 'string' ? fields['path'] : undefined
    const position = typeof fields['position'] === 'number' ? fields['position'] : undefined
    const key = `${message} ${path} ${position}`
    const known = this.#reports.get(key)
    if (known === undefined) this.#reports.set(key, { message, path, position, count: 1 })
    else known.count++
  }
}
