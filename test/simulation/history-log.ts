import { silentLog } from '../../src/base/console-log.ts'
import type { Log } from '../../src/base/log.ts'
import type { History } from './history.ts'

/** What servers say goes into the history, so that a failure can be read. */
export function historyLog(history: History): Log {
  const at =
    (level: string) =>
    (message: string, fields: Record<string, unknown> = {}): void => {
      const words = Object.entries(fields).map(([name, value]) => [
        name,
        value instanceof Error ? value.message : value,
      ])
      history.note(level, { message, ...Object.fromEntries(words) })
    }
  const log: Log = { ...silentLog, info: at('info'), warn: at('warn'), error: at('error'), with: () => log }
  return log
}
