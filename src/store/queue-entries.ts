import type { ConsumeQueues } from './consume-queue.ts'
import type { QueueEntry } from './message-store.ts'
import { UNIT_BYTES, unitPosition, unitPresent, unitSize, unitTagsHigh, unitTagsLow } from './queue-unit.ts'

/** Entries of a queue from an offset on, up to the first that is absent. */
export function entriesOf(queues: ConsumeQueues, queue: number, from: number, count: number): QueueEntry[] {
  const found: QueueEntry[] = []
  for (let offset = from; found.length < count; ) {
    const units = queues.units(queue, offset, count - found.length)
    if (units.count === 0) break
    for (let index = 0; index < units.count; index++, offset++) {
      const at = units.at + index * UNIT_BYTES
      if (!unitPresent(units.view, at)) return found
      found.push({
        queueOffset: offset,
        position: unitPosition(units.view, at),
        sizeBytes: unitSize(units.view, at),
        tagsCode: (BigInt(unitTagsHigh(units.view, at)) << 32n) | BigInt(unitTagsLow(units.view, at) >>> 0),
      })
    }
  }
  return found
}
