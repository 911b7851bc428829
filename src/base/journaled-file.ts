import { crc32 } from 'node:zlib'
import { ConfigFile } from './config-file.ts'
import type { Disk, DiskError, DiskFile } from './disk.ts'
import type { Log } from './log.ts'
import type { Scheduler, Timer } from './scheduler.ts'

/** Characters of the whole file put into words and written in one turn. */
const TURN_CHARACTERS = 131_072
/** Changes reach the whole file after this time at the earliest, and with one tenth of the loop at most. */
const FOLD_MS = 1_000
const FOLD_SHARE = 10

export interface JournaledFileOptions {
  disk: Disk
  /** The whole file, as Java's brokers read it. */
  path: string
  scheduler: Scheduler
  log: Log
  /** The text of the whole file, as the table is now; it may change while the pieces are taken. */
  pieces: () => Iterator<string>
  /** Whether the whole file is the cheapest way to keep one change. */
  isSmall: () => boolean
}

/** A journal that is being written; closed once no sync of it is under way. */
class Journal {
  readonly #file: DiskFile
  #sizeBytes = 0
  #syncs = 0
  #isClosing = false

  constructor(file: DiskFile) {
    this.#file = file
    file.truncateSync(0)
  }

  write(text: string): void {
    const bytes = Buffer.from(text)
    this.#file.writeSync(bytes, this.#sizeBytes)
    this.#sizeBytes += bytes.length
  }

  sync(done: (error: DiskError | null) => void): void {
    this.#syncs++
    this.#file.datasync((error) => {
      this.#syncs--
      if (this.#isClosing && this.#syncs === 0) this.#file.closeSync()
      done(error)
    })
  }

  close(): void {
    this.#isClosing = true
    if (this.#syncs === 0) this.#file.closeSync()
  }
}

/** What a journal on disk tells. */
interface Found {
  /** The whole files that its changes follow. */
  bases: Set<string>
  /** That were written while it was kept: it follows them too. */
  folded: Set<string>
  changes: string[]
}

/**
 * A table that is kept in one text file which Java's brokers read, and whose changes cost what they are, not what the
 * table is. Small tables are written whole. For large ones changes go to `<file>.journal`, one synced write for all of a
 * turn, and are folded into the whole file behind the scenes; what comes meanwhile goes to `<file>.journal.next`.
 *
 * A journal names the whole file that it follows by its size and checksum. When Java, or an operator, has written the
 * file since, that one wins and the journal is dropped. Changes must be such that to make them twice, in their order,
 * is the same as to make them once. See docs/decisions/0006.
 */
export class JournaledFile {
  /** Changes so far, and how many of them are durable. */
  changes = 0
  saved = 0
  readonly #options: JournaledFileOptions
  readonly #file: ConfigFile
  readonly #path: string
  /** Size and checksum of the whole file. */
  #base = 'none'
  #lines: string[] = []
  #journal: Journal | undefined
  /** While changes are folded there may be two. */
  #isFolding = false
  #hasOlder = false
  #isSaving = false
  /** Nobody knows what the journal holds: the next save writes the whole file. */
  #isBroken = false
  #isClosed = false
  #foldTimer: Timer | undefined
  #foldMs = 0
  /** Moves when the whole file is written at once: what was under way must not follow it. */
  #generation = 0
  /** Told when so many changes are durable, or could not be made so. */
  #waiting: { changes: number; done: (error: DiskError | null) => void }[] = []
  #told: (changes: number) => void = () => {}

  constructor(options: JournaledFileOptions) {
    this.#options = options
    this.#path = options.path
    this.#file = new ConfigFile(options.disk, options.path, options.log)
  }

  /** The whole file as `parse` understands it, and the changes since, oldest first. */
  load<T>(parse: (text: string) => T): { whole: T | undefined; changes: string[] } {
    const whole = this.#file.loadAs((text) => {
      const parsed = parse(text)
      this.#base = markOf(Buffer.from(text))
      return parsed
    })
    const older = this.#read(this.#journalPath)
    const newer = this.#read(this.#nextPath)
    if (older === undefined && newer === undefined) return { whole, changes: [] }
    let changes: string[] = []
    if (newer?.folded.has(this.#base)) changes = newer.changes
    else {
      if (older?.bases.has(this.#base) || older?.folded.has(this.#base)) changes = older.changes
      if (newer?.bases.has(this.#base)) changes = [...changes, ...newer.changes]
    }
    const dropped = (older?.changes.length ?? 0) + (newer?.changes.length ?? 0)
    if (changes.length === 0 && dropped > 0) {
      this.#options.log.warn('changes dropped: the file that they follow was written by another since', {
        path: this.#path,
        changes: dropped,
      })
    }
    // They are in the way until the whole file holds what they hold.
    this.#hasOlder = true
    if (changes.length === 0) this.#removeJournals()
    return { whole, changes }
  }

  /** Called whenever more changes are durable. */
  onSaved(told: (changes: number) => void): void {
    this.#told = told
  }

  get isUnsaved(): boolean {
    return this.saved < this.changes
  }

  /** One change, which the table has made already; durable soon. */
  add(change: string): void {
    this.changes++
    this.#lines.push(change)
    this.#saveSoon()
  }

  /** Calls back once all changes so far are durable, or could not be made so. */
  whenSaved(done: (error: DiskError | null) => void): void {
    if (!this.isUnsaved) return done(null)
    this.#waiting.push({ changes: this.changes, done })
    this.#saveSoon()
  }

  /** Writes the whole file; durable when it returns. */
  saveSync(): void {
    this.#generation++
    const text = this.#wholeText()
    this.#file.save(text)
    this.#base = markOf(Buffer.from(text))
    this.#lines = []
    this.#isBroken = false
    this.#removeJournals()
    this.#tell(this.changes, null)
  }

  /** Leaves all in the whole file. */
  close(): void {
    this.#isClosed = true
    this.#foldTimer?.cancel()
    this.#foldTimer = undefined
    if (this.isUnsaved || this.#journal !== undefined || this.#hasOlder) this.saveSync()
  }

  get #journalPath(): string {
    return `${this.#path}.journal`
  }

  get #nextPath(): string {
    return `${this.#path}.journal.next`
  }

  #wholeText(): string {
    let text = ''
    const pieces = this.#options.pieces()
    for (let next = pieces.next(); next.done !== true; next = pieces.next()) text += next.value
    return text
  }

  /** One write for all changes of a turn, and for those that come while the one before is under way. */
  #saveSoon(): void {
    if (this.#isSaving) return
    this.#isSaving = true
    this.#options.scheduler.soon(() => {
      if (!this.isUnsaved) this.#isSaving = false
      else if (this.#isBroken || (this.#options.isSmall() && !this.#isFolding)) this.#saveWhole()
      else this.#append()
    })
  }

  #saveWhole(): void {
    const { changes } = this
    const generation = this.#generation
    const text = this.#wholeText()
    this.#lines = []
    this.#file.saveLater(text, (error) => {
      if (generation === this.#generation) {
        this.#isBroken = error !== null
        if (error === null) {
          this.#base = markOf(Buffer.from(text))
          this.#removeJournals()
        }
      }
      this.#ended(changes, error)
    })
  }

  #append(): void {
    const { changes } = this
    const generation = this.#generation
    const lines = this.#lines
    this.#lines = []
    const ended = (error: DiskError | null): void => {
      if (error !== null && generation === this.#generation) this.#break()
      this.#ended(changes, error)
      if (error === null) this.#foldLater()
    }
    try {
      const isNew = this.#journal === undefined
      const journal = this.#journal ?? this.#createJournal()
      journal.write(lines.map((line) => sealed('c', line)).join(''))
      journal.sync((error) => {
        if (error !== null || !isNew) return ended(error)
        this.#options.disk.syncDirectory(directoryOf(this.#path), ended)
      })
    } catch (cause) {
      ended(cause as DiskError)
    }
  }

  #createJournal(): Journal {
    const path = this.#hasOlder ? this.#nextPath : this.#journalPath
    const journal = new Journal(this.#options.disk.openSync(path, 'write'))
    this.#journal = journal
    journal.write(sealed('b', this.#base))
    return journal
  }

  /** What is being folded stops too: changes may be missing from the journal that follows it. */
  #break(): void {
    this.#generation++
    this.#isBroken = true
  }

  #ended(changes: number, error: DiskError | null): void {
    this.#isSaving = false
    this.#tell(changes, error)
    // After a failure the next change, the next who waits, or the end tries again.
    if (error === null && this.isUnsaved) this.#saveSoon()
  }

  #tell(changes: number, error: DiskError | null): void {
    if (error === null && changes > this.saved) {
      this.saved = changes
      this.#told(changes)
    }
    const told = this.#waiting.filter((each) => each.changes <= changes)
    this.#waiting = this.#waiting.filter((each) => each.changes > changes)
    for (const { done } of told) done(error)
  }

  #foldLater(): void {
    if (this.#isFolding || this.#isClosed || this.#foldTimer !== undefined) return
    const waitMs = Math.max(FOLD_MS, this.#foldMs * FOLD_SHARE)
    this.#foldTimer = this.#options.scheduler.after(waitMs, () => {
      this.#foldTimer = undefined
      if (this.#journal !== undefined && !this.#isBroken) this.#fold()
    })
  }

  /** Writes the whole file, some of it each turn. Changes that come meanwhile are in the next journal, and perhaps in it. */
  #fold(): void {
    const { disk, scheduler } = this.#options
    const generation = this.#generation
    this.#isFolding = true
    if (!this.#hasOlder) {
      this.#hasOlder = true
      this.#closeJournal()
    }
    let workMs = 0
    let file: DiskFile | undefined
    const temporary = `${this.#path}.folded`
    const failed = (cause: unknown): void => {
      file?.closeSync()
      this.#isFolding = false
      if (generation !== this.#generation) return
      this.#options.log.warn('changes not folded into their file; the journal keeps them', { path: this.#path, cause })
      this.#foldLater()
    }
    const pieces = this.#options.pieces()
    let sizeBytes = 0
    let checksum = 0
    const step = (): void => {
      if (generation !== this.#generation) return failed('the file was written at once')
      const begun = scheduler.monotonic()
      try {
        file ??= disk.openSync(temporary, 'write')
        if (sizeBytes === 0) file.truncateSync(0)
        let text = ''
        let isLast = false
        while (text.length < TURN_CHARACTERS && !isLast) {
          const next = pieces.next()
          isLast = next.done === true
          if (next.done !== true) text += next.value
        }
        const bytes = Buffer.from(text)
        if (bytes.length > 0) file.writeSync(bytes, sizeBytes)
        sizeBytes += bytes.length
        checksum = crc32(bytes, checksum)
        workMs += scheduler.monotonic() - begun
        if (!isLast) return scheduler.defer(step)
        const whole = file
        whole.datasync((error) => {
          if (error !== null) return failed(error)
          file = undefined
          whole.closeSync()
          if (generation !== this.#generation) return failed('the file was written at once')
          this.#noteFolded(`${sizeBytes}-${checksum}`, (noted) => {
            if (noted !== null || generation !== this.#generation) return failed(noted)
            this.#foldMs = workMs
            this.#takeOver(temporary, `${sizeBytes}-${checksum}`, failed)
          })
        })
      } catch (cause) {
        failed(cause)
      }
    }
    step()
  }

  /** The next journal follows the new file as well; said before that takes its place. */
  #noteFolded(base: string, done: (error: DiskError | null) => void): void {
    const journal = this.#journal
    if (journal === undefined) return done(null)
    try {
      journal.write(sealed('f', base))
      journal.sync(done)
    } catch (cause) {
      done(cause as DiskError)
    }
  }

  #takeOver(temporary: string, base: string, failed: (cause: unknown) => void): void {
    const { disk } = this.#options
    try {
      this.#file.replaceBy(temporary)
      this.#base = base
      if (disk.statSync(this.#nextPath) !== undefined) disk.renameSync(this.#nextPath, this.#journalPath)
      else disk.removeSync(this.#journalPath)
      this.#hasOlder = false
      this.#isFolding = false
    } catch (cause) {
      // The old file or the new one: a journal that begins now could follow neither.
      this.#break()
      failed(cause)
      return
    }
    if (this.#journal !== undefined) this.#foldLater()
  }

  #closeJournal(): void {
    this.#journal?.close()
    this.#journal = undefined
  }

  #removeJournals(): void {
    const { disk } = this.#options
    if (this.#journal === undefined && !this.#hasOlder) return
    this.#closeJournal()
    this.#hasOlder = false
    disk.removeSync(this.#journalPath)
    disk.removeSync(this.#nextPath)
  }

  #read(path: string): Found | undefined {
    const { disk } = this.#options
    const stat = disk.statSync(path)
    if (stat === undefined || stat.isDirectory) return undefined
    const file = disk.openSync(path, 'read')
    const bytes = Buffer.alloc(stat.sizeBytes)
    try {
      file.readSync(bytes, 0)
    } finally {
      file.closeSync()
    }
    const found: Found = { bases: new Set(), folded: new Set(), changes: [] }
    for (let at = 0; at < bytes.length; ) {
      const end = bytes.indexOf(0x0a, at)
      if (end < 0) break
      const kind = String.fromCharCode(bytes[at + 8] ?? 0)
      const text = bytes.subarray(at + 9, end)
      // What follows a torn line was never acknowledged.
      if (bytes.latin1Slice(at, at + 8) !== checksumText(bytes.subarray(at + 8, end))) break
      if (kind === 'b') found.bases.add(text.toString())
      else if (kind === 'f') found.folded.add(text.toString())
      else found.changes.push(text.toString())
      at = end + 1
    }
    return found
  }
}

/** A line that shows whether it is whole. */
function sealed(kind: 'b' | 'f' | 'c', text: string): string {
  const line = `${kind}${text}`
  return `${checksumText(Buffer.from(line))}${line}\n`
}

const checksumText = (bytes: Uint8Array): string => crc32(bytes).toString(16).padStart(8, '0')

const markOf = (bytes: Buffer): string => `${bytes.length}-${crc32(bytes)}`

const directoryOf = (path: string): string => path.slice(0, path.lastIndexOf('/')) || '/'
