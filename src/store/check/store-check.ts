import { ConfigFile } from '../../base/config-file.ts'
import { silentLog } from '../../base/console-log.ts'
import { objectOf } from '../../protocol/bodies.ts'
import { parseJavaObject } from '../../protocol/java-json.ts'
import { DeletedTopics } from '../deleted-topics.ts'
import type { LostEntry } from '../lost-records.ts'
import { type DamagedRange, type LogTail, LogWalk } from './log-walk.ts'
import { QueueCheck } from './queue-check.ts'
import { QueuePlace } from './queue-place.ts'
import { checkSmallFiles } from './small-files-check.ts'
import type { StoreDirectory } from './store-directory.ts'
import type { OnProgress, StoreFault } from './store-fault.ts'

/** Lost messages named one by one in a fault; of more, only their number. */
const NAMED = 5

export interface CheckResult {
  /** In the order of files and bytes. */
  faults: StoreFault[]
  /** Nothing is damaged: what was found, if anything, the next start mends by itself. */
  isSound: boolean
  damaged: DamagedRange[]
  lost: LostEntry[]
  tail: LogTail
  messages: number
  wrongQueues: Set<string>
}

export interface CheckOptions {
  directory: StoreDirectory
  delayLevels: string
  onProgress: OnProgress
}

/** Reads everything in a store directory, and changes nothing. */
export function checkStore({ directory, delayLevels, onProgress }: CheckOptions): CheckResult {
  const place = placeOf(directory, delayLevels)
  const queues = new QueueCheck({
    directory,
    place,
    knownTopics: knownTopicsOf(directory),
    extendedTopics: new Set(directory.disk.listSync(directory.paths.consumeQueueExtensions)),
  })
  const damaged: DamagedRange[] = []
  let messages = 0
  let lastStoreTimestamp = 0
  const tail = logWalk(directory, true).run({
    record(bytes, at, position, sizeBytes) {
      if (place.parse(bytes, at)) {
        const fault = queues.record(position, sizeBytes)
        if (fault !== undefined) return fault
      }
      if (lastStoreTimestamp === 0) for (const range of damaged) range.storeTimestamp = place.storeTimestamp
      if (place.storeTimestamp > lastStoreTimestamp) lastStoreTimestamp = place.storeTimestamp
      messages++
      return undefined
    },
    damage: (range) => damaged.push({ ...range, storeTimestamp: lastStoreTimestamp }),
    progress: (doneBytes) =>
      onProgress({ step: 'reading the log', doneBytes, totalBytes: directory.logBytes, messages }),
  })
  const { lost, faults } = queues.finish(damaged, tail.end)
  const all = [
    ...shapeFaults(directory),
    ...damaged.map((range) => rangeFault(directory, range, lost)),
    ...endFaults(directory, tail),
    ...faults,
    ...checkSmallFiles(directory, { end: tail.end, lastStoreTimestamp }),
  ]
  all.sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : a.byte - b.byte))
  return {
    faults: all,
    isSound: all.every(({ isOrdinary }) => isOrdinary),
    damaged,
    lost,
    tail,
    messages,
    wrongQueues: queues.wrongQueues,
  }
}

/** @param crc verify the bodies' checksums */
export function logWalk({ disk, segments, segmentBytes }: StoreDirectory, crc: boolean): LogWalk {
  return new LogWalk({ disk, segments, segmentBytes, crc })
}

/** Reads places of records as the broker of this directory would. */
export function placeOf(directory: StoreDirectory, delayLevels: string): QueuePlace {
  const deletedTopics = new DeletedTopics(new ConfigFile(directory.disk, directory.paths.deletedTopics, silentLog))
  try {
    deletedTopics.load(directory.min)
  } catch {
    // Said as a fault of the file.
  }
  return new QueuePlace({
    delayLevels,
    deletedTopics,
    skippedTopics: new Set(directory.disk.listSync(directory.paths.batchConsumeQueues)),
  })
}

function knownTopicsOf({ disk, paths }: StoreDirectory): ReadonlySet<string> | undefined {
  try {
    const config = new ConfigFile(disk, `${paths.config}/topics.json`, silentLog).loadAs(parseJavaObject)
    return config === undefined ? undefined : new Set(Object.keys(objectOf(config['topicConfigTable'])))
  } catch {
    return undefined
  }
}

/** What is wrong with names and lengths. */
function shapeFaults(directory: StoreDirectory): StoreFault[] {
  const { segments, segmentBytes, foreign, queues, queueFileBytes, repairCommand, comparedAtStart } = directory
  const faults: StoreFault[] = []
  const add = (kind: StoreFault['kind'], path: string, what: string, effect: string, isOrdinary = false): void => {
    faults.push({ kind, path, byte: 0, sizeBytes: 0, what, effect, remedy: repairCommand, isOrdinary })
  }
  for (const path of foreign) {
    add(
      'foreign-file',
      path,
      'no segment, and only segments may be here',
      'neither broker starts; no message is concerned',
    )
  }
  for (const [index, { path, base, sizeBytes }] of segments.entries()) {
    if (sizeBytes === 0 && index === segments.length - 1) {
      add('segment', path, 'an empty last segment', 'nothing is lost: a start removes it', true)
    } else if (sizeBytes > segmentBytes || base % segmentBytes !== 0) {
      add(
        'segment',
        path,
        `${sizeBytes} bytes from ${base}, and segments are of ${segmentBytes}`,
        'no start gets by it',
      )
    } else if (sizeBytes < segmentBytes) {
      faults.push({
        kind: 'segment',
        path,
        byte: sizeBytes,
        position: base + sizeBytes,
        sizeBytes: segmentBytes - sizeBytes,
        what: `the file is short: ${sizeBytes} of ${segmentBytes} bytes`,
        effect: 'messages that stood behind are lost, those before are safe; no start gets by it',
        remedy: repairCommand,
        isOrdinary: false,
      })
    }
  }
  for (const { files } of queues) {
    for (const { path, sizeBytes } of files) {
      if (sizeBytes === queueFileBytes) continue
      add(
        'consume-queue',
        path,
        `${sizeBytes} bytes long instead of ${queueFileBytes}`,
        'nothing is lost: entries are built from the log',
        comparedAtStart < Number.POSITIVE_INFINITY && sizeBytes < queueFileBytes,
      )
    }
  }
  return faults
}

function rangeFault(directory: StoreDirectory, range: DamagedRange, lost: readonly LostEntry[]): StoreFault {
  const { position, end, segment, what } = range
  const base = segment?.base ?? position
  const gone = lost.filter((entry) =>
    entry.position >= 0
      ? entry.position >= position && entry.position < end
      : entry.after < position && entry.before >= end,
  )
  return {
    kind: segment === undefined ? 'segment' : 'record',
    path: segment?.path ?? directory.pathOf(position),
    byte: position - base,
    position,
    sizeBytes: end - position,
    what: `${what}; ${end - position} bytes cannot be read, up to position ${end}`,
    effect: `${lostText(gone)}; all others, those behind too, are safe`,
    remedy: directory.repairCommand,
    isOrdinary: position >= directory.cutAtStart,
  }
}

function lostText(gone: readonly LostEntry[]): string {
  if (gone.length === 0) return 'no consume queue tells of a message in it'
  const named = gone
    .slice(0, NAMED)
    .map(({ topic, queueId, queueOffset }) => `${topic}/${queueId} offset ${queueOffset}`)
  const more = gone.length > NAMED ? ` and ${gone.length - NAMED} more` : ''
  return `${gone.length === 1 ? '1 message is' : `${gone.length} messages are`} lost: ${named.join(', ')}${more}`
}

/** What the end of the log is. */
function endFaults(directory: StoreDirectory, tail: LogTail): StoreFault[] {
  const { segments, syncedPosition, isUnclean, paths, repairCommand } = directory
  const base = directory.baseOf(tail.end)
  const path = segments.length === 0 ? paths.commitLog : directory.pathOf(tail.end)
  const common = { kind: 'log-end' as const, path, byte: tail.end - base, position: tail.end }
  if (tail.end < syncedPosition) {
    return [
      {
        ...common,
        sizeBytes: syncedPosition - tail.end,
        what: `the log ends at ${tail.end}${tail.what === '' ? '' : ` (${tail.what})`}, and had been synced up to ${syncedPosition}`,
        effect: `up to ${syncedPosition - tail.end} bytes of messages are lost; all before are safe; no start gets by it`,
        remedy: `${repairCommand} --cut`,
        isOrdinary: false,
      },
    ]
  }
  if (tail.isZero) return []
  return [
    {
      ...common,
      sizeBytes: 0,
      what: `behind the end stand bytes that are no message: ${tail.what}`,
      effect: 'a write was cut short by a crash; nothing that was synced is concerned, and the next start cuts it away',
      remedy: isUnclean ? 'the next start' : repairCommand,
      isOrdinary: true,
    },
  ]
}
