import type { Disk } from '../../base/disk.ts'
import { Checkpoint } from '../checkpoint.ts'
import { UNIT_BYTES } from '../queue-unit.ts'
import { bootIdOf, holderOf } from '../store-lock.ts'
import { fileNameOf, firstByteOf, type StorePaths, storePaths } from '../store-paths.ts'
import { StoreUnreadable } from './store-fault.ts'

/** Java's defaults, when no file tells another size. */
const SEGMENT_BYTES = 1_073_741_824
const QUEUE_FILE_BYTES = 6_000_000

/** A file of the commit log as it lies there: perhaps shorter than it should be. */
export interface FoundSegment {
  readonly path: string
  readonly base: number
  readonly sizeBytes: number
}

/** The files of one consume queue as they lie there. */
export interface FoundQueue {
  readonly topic: string
  readonly queueId: number
  readonly directory: string
  readonly files: readonly { path: string; base: number; sizeBytes: number }[]
}

export interface DirectoryOptions {
  disk: Disk
  root: string
  /** '' for `commitlog` below the root. */
  commitLog: string
  /** mappedFileSizeCommitLog; undefined: as the files tell. */
  segmentBytes: number | undefined
  /** mappedFileSizeConsumeQueue; undefined: as the files tell. */
  queueFileBytes?: number | undefined
  /** Whoever asks holds the directory. */
  held?: boolean
}

/**
 * A store directory that no broker runs on, ours or Java's, seen as files: nothing is opened for writing and nothing is
 * believed. Sizes that are settings of the broker are told by the files themselves.
 */
export class StoreDirectory {
  readonly disk: Disk
  readonly paths: StorePaths
  /** In the order of their addresses. */
  readonly segments: readonly FoundSegment[]
  readonly segmentBytes: number
  /** Names in the folder of the commit log that are no segments. */
  readonly foreign: readonly string[]
  readonly queueFileBytes: number
  readonly queues: readonly FoundQueue[]
  readonly strangeQueueNames: readonly string[]
  /** The abort file is there: the last run did not end in order. */
  readonly isUnclean: boolean
  readonly checkpoint: Checkpoint

  /** @throws StoreUnreadable when there is no store, or a broker holds it */
  constructor(options: DirectoryOptions) {
    const { disk, root } = options
    this.disk = disk
    this.paths = storePaths(root, options.commitLog)
    if (disk.statSync(this.paths.root)?.isDirectory !== true) throw new StoreUnreadable(`${root} is not a folder`)
    if ([this.paths.commitLog, this.paths.consumeQueues].every((path) => disk.statSync(path) === undefined)) {
      const below = disk.statSync(`${this.paths.root}/store/commitlog`) === undefined ? '' : `; try ${root}/store`
      throw new StoreUnreadable(`${root} holds no store: neither commitlog nor consumequeue is there${below}`)
    }
    const holder = options.held === true ? undefined : holderOf(disk, this.paths)
    if (holder !== undefined) throw new StoreUnreadable(`${root} is in use by ${holder}: stop it first`)
    this.isUnclean = disk.statSync(this.paths.abort) !== undefined
    this.checkpoint = new Checkpoint(disk, this.paths.checkpoint, neverScheduled)
    this.checkpoint.load()
    const { segments, foreign } = segmentsIn(disk, this.paths.commitLog)
    this.segments = segments
    this.foreign = foreign
    this.segmentBytes = options.segmentBytes ?? this.#inferSegmentBytes()
    const { queues, strange } = queuesIn(disk, this.paths.consumeQueues)
    this.queues = queues
    this.strangeQueueNames = strange
    this.queueFileBytes = options.queueFileBytes ?? inferQueueFileBytes(queues, this.isUnclean)
  }

  get min(): number {
    return this.segments[0]?.base ?? 0
  }

  /** Bytes of all segments that are there. */
  get logBytes(): number {
    return this.segments.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
  }

  /** The checkpoint's own note of ours tells of the run that ended last. */
  get isNoteOurs(): boolean {
    const { note } = this.checkpoint
    return note !== undefined && note.clean !== this.isUnclean
  }

  /** Bytes up to here had been synced, as far as anybody noted. */
  get syncedPosition(): number {
    const { note, logicsPhysicalOffset } = this.checkpoint
    return Math.max(note?.flushedPosition ?? 0, logicsPhysicalOffset > 0 ? logicsPhysicalOffset + 1 : 0)
  }

  /** From here on our own next start compares consume queues with the log, and writes what is missing. */
  get comparedAtStart(): number {
    return this.isNoteOurs && this.isUnclean ? this.checkpoint.logicsPhysicalOffset : Number.POSITIVE_INFINITY
  }

  /** What our own next start cuts away by itself: unsynced bytes after a power loss, and the rest of a truncation. */
  get cutAtStart(): number {
    const { note } = this.checkpoint
    if (note === undefined || !this.isNoteOurs || !this.isUnclean) return Number.POSITIVE_INFINITY
    const bootId = bootIdOf(this.disk)
    const hasLostPower = bootId === '' || bootId !== note.bootId
    const truncatingTo = note.truncatingTo >= 0 ? note.truncatingTo : Number.POSITIVE_INFINITY
    return Math.min(truncatingTo, hasLostPower ? this.syncedPosition : Number.POSITIVE_INFINITY)
  }

  /** Whether any file tells how long consume queue files are: a setting of the broker. */
  get hasQueueFiles(): boolean {
    return this.queues.some(({ files }) => files.length > 0)
  }

  /** Who wrote last, as far as the checkpoint tells. */
  get lastWriter(): string {
    const { note, isUntouched } = this.checkpoint
    if (note === undefined) return 'another broker than CometMQ, or one before notes were kept'
    return this.isNoteOurs && isUntouched ? 'CometMQ' : 'CometMQ before, another broker last'
  }

  /** First address of the segment that a position belongs to. */
  baseOf(position: number): number {
    return position - (position % this.segmentBytes)
  }

  pathOf(position: number): string {
    return `${this.paths.commitLog}/${fileNameOf(this.baseOf(position))}`
  }

  get repairCommand(): string {
    const { root, commitLog } = this.paths
    const isElsewhere = commitLog !== `${root}/commitlog`
    return `cometmq store repair ${root}${isElsewhere ? ` --commitlog ${commitLog}` : ''}`
  }

  /** A broker's segments are all of one length, which is also the distance of their names. */
  #inferSegmentBytes(): number {
    const noted = this.checkpoint.note?.segmentBytes ?? 0
    const bases = this.segments.map(({ base }) => base)
    const sizes = new Map<number, number>()
    for (const { sizeBytes } of this.segments) sizes.set(sizeBytes, (sizes.get(sizeBytes) ?? 0) + 1)
    const fits = (bytes: number): boolean => bytes > 0 && bases.every((base) => base % bytes === 0)
    if (fits(noted)) return noted
    const candidates = [...sizes.keys()].filter(fits).sort((a, b) => sizes.get(b)! - sizes.get(a)! || b - a)
    if (candidates.length > 0) return candidates[0]!
    const distances = bases.slice(1).map((base, index) => base - bases[index]!)
    return distances.length > 0 ? Math.min(...distances) : SEGMENT_BYTES
  }
}

function segmentsIn(disk: Disk, directory: string): { segments: FoundSegment[]; foreign: string[] } {
  const segments: FoundSegment[] = []
  const foreign: string[] = []
  for (const name of disk.listSync(directory).sort()) {
    const path = `${directory}/${name}`
    const stat = disk.statSync(path)
    if (stat === undefined || stat.isDirectory) continue
    const base = firstByteOf(name)
    if (base === undefined || !Number.isSafeInteger(base)) foreign.push(path)
    else segments.push({ path, base, sizeBytes: stat.sizeBytes })
  }
  return { segments, foreign }
}

function queuesIn(disk: Disk, directory: string): { queues: FoundQueue[]; strange: string[] } {
  const queues: FoundQueue[] = []
  const strange: string[] = []
  for (const topic of disk.listSync(directory).sort()) {
    const topicPath = `${directory}/${topic}`
    if (disk.statSync(topicPath)?.isDirectory !== true) continue
    for (const name of disk.listSync(topicPath).sort((a, b) => Number(a) - Number(b))) {
      const path = `${topicPath}/${name}`
      if (!/^\d{1,10}$/.test(name)) {
        strange.push(path)
        continue
      }
      const files: FoundQueue['files'][number][] = []
      for (const file of disk.listSync(path).sort()) {
        const base = firstByteOf(file)
        if (base === undefined) strange.push(`${path}/${file}`)
        else files.push({ path: `${path}/${file}`, base, sizeBytes: disk.statSync(`${path}/${file}`)!.sizeBytes })
      }
      queues.push({ topic, queueId: Number(name), directory: path, files })
    }
  }
  return { queues, strange }
}

function inferQueueFileBytes(queues: readonly FoundQueue[], isUnclean: boolean): number {
  const sizes = new Map<number, number>()
  for (const { files } of queues) {
    for (const { base, sizeBytes } of files) {
      if (sizeBytes > 0 && sizeBytes % UNIT_BYTES === 0 && base % sizeBytes === 0) {
        sizes.set(sizeBytes, (sizes.get(sizeBytes) ?? 0) + 1)
      }
    }
  }
  const most = [...sizes].sort(([a, many], [b, more]) => more - many || b - a)[0]
  // After a crash many may be short; none is ever too long.
  return (isUnclean ? Math.max(0, ...sizes.keys()) : most?.[0]) || QUEUE_FILE_BYTES
}

/** Offline nothing waits for the clock. */
const neverScheduled = {
  now: () => 0,
  monotonic: () => 0,
  after: () => ({ cancel: () => {} }),
  every: () => ({ cancel: () => {} }),
  defer: () => {},
  soon: () => {},
  sleep: () => Promise.resolve(),
}
