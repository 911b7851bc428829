import { MAGIC_V2, readMagic } from '../../protocol/message.ts'
import { keyOf } from './queue-check.ts'
import { logWalk, placeOf } from './store-check.ts'
import type { StoreDirectory } from './store-directory.ts'
import type { OnProgress } from './store-fault.ts'

export interface InspectedQueue {
  topic: string
  queueId: number
  /** Of what the log holds. */
  minOffset: number
  /** One behind the last. */
  maxOffset: number
  messages: number
  sizeBytes: number
}

export interface Inspection {
  directory: string
  segmentBytes: number
  segments: number
  minPosition: number
  endPosition: number
  messages: number
  /** Records that belong in no queue: of transactions. */
  unqueued: number
  /** Records by version of their form. */
  versions: Record<string, number>
  firstStoreTimestamp: number
  lastStoreTimestamp: number
  damagedBytes: number
  stop: 'clean' | 'unclean'
  lastWriter: string
  queues: InspectedQueue[]
}

/** Summarises what the log holds; bodies are not verified, which is what a check is for. */
export function inspectStore(directory: StoreDirectory, delayLevels: string, onProgress: OnProgress): Inspection {
  const place = placeOf(directory, delayLevels)
  const queues = new Map<string, InspectedQueue>()
  const versions: Record<string, number> = {}
  const result: Inspection = {
    directory: directory.paths.root,
    segmentBytes: directory.segmentBytes,
    segments: directory.segments.length,
    minPosition: directory.min,
    endPosition: 0,
    messages: 0,
    unqueued: 0,
    versions,
    firstStoreTimestamp: 0,
    lastStoreTimestamp: 0,
    damagedBytes: 0,
    stop: directory.isUnclean ? 'unclean' : 'clean',
    lastWriter: directory.lastWriter,
    queues: [],
  }
  const { end } = logWalk(directory, false).run({
    record(bytes, at, _position, sizeBytes) {
      result.messages++
      const version = readMagic(bytes, at) === MAGIC_V2 ? 'v2' : 'v1'
      versions[version] = (versions[version] ?? 0) + 1
      const inQueue = place.parse(bytes, at)
      if (result.firstStoreTimestamp === 0) result.firstStoreTimestamp = place.storeTimestamp
      result.lastStoreTimestamp = Math.max(result.lastStoreTimestamp, place.storeTimestamp)
      if (!inQueue) {
        result.unqueued++
        return undefined
      }
      const { topic, queueId, queueOffset } = place
      const key = keyOf(topic, queueId)
      let queue = queues.get(key)
      if (queue === undefined || queueOffset < queue.minOffset) {
        queue = { topic, queueId, minOffset: queueOffset, maxOffset: 0, messages: 0, sizeBytes: 0 }
        queues.set(key, queue)
      }
      queue.maxOffset = queueOffset + 1
      queue.messages++
      queue.sizeBytes += sizeBytes
      return undefined
    },
    damage: ({ position, end: to }) => {
      result.damagedBytes += to - position
    },
    progress: (doneBytes) =>
      onProgress({ step: 'reading the log', doneBytes, totalBytes: directory.logBytes, messages: result.messages }),
  })
  result.endPosition = end
  result.queues = [...queues.values()].sort((a, b) =>
    a.topic === b.topic ? a.queueId - b.queueId : a.topic < b.topic ? -1 : 1,
  )
  return result
}
