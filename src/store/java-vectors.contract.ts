import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { memoryLog } from '../base/console-log.ts'
import type { Disk } from '../base/disk.ts'
import { Probes } from '../base/probe.ts'
import { SeededRandom } from '../base/random.ts'
import { SimulatedScheduler } from '../base/simulated-scheduler.ts'
import { systemDisk } from '../base/system-disk.ts'
import type { MessageStore, StoreOptions } from './message-store.ts'
import { openStore } from './open-store.ts'
import { storeSettings } from './settings.ts'

/** What Java's store said of a directory. */
export interface JavaOracle {
  config: Record<string, string>
  commitLog: { minPhyOffset: number; maxPhyOffset: number }
  messages: [number, number, string, number, number, number, number, number, number | null][]
  queues: { topic: string; queueId: number; min: number; max: number; units: number[][] }[]
  offsetByTime: [string, number, number, number, number][]
  index: {
    /** topic, key or tag, positions that Java's index gives: collisions of hashes among them. */
    byKey: [string, string, number[]][]
    byTag: [string, string, number[]][]
    /** topic, key, begin, end, positions. */
    byKeyWindows: [string, string, number, number, number[]][]
    range: [number, number]
    maxNum: number
  }
}

export const vectorsFolder: string = resolve(import.meta.dirname, '../../test/vectors/store')

export function oracleOf(name: string): JavaOracle {
  return JSON.parse(readFileSync(join(vectorsFolder, `${name}.json`), 'utf8')) as JavaOracle
}

/** The files of a scenario, and their paths below the store's root. */
export function vectorFiles(name: string): Map<string, Buffer> {
  const files = new Map<string, Buffer>()
  const tar = gunzipSync(readFileSync(join(vectorsFolder, `${name}.tar.gz`)))
  let longPath: string | undefined
  for (let at = 0; at + 512 <= tar.length && tar[at] !== 0; ) {
    const field = (from: number, length: number): string =>
      tar.latin1Slice(at + from, at + from + length).split('\0')[0]!
    const prefix = field(345, 155)
    const path = longPath ?? (prefix === '' ? '' : `${prefix}/`) + field(0, 100)
    const size = Number.parseInt(field(124, 12).trim() || '0', 8)
    const type = field(156, 1)
    const wasLong = longPath !== undefined
    if (type === 'x') longPath = /\d+ path=([^\n]*)\n/.exec(tar.latin1Slice(at + 512, at + 512 + size))?.[1]
    else if (type !== '5') {
      assert.ok(type === '0' || type === '', `entry of type ${type}: ${path}`)
      files.set(path.split('/').slice(1).join('/'), tar.subarray(at + 512, at + 512 + size))
    }
    if (wasLong) longPath = undefined
    at += 512 + Math.ceil(size / 512) * 512
  }
  return files
}

let copies = 0

/** The archive of a scenario, unpacked into a folder of its own below `root`. */
export function unpackVector(name: string, root: string): string {
  const target = join(root, `${name}-${copies++}`)
  for (const [path, bytes] of vectorFiles(name)) {
    mkdirSync(dirname(join(target, path)), { recursive: true })
    writeFileSync(join(target, path), bytes)
  }
  return target
}

/** The same on a disk of any kind, at `root`. */
export function copyVector(name: string, disk: Disk, root: string): void {
  for (const [path, bytes] of vectorFiles(name)) {
    disk.makeDirectorySync(dirname(`${root}/${path}`))
    const file = disk.openSync(`${root}/${path}`, 'write')
    file.truncateSync(bytes.length)
    file.writeSync(bytes, 0)
    file.datasyncSync()
    file.closeSync()
    disk.syncDirectorySync(dirname(`${root}/${path}`))
  }
}

/** Opens a directory with the settings of its scenario. */
export function openDirectory(
  directory: string,
  config: Record<string, string>,
  options: Partial<StoreOptions> = {},
): Promise<MessageStore> {
  const known = Object.fromEntries(Object.entries(config).filter(([key]) => storeSettings.has(key)))
  return openStore({
    disk: systemDisk,
    scheduler: new SimulatedScheduler(1_795_480_000_000),
    random: new SeededRandom(1),
    log: memoryLog(),
    probes: new Probes(),
    storeHost: { address: new Uint8Array([127, 0, 0, 1]), port: 30_911 },
    memoryBytes: 1_073_741_824,
    processId: 1,
    ...options,
    settings: storeSettings.parse({ ...known, storePathRootDir: directory }).settings,
  })
}

/** Every file and its bytes, but for those that say that somebody was here. */
export function contents(directory: string): Map<string, Buffer> {
  const found = new Map<string, Buffer>()
  if (!existsSync(directory)) return found
  for (const name of readdirSync(directory, { recursive: true, encoding: 'utf8' }).sort()) {
    const path = join(directory, name)
    if (statSync(path).isFile() && !['checkpoint', 'abort', 'lock'].includes(name)) found.set(name, readFileSync(path))
  }
  return found
}
