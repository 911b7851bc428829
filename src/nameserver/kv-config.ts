import { ConfigFile } from '../base/config-file.ts'
import type { Disk } from '../base/disk.ts'
import type { Log } from '../base/log.ts'
import { objectOf, textOf } from '../protocol/bodies.ts'
import { parseJavaObject, stringifyJavaJson } from '../protocol/java-json.ts'

/** Values by namespace and key, kept in a file that is saved at every change. */
export class KvConfig {
  readonly #file: ConfigFile
  #table: ReadonlyMap<string, ReadonlyMap<string, string>>

  constructor(disk: Disk, path: string, log: Log) {
    this.#file = new ConfigFile(disk, path, log)
    const loaded = this.#file.loadAs((text) => objectOf(parseJavaObject(text)['configTable']))
    this.#table = new Map(
      Object.entries(loaded ?? {}).map(([namespace, values]) => [
        namespace,
        new Map(Object.entries(objectOf(values)).map(([key, value]) => [key, textOf(value)])),
      ]),
    )
  }

  get(namespace: string, key: string): string | undefined {
    return this.#table.get(namespace)?.get(key)
  }

  /** @throws DiskError when it cannot be kept, and nothing changed */
  put(namespace: string, key: string, value: string): void {
    this.#change(namespace, new Map(this.#table.get(namespace)).set(key, value))
  }

  /** @throws DiskError when it cannot be kept, and nothing changed */
  delete(namespace: string, key: string): void {
    const values = new Map(this.#table.get(namespace))
    if (values.delete(key)) this.#change(namespace, values)
  }

  /** Values of a namespace; undefined when it is not known. */
  namespace(namespace: string): ReadonlyMap<string, string> | undefined {
    return this.#table.get(namespace)
  }

  #change(namespace: string, values: ReadonlyMap<string, string>): void {
    const table = new Map(this.#table).set(namespace, values)
    this.#file.save(stringifyJavaJson({ configTable: table }, { pretty: true }))
    this.#table = table
  }
}
