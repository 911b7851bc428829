import type { Stats } from './stats.ts'

export interface CountsProbe {
  putMessages: number
  putBytes: number
  putFailures: number
  getMessages: number
  getBytes: number
  getFound: number
  getMissed: number
}

interface QueueCount {
  messages: number
  bytes: number
}

/** Seconds-old sums per topic and group, so that counting a message costs a map look-up and two additions. */
export class Counts {
  readonly probe: CountsProbe
  readonly #stats: Stats
  readonly #clusterName: string
  readonly #puts = new Map<string, QueueCount>()
  readonly #gets = new Map<string, Map<string, QueueCount>>()

  constructor(stats: Stats, probe: CountsProbe, clusterName: string) {
    this.#stats = stats
    this.probe = probe
    this.#clusterName = clusterName
  }

  put(topic: string, _queueId: number, messages: number, sizeBytes: number): void {
    this.probe.putMessages += messages
    this.probe.putBytes += sizeBytes
    let count = this.#puts.get(topic)
    if (count === undefined) this.#puts.set(topic, (count = { messages: 0, bytes: 0 }))
    count.messages += messages
    count.bytes += sizeBytes
  }

  putFailed(): void {
    this.probe.putFailures++
  }

  get(topic: string, group: string, _queueId: number, messages: number, sizeBytes: number): void {
    if (messages === 0) {
      this.probe.getMissed++
      return
    }
    this.probe.getFound++
    this.probe.getMessages += messages
    this.probe.getBytes += sizeBytes
    let groups = this.#gets.get(topic)
    if (groups === undefined) this.#gets.set(topic, (groups = new Map()))
    let count = groups.get(group)
    if (count === undefined) groups.set(group, (count = { messages: 0, bytes: 0 }))
    count.messages += messages
    count.bytes += sizeBytes
  }

  /** Hands what was counted to the statistics; called once a second. */
  settle(): void {
    let puts = 0
    let gets = 0
    for (const [topic, { messages, bytes }] of this.#puts) {
      this.#stats.add('TOPIC_PUT_NUMS', topic, messages)
      this.#stats.add('TOPIC_PUT_SIZE', topic, bytes)
      puts += messages
    }
    for (const [topic, groups] of this.#gets) {
      for (const [group, { messages, bytes }] of groups) {
        this.#stats.add('GROUP_GET_NUMS', `${topic}@${group}`, messages)
        this.#stats.add('GROUP_GET_SIZE', `${topic}@${group}`, bytes)
        gets += messages
      }
    }
    if (puts > 0) this.#stats.add('BROKER_PUT_NUMS', this.#clusterName, puts)
    if (gets > 0) this.#stats.add('BROKER_GET_NUMS', this.#clusterName, gets)
    this.#puts.clear()
    this.#gets.clear()
  }
}
