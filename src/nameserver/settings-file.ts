import { ConfigFile } from '../base/config-file.ts'
import type { Disk } from '../base/disk.ts'
import type { Log } from '../base/log.ts'
import { type NameServerSettings, nameServerSettings } from './settings.ts'

/** Where remote changes of settings are kept. */
export class SettingsFileStore {
  readonly #file: ConfigFile

  constructor(disk: Disk, path: string, log: Log) {
    this.#file = new ConfigFile(disk, path, log)
  }

  save(settings: NameServerSettings): void {
    this.#file.save(nameServerSettings.format(settings))
  }
}
