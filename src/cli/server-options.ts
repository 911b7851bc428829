import { type RawSetting, readSettingsFile, readSetWords, type SettingsDeclaration } from '../base/settings.ts'
import { systemDisk } from '../base/system-disk.ts'
import { count, readArguments } from './arguments.ts'
import { Failure } from './failure.ts'

const options = {
  data: { type: 'string' },
  host: { type: 'string' },
  'namesrv-port': { type: 'string' },
  'broker-port': { type: 'string' },
  namesrv: { type: 'string', short: 'n' },
  config: { type: 'string', short: 'c' },
  set: { type: 'string', multiple: true },
  verbose: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const

/** What every command that starts a server takes. */
export interface ServerOptions {
  dataFolder: string | undefined
  host: string | undefined
  namesrvPort: number | undefined
  brokerPort: number | undefined
  namesrv: string | undefined
  /** Keys of the configuration file. */
  file: Record<string, RawSetting>
  hasFile: boolean
  /** Keys of `--set`. */
  set: Record<string, RawSetting>
  verbose: boolean
}

export const serverUsage = `      --data DIR           folder for everything that is kept (default ./.cometmq)
      --host ADDR          address to listen on (default 127.0.0.1; with a configuration file what it says, as Java 0.0.0.0)
      --namesrv-port PORT  port of the name server (default 9876; 0 takes a free one)
      --broker-port PORT   port of the broker (default 10911; 0 takes a free one)
  -n, --namesrv ADDR       name servers to register with, host:port, several joined by ;
  -c, --config FILE        a .conf or .properties file of RocketMQ
      --set KEY=VALUE      any key of docs/settings.md; repeatable, and stronger than all else
      --verbose            log what is usually not worth a line
  -h, --help
`

/** @returns undefined when help is asked for. @throws Failure */
export function readServerOptions(args: string[], verb: string): ServerOptions | undefined {
  const { values, positionals } = readArguments(verb, args, options)
  if (values.help === true) return undefined
  if (positionals.length > 0)
    throw new Failure(`${verb} takes options only, not '${positionals[0]}'; see cometmq ${verb} --help`)
  return {
    dataFolder: values.data,
    host: values.host,
    namesrvPort: portOf('namesrv-port', values['namesrv-port']),
    brokerPort: portOf('broker-port', values['broker-port']),
    namesrv: values.namesrv,
    file: values.config === undefined ? {} : readFile(values.config),
    hasFile: values.config !== undefined,
    set: readSetWords(values.set ?? []),
    verbose: values.verbose ?? false,
  }
}

function portOf(name: string, value: string | undefined): number | undefined {
  const port = count(name, value, 0)
  if (port !== undefined && port > 65_535) throw new Failure(`--${name} takes a port from 0 to 65535, not '${value}'`)
  return port
}

function readFile(path: string): Record<string, RawSetting> {
  const stat = systemDisk.statSync(path)
  if (stat === undefined) throw new Failure(`there is no configuration file ${path}`)
  if (stat.isDirectory) throw new Failure(`${path} is a folder; -c takes a file`)
  const file = systemDisk.openSync(path, 'read')
  try {
    const bytes = Buffer.alloc(stat.sizeBytes)
    file.readSync(bytes, 0)
    return readSettingsFile(bytes.toString('utf8'), path)
  } finally {
    file.closeSync()
  }
}

/** A value of an option, as if it had been written in a file. */
export function given(origin: string, values: Record<string, string | number | undefined>): Record<string, RawSetting> {
  const raw: Record<string, RawSetting> = {}
  for (const [key, value] of Object.entries(values))
    if (value !== undefined) raw[key] = { value: String(value), origin }
  return raw
}

// biome-ignore lint/suspicious/noExplicitAny: any declaration has keys
type Declaration = SettingsDeclaration<any>

/** Splits keys between the roles of one process: each goes to whoever knows it, unknown ones to the first. */
export function split(
  raw: Record<string, RawSetting>,
  first: Declaration,
  second: Declaration,
): [Record<string, RawSetting>, Record<string, RawSetting>] {
  const ofFirst: Record<string, RawSetting> = {}
  const ofSecond: Record<string, RawSetting> = {}
  for (const [key, value] of Object.entries(raw)) {
    if (second.has(key) && !first.has(key)) ofSecond[key] = value
    else ofFirst[key] = value
  }
  return [ofFirst, ofSecond]
}
