/** A topic as the store knows it: its name, once, and the numbers of its queues. */
export interface TopicEntry {
  readonly name: string
  /** UTF-8, as records hold it. */
  readonly bytes: Buffer
  /** Delay levels: the tag code of a message here is its time of delivery. */
  readonly isSchedule: boolean
  /** Number of each queue, by queue id; undefined or -1 where none is. */
  readonly queues: number[]
  /** Queue ids beyond the array, which nobody should use but a client can send. */
  far: Map<number, number> | undefined
}

const SCHEDULE_TOPIC = 'SCHEDULE_TOPIC_XXXX'
const NEAR = 4096
const FIRST_CAPACITY = 64

/**
 * Queues are numbers inside the store; names are looked up once per message. What every queue needs lies packed in
 * typed arrays, so that a queue which nobody uses costs some 40 bytes.
 */
export class QueueTable {
  /** Next queue offset to give out. */
  next: Float64Array = new Float64Array(FIRST_CAPACITY)
  /** End of what consumers see. */
  max: Float64Array = new Float64Array(FIRST_CAPACITY)
  /** First offset whose message the log still holds. */
  min: Float64Array = new Float64Array(FIRST_CAPACITY)
  /** Position of the last entry; -1 for none. */
  lastPosition: Float64Array = new Float64Array(FIRST_CAPACITY)
  queueId: Int32Array = new Int32Array(FIRST_CAPACITY)
  /** Numbers of the first and last file of the queue, counted from queue offset 0; -1 for none. */
  firstFile: Int32Array = new Int32Array(FIRST_CAPACITY)
  lastFile: Int32Array = new Int32Array(FIRST_CAPACITY)
  #topicOf: (TopicEntry | undefined)[] = []
  #byName = new Map<string, TopicEntry>()
  #count = 0

  /** Numbers given so far; some may belong to deleted topics. */
  get count(): number {
    return this.#count
  }

  get topics(): IterableIterator<TopicEntry> {
    return this.#byName.values()
  }

  /** undefined once the topic is deleted. */
  topicOf(queue: number): TopicEntry | undefined {
    return this.#topicOf[queue]
  }

  topic(name: string): TopicEntry | undefined {
    return this.#byName.get(name)
  }

  internTopic(name: string): TopicEntry {
    let entry = this.#byName.get(name)
    if (entry === undefined) {
      const bytes = Buffer.from(name, 'utf8')
      entry = { name, bytes, isSchedule: name === SCHEDULE_TOPIC, queues: [], far: undefined }
      this.#byName.set(name, entry)
    }
    return entry
  }

  /** Number of a queue, or -1. */
  find(topic: string, queueId: number): number {
    const entry = this.#byName.get(topic)
    if (entry === undefined) return -1
    return (queueId < NEAR ? entry.queues[queueId] : entry.far?.get(queueId)) ?? -1
  }

  /** Number of a queue, given now if it has none. */
  intern(entry: TopicEntry, queueId: number): number {
    const known = queueId < NEAR ? entry.queues[queueId] : entry.far?.get(queueId)
    if (known !== undefined && known >= 0) return known
    const queue = this.#count++
    if (queue === this.next.length) this.#grow()
    this.queueId[queue] = queueId
    this.lastPosition[queue] = -1
    this.firstFile[queue] = -1
    this.lastFile[queue] = -1
    this.#topicOf[queue] = entry
    if (queueId < NEAR) {
      // Filled, so that the array stays a packed one.
      while (entry.queues.length < queueId) entry.queues.push(-1)
      entry.queues[queueId] = queue
    } else {
      entry.far ??= new Map()
      entry.far.set(queueId, queue)
    }
    return queue
  }

  /** Numbers of all queues of a topic. */
  queuesOf(entry: TopicEntry): number[] {
    return [...entry.queues.filter((queue) => queue >= 0), ...(entry.far?.values() ?? [])]
  }

  /** Forgets one queue; its number is not given again. A topic without queues is forgotten too. */
  deleteQueue(queue: number): void {
    const entry = this.#topicOf[queue]!
    const queueId = this.queueId[queue]!
    this.#topicOf[queue] = undefined
    if (queueId < NEAR) entry.queues[queueId] = -1
    else entry.far?.delete(queueId)
    if (this.queuesOf(entry).length === 0) this.#byName.delete(entry.name)
  }

  /** Forgets a topic; its numbers are not given again. */
  delete(entry: TopicEntry): void {
    for (const queue of this.queuesOf(entry)) this.#topicOf[queue] = undefined
    this.#byName.delete(entry.name)
  }

  clear(): void {
    this.#topicOf = []
    this.#byName.clear()
    this.#count = 0
    this.next.fill(0)
    this.max.fill(0)
    this.min.fill(0)
  }

  #grow(): void {
    const capacity = this.next.length * 2
    const grown = <T extends Float64Array | Int32Array>(from: T, to: T): T => {
      to.set(from)
      return to
    }
    this.next = grown(this.next, new Float64Array(capacity))
    this.max = grown(this.max, new Float64Array(capacity))
    this.min = grown(this.min, new Float64Array(capacity))
    this.lastPosition = grown(this.lastPosition, new Float64Array(capacity))
    this.queueId = grown(this.queueId, new Int32Array(capacity))
    this.firstFile = grown(this.firstFile, new Int32Array(capacity))
    this.lastFile = grown(this.lastFile, new Int32Array(capacity))
  }
}
