/** Options of every command that is a client. */
export const clientOptions = {
  namesrv: { type: 'string', short: 'n' },
  help: { type: 'boolean', short: 'h' },
} as const

export const DEFAULT_NAMESRV = '127.0.0.1:9876'
