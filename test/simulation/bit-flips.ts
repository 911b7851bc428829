import assert from 'node:assert/strict'
import { isDeepStrictEqual } from 'node:util'
import { ConfigFile } from '../../src/base/config-file.ts'
import { SeededRandom } from '../../src/base/random.ts'
import type { SimulatedDisk } from '../../src/base/simulated-disk.ts'
import { SimulatedScheduler } from '../../src/base/simulated-scheduler.ts'
import { parseJavaObject } from '../../src/protocol/java-json.ts'
import type { MessageStore, ReadResult } from '../../src/store/message-store.ts'
import { TraceReplay } from './disk-trace.ts'
import { openImage } from './image-check.ts'
import { filesBelow } from './log-on-disk.ts'
import { type RecordField, recordFieldAt, recordsInLog } from './record-fields.ts'
import type { Recording } from './recorded-run.ts'
import { type Reported, ReportLog } from './report-log.ts'

const ROOT = '/store'
const QUEUE_IDS = [0, 1]

/**
 * What became of a flipped bit. `refused`: the store did not start, and said why; `detected`: what it hit was not
 * served, or was built again, and it was said; `harmless`: clients see what they saw before; `unseen`: a client was
 * handed something else than was stored, and nobody noticed.
 */
export type FlipEnd = 'refused' | 'detected' | 'harmless' | 'unseen'

/** Where a flip was not seen. */
export type FlippedField = RecordField | 'value in config/*.json'

export interface Flip {
  path: string
  byte: number
  bit: number
  /** Of the commit log: where in a record it is. */
  field: FlippedField | undefined
  end: FlipEnd
  why: string
}

/** Parts of a record that the format covers by no checksum: a flip there is not seen, and docs/reliability.md says so. */
const UNCOVERED: ReadonlySet<FlippedField> = new Set([
  'flag',
  'sysFlag',
  'bornTimestamp',
  'bornHost',
  'storeTimestamp',
  'storeHost',
  'reconsumeTimes',
  'preparedTransactionOffset',
  'properties',
])

/** A record as it was stored, by `topic queue offset`. */
type Stored = Map<string, { bytes: Buffer; position: number; path: string }>

/**
 * Flips one bit at a time at random places in the files of a store that was stopped in order or killed, starts on it, and
 * reads everything twice as consumers do.
 */
export class BitFlips {
  readonly #recording: Recording
  readonly #disk: SimulatedDisk
  readonly #files: Map<string, Buffer>
  readonly #stored: Stored
  readonly #topics: string[]
  #usual: ReadonlySet<string> | undefined

  /** The directory as it was at the end of the recording. */
  constructor(recording: Recording) {
    this.#recording = recording
    const replay = new TraceReplay(recording.trace, new SeededRandom(recording.seed))
    replay.advanceTo(recording.trace.length)
    this.#disk = replay.disk
    this.#files = new Map([...filesBelow(this.#disk, ROOT)].filter(([, bytes]) => bytes.length > 0))
    this.#stored = recordsInLog(this.#disk, `${ROOT}/commitlog`)
    this.#topics = [...new Set([...this.#stored.keys()].map((key) => key.slice(0, key.indexOf(' '))))]
  }

  /** Where no checksum reaches. Recovery believes the kind of a record also when that has a checksum of the whole. */
  #mayBeUnseen({ field }: Pick<Flip, 'field'>): boolean {
    if (this.#recording.settings['enabledAppendPropCRC'] === 'true') return field === 'sysFlag'
    return field !== undefined && UNCOVERED.has(field)
  }

  /** @throws when healthy data is gone, or damage is not said as it must be */
  async flip(number: number): Promise<Flip> {
    const random = new SeededRandom(this.#recording.seed * 7_919 + number)
    const { path, byte } = this.#place(random)
    const inConfig: FlippedField | undefined = path.includes('/config/') ? 'value in config/*.json' : undefined
    const field = path.includes('/commitlog/') ? recordFieldAt(this.#stored, path, byte) : inConfig
    const flip = { path, byte, bit: random.below(8), field }
    try {
      return { ...flip, ...(await this.#try(flip, random)) }
    } catch (error) {
      throw new Error(`${JSON.stringify(flip)}: ${(error as Error).message}`, { cause: error })
    }
  }

  async #try(flip: Omit<Flip, 'end' | 'why'>, random: SeededRandom): Promise<Pick<Flip, 'end' | 'why'>> {
    const scheduler = new SimulatedScheduler(1_700_000_100_000)
    const disk = this.#disk.image(random, scheduler)
    flipBit(disk, flip.path, flip.byte, flip.bit)
    const log = new ReportLog()
    let store: MessageStore
    try {
      store = await openImage(disk, this.#recording.settings, scheduler, log)
    } catch (error) {
      return { end: 'refused', why: await this.#refused(disk, flip, error as Error, scheduler) }
    }
    const first = await this.#readAll(store, scheduler, log, flip)
    await this.#readAll(store, scheduler, log, flip)
    const reports = log.reports.filter(({ message }) => message.includes('damaged'))
    for (const report of reports) {
      assert.equal(report.count, 1, `damage is said once: ${report.message} ${report.path} ${report.position}`)
      assert.ok(report.path !== undefined && report.position !== undefined, `where it is: ${report.message}`)
    }
    return flip.path.includes('/config/') ? this.#judgeConfiguration(disk, flip) : this.#judge(first, log.reports, flip)
  }

  /** The broker's tables, as it would read them at its start. */
  #judgeConfiguration(disk: SimulatedDisk, { path }: Pick<Flip, 'path'>): Pick<Flip, 'end' | 'why'> {
    const name = path.replace(/\.bak$/, '')
    const log = new ReportLog()
    const read = (from: SimulatedDisk): unknown => new ConfigFile(from, name, log).loadAs(parseJavaObject)
    try {
      const [found, stored] = [read(disk), read(this.#disk)]
      if (!isDeepStrictEqual(found, stored)) return { end: 'unseen', why: `a value in ${name}` }
    } catch (error) {
      return { end: 'refused', why: (error as Error).message }
    }
    return log.reports.length > 0 ? { end: 'detected', why: log.text } : { end: 'harmless', why: '' }
  }

  /** Files by kind, so that large ones do not have it all; in segments and queues mostly where something stands. */
  #place(random: SeededRandom): { path: string; byte: number } {
    const kinds = [
      '/commitlog/',
      '/commitlog/',
      '/commitlog/',
      '/consumequeue/',
      '/index/',
      '/config/',
      '/checkpoint',
      '/',
    ]
    for (;;) {
      const kind = kinds[random.below(kinds.length)]!
      const paths = [...this.#files.keys()].filter((path) => path.slice(ROOT.length).startsWith(kind))
      if (paths.length === 0) continue
      const path = paths[random.below(paths.length)]!
      const bytes = this.#files.get(path)!
      let end = bytes.length
      while (end > 1 && bytes[end - 1] === 0) end--
      return { path, byte: random.below(random.below(20) === 0 ? bytes.length : end) }
    }
  }

  /** A start that is refused names the place, and leaves all as it was: the bit turned back, all is there. */
  async #refused(
    disk: SimulatedDisk,
    { path, byte, bit }: { path: string; byte: number; bit: number },
    error: Error,
    scheduler: SimulatedScheduler,
  ): Promise<string> {
    assert.match(error.message, /\/store/, `a refusal names the file: ${error.message}`)
    flipBit(disk, path, byte, bit)
    const store = await openImage(disk, this.#recording.settings, scheduler)
    const messages = await this.#readAll(store, scheduler, new ReportLog(), undefined)
    assert.equal(messages.size, this.#stored.size, 'a refused start has taken nothing away')
    return error.message
  }

  /** Everything that a consumer gets. `flip`: what may be missing or wrong. */
  async #readAll(
    store: MessageStore,
    scheduler: SimulatedScheduler,
    log: ReportLog,
    flip: { path: string; byte: number } | undefined,
  ): Promise<Map<string, Buffer>> {
    const found = new Map<string, Buffer>()
    for (const topic of this.#topics) {
      for (const queueId of QUEUE_IDS) {
        let offset = store.minOffset(topic, queueId)
        for (let tries = 0; offset < store.maxOffset(topic, queueId); ) {
          const result = await read(store, scheduler, topic, queueId, offset)
          for (const record of result.records) this.#take(record, found, `${topic} ${queueId}`)
          assert.ok(result.nextOffset > offset || ++tries < 5, `reading ${topic}/${queueId} goes on from ${offset}`)
          offset = result.nextOffset
        }
      }
    }
    for (const [key, { position, path, bytes }] of this.#stored) {
      if (found.has(key)) continue
      const within = (flip?.byte ?? 0) + Number(path.slice(path.lastIndexOf('/') + 1)) - position
      const isHit = flip !== undefined && flip.path === path && within >= 0 && within < bytes.length
      assert.ok(isHit, `a healthy message is gone: ${key}; said was ${log.text}`)
    }
    return found
  }

  /** Records of one answer; what a client takes them for is what their own fields say. */
  #take(records: Buffer, found: Map<string, Buffer>, queue: string): void {
    for (let at = 0; at < records.length; ) {
      const size = records.readInt32BE(at)
      const record = records.subarray(at, at + size)
      const offset = Number(record.readBigInt64BE(20))
      found.set(`${queue} ${offset}`, Buffer.from(record))
      at += size
    }
  }

  /** What a start on the same directory says anyway, after a kill above all. */
  async #saidWithoutFlip(): Promise<ReadonlySet<string>> {
    if (this.#usual !== undefined) return this.#usual
    const scheduler = new SimulatedScheduler(1_700_000_100_000)
    const log = new ReportLog()
    await openImage(this.#disk.image(new SeededRandom(1), scheduler), this.#recording.settings, scheduler, log)
    this.#usual = new Set(log.reports.map(({ message }) => message))
    return this.#usual
  }

  async #judge(
    found: Map<string, Buffer>,
    reports: readonly Reported[],
    flip: Omit<Flip, 'end' | 'why'>,
  ): Promise<Pick<Flip, 'end' | 'why'>> {
    for (const [key, bytes] of found) {
      const stored = this.#stored.get(key)
      if (stored?.bytes.equals(bytes) === true) continue
      assert.ok(this.#mayBeUnseen(flip), `I17: a wrong message was served: ${key}, ${flip.field}`)
      return { end: 'unseen', why: `${key} has another ${flip.field}` }
    }
    if (found.size < this.#stored.size) {
      // Recovery that puts a record where its damaged fields say notices that its queue does not go on there.
      const said = reports.filter(({ path, message }) => path === flip.path || /not dense|not agree/.test(message))
      if (said.length > 0) return { end: 'detected', why: said[0]!.message }
      assert.ok(this.#mayBeUnseen(flip), `what is not served is said: ${JSON.stringify(reports)}`)
      return { end: 'unseen', why: `taken for a record that is in no queue, by its ${flip.field}` }
    }
    const usual = await this.#saidWithoutFlip()
    const said = reports.find(({ message }) => !usual.has(message))
    return said === undefined ? { end: 'harmless', why: '' } : { end: 'detected', why: said.message }
  }
}

async function read(
  store: MessageStore,
  scheduler: SimulatedScheduler,
  topic: string,
  queueId: number,
  offset: number,
): Promise<ReadResult> {
  let result: ReadResult | undefined
  store.read({ topic, queueId, offset, maxCount: 32, maxBytes: 1_000_000, filter: undefined }, (answer) => {
    result = answer
  })
  for (let tries = 0; result === undefined && tries < 100; tries++) await scheduler.advance(1)
  assert.ok(result !== undefined, 'a read is answered')
  return result
}

function flipBit(disk: SimulatedDisk, path: string, byte: number, bit: number): void {
  const file = disk.openSync(path, 'write')
  const one = Buffer.alloc(1)
  file.readSync(one, byte)
  one[0]! ^= 1 << bit
  file.writeSync(one, byte)
  file.datasyncSync()
  file.closeSync()
}
