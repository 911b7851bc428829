import { isAbsolute, resolve } from 'node:path'
import { createLog } from '../base/console-log.ts'
import type { DiskError } from '../base/disk.ts'
import type { Log } from '../base/log.ts'
import { Probes } from '../base/probe.ts'
import { systemRandom } from '../base/random.ts'
import { systemDisk } from '../base/system-disk.ts'
import { systemScheduler } from '../base/system-scheduler.ts'
import type { BrokerSettings } from '../broker/settings.ts'
import type { NameServerSettings } from '../nameserver/settings.ts'
import { tcpTransport } from '../remoting/tcp-transport.ts'
import { Failure } from './failure.ts'
import { given, type ServerOptions, split } from './server-options.ts'

const DEFAULT_DATA_FOLDER = '.cometmq'
const LOOPBACK = '127.0.0.1'

/** What every server is handed, with the machine's own seams. */
export interface Machine {
  scheduler: typeof systemScheduler
  random: typeof systemRandom
  disk: typeof systemDisk
  transport: typeof tcpTransport
  log: Log
  probes: Probes
}

export function machine(options: ServerOptions): Machine {
  return {
    scheduler: systemScheduler,
    random: systemRandom,
    disk: systemDisk,
    transport: tcpTransport,
    log: createLog({ scheduler: systemScheduler, level: options.verbose ? 'debug' : 'info' }),
    probes: new Probes(),
  }
}

/** Where data lies: as said, or beside us; Java's ~/store only when a configuration file says so. */
function dataFolder({ dataFolder: folder }: ServerOptions): string {
  return resolve(folder ?? DEFAULT_DATA_FOLDER)
}

/** Without a configuration file loopback; with one what it says, as Java reads it. */
function listenHost({ host, hasFile }: ServerOptions): string | undefined {
  return host ?? (hasFile ? undefined : LOOPBACK)
}

export async function nameServerSettingsOf(
  options: ServerOptions,
  log: Log,
  shared: boolean,
): Promise<NameServerSettings> {
  const { nameServerSettings } = await import('../nameserver/settings.ts')
  const { SettingsFileStore } = await import('../nameserver/settings-file.ts')
  const { brokerSettings } = await import('../broker/settings.ts')
  const root = dataFolder(options)
  // In one process a file's listenPort is the broker's, as in Java's broker.conf.
  const own = (raw: ServerOptions['file']): ServerOptions['file'] => {
    const keys = shared ? split(raw, brokerSettings, nameServerSettings)[1] : { ...raw }
    if (shared && raw['bindAddress'] !== undefined) keys['bindAddress'] = raw['bindAddress']
    return keys
  }
  const defaults = given('default', {
    kvConfigPath: `${root}/namesrv/kvConfig.json`,
    configStorePath: `${root}/namesrv/namesrv.properties`,
  })
  const said = {
    ...own(options.file),
    ...given('option', { bindAddress: listenHost(options), listenPort: options.namesrvPort }),
    ...own(options.set),
  }
  const { configStorePath } = nameServerSettings.parse({ ...defaults, ...said }).settings
  const changed = new SettingsFileStore(systemDisk, configStorePath, log).load()
  const { settings, warnings } = nameServerSettings.parse({ ...defaults, ...changed, ...said })
  if (!shared) for (const warning of warnings) log.warn(warning)
  return settings
}

/** @param shared the process runs a name server too: a file may set keys of both */
export async function brokerSettingsOf(options: ServerOptions, log: Log, shared: boolean): Promise<BrokerSettings> {
  const { brokerSettings } = await import('../broker/settings.ts')
  const { nameServerSettings } = await import('../nameserver/settings.ts')
  const root = dataFolder(options)
  const own = (raw: ServerOptions['file']): ServerOptions['file'] =>
    shared ? split(raw, brokerSettings, nameServerSettings)[0] : raw
  const { settings, warnings } = brokerSettings.parse({
    ...given('default', { storePathRootDir: `${root}/store` }),
    ...own(options.file),
    ...given('option', { bindAddress: listenHost(options), listenPort: options.brokerPort }),
    ...given('option', { storePathRootDir: options.dataFolder === undefined ? undefined : `${root}/store` }),
    ...given('option', { namesrvAddr: options.namesrv }),
    ...own(options.set),
  })
  // A slip in a key of the name server finds its nearest among those.
  const said = shared
    ? brokerSettings.merge(nameServerSettings).parse({ ...options.file, ...options.set }).warnings
    : warnings
  for (const warning of said) log.warn(warning)
  const { storePathRootDir } = settings
  if (!isAbsolute(storePathRootDir)) return { ...settings, storePathRootDir: resolve(storePathRootDir) }
  return settings
}

/** The name server of this process first, then others that were named. */
export function nameServersWith(own: string, others: string): string {
  return [...new Set([own, ...others.split(/[;,]/).map((address) => address.trim())])]
    .filter((address) => address !== '')
    .join(';')
}

/** Whoever listens beyond loopback lets everybody publish: said with the switch that ends it. */
export function warnOfOpenDoor(log: Log, role: string, host: string): void {
  if (host === 'localhost' || host === '::1' || /^127\./.test(host)) return
  log.warn('listening beyond this machine without authentication: whoever reaches the port may read and publish', {
    role,
    host,
    fix: '--host 127.0.0.1',
  })
}

/** Options that this role has no use for. */
export function warnOfUnused(log: Log, verb: string, unused: Record<string, string | number | undefined>): void {
  for (const [name, value] of Object.entries(unused))
    if (value !== undefined) log.warn(`--${name} has no effect on ${verb}`)
}

/** A folder that cannot be written is found before anything starts. */
export function requireWritable(folder: string): void {
  const probe = `${folder}/.writable`
  try {
    systemDisk.makeDirectorySync(folder)
    const file = systemDisk.openSync(probe, 'write')
    file.closeSync()
    systemDisk.removeSync(probe)
  } catch (error) {
    const { code, message } = error as DiskError
    const isFile = code === 'ENOTDIR' || code === 'EEXIST'
    const why = isFile ? 'a file stands where a folder should' : message
    throw new Failure(`${folder} cannot be written: ${why}; choose another folder with --data`)
  }
}
