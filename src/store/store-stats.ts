import type { Scheduler } from '../base/scheduler.ts'

const SPANS = [10, 60, 600] as const
const SECONDS = 601

/** Events per second over the last 10, 60 and 600 seconds: a ring of seconds, nothing to do while idle. */
class RateWindow {
  readonly #counts = new Float64Array(SECONDS)
  #second = 0

  add(second: number, count: number): void {
    this.#moveTo(second)
    this.#counts[second % SECONDS]! += count
  }

  /** Average of the whole seconds before this one. */
  rate(second: number, overSeconds: number): number {
    this.#moveTo(second)
    let sum = 0
    for (let back = 1; back <= overSeconds; back++) sum += this.#counts[(second - back + SECONDS) % SECONDS]!
    return sum / overSeconds
  }

  #moveTo(second: number): void {
    if (second <= this.#second) return
    if (second - this.#second >= SECONDS) this.#counts.fill(0)
    else for (let next = this.#second + 1; next <= second; next++) this.#counts[next % SECONDS] = 0
    this.#second = second
  }
}

/** Upper bounds of Java's latency classes in ms, and the names that its runtime info gives them. */
const CLASSES: readonly (readonly [number, string])[] = [
  [0, '[<=0ms]'],
  [10, '[0~10ms]'],
  [50, '[10~50ms]'],
  [100, '[50~100ms]'],
  [200, '[100~200ms]'],
  [500, '[200~500ms]'],
  [1000, '[500ms~1s]'],
  [2000, '[1~2s]'],
  [3000, '[2~3s]'],
  [4000, '[3~4s]'],
  [5000, '[4~5s]'],
  [10_000, '[5~10s]'],
  [Number.POSITIVE_INFINITY, '[10s~]'],
]

/** What GET_BROKER_RUNTIME_INFO tells of traffic, counted as Java counts it. */
export class StoreStats {
  puts = 0
  failedPuts = 0
  putBytes = 0
  putMaxMs = 0
  getMaxMs = 0
  readonly bootTimestamp: number
  readonly #scheduler: Scheduler
  readonly #startSecond: number
  readonly #put = new RateWindow()
  readonly #found = new RateWindow()
  readonly #missed = new RateWindow()
  readonly #transferred = new RateWindow()
  /** Of the minute that runs, and of the last whole one, which is what is told. */
  #latencies = new Float64Array(CLASSES.length)
  #lastLatencies: Float64Array | undefined
  #minute = 0

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler
    this.bootTimestamp = scheduler.now()
    this.#startSecond = this.#second
  }

  get #second(): number {
    return Math.floor(this.#scheduler.monotonic() / 1000)
  }

  /** Messages of one turn, and how long they waited for their write. */
  written(messages: number, waitedMs: number): void {
    const second = this.#second
    this.#put.add(second, messages)
    this.#turnMinute(second)
    if (waitedMs > this.putMaxMs) this.putMaxMs = waitedMs
    const whole = Math.floor(waitedMs)
    let index = 0
    while (whole > CLASSES[index]![0]) index++
    this.#latencies[index]! += messages
  }

  read(messages: number): void {
    const second = this.#second
    if (messages === 0) this.#missed.add(second, 1)
    else this.#found.add(second, 1)
    this.#transferred.add(second, messages)
  }

  #turnMinute(second: number): void {
    const minute = Math.floor((second - this.#startSecond) / 60)
    if (minute === this.#minute) return
    this.#lastLatencies = minute === this.#minute + 1 ? this.#latencies : new Float64Array(CLASSES.length)
    this.#latencies = new Float64Array(CLASSES.length)
    this.#minute = minute
  }

  describe(): Record<string, string> {
    const second = this.#second
    this.#turnMinute(second)
    // Java tells no average over a time that has not passed yet; of the total it tells 0.0.
    const hasPassed = (span: number): boolean => second - this.#startSecond > span
    const rates = (window: RateWindow): string =>
      SPANS.map((span) => (hasPassed(span) ? javaDouble(window.rate(second, span)) : '')).join(' ')
    const total = SPANS.map((span) =>
      hasPassed(span) ? javaDouble(this.#found.rate(second, span) + this.#missed.rate(second, span)) : '0.0',
    ).join(' ')
    return {
      bootTimestamp: String(this.bootTimestamp),
      runtime: duration(this.#scheduler.now() - this.bootTimestamp),
      putMessageEntireTimeMax: String(Math.round(this.putMaxMs)),
      putMessageTimesTotal: String(this.puts),
      putMessageFailedTimes: String(this.failedPuts),
      putMessageSizeTotal: String(this.putBytes),
      putMessageDistributeTime: this.#distribution(),
      putMessageAverageSize: javaDouble(this.puts === 0 ? 0 : this.putBytes / this.puts),
      dispatchMaxBuffer: '0',
      getMessageEntireTimeMax: String(Math.round(this.getMaxMs)),
      putTps: rates(this.#put),
      getFoundTps: rates(this.#found),
      getMissTps: rates(this.#missed),
      getTotalTps: total,
      getTransferredTps: rates(this.#transferred),
      putLatency99: this.#quantile(0.99),
      putLatency999: this.#quantile(0.999),
    }
  }

  #distribution(): string {
    const latencies = this.#lastLatencies
    if (latencies === undefined) return 'null'
    return CLASSES.map(([, name], index) => `${name}:${latencies[index]} `).join('')
  }

  /** The upper bound of the class in which the quantile lies, in ms. */
  #quantile(share: number): string {
    const latencies = this.#lastLatencies
    if (latencies === undefined) return '0.00'
    let left = latencies.reduce((sum, count) => sum + count, 0) * share
    for (const [index, [bound]] of CLASSES.entries()) {
      left -= latencies[index]!
      if (left <= 0) return (Number.isFinite(bound) ? bound : this.putMaxMs).toFixed(2)
    }
    return '0.00'
  }
}

/** As Java writes a double: never without a point, in scientific notation below a thousandth. */
function javaDouble(value: number): string {
  if (value !== 0 && (value < 1e-3 || value >= 1e7)) {
    const [digits, exponent] = value.toExponential().split('e')
    return `${digits!.includes('.') ? digits : `${digits}.0`}E${Number(exponent)}`
  }
  return Number.isInteger(value) ? `${value}.0` : String(value)
}

function duration(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000))
  const [days, hours, minutes] = [
    Math.floor(seconds / 86_400),
    Math.floor(seconds / 3600) % 24,
    Math.floor(seconds / 60) % 60,
  ]
  return `[ ${days} days, ${hours} hours, ${minutes} minutes, ${seconds % 60} seconds ]`
}
