import type { Probe } from '../base/probe.ts'
import type { Scheduler, Timer } from '../base/scheduler.ts'
import type { Stats } from './stats.ts'

export interface CountsProbe extends Probe {
  putMessages: number
  putBytes: number
  putFailures: number
  getMessages: number
  getBytes: number
  getFound: number
  getMissed: number
}

interface Count {
  /** Requests: a batch is one. */
  times: number
  messages: number
  bytes: number
}

const newCount = (): Count => ({ times: 0, messages: 0, bytes: 0 })

export function countsProbe(): CountsProbe {
  return {
    putMessages: 0,
    putBytes: 0,
    putFailures: 0,
    getMessages: 0,
    getBytes: 0,
    getFound: 0,
    getMissed: 0,
  }
}

const SECOND_MS = 1_000

/** Sums per topic and group, a second old at most, so that counting a message costs a map look-up and two additions. */
export class Counts {
  readonly probe: CountsProbe
  /** Messages put and got until the last two midnights, local time. */
  readonly midnights: { putYesterday: number; putToday: number; getYesterday: number; getToday: number } = {
    putYesterday: 0,
    putToday: 0,
    getYesterday: 0,
    getToday: 0,
  }
  readonly #scheduler: Scheduler
  readonly #stats: Stats
  readonly #clusterName: string
  readonly #puts = new Map<string, Count>()
  readonly #gets = new Map<string, Map<string, Count>>()
  readonly #timer: Timer
  #date: string

  constructor(scheduler: Scheduler, stats: Stats, probe: CountsProbe, clusterName: string) {
    this.#scheduler = scheduler
    this.#stats = stats
    this.probe = probe
    this.#clusterName = clusterName
    this.#date = this.#today()
    this.#timer = scheduler.every(SECOND_MS, () => {
      this.settle()
      if (this.#date !== this.#today()) this.#midnight()
    })
  }

  close(): void {
    this.#timer.cancel()
  }

  put(topic: string, messages: number, sizeBytes: number): void {
    this.probe.putMessages += messages
    this.probe.putBytes += sizeBytes
    let count = this.#puts.get(topic)
    if (count === undefined) this.#puts.set(topic, (count = newCount()))
    count.times++
    count.messages += messages
    count.bytes += sizeBytes
  }

  putFailed(): void {
    this.probe.putFailures++
  }

  get(topic: string, group: string, messages: number, sizeBytes: number): void {
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
    if (count === undefined) groups.set(group, (count = newCount()))
    count.times++
    count.messages += messages
    count.bytes += sizeBytes
  }

  /** Hands what was counted to the statistics; called once a second. */
  settle(): void {
    const stats = this.#stats
    const puts = newCount()
    const gets = newCount()
    for (const [topic, { times, messages, bytes }] of this.#puts) {
      stats.add('TOPIC_PUT_NUMS', topic, messages, times)
      stats.add('TOPIC_PUT_SIZE', topic, bytes, times)
      puts.messages += messages
      puts.times += times
    }
    for (const [topic, groups] of this.#gets) {
      for (const [group, { times, messages, bytes }] of groups) {
        const key = `${topic}@${group}`
        stats.add('GROUP_GET_NUMS', key, messages, times)
        stats.add('GROUP_GET_SIZE', key, bytes, times)
        gets.messages += messages
        gets.times += times
      }
    }
    if (puts.times > 0) stats.add('BROKER_PUT_NUMS', this.#clusterName, puts.messages, puts.times)
    if (gets.times > 0) stats.add('BROKER_GET_NUMS', this.#clusterName, gets.messages, gets.times)
    this.#puts.clear()
    this.#gets.clear()
  }

  #midnight(): void {
    const { midnights, probe } = this
    midnights.putYesterday = midnights.putToday
    midnights.getYesterday = midnights.getToday
    midnights.putToday = probe.putMessages
    midnights.getToday = probe.getMessages
    this.#date = this.#today()
  }

  #today(): string {
    return new Date(this.#scheduler.now()).toDateString()
  }
}
