import type { LostEntry } from '../lost-records.ts'
import {
  FILLER_SIZE,
  isExtensionAddress,
  UNIT_BYTES,
  type Units,
  unitPosition,
  unitSize,
  unitTagsHigh,
  unitTagsLow,
} from '../queue-unit.ts'
import type { DamagedRange } from './log-walk.ts'
import type { QueuePlace } from './queue-place.ts'
import { QueueUnits } from './queue-units.ts'
import type { FoundQueue, StoreDirectory } from './store-directory.ts'
import type { StoreFault } from './store-fault.ts'

/** Behind the end of a queue so many entries are looked at. */
const BEHIND_UNITS = 512

type Wrong = 'missing' | 'wrong' | 'stray'

interface WrongRange {
  kind: Wrong
  from: number
  to: number
  /** Of the first message concerned. */
  position: number
}

interface QueueState {
  queue: FoundQueue
  /** What the log holds of it. */
  first: number
  next: number
  lastPosition: number
  wrong: WrongRange[]
  lost: LostEntry[]
}

export interface QueueSummary {
  topic: string
  queueId: number
  minOffset: number
  maxOffset: number
}

/** Compares the consume queues with the log, while somebody walks over it, in the order of the log. */
export class QueueCheck {
  readonly #directory: StoreDirectory
  readonly #units: QueueUnits
  readonly #place: QueuePlace
  readonly #extendedTopics: ReadonlySet<string>
  /** undefined: nobody knows. */
  readonly #knownTopics: ReadonlySet<string> | undefined
  readonly #states = new Map<string, QueueState>()

  constructor(parts: {
    directory: StoreDirectory
    place: QueuePlace
    knownTopics: ReadonlySet<string> | undefined
    extendedTopics: ReadonlySet<string>
  }) {
    this.#directory = parts.directory
    this.#place = parts.place
    this.#knownTopics = parts.knownTopics
    this.#extendedTopics = parts.extendedTopics
    this.#units = new QueueUnits(parts.directory.disk, parts.directory.queueFileBytes)
    for (const queue of parts.directory.queues) this.#add(queue)
  }

  #add(queue: FoundQueue): QueueState {
    const state: QueueState = { queue, first: -1, next: -1, lastPosition: -1, wrong: [], lost: [] }
    this.#states.set(keyOf(queue.topic, queue.queueId), state)
    return state
  }

  /** A record of the log, whose place was just parsed. @returns why its place cannot be right */
  record(position: number, sizeBytes: number): string | undefined {
    const { topic, queueId, queueOffset } = this.#place
    let state = this.#states.get(keyOf(topic, queueId))
    if (state === undefined) {
      const directory = `${this.#directory.paths.consumeQueues}/${topic}/${queueId}`
      state = this.#add({ topic, queueId, directory, files: [] })
    }
    const expected = state.next >= 0 || this.#directory.min > 0 ? state.next : 0
    const isBehind = queueOffset < expected && queueOffset !== 0
    const isFar = expected >= 0 && queueOffset > expected + this.#units.unitsPerFile
    if (isBehind || isFar || queueOffset < 0) {
      return `a record says that it is offset ${queueOffset} of ${topic}/${queueId}, which is at ${Math.max(0, expected)}`
    }
    if (queueOffset < state.next) {
      // The topic was deleted and made anew: what came before is nobody's any more.
      state.wrong = []
      state.lost = []
      state.first = -1
      state.next = -1
    }
    if (state.next < 0) this.#begin(state, queueOffset, position)
    else for (let offset = state.next; offset < queueOffset; offset++) this.#absent(state, offset, position)
    const fault = this.#compare(this.#units.find(state.queue, queueOffset), position, sizeBytes, topic)
    if (fault !== undefined) addWrong(state, fault, queueOffset, position)
    state.next = queueOffset + 1
    state.lastPosition = position
    return undefined
  }

  /** The entries before the first record that the log holds: of expired messages, or of lost ones. */
  #begin(state: QueueState, queueOffset: number, position: number): void {
    state.first = queueOffset
    for (let offset = queueOffset - 1; offset >= this.#units.first(state.queue); offset--) {
      const units = this.#units.find(state.queue, offset)
      if (units === undefined || unitSize(units.view, units.at) === FILLER_SIZE) break
      if (unitPosition(units.view, units.at) < this.#directory.min) break
      state.lost.unshift(this.#lostEntry(state, offset, units, this.#directory.min, position))
    }
  }

  /** No record of this offset came, though a later one did. */
  #absent(state: QueueState, offset: number, before: number): void {
    state.lost.push(this.#lostEntry(state, offset, this.#units.find(state.queue, offset), state.lastPosition, before))
  }

  #lostEntry(
    { queue }: QueueState,
    queueOffset: number,
    units: Units | undefined,
    after: number,
    before: number,
  ): LostEntry {
    const position = units === undefined ? -1 : unitPosition(units.view, units.at)
    const isThere = units !== undefined && position >= after && position < before
    return {
      topic: queue.topic,
      queueId: queue.queueId,
      queueOffset,
      position: isThere ? position : -1,
      sizeBytes: isThere ? unitSize(units.view, units.at) : 0,
      tagsLow: isThere ? unitTagsLow(units.view, units.at) : 0,
      tagsHigh: isThere ? unitTagsHigh(units.view, units.at) : 0,
      after,
      before,
    }
  }

  #compare(units: Units | undefined, position: number, sizeBytes: number, topic: string): Wrong | undefined {
    if (units === undefined) return 'missing'
    if (unitPosition(units.view, units.at) !== position || unitSize(units.view, units.at) !== sizeBytes) return 'wrong'
    const { tagsLow, tagsHigh, isSchedule } = this.#place
    const [low, high] = [unitTagsLow(units.view, units.at), unitTagsHigh(units.view, units.at)]
    if ((low === tagsLow && high === tagsHigh) || isSchedule) return undefined
    return isExtensionAddress(low, high) && this.#extendedTopics.has(topic) ? undefined : 'wrong'
  }

  /** What is left when the walk is over: messages that damage took, and entries that are wrong. */
  finish(damaged: readonly DamagedRange[], logEnd: number): { lost: LostEntry[]; faults: StoreFault[] } {
    const lost: LostEntry[] = []
    const faults: StoreFault[] = []
    for (const state of this.#states.values()) {
      this.#lookBehind(state, logEnd)
      for (const entry of state.lost) {
        const range = damaged.find(({ position, end }) =>
          entry.position >= 0
            ? entry.position >= position && entry.position < end
            : position > entry.after && end <= entry.before,
        )
        if (range === undefined) {
          // Offsets that were never given to a message: somebody else's gap, of which an entry must not speak.
          if (entry.position >= 0) addWrong(state, 'wrong', entry.queueOffset, entry.position)
        } else {
          lost.push(entry)
          if (entry.position < 0) addWrong(state, 'missing', entry.queueOffset, range.position)
        }
      }
      state.wrong.sort((a, b) => a.from - b.from)
      faults.push(...this.#faultsOf(state))
    }
    this.#units.close()
    return { lost: lost.sort((a, b) => a.position - b.position || a.queueOffset - b.queueOffset), faults }
  }

  /** Entries behind the last record of a queue: of messages lost, or of an end that was cut. */
  #lookBehind(state: QueueState, logEnd: number): void {
    const from = state.next >= 0 ? state.next : this.#units.first(state.queue)
    let isDense = true
    for (let offset = from; isDense || offset < from + BEHIND_UNITS; offset++) {
      const units = this.#units.find(state.queue, offset)
      if (units === undefined) {
        isDense = false
        continue
      }
      const position = unitPosition(units.view, units.at)
      if (unitSize(units.view, units.at) === FILLER_SIZE || position < this.#directory.min) continue
      if (position >= logEnd || !isDense) addWrong(state, 'stray', offset, position)
      else state.lost.push(this.#lostEntry(state, offset, units, state.lastPosition, logEnd))
    }
  }

  #faultsOf(state: QueueState): StoreFault[] {
    const { topic, queueId, files, directory } = state.queue
    if (state.wrong.length === 0) return []
    const isDeleted = this.#knownTopics !== undefined && !this.#knownTopics.has(topic) && files.length === 0
    if (isDeleted) return []
    const { isUnclean, repairCommand, hasQueueFiles, comparedAtStart } = this.#directory
    const common = { kind: 'consume-queue' as const, remedy: repairCommand }
    const isAll = state.wrong.every(({ kind }) => kind === 'missing') && files.length === 0
    if (isAll) {
      const count = state.wrong.reduce((sum, { from, to }) => sum + to - from, 0)
      return [
        {
          ...common,
          path: directory,
          byte: 0,
          sizeBytes: count * UNIT_BYTES,
          what: `the consume queue of ${topic}/${queueId} is missing; the log holds ${entries(count)} of it`,
          effect: 'nothing is lost: it is built from the log',
          remedy: hasQueueFiles ? repairCommand : 'the next start of either broker',
          isOrdinary: isUnclean || !hasQueueFiles,
        },
      ]
    }
    return state.wrong.map(({ kind, from, to, position }) => ({
      ...common,
      ...this.#units.place(state.queue, from),
      position,
      sizeBytes: (to - from) * UNIT_BYTES,
      what: `${entries(to - from)} of ${topic}/${queueId} from offset ${from} ${WORDS[kind]}`,
      effect:
        kind === 'stray'
          ? 'no message belongs to them'
          : 'nothing is lost: entries are built from the log; until then those messages are not read',
      // After a crash the end of a queue is behind the log, or before it.
      isOrdinary:
        position >= comparedAtStart || (isUnclean && (kind === 'stray' || (kind === 'missing' && to === state.next))),
    }))
  }

  /** Queues with entries that differ. */
  get wrongQueues(): Set<string> {
    return new Set([...this.#states].filter(([, { wrong }]) => wrong.length > 0).map(([key]) => key))
  }
}

const WORDS: Record<Wrong, string> = {
  missing: 'are missing',
  wrong: 'do not point to the messages that they stand for',
  stray: 'point behind the end of the log',
}

const entries = (count: number): string => (count === 1 ? '1 entry' : `${count} entries`)

export const keyOf = (topic: string, queueId: number): string => `${topic}/${queueId}`

function addWrong(state: QueueState, kind: Wrong, offset: number, position: number): void {
  const last = state.wrong[state.wrong.length - 1]
  if (last !== undefined && last.kind === kind && last.to === offset) last.to++
  else state.wrong.push({ kind, from: offset, to: offset + 1, position })
}
