export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

/** A constant message and fields with units: `log.warn('replica lost', { replica, behindBytes })`. */
export interface Log {
  debug(message: string, fields?: Record<string, unknown>): void
  info(message: string, fields?: Record<string, unknown>): void
  warn(message: string, fields?: Record<string, unknown>): void
  error(message: string, fields?: Record<string, unknown>): void
  /** The same log with fields added to every line, e.g. `{ role: 'broker' }`. */
  with(fields: Record<string, unknown>): Log
}
