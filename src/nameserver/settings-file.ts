import { ConfigFile } from '../base/config-file.ts'
import type { Disk } from '../base/disk.ts'
import type { Log } from '../base/log.ts'
import { formatProperties, parseProperties } from '../base/properties-file.ts'
import { type RawSetting, SettingsError } from '../base/settings.ts'
import { nameServerSettings } from './settings.ts'

/** Remote changes of settings, kept: a start applies them where neither its configuration file nor its options speak. */
export class SettingsFileStore {
  readonly #file: ConfigFile
  readonly #path: string
  readonly #changes: Record<string, string>

  /** @throws Error naming the file that cannot be read */
  constructor(disk: Disk, path: string, log: Log) {
    this.#path = path
    this.#file = new ConfigFile(disk, path, log)
    this.#changes = this.#file.loadAs(allowedOf) ?? {}
  }

  /** What was changed before, as a configuration file would say it. */
  load(): Record<string, RawSetting> {
    const origin = this.#path
    return Object.fromEntries(Object.entries(this.#changes).map(([key, value]) => [key, { value, origin }]))
  }

  /** @throws DiskError when they cannot be kept */
  save(changes: Readonly<Record<string, string>>): void {
    const all = { ...this.#changes, ...changes }
    this.#file.save(formatProperties(all))
    Object.assign(this.#changes, changes)
  }
}

/** Java keeps all settings in this file: those that nobody may change remotely were not changed remotely. */
function allowedOf(text: string): Record<string, string> {
  const allowed: Record<string, string> = {}
  const { declarations } = nameServerSettings
  for (const [key, value] of Object.entries(parseProperties(text))) {
    if (!nameServerSettings.has(key) || !declarations[key as keyof typeof declarations].updatable) continue
    try {
      nameServerSettings.parse({ [key]: value })
    } catch (error) {
      if (!(error instanceof SettingsError)) throw error
      continue // of another version; the default is as good as any
    }
    allowed[key] = value
  }
  return allowed
}
