import type { Disk, DiskError, DiskFile } from './disk.ts'
import type { Log } from './log.ts'

/**
 * A small text file that is replaced as a whole: after a crash the old or the new version is there, never neither.
 *
 * As Java's brokers do, the former version stays beside it as `<name>.bak`, and is read when the file itself is
 * missing, empty or not understood. Other than Java, the new version is complete and synced before the old one goes.
 */
export class ConfigFile {
  readonly path: string
  readonly #disk: Disk
  readonly #log: Log
  #pending: { text: string; saves: number; done: ((error: DiskError | null) => void)[] } | undefined
  #saving = false
  /** The last save by the clock failed: it is said when that begins, and when it ends. */
  #isFailing = false
  /** Synchronous saves so far: one that was made after a later save was asked for wins over it. */
  #saves = 0
  /** What stands in the file itself is of no use, and must not become the backup. */
  #isSpoiled = false

  constructor(disk: Disk, path: string, log: Log) {
    this.#disk = disk
    this.path = path
    this.#log = log
  }

  /** The text of the file, or of its `.bak`; undefined when neither holds anything. */
  load(): string | undefined {
    return this.loadAs((text) => text)
  }

  /**
   * The file as `parse` understands it. When `parse` throws, `.bak` is tried; when that fails too the first error is
   * thrown, because starting with an empty table would overwrite what an operator could still repair.
   */
  loadAs<T>(parse: (text: string) => T): T | undefined {
    let failure: unknown
    for (const path of [this.path, `${this.path}.bak`]) {
      const text = this.#read(path)
      if (text === undefined || text.trim() === '') continue
      try {
        const parsed = parse(text)
        this.#isSpoiled = path !== this.path
        if (this.#isSpoiled) this.#log.warn('config file read from its backup', { path })
        return parsed
      } catch (cause) {
        this.#log.error('config file not understood', { path, cause })
        failure ??= cause
      }
    }
    if (failure !== undefined) {
      throw new Error(
        `${this.path} and its .bak cannot be read: ${failure instanceof Error ? failure.message : failure}`,
        {
          cause: failure,
        },
      )
    }
    return undefined
  }

  /** Durable when it returns. Two syncs on the calling turn: for changes that an answer depends on. */
  save(text: string): void {
    this.#makeDirectory()
    const file = this.#disk.openSync(this.#temporary, 'write')
    try {
      writeWhole(file, text)
      file.datasyncSync()
    } finally {
      file.closeSync()
    }
    this.#replace()
    this.#saves++
  }

  /**
   * The same, with the sync of the data off the loop: for tables saved by the clock. One save runs at a time; of those
   * that wait only the newest text is written, and all are told.
   */
  saveLater(text: string, done: (error: DiskError | null) => void = () => {}): void {
    const waiting = this.#pending?.done ?? []
    waiting.push(done)
    this.#pending = { text, saves: this.#saves, done: waiting }
    if (!this.#saving) this.#saveNext()
  }

  #saveNext(): void {
    const save = this.#pending
    if (save === undefined) return
    this.#pending = undefined
    this.#saving = true
    const finish = (error: DiskError | null): void => {
      this.#saving = false
      if (error !== null && !this.#isFailing)
        this.#log.error('config file not saved', { path: this.path, cause: error })
      if (error === null && this.#isFailing) this.#log.info('config file saved again', { path: this.path })
      this.#isFailing = error !== null
      for (const done of save.done) done(error)
      this.#saveNext()
    }
    if (save.saves !== this.#saves) return finish(null) // a newer version is there already
    // A name of its own: a synchronous save may come between.
    const temporary = `${this.path}.new`
    let file: DiskFile
    try {
      this.#makeDirectory()
      file = this.#disk.openSync(temporary, 'write')
    } catch (cause) {
      return finish(cause as DiskError)
    }
    const synced = (error: DiskError | null): void => {
      let failed = error
      try {
        file.closeSync()
        if (error === null && save.saves === this.#saves) this.#replace(temporary)
      } catch (cause) {
        failed = cause as DiskError
      }
      finish(failed)
    }
    try {
      writeWhole(file, save.text)
      file.datasync(synced)
    } catch (cause) {
      synced(cause as DiskError)
    }
  }

  /** Takes a file that is complete and synced for the new version. */
  replaceBy(temporary: string): void {
    this.#replace(temporary)
    this.#saves++
  }

  get #temporary(): string {
    return `${this.path}.tmp`
  }

  /** The new file, complete and synced, takes the place of the old one, which becomes `.bak`. */
  #replace(temporary: string = this.#temporary): void {
    const isBackup = !this.#isSpoiled && this.#disk.statSync(this.path) !== undefined
    if (isBackup) this.#disk.renameSync(this.path, `${this.path}.bak`)
    this.#disk.renameSync(temporary, this.path)
    this.#disk.syncDirectorySync(directoryOf(this.path))
    this.#isSpoiled = false
  }

  #makeDirectory(): void {
    const directory = directoryOf(this.path)
    if (this.#disk.statSync(directory) === undefined) this.#disk.makeDirectorySync(directory)
  }

  #read(path: string): string | undefined {
    const stat = this.#disk.statSync(path)
    if (stat === undefined || stat.isDirectory) return undefined
    const file = this.#disk.openSync(path, 'read')
    try {
      const bytes = Buffer.alloc(file.sizeSync())
      const count = file.readSync(bytes, 0)
      const text = bytes.toString('utf8', 0, count)
      return text.charCodeAt(0) === 0xfeff ? text.slice(1) : text
    } finally {
      file.closeSync()
    }
  }
}

function writeWhole(
  file: { writeSync(bytes: Uint8Array, position: number): void; truncateSync(size: number): void },
  text: string,
): void {
  const bytes = Buffer.from(text, 'utf8')
  file.truncateSync(bytes.length)
  if (bytes.length > 0) file.writeSync(bytes, 0)
}

const directoryOf = (path: string): string => path.slice(0, path.lastIndexOf('/')) || '/'
