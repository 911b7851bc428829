import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import type { Run } from '../runner/context.ts'
import { type Driver, javaDriver } from '../runner/driver.ts'
import { cometmq, java, type One, type Product, stopCleanly } from '../runner/servers.ts'
import { inParallel } from './clients.ts'
import { Load, readLines } from './load.ts'

/** Small files, so that logs and consume queues roll. Java scans ten segments at most after a crash. */
const settings = { mappedFileSizeCommitLog: 2 << 20, mappedFileSizeConsumeQueue: 6000 }

/** Each product opens the directory that the other wrote, adds to it, and hands it back. */
export async function store(run: Run): Promise<void> {
  const cases = [
    { name: 'stopped', writer: cometmq, reader: java, end: 'stop' },
    { name: 'kill-9', writer: cometmq, reader: java, end: 'kill' },
    { name: 'java stopped', writer: java, reader: cometmq, end: 'stop' },
    { name: 'java kill-9', writer: java, reader: cometmq, end: 'kill' },
  ] as const
  const chosen = cases.filter(({ name }) => run.report.wants(name))
  if (chosen.length === 0) return
  const work = path.join(run.work, 'store')
  mkdirSync(work, { recursive: true })
  const client = await run.report.need('java-5.5.0', 'open', async () => {
    const driver = javaDriver('5.5.0', work)
    await driver.ready
    return driver
  })
  if (client !== undefined) {
    // Each has a name server of its own: all brokers have one name, and take each other's place in the routes.
    await inParallel(Math.min(run.width, 2), chosen, async ({ name, writer, reader, end }) => {
      const body = async (): Promise<string> => {
        const nameServer = await cometmq.startNameServer(work)
        const one = new Directory(run, path.join(work, name.replace(' ', '-')), nameServer.address, client)
        try {
          return await one.handOver(writer, reader, end)
        } catch (error) {
          throw new Error(`${error instanceof Error ? error.message : error}\n${one.tail()}`, { cause: error })
        } finally {
          await one.close()
          await stopCleanly(nameServer)
        }
      }
      await run.report.scenario(`by ${writer.name}`, name, body)
    })
  }
  await client?.close()
}

/** A store directory that goes from one product to the other. */
class Directory {
  readonly #work: string
  readonly #store: string
  readonly #client: Driver
  readonly #args: { ns: string; run: string; prefix: string }
  #broker: One | undefined
  #dumps = 0

  constructor(run: Run, work: string, ns: string, client: Driver) {
    mkdirSync(work, { recursive: true })
    this.#work = work
    this.#store = path.join(work, 'data', 'store')
    this.#client = client
    this.#args = { ns, run: run.id, prefix: `Store_${path.basename(work)}_${run.id}_`.replace(/[^\w]/g, '_') }
  }

  async handOver(writer: Product, reader: Product, end: 'stop' | 'kill'): Promise<string> {
    await this.#open(writer)
    await this.#fill(0)
    const written = await this.#dump()
    this.#mustHold(written, this.#receipts(0))
    let checkLoad: (() => Promise<string>) | undefined
    if (end === 'kill') checkLoad = await this.#killUnderLoad()
    else await this.#stop()
    const segments = readdirSync(path.join(this.#store, 'commitlog')).length

    await this.#open(reader)
    const read = await this.#dump()
    mustBeSame(written, read, `${writer.name} wrote`, `${reader.name} serves`)
    const remark = (await checkLoad?.()) ?? ''
    await this.#fill(1)
    const appended = await this.#dump()
    this.#mustHold(appended, [...this.#receipts(0), ...this.#receipts(1)])
    mustContain(appended, messagesOf(written), `${reader.name} does not serve any more`)
    await this.#stop()

    await this.#open(writer)
    const back = await this.#dump()
    mustBeSame(appended, back, `${reader.name} left`, `${writer.name} serves`)
    await checkLoad?.()
    await this.#fill(2)
    const last = await this.#dump()
    this.#mustHold(last, [...this.#receipts(0), ...this.#receipts(1), ...this.#receipts(2)])
    mustContain(last, messagesOf(appended), `${writer.name} does not serve any more`)
    await this.#stop()
    return `${messagesOf(written).length} + ${messagesOf(appended).length - messagesOf(written).length} + ${
      messagesOf(last).length - messagesOf(appended).length
    } messages, ${segments} segments when handed over ${remark}`
  }

  async #open(product: Product): Promise<void> {
    this.#broker = await product.startBroker(this.#work, this.#args.ns, this.#store, settings)
  }

  async #stop(): Promise<void> {
    await stopCleanly(this.#broker!)
    this.#broker = undefined
    if (existsSync(path.join(this.#store, 'abort'))) throw new Error('the abort file stayed after a clean stop')
  }

  /** Offsets are saved every 5 s; the load that is cut off comes after that. */
  async #killUnderLoad(): Promise<() => Promise<string>> {
    await new Promise((resolve) => setTimeout(resolve, 6_000))
    const topic = `Load_${this.#args.prefix}`
    const file = (name: string): string => path.join(this.#work, name)
    const load = new Load(this.#client, { ...this.#args, topic, file: file('load') })
    await load.acknowledges(3000)
    await this.#broker!.child.kill()
    this.#broker = undefined
    const { fates } = await load.stop()
    return async () => {
      await this.#client.must('stored', { ...this.#args, topic, file: file('stored') })
      const { problems, storedUncertain } = fates.compareWith(readLines(file('stored')))
      if (problems.length > 0) throw new Error(`of the load before the kill ${problems.join('\n')}`)
      return `(load before the kill: ${fates.acknowledged.size} acknowledged, ${storedUncertain} of ${fates.uncertain} others stored)`
    }
  }

  async #fill(round: number): Promise<void> {
    const file = path.join(this.#work, `receipts-${round}`)
    await this.#client.must('store-fill', { ...this.#args, round, file })
  }

  /** `topic broker queue offset msgId sha`: where each message of the round was acknowledged. */
  #receipts(round: number): string[] {
    return lines(path.join(this.#work, `receipts-${round}`))
  }

  async #dump(): Promise<string[]> {
    const file = path.join(this.#work, `dump-${this.#dumps++}`)
    await this.#client.must('store-dump', { ...this.#args, broker: this.#broker!.address, file })
    return lines(file)
  }

  #mustHold(dump: readonly string[], receipts: readonly string[]): void {
    const served = new Set(messagesOf(dump).map((line) => line.split(' ').slice(1, 7).join(' ')))
    const missing = receipts.filter((receipt) => !served.has(receipt))
    if (missing.length > 0)
      throw new Error(
        `${missing.length} of ${receipts.length} acknowledged messages are not served, first: ${missing.slice(0, 3).join('\n')}`,
      )
    if (served.size !== receipts.length)
      throw new Error(`${receipts.length} messages were acknowledged, ${served.size} are served`)
  }

  tail(): string {
    return this.#broker?.child.tail() ?? ''
  }

  async close(): Promise<void> {
    await this.#broker?.child.kill()
  }
}

function lines(file: string): string[] {
  return readFileSync(file, 'utf8').trimEnd().split('\n')
}

function messagesOf(dump: readonly string[]): string[] {
  return dump.filter((line) => line.startsWith('M '))
}

function mustBeSame(wanted: readonly string[], got: readonly string[], before: string, after: string): void {
  const missing = without(wanted, got)
  const added = without(got, wanted)
  if (missing.length === 0 && added.length === 0) {
    if (wanted.length !== got.length) throw new Error(`${before} ${wanted.length} facts, ${after} ${got.length}`)
    return
  }
  const show = (what: readonly string[]): string => what.slice(0, 4).map(cut).join('\n  ')
  throw new Error(
    `${before} what is served otherwise (${missing.length} of ${wanted.length} facts):\n  ${show(missing)}\n${after} (${added.length}):\n  ${show(added)}`,
  )
}

function mustContain(dump: readonly string[], wanted: readonly string[], complaint: string): void {
  const missing = without(wanted, dump)
  if (missing.length > 0)
    throw new Error(`${complaint} (${missing.length}):\n  ${missing.slice(0, 4).map(cut).join('\n  ')}`)
}

function without(all: readonly string[], some: readonly string[]): string[] {
  const known = new Set(some)
  return all.filter((line) => !known.has(line))
}

function cut(line: string): string {
  return line.length > 600 ? `${line.slice(0, 600)}…` : line
}
