import { readFileSync } from 'node:fs'
import type { Driver, DriverArgs, Facts } from '../runner/driver.ts'

/** Sends that go on whatever happens to the server, each once, and what the client was told of each. */
export class Load {
  readonly #driver: Driver
  readonly #name: string
  readonly #file: string
  readonly #facts: Promise<Facts>
  #acknowledged = 0
  #ended: Facts | undefined
  #wake: (() => void)[] = []

  constructor(driver: Driver, args: DriverArgs & { topic: string; file: string }) {
    this.#driver = driver
    this.#name = args.topic
    this.#file = args.file
    const onProgress = (count: number): void => {
      this.#acknowledged = count
      this.#wakeAll()
    }
    this.#facts = driver.run('load', { ...args, name: args.topic }, { timeoutMs: 600_000, onProgress })
    void this.#facts.then((facts) => {
      this.#ended = facts
      this.#wakeAll()
    })
  }

  #wakeAll(): void {
    const waiting = this.#wake
    this.#wake = []
    for (const wake of waiting) wake()
  }

  /** Waits until so many more are acknowledged than now. */
  async acknowledges(more: number, timeoutMs = 60_000): Promise<void> {
    const wanted = this.#acknowledged + more
    const deadline = performance.now() + timeoutMs
    while (this.#acknowledged < wanted) {
      if (this.#ended !== undefined) throw new Error(`the load ended: ${this.#ended.error}`)
      const leftMs = deadline - performance.now()
      if (leftMs <= 0) {
        const missing = wanted - this.#acknowledged
        const told = await Promise.race([this.stop().then(({ facts }) => JSON.stringify(facts)), afterAWhile()])
        throw new Error(`${missing} of ${more} acknowledgements did not come in ${timeoutMs} ms: ${told}`)
      }
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, leftMs)
        this.#wake.push(() => {
          clearTimeout(timer)
          resolve()
        })
      })
    }
  }

  async stop(): Promise<{ facts: Facts; fates: Fates }> {
    await this.#driver.must('load-stop', { name: this.#name })
    const facts = await this.#facts
    if (!facts.ok) throw new Error(`${this.#driver.name} load: ${facts.error}`)
    return { facts, fates: new Fates(readLines(this.#file)) }
  }
}

function afterAWhile(): Promise<string> {
  return new Promise((resolve) => setTimeout(resolve, 10_000, 'and the load does not stop'))
}

/** What the client was told of each message that it sent. */
export class Fates {
  /** Number → queue and offset. */
  readonly acknowledged: ReadonlyMap<number, string>
  /** Sent, but never acknowledged: they may be stored or not. */
  readonly uncertain: number

  constructor(lines: readonly (readonly string[])[]) {
    const acknowledged = new Map<number, string>()
    for (const [number, fate, queue, offset] of lines)
      if (fate === 'ok') acknowledged.set(Number(number), `${queue} ${offset}`)
    this.acknowledged = acknowledged
    this.uncertain = lines.length - acknowledged.size
  }

  /**
   * Against the lines of `stored`: each acknowledged message once, where its acknowledgement said; the others at most
   * once, since nothing is sent twice.
   */
  compareWith(stored: readonly (readonly string[])[]): { storedUncertain: number; problems: string[] } {
    const places = new Map<number, string[]>()
    for (const [number, queue, offset] of stored) {
      const place = `${queue} ${offset}`
      const known = places.get(Number(number))
      if (known === undefined) places.set(Number(number), [place])
      else known.push(place)
    }
    const lost: string[] = []
    const elsewhere: string[] = []
    for (const [number, place] of this.acknowledged) {
      const found = places.get(number)
      if (found === undefined) lost.push(`${number} at queue and offset ${place}`)
      else if (!found.includes(place)) elsewhere.push(`${number} acknowledged at ${place}, found at ${found[0]}`)
    }
    const twice: string[] = []
    let storedUncertain = 0
    for (const [number, found] of places) {
      if (found.length > 1) twice.push(`${number} at ${found.join(' and ')}`)
      if (!this.acknowledged.has(number)) storedUncertain++
    }
    const problems = [
      complaint('acknowledged messages are not in the log', lost),
      complaint('acknowledged messages are not where the answer said', elsewhere),
      complaint('messages are in the log more than once', twice),
    ]
    return { storedUncertain, problems: problems.filter((problem) => problem !== '') }
  }
}

function complaint(what: string, found: readonly string[]): string {
  return found.length === 0 ? '' : `${found.length} ${what}, first: ${found.slice(0, 3).join('; ')}`
}

export function readLines(file: string): string[][] {
  const text = readFileSync(file, 'utf8').trimEnd()
  return text === '' ? [] : text.split('\n').map((line) => line.split(' '))
}
