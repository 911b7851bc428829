import type { Scheduler } from '../base/scheduler.ts'
import type { StoreProgress } from '../store/check/store-fault.ts'

const REDRAW_MS = 100
const LINE_MS = 5_000
const BAR_WIDTH = 24

/** Shows how far something has got: a bar where somebody looks, else a line from time to time. */
export class Progress {
  readonly #scheduler: Scheduler
  readonly #stream: { isTTY?: boolean; write(text: string): unknown }
  readonly #started: number
  #next: number
  #drawn = false

  constructor(scheduler: Scheduler, stream: { isTTY?: boolean; write(text: string): unknown }) {
    this.#scheduler = scheduler
    this.#stream = stream
    this.#started = scheduler.monotonic()
    this.#next = this.#started + this.#periodMs
  }

  get #periodMs(): number {
    return this.#stream.isTTY === true ? REDRAW_MS : LINE_MS
  }

  readonly show = (progress: StoreProgress): void => {
    const now = this.#scheduler.monotonic()
    if (now < this.#next) return
    this.#next = now + this.#periodMs
    const text = progressText(progress, now - this.#started)
    if (this.#stream.isTTY !== true) this.#stream.write(`${text}\n`)
    else {
      this.#drawn = true
      this.#stream.write(`\r\u001b[K${barOf(progress)} ${text}`)
    }
  }

  /** Takes the bar away: what follows is the result. */
  clear(): void {
    if (this.#drawn) this.#stream.write('\r\u001b[K')
    this.#drawn = false
  }
}

function barOf({ doneBytes, totalBytes }: StoreProgress): string {
  const full = Math.min(BAR_WIDTH, Math.floor((doneBytes / Math.max(1, totalBytes)) * BAR_WIDTH))
  return `[${'#'.repeat(full)}${'.'.repeat(BAR_WIDTH - full)}]`
}

/** Percent, rate and time left. */
export function progressText({ step, doneBytes, totalBytes, messages }: StoreProgress, ms: number): string {
  const percent = Math.floor((doneBytes / Math.max(1, totalBytes)) * 100)
  const perSecond = doneBytes / Math.max(0.001, ms / 1000)
  const left = perSecond > 0 ? `, ${Math.ceil((totalBytes - doneBytes) / perSecond)} s left` : ''
  return `${step}: ${percent} %, ${messages} messages, ${bytesText(perSecond)}/s${left}`
}

export function bytesText(bytes: number): string {
  if (bytes < 1024) return `${Math.round(bytes)} B`
  for (const [size, unit] of [
    [1_073_741_824, 'GiB'],
    [1_048_576, 'MiB'],
  ] as const) {
    if (bytes >= size) return `${(bytes / size).toFixed(1)} ${unit}`
  }
  return `${(bytes / 1024).toFixed(1)} KiB`
}
