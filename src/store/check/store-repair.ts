import type { Disk, DiskFile } from '../../base/disk.ts'
import type { LostEntry } from '../lost-records.ts'
import { placeholders } from '../lost-records.ts'
import type { DamagedRange } from './log-walk.ts'
import { LostFolder } from './lost-folder.ts'
import { keyOf } from './queue-check.ts'
import { QueueMend } from './queue-mend.ts'
import { type CheckResult, logWalk, placeOf } from './store-check.ts'
import { StoreDirectory } from './store-directory.ts'
import type { OnProgress } from './store-fault.ts'

const CHECKPOINT_BYTES = 4096

/** One change, in words before it is made. */
export interface RepairStep {
  what: string
  apply(lost: LostFolder): void
}

export interface RepairPlan {
  steps: RepairStep[]
  /** What no rule mends, with what a person may do. */
  left: string[]
}

/**
 * Mends what a check found. Healthy bytes are never removed: what is replaced, cut or moved lies in `lost+found`
 * afterwards, with its place. Only a cut takes messages away that can still be read, and a cut is made when it is asked
 * for by name.
 */
export class StoreRepair {
  readonly #directory: StoreDirectory
  readonly #disk: Disk
  readonly #check: CheckResult
  readonly #delayLevels: string
  readonly #cut: boolean
  readonly #onProgress: OnProgress

  constructor(parts: {
    directory: StoreDirectory
    check: CheckResult
    delayLevels: string
    cut: boolean
    onProgress: OnProgress
  }) {
    this.#directory = parts.directory
    this.#disk = parts.directory.disk
    this.#check = parts.check
    this.#delayLevels = parts.delayLevels
    this.#cut = parts.cut
    this.#onProgress = parts.onProgress
  }

  plan(): RepairPlan {
    const plan: RepairPlan = { steps: [], left: [] }
    this.#moveForeign(plan)
    this.#lengthenSegments(plan)
    this.#replaceDamage(plan)
    this.#mendEnd(plan)
    this.#rebuildQueues(plan)
    this.#mendCheckpoint(plan)
    this.#mendConfig(plan)
    return plan
  }

  /** @param stamp names the folder in lost+found */
  apply(plan: RepairPlan, stamp: string, onStep: (step: RepairStep) => void): LostFolder {
    const { paths } = this.#directory
    const lost = new LostFolder(this.#disk, paths.root, stamp)
    if (plan.steps.length > 0 && this.#disk.statSync(paths.queueList) !== undefined) {
      // A start that believed it would not look at what changes now.
      this.#disk.removeSync(paths.queueList)
    }
    for (const step of plan.steps) {
      onStep(step)
      step.apply(lost)
    }
    lost.finish()
    return lost
  }

  #moveForeign({ steps }: RepairPlan): void {
    for (const path of this.#directory.foreign) {
      steps.push({ what: `move ${path} to lost+found`, apply: (lost) => lost.move(path, 'no segment') })
    }
  }

  #lengthenSegments({ steps, left }: RepairPlan): void {
    const { segments, segmentBytes } = this.#directory
    for (const [index, { path, base, sizeBytes }] of segments.entries()) {
      if (sizeBytes === segmentBytes || (sizeBytes === 0 && index === segments.length - 1)) continue
      if (sizeBytes > segmentBytes || base % segmentBytes !== 0) {
        left.push(
          `${path}: its name or its ${sizeBytes} bytes do not fit segments of ${segmentBytes}; see --segment-bytes`,
        )
        continue
      }
      steps.push({
        what: `lengthen ${path} from ${sizeBytes} to ${segmentBytes} bytes`,
        apply: () => this.#withFile(path, (file) => file.truncateSync(segmentBytes)),
      })
    }
  }

  #replaceDamage(plan: RepairPlan): void {
    const { damaged, lost } = this.#check
    const { cutAtStart } = this.#directory
    // What a start cuts away by itself is left to it, unless there is damage before it that it would stop at.
    const isAllOrdinary = damaged.every(({ position }) => position >= cutAtStart)
    if (isAllOrdinary) return
    for (const range of damaged) {
      const entries = lost.filter((entry) => isWithin(entry, range))
      const bytes = placeholders({
        position: range.position,
        end: range.end,
        isSegmentEnd: range.end % this.#directory.segmentBytes === 0,
        storeTimestamp: range.storeTimestamp,
        entries,
      })
      if (bytes === undefined) {
        this.#askForCut(
          plan,
          range.position,
          `nothing that both brokers read fits into the ${range.end - range.position} bytes at position ${range.position}`,
        )
        if (this.#cut) return
        continue
      }
      plan.steps.push({
        what: this.#replacingText(range, entries),
        apply: (kept) => this.#replace(range, bytes, kept),
      })
    }
  }

  #replacingText({ position, end, segment }: DamagedRange, entries: readonly LostEntry[]): string {
    const path = segment?.path ?? this.#directory.pathOf(position)
    const names = entries.map(({ topic, queueId, queueOffset }) => `${topic}/${queueId} offset ${queueOffset}`)
    const instead =
      entries.length === 0
        ? 'records that belong to no queue'
        : `${entries.length === 1 ? 'a placeholder' : `${entries.length} placeholders`} for ${names.slice(0, 5).join(', ')}${names.length > 5 ? ', …' : ''}`
    return `replace ${end - position} bytes of ${path} from byte ${position - this.#directory.baseOf(position)} by ${instead}, and keep them in lost+found`
  }

  #replace({ position, end, segment, what }: DamagedRange, bytes: Buffer, lost: LostFolder): void {
    const path = segment?.path ?? this.#directory.pathOf(position)
    const byte = position - this.#directory.baseOf(position)
    if (segment !== undefined) lost.keep(path, byte, end - position, what)
    this.#withFile(path, (file) => {
      if (file.sizeSync() < this.#directory.segmentBytes) file.truncateSync(this.#directory.segmentBytes)
      writeSparse(file, bytes, byte)
    })
  }

  /** The end of the log lies before what had been synced: no rule brings that back. */
  #mendEnd(plan: RepairPlan): void {
    const { tail } = this.#check
    const { syncedPosition, segments } = this.#directory
    if (tail.end >= syncedPosition || segments.length === 0) return
    this.#askForCut(plan, tail.end, `the log ends at ${tail.end}, and had been synced up to ${syncedPosition}`)
  }

  #askForCut(plan: RepairPlan, position: number, why: string): void {
    const { segments, segmentBytes, paths } = this.#directory
    if (!this.#cut) {
      plan.left.push(
        `${why}: the log can only be cut at ${position}. What lies behind is then no longer served, and is kept in ` +
          `lost+found; ask for it with --cut, after export has saved what can be read`,
      )
      return
    }
    const behind = segments.filter(({ base }) => base + segmentBytes > position)
    plan.steps.push({
      what: `cut the log at position ${position} (${why}), and keep what lies behind in lost+found`,
      apply: (lost) => {
        for (const { path, base, sizeBytes } of behind.toReversed()) {
          if (base >= position && base > this.#directory.min) lost.move(path, 'behind the cut')
          else if (sizeBytes > 0) {
            const byte = Math.max(0, position - base)
            lost.keep(path, byte, segmentBytes - byte, 'behind the cut')
            // Shorter and as long as before: all zero behind the cut.
            this.#withFile(path, (file) => {
              file.truncateSync(byte)
              file.truncateSync(segmentBytes)
            })
          }
        }
        this.#forgetCheckpoint(lost, 'it speaks of what was cut')
        for (const name of this.#disk.listSync(paths.index)) {
          const path = `${paths.index}/${name}`
          if (this.#disk.statSync(path)?.isDirectory === false) lost.move(path, 'it points to what was cut')
        }
      },
    })
  }

  #rebuildQueues({ steps }: RepairPlan): void {
    const { lost, wrongQueues, faults } = this.#check
    const chosen = new Set([...wrongQueues, ...lost.map(({ topic, queueId }) => keyOf(topic, queueId))])
    const { queues, queueFileBytes, strangeQueueNames } = this.#directory
    for (const path of strangeQueueNames) {
      if (/\/\d+\/[^/]+$/.test(path))
        steps.push({ what: `move ${path} to lost+found`, apply: (kept) => kept.move(path, 'no consume queue file') })
    }
    for (const { topic, queueId, files } of queues) {
      if (files.some(({ sizeBytes }) => sizeBytes !== queueFileBytes)) chosen.add(keyOf(topic, queueId))
      const odd = files.filter(({ sizeBytes }) => sizeBytes > queueFileBytes)
      for (const { path } of odd)
        steps.push({ what: `move ${path} to lost+found`, apply: (kept) => kept.move(path, 'of a wrong length') })
    }
    const isOrdinary = faults.every((fault) => fault.kind !== 'consume-queue' || fault.isOrdinary)
    // Where all are gone nothing tells how long their files are; a start builds them from the log.
    if (chosen.size === 0 || (isOrdinary && lost.length === 0) || !this.#directory.hasQueueFiles) return
    const names = [...chosen]
    steps.push({
      what: `write the entries of ${chosen.size === 1 ? 'consume queue' : `${chosen.size} consume queues:`} ${names.slice(0, 5).join(', ')}${names.length > 5 ? ', …' : ''} anew from the log, and keep their files in lost+found`,
      apply: (kept) => this.#writeQueues(chosen, kept),
    })
  }

  #writeQueues(chosen: ReadonlySet<string>, lost: LostFolder): void {
    // As the directory is by now: segments have been lengthened and made.
    const { disk, paths, segmentBytes, queueFileBytes } = this.#directory
    const { root, commitLog } = paths
    const now = new StoreDirectory({ disk, root, commitLog, segmentBytes, queueFileBytes, held: true })
    for (const { topic, queueId, files } of now.queues) {
      if (!chosen.has(keyOf(topic, queueId))) continue
      for (const { path, sizeBytes } of files) lost.keep(path, 0, sizeBytes, 'entries before they were written anew')
    }
    const place = placeOf(now, this.#delayLevels)
    const mend = new QueueMend({ directory: this.#directory, place, chosen })
    let messages = 0
    const { end } = logWalk(now, false).run({
      record(bytes, at, position, sizeBytes) {
        messages++
        if (place.parse(bytes, at)) mend.record(position, sizeBytes)
        return undefined
      },
      damage: () => {},
      progress: (doneBytes) =>
        this.#onProgress({ step: 'writing consume queues', doneBytes, totalBytes: now.logBytes, messages }),
    })
    mend.finish(end)
  }

  #mendCheckpoint({ steps }: RepairPlan): void {
    if (!this.#check.faults.some(({ kind, isOrdinary }) => kind === 'checkpoint' && !isOrdinary)) return
    steps.push({
      what: `make ${this.#directory.paths.checkpoint} say nothing, so that the next start reads the whole log`,
      apply: (lost) => this.#forgetCheckpoint(lost, 'it was wrong'),
    })
  }

  #forgetCheckpoint(lost: LostFolder, why: string): void {
    const { checkpoint: path } = this.#directory.paths
    if (this.#disk.statSync(path) === undefined) return
    lost.keep(path, 0, CHECKPOINT_BYTES, why)
    this.#withFile(path, (file) => {
      file.truncateSync(0)
      file.truncateSync(CHECKPOINT_BYTES)
    })
  }

  #mendConfig({ steps, left }: RepairPlan): void {
    for (const { kind, path, what, remedy, isOrdinary } of this.#check.faults) {
      if (kind !== 'config' || isOrdinary) continue
      if (remedy !== this.#directory.repairCommand) left.push(`${path}: ${what}; ${remedy}`)
      else if (path.endsWith('.bak'))
        steps.push({ what: `move ${path} to lost+found`, apply: (lost) => lost.move(path, what) })
      else {
        steps.push({
          what: `replace ${path} by its backup, and keep it in lost+found`,
          apply: (lost) => {
            if (this.#disk.statSync(path) !== undefined) lost.move(path, what)
            lost.copy(`${path}.bak`, path)
          },
        })
      }
    }
  }

  #withFile(path: string, work: (file: DiskFile) => void): void {
    const isNew = this.#disk.statSync(path) === undefined
    const file = this.#disk.openSync(path, 'write')
    try {
      work(file)
      file.datasyncSync()
    } finally {
      file.closeSync()
    }
    if (isNew) this.#disk.syncDirectorySync(path.slice(0, path.lastIndexOf('/')))
  }
}

function isWithin(entry: LostEntry, { position, end }: DamagedRange): boolean {
  return entry.position >= 0
    ? entry.position >= position && entry.position < end
    : entry.after < position && entry.before >= end
}

const PAGE_BYTES = 65_536

/** Leaves holes where nothing but zeros is written over nothing: most of a lost segment. */
function writeSparse(file: DiskFile, bytes: Buffer, at: number): void {
  const there = Buffer.alloc(PAGE_BYTES)
  for (let done = 0; done < bytes.length; done += PAGE_BYTES) {
    const piece = bytes.subarray(done, done + PAGE_BYTES)
    const count = file.readSync(there.subarray(0, piece.length), at + done)
    if (count < piece.length || there.compare(piece, 0, piece.length, 0, piece.length) !== 0) {
      file.writeSync(piece, at + done)
    }
  }
}
