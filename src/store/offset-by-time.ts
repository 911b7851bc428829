export type Boundary = 'lower' | 'upper'

/**
 * Finds the queue offset for a point in time; store times grow along a queue.
 *
 * Lower is the first message stored at or after `timestampMs`, or the end of the queue; upper is the last one stored
 * at or before it, or the beginning.
 *
 * @param storeTimestamp of the message at an offset; -1 when it cannot be read, which Java answers with the beginning
 * @see ConsumeQueue.java, binarySearchInQueueByTime
 */
export function offsetByTime(
  min: number,
  max: number,
  timestampMs: number,
  boundary: Boundary,
  storeTimestamp: (queueOffset: number) => number,
): number {
  if (max <= min) return max === 0 ? 0 : min
  // First offset whose time is at or after (lower), or after (upper).
  let low = min
  let high = max
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    const time = storeTimestamp(middle)
    if (time < 0) return min
    const isBefore = boundary === 'lower' ? time < timestampMs : time <= timestampMs
    if (isBefore) low = middle + 1
    else high = middle
  }
  return boundary === 'lower' ? low : Math.max(min, low - 1)
}
