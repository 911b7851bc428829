import type { Scheduler, Timer } from '../base/scheduler.ts'

/** Sums of one thing since the start, and samples of them, newest last. */
interface Counter {
  sum: number
  times: number
  /** One a 10 s, of the last minute; one a 10 min, of the last hour; one an hour, of the last day. */
  minute: Sample[]
  hour: Sample[]
  day: Sample[]
  idleMinutes: number
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

  add(name: string, key: string, value: number): void {
    let keys = this.#counters.get(name)
    if (keys === undefined) this.#counters.set(name, (keys = new Map()))
    let counter = keys.get(key)
    if (counter === undefined)
      keys.set(key, (counter = { sum: 0, times: 0, minute: [], hour: [], day: [], idleMinutes: 0 }))
    counter.sum += value
    counter.times++
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
    for (const keys of this.#counters.values()) {
      for (const counter of keys.values()) {
        const sample = { atMs, sum: counter.sum, times: counter.times }
        keep(counter.minute, sample, MINUTE_SAMPLES)
        if (this.#samples % SAMPLES_PER_HOUR_SAMPLE === 1) keep(counter.hour, sample, HOUR_SAMPLES)
        if (this.#samples % SAMPLES_PER_DAY_SAMPLE === 1) keep(counter.day, sample, DAY_SAMPLES)
      }
    }
  }
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

/** Rates over the last 10 s, 60 s and 600 s of a number that only grows. */
export class Rates {
  readonly #scheduler: Scheduler
  readonly #read: () => number
  readonly #samples: { atMs: number; value: number }[] = []

  constructor(scheduler: Scheduler, read: () => number) {
    this.#scheduler = scheduler
    this.#read = read
    this.sample()
  }

  /** Called once a second. */
  sample(): void {
    this.#samples.push({ atMs: this.#scheduler.monotonic(), value: this.#read() })
    if (this.#samples.length > 602) this.#samples.shift()
  }

  /** `1.5 0.2 0.01`, as runtime info has it. */
  text(): string {
    return [10, 60, 600].map((seconds) => this.#over(seconds)).join(' ')
  }

  #over(seconds: number): number {
    const last = this.#samples[this.#samples.length - 1]!
    const first = this.#samples[Math.max(0, this.#samples.length - 1 - seconds)]!
    const elapsed = (last.atMs - first.atMs) / 1_000
    return elapsed > 0 ? (last.value - first.value) / elapsed : 0
  }
}
