import type { Scheduler, Timer } from '../base/scheduler.ts'

/** Sums of one thing since the start, and samples of them, newest last. */
interface Counter {
  sum: number
  times: number
  /** One a 10 s, of the last minute; one a 10 min, of the last hour; one an hour, of the last day. */
  minute: Sample[]
  hour: Sample[]
  day: Sample[]
}

interface Sample {
  atMs: number
  sum: number
  times: number
}

export interface Snapshot {
  sum: number
  tps: number
  avgpt: number
}

const SAMPLE_MS = 10_000
const MINUTE_SAMPLES = 7
const HOUR_SAMPLES = 7
const DAY_SAMPLES = 25
const SAMPLES_PER_HOUR_SAMPLE = 60
const SAMPLES_PER_DAY_SAMPLE = 360

/** Counts per statistic and key, sampled as Java does, for VIEW_BROKER_STATS_DATA. */
export class Stats {
  readonly #scheduler: Scheduler
  readonly #counters = new Map<string, Map<string, Counter>>()
  readonly #timer: Timer
  #samples = 0

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler
    this.#timer = scheduler.every(SAMPLE_MS, () => this.#sample())
  }

  /** @param times how many requests brought the value */
  add(name: string, key: string, value: number, times: number): void {
    let keys = this.#counters.get(name)
    if (keys === undefined) this.#counters.set(name, (keys = new Map()))
    let counter = keys.get(key)
    if (counter === undefined) keys.set(key, (counter = newCounter(this.#scheduler.monotonic())))
    counter.sum += value
    counter.times += times
  }

  /** undefined when it was never counted. */
  view(name: string, key: string): { statsMinute: Snapshot; statsHour: Snapshot; statsDay: Snapshot } | undefined {
    const counter = this.#counters.get(name)?.get(key)
    if (counter === undefined) return undefined
    return { statsMinute: snapshot(counter.minute), statsHour: snapshot(counter.hour), statsDay: snapshot(counter.day) }
  }

  /** Per second over the last minute. */
  tps(name: string, key: string): number {
    const counter = this.#counters.get(name)?.get(key)
    return counter === undefined ? 0 : snapshot(counter.minute).tps
  }

  /** Forgets what was counted for a topic or group. */
  forget(word: string): void {
    for (const keys of this.#counters.values()) {
      for (const key of keys.keys()) if (key.split('@').includes(word)) keys.delete(key)
    }
  }

  close(): void {
    this.#timer.cancel()
  }

  #sample(): void {
    this.#samples++
    const atMs = this.#scheduler.monotonic()
    const isHour = this.#samples % SAMPLES_PER_HOUR_SAMPLE === 0
    const isDay = this.#samples % SAMPLES_PER_DAY_SAMPLE === 0
    for (const keys of this.#counters.values()) {
      for (const [key, counter] of keys) {
        const { sum, times, minute, hour, day } = counter
        const sample = { atMs, sum, times }
        keep(minute, sample, MINUTE_SAMPLES)
        if (isHour) keep(hour, sample, HOUR_SAMPLES)
        if (!isDay) continue
        keep(day, sample, DAY_SAMPLES)
        // Nothing came for a whole day: nobody will miss it.
        if (day.length === DAY_SAMPLES && day[0]!.sum === sum) keys.delete(key)
      }
    }
  }
}

/** All begin at zero, so that the first sample tells a rate already. */
function newCounter(atMs: number): Counter {
  const zero = { atMs, sum: 0, times: 0 }
  return { sum: 0, times: 0, minute: [zero], hour: [zero], day: [zero] }
}

function keep(samples: Sample[], sample: Sample, most: number): void {
  samples.push(sample)
  if (samples.length > most) samples.shift()
}

function snapshot(samples: readonly Sample[]): Snapshot {
  const first = samples[0]
  const last = samples[samples.length - 1]
  if (first === undefined || last === undefined) return { sum: 0, tps: 0, avgpt: 0 }
  const sum = last.sum - first.sum
  const times = last.times - first.times
  const seconds = (last.atMs - first.atMs) / 1_000
  return { sum, tps: seconds > 0 ? sum / seconds : 0, avgpt: times > 0 ? sum / times : 0 }
}
