import { ConfigFile } from '../base/config-file.ts'
import type { Disk } from '../base/disk.ts'
import type { Log } from '../base/log.ts'
import { objectOf, textOf } from '../protocol/bodies.ts'
import { parseJavaObject, stringifyJavaJson } from '../protocol/java-json.ts'

/** Values by namespace and key, kept in a file that is saved at every change. */
export class KvConfig {
  readonly #file: ConfigFile
  readonly #table = new Map<string, Map<string, string>>()

  constructor(disk: Disk, path: string, log: Log) {
    this.#file = new ConfigFile(disk, path, log)
    const loaded = this.#file.loadAs((text) => objectOf(parseJavaObject(text)['configTable']))
    for (const [namespace, values] of Object.entries(loaded ?? {})) {
      this.#table.set(namespace, new Map(Object.entries(objectOf(values)).map(([key, value]) => [key, textOf(value)])))
    }
  }

  get(namespace: string, key: string): string | undefined {
    return this.#table.get(namespace)?.get(key)
  }

  put(namespace: string, key: string, value: string): void {
    let values = this.#table.get(namespace)
    if (values === undefined) this.#table.set(namespace, (values = new Map()))
    values.set(key, value)
    this.#save()
  }

  delete(namespace: string, key: string): void {
    if (this.#table.get(namespace)?.delete(key) === true) this.#save()
  }

  /** Values of a namespace; undefined when it is not known. */
  namespace(namespace: string): ReadonlyMap<string, string> | undefined {
    return this.#table.get(namespace)
  }

  #save(): void {
    this.#file.save(stringifyJavaJson({ configTable: this.#table }, { pretty: true }))
  }
}
