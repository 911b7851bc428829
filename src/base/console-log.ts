import type { Log, LogLevel } from './log.ts'
import type { Scheduler } from './scheduler.ts'

const order: Record<LogLevel, number> = { debug: 0, info: 1, warn: 2, error: 3 }

export interface LogOptions {
  scheduler: Scheduler
  /** The least that is written; default `info`. */
  level?: LogLevel
  /** Default standard error, since standard output belongs to results. */
  write?: (line: string) => void
  fields?: Record<string, unknown>
}

/** One line an event: `2026-11-25T17:00:00.000Z WARN replica lost role=broker replica=10.0.0.2 behindBytes=4096`. */
export function createLog(options: LogOptions): Log {
  const { scheduler, level = 'info', write = (line) => void process.stderr.write(line), fields = {} } = options
  const at =
    (kind: LogLevel) =>
    (message: string, more: Record<string, unknown> = {}): void => {
      if (order[kind] < order[level]) return
      const time = new Date(scheduler.now()).toISOString()
      const words = escapeControls(`${message}${formatFields({ ...fields, ...more })}`)
      write(`${time} ${kind.toUpperCase()} ${words}\n`)
    }
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    with: (more) => createLog({ ...options, fields: { ...fields, ...more } }),
  }
}

export const silentLog: Log = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  with: () => silentLog,
}

export interface LoggedLine {
  level: LogLevel
  message: string
  fields: Record<string, unknown>
}

/** Keeps lines, for tests. */
export function memoryLog(
  fields: Record<string, unknown> = {},
  lines: LoggedLine[] = [],
): Log & { lines: LoggedLine[] } {
  const at =
    (level: LogLevel) =>
    (message: string, more: Record<string, unknown> = {}): void => {
      lines.push({ level, message, fields: { ...fields, ...more } })
    }
  return {
    lines,
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    with: (more) => memoryLog({ ...fields, ...more }, lines),
  }
}

function formatFields(fields: Record<string, unknown>): string {
  let text = ''
  for (const [name, value] of Object.entries(fields)) {
    if (value !== undefined) text += ` ${name}=${formatValue(value)}`
  }
  return text
}

/** What a peer calls itself may be megabytes long. */
const MAX_VALUE_LENGTH = 4_000

function formatValue(value: unknown): string {
  if (typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint') return String(value)
  const whole = value instanceof Error ? describeError(value) : typeof value === 'string' ? value : stringify(value)
  const more = whole.length - MAX_VALUE_LENGTH
  const text = more > 0 ? `${whole.slice(0, MAX_VALUE_LENGTH)}… and ${more} characters more` : whole
  return /^[\w.:/%@+-]+$/.test(text) ? text : JSON.stringify(text)
}

/** A circle of causes ends here. */
const MAX_CAUSES = 10

/** Message and causes; the stack of what is a bug. */
function describeError(error: Error): string {
  const words = [
    error instanceof TypeError || error instanceof RangeError ? (error.stack ?? error.message) : error.message,
  ]
  for (let { cause } = error; cause instanceof Error && words.length < MAX_CAUSES; { cause } = cause)
    words.push(cause.message)
  if (error instanceof AggregateError)
    words.push(...error.errors.map((each) => String((each as Error)?.message ?? each)))
  return words.join(': ')
}

function stringify(value: unknown): string {
  try {
    return JSON.stringify(value) ?? String(value)
  } catch {
    return String(value)
  }
}

/** What a peer sent must not be able to write lines of its own, nor to steer a terminal. */
function escapeControls(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, (char) => {
    const code = char.charCodeAt(0)
    return code > 0xff ? `\\u${code.toString(16)}` : `\\x${code.toString(16).padStart(2, '0')}`
  })
}
