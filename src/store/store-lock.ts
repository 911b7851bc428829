import type { Disk, DiskError } from '../base/disk.ts'
import { StoreLocked } from './store-errors.ts'
import type { StorePaths } from './store-paths.ts'

/** Who runs: a process id alone comes again after a reboot, and is 1 in every container. */
interface Owner {
  processId: number
  /** In clock ticks after boot, as /proc tells; '' where there is no /proc. */
  startTime: string
  bootId: string
}

const READ_BYTES = 65_536

/**
 * One broker on a directory. Our own mark is `cometmq.owner`; `lock` is Java's, and carries Java's bytes. Node cannot
 * take Java's fcntl lock, so a Java broker that runs is recognised by its lock in /proc/locks instead.
 */
export class StoreLock {
  readonly bootId: string
  readonly processId: number
  readonly #disk: Disk
  readonly #paths: StorePaths
  readonly #mark: string
  #held = false

  /** @throws StoreLocked saying who holds the directory */
  constructor(disk: Disk, paths: StorePaths, processId: number) {
    this.#disk = disk
    this.#paths = paths
    this.processId = processId
    this.bootId = bootIdOf(disk)
    this.#mark = `${processId} ${startTimeOf(disk, processId) ?? '-'} ${this.bootId === '' ? '-' : this.bootId}\n`
    this.#refuseJava()
    this.#take()
    writeText(disk, paths.lock, 'lock')
  }

  #take(): void {
    for (let attempt = 0; attempt < 3; attempt++) {
      try {
        const file = this.#disk.openSync(this.#paths.owner, 'create')
        try {
          file.writeSync(Buffer.from(this.#mark), 0)
        } finally {
          file.closeSync()
        }
        this.#held = true
        return
      } catch (error) {
        if ((error as DiskError).code !== 'EEXIST') throw error
      }
      const there = readText(this.#disk, this.#paths.owner)
      const owner = parseOwner(there)
      if (owner !== undefined && isAlive(this.#disk, owner, this.processId)) {
        throw new StoreLocked(
          `${this.#paths.root} is in use by process ${owner.processId}` +
            `${owner.processId === this.processId ? ' (this one)' : ''}: stop it first, or choose another folder`,
        )
      }
      // Somebody else may be clearing away the same dead mark: only what was read goes.
      const aside = `${this.#paths.owner}.${this.processId}`
      try {
        this.#disk.renameSync(this.#paths.owner, aside)
        if (readText(this.#disk, aside) === there) this.#disk.removeSync(aside)
        else this.#disk.renameSync(aside, this.#paths.owner)
      } catch (error) {
        if ((error as DiskError).code !== 'ENOENT') throw error
      }
    }
    throw new StoreLocked(`${this.#paths.root} is being opened by another process`)
  }

  #refuseJava(): void {
    const java = javaHolder(this.#disk, this.#paths)
    if (java === undefined || java === this.processId) return
    throw new StoreLocked(`${this.#paths.root} is in use by a Java broker, process ${java}: stop it first`)
  }

  release(): void {
    if (!this.#held) return
    this.#held = false
    this.#disk.removeSync(this.#paths.owner)
  }
}

/** Who runs on a directory, in words; looks only, and changes nothing. */
export function holderOf(disk: Disk, paths: StorePaths): string | undefined {
  const java = javaHolder(disk, paths)
  if (java !== undefined) return `a Java broker, process ${java}`
  const owner = parseOwner(readText(disk, paths.owner))
  return owner !== undefined && isAlive(disk, owner, -1) ? `CometMQ, process ${owner.processId}` : undefined
}

/** Process of a Java broker that holds the lock; it writes its number into the abort file. */
function javaHolder(disk: Disk, paths: StorePaths): number | undefined {
  const text = readText(disk, paths.abort).trim()
  if (!/^\d+$/.test(text)) return undefined
  const lock = new RegExp(`POSIX\\s+ADVISORY\\s+WRITE\\s+${text}\\s+\\S+\\s+0\\s+0\\b`)
  return lock.test(readText(disk, '/proc/locks')) ? Number(text) : undefined
}

function isAlive(disk: Disk, owner: Owner, ownProcess: number): boolean {
  const bootId = bootIdOf(disk)
  // Without /proc only the process id is left, and our own then says that we are its successor.
  if (owner.bootId === '' || bootId === '') return owner.processId !== ownProcess && hasProcess(owner)
  if (owner.bootId !== bootId) return false
  return startTimeOf(disk, owner.processId) === owner.startTime
}

function parseOwner(text: string): Owner | undefined {
  const [processId, startTime, bootId] = text.trim().split(' ')
  // All three words or no mark of ours: half of one would name whatever process has that number.
  if (startTime === undefined || bootId === undefined || !/^\d+$/.test(processId!)) return undefined
  const known = (word: string): string => (word === '-' ? '' : word)
  return { processId: Number(processId), startTime: known(startTime), bootId: known(bootId) }
}

function hasProcess(owner: Owner): boolean {
  try {
    process.kill(owner.processId, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** The machine's boot, or '' where nobody tells. */
export const bootIdOf = (disk: Disk): string => readText(disk, '/proc/sys/kernel/random/boot_id').trim()

/** When a process started; undefined when there is none. The name in the second field may hold blanks and brackets. */
function startTimeOf(disk: Disk, processId: number): string | undefined {
  const text = readText(disk, `/proc/${processId}/stat`)
  return text === '' ? undefined : text.slice(text.lastIndexOf(')') + 2).split(' ')[19]
}

/** '' when the file is not there. Files of /proc have no length, so it is not asked for. */
function readText(disk: Disk, path: string): string {
  try {
    const file = disk.openSync(path, 'read')
    try {
      const bytes = Buffer.alloc(READ_BYTES)
      return bytes.toString('utf8', 0, file.readSync(bytes, 0))
    } finally {
      file.closeSync()
    }
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'EACCES', 'ESRCH'].includes((error as DiskError).code ?? '')) return ''
    throw error
  }
}

function writeText(disk: Disk, path: string, text: string): void {
  const file = disk.openSync(path, 'write')
  try {
    file.writeSync(Buffer.from(text), 0)
  } finally {
    file.closeSync()
  }
}
