import { silentLog } from '../../src/base/console-log.ts'
import type { Disk } from '../../src/base/disk.ts'
import { Probes } from '../../src/base/probe.ts'
import { SeededRandom } from '../../src/base/random.ts'
import { SimulatedDisk } from '../../src/base/simulated-disk.ts'
import { SimulatedScheduler } from '../../src/base/simulated-scheduler.ts'
import {
  checkRecord,
  encodeRecord,
  MAGIC_BLANK,
  type RecordFields,
  readQueueId,
  recordSize,
  setLong,
  topicRange,
} from '../../src/protocol/message.ts'
import { vectorFiles } from '../../src/store/java-vectors.contract.ts'
import type { MessageStore } from '../../src/store/message-store.ts'
import { openStore } from '../../src/store/open-store.ts'
import { type StoreSettings, storeSettings } from '../../src/store/settings.ts'
import { fileNameOf } from '../../src/store/store-paths.ts'

export const ROOT = '/store'
export const SEGMENT_BYTES = 4096
const SEGMENTS = 2
/** Three entries. */
export const QUEUE_FILE_BYTES = 60
export const INDEX_SHAPE = { slots: 23, units: 60 }

/** Of stores as small as no setting allows, so that each execution is short. */
export const seedSettings: StoreSettings = {
  ...storeSettings.parse({ storePathRootDir: ROOT, messageIndexSafe: 'true' }).settings,
  mappedFileSizeCommitLog: SEGMENT_BYTES,
  mappedFileSizeConsumeQueue: QUEUE_FILE_BYTES,
  maxHashSlotNum: INDEX_SHAPE.slots,
  maxIndexNum: INDEX_SHAPE.units,
}

/** A valid store: two segments of Java's records and ours, with all that belongs to them. */
export interface SeedStore {
  /** As a clean stop leaves it. */
  clean: SimulatedDisk
  /** As a kill leaves it. */
  unclean: SimulatedDisk
  segments: Buffer[]
  records: { position: number; sizeBytes: number }[]
  logEnd: number
}

export async function seedStore(): Promise<SeedStore> {
  const scheduler = new SimulatedScheduler(1_795_480_000_000)
  const disk = new SimulatedDisk(new SeededRandom(1), { scheduler })
  const { segments, records, logEnd } = layOut([...javaRecords(), ...ownRecords()])
  for (const [index, bytes] of segments.entries()) {
    writeFile(disk, `${ROOT}/commitlog/${fileNameOf(index * SEGMENT_BYTES)}`, bytes)
  }
  writeFile(disk, '/proc/sys/kernel/random/boot_id', 'boot-1')
  const store = await whileTimePasses(scheduler, openSeed(disk, scheduler))
  await scheduler.advance(90_000)
  const unclean = disk.image(new SeededRandom(1))
  await whileTimePasses(scheduler, store.close())
  return { clean: disk.image(new SeededRandom(1)), unclean, segments, records, logEnd }
}

/** Opens a store of the seeds' settings. */
export function openSeed(disk: Disk, scheduler: SimulatedScheduler): Promise<MessageStore> {
  return openStore({
    settings: seedSettings,
    disk,
    scheduler,
    random: new SeededRandom(1),
    log: silentLog,
    probes: new Probes(),
    storeHost: { address: Uint8Array.of(127, 0, 0, 1), port: 10_911 },
    memoryBytes: 1_073_741_824,
    processId: 1,
    writePolicy: 'sync',
  })
}

/** Lets the simulated clock go on until a promise is kept. */
export async function whileTimePasses<T>(scheduler: SimulatedScheduler, promise: Promise<T>): Promise<T> {
  let isOver = false
  const over = (): void => {
    isOver = true
  }
  promise.then(over, over)
  for (let waited = 0; !isOver && waited < 60_000; waited += 5) await scheduler.advance(5)
  if (!isOver) throw new Error('nothing came of it within a minute')
  return promise
}

/** Records that Java's broker wrote: of transactions, sent again, with a checksum of properties. */
function javaRecords(): Buffer[] {
  const records: Buffer[] = []
  for (const name of ['tx', 'retry', 'propcrc']) {
    let fromThis = 0
    for (const [path, bytes] of vectorFiles(name)) {
      if (!path.startsWith('commitlog/')) continue
      for (let at = 0; fromThis < 3; fromThis++) {
        const size = checkRecord(bytes, at, bytes.length, { crc: true })
        if (size < 0) break
        if (size < 600) records.push(Buffer.from(bytes.subarray(at, at + size)))
        at += size
      }
    }
  }
  return records
}

/** Both versions, both kinds of addresses, empty parts, more than one queue. */
function ownRecords(): Buffer[] {
  const records: Buffer[] = []
  for (let number = 0; number < 30; number++) {
    const address = (isV6: boolean): Uint8Array => new Uint8Array(isV6 ? 16 : 4).fill(number + 1)
    const fields: RecordFields = {
      queueId: number % 2,
      flag: number,
      queueOffset: 0,
      position: 0,
      sysFlag: 0,
      bornTimestamp: 1_795_470_000_000 + number,
      bornHost: { address: address(number % 5 === 0), port: 50_000 },
      storeTimestamp: 1_795_470_000_000 + number * 700,
      storeHost: { address: address(number % 7 === 0), port: 10_911 },
      reconsumeTimes: number % 2,
      preparedTransactionOffset: 0,
      body: Buffer.alloc(number === 9 ? 0 : (number * 37) % 300, number),
      topic: Buffer.from(['orders', 'payments', 't'.repeat(200), 'SCHEDULE_TOPIC_XXXX'][number % 4]!),
      properties: Buffer.from(
        number % 6 === 5
          ? ''
          : `KEYS\u0001k${number % 8} k${number}\u0002TAGS\u0001tag-${number % 3}\u0002UNIQ_KEY\u0001u${number}\u0002DELAY\u00013\u0002`,
      ),
      version: number % 4 === 2 ? 2 : 1,
    }
    const bytes = Buffer.alloc(
      recordSize(
        fields.body.length,
        fields.topic.length,
        fields.properties.length,
        fields.version,
        fields.bornHost.address.length === 16,
        fields.storeHost.address.length === 16,
      ),
    )
    encodeRecord(bytes, new DataView(bytes.buffer, bytes.byteOffset, bytes.length), 0, fields)
    records.push(bytes)
  }
  return records
}

/** Gives each record its place in the log and in its queue. */
function layOut(records: readonly Buffer[]): Pick<SeedStore, 'segments' | 'records' | 'logEnd'> {
  const segments = [Buffer.alloc(SEGMENT_BYTES)]
  const places: SeedStore['records'] = []
  const offsets = new Map<string, number>()
  let at = 0
  for (const record of records) {
    // The end of the log lies within the last segment.
    const end = segments.length === SEGMENTS ? SEGMENT_BYTES * 0.8 : SEGMENT_BYTES
    if (at + record.length + 8 > end) {
      if (segments.length === SEGMENTS) break
      const full = segments[segments.length - 1]!
      full.writeInt32BE(SEGMENT_BYTES - at, at)
      full.writeInt32BE(MAGIC_BLANK, at + 4)
      segments.push(Buffer.alloc(SEGMENT_BYTES))
      at = 0
    }
    const position = (segments.length - 1) * SEGMENT_BYTES + at
    const view = new DataView(record.buffer, record.byteOffset, record.length)
    const topic = topicRange(record, 0)
    const queue = `${record.utf8Slice(topic.start, topic.end)} ${readQueueId(record, 0)}`
    setLong(view, 20, offsets.get(queue) ?? 0)
    setLong(view, 28, position)
    offsets.set(queue, (offsets.get(queue) ?? 0) + 1)
    record.copy(segments[segments.length - 1]!, at)
    places.push({ position, sizeBytes: record.length })
    at += record.length
  }
  return { segments, records: places, logEnd: (segments.length - 1) * SEGMENT_BYTES + at }
}

/** Puts a whole file on a disk, durably. */
export function writeFile(disk: Disk, path: string, content: Uint8Array | string): void {
  const bytes = typeof content === 'string' ? Buffer.from(content) : content
  const directory = path.slice(0, path.lastIndexOf('/'))
  if (disk.statSync(directory) === undefined) disk.makeDirectorySync(directory)
  const file = disk.openSync(path, 'write')
  file.truncateSync(0)
  if (bytes.length > 0) file.writeSync(bytes, 0)
  file.datasyncSync()
  file.closeSync()
  disk.syncDirectorySync(directory)
}

export function readFile(disk: Disk, path: string): Buffer {
  const file = disk.openSync(path, 'read')
  try {
    const bytes = Buffer.alloc(file.sizeSync())
    return bytes.subarray(0, file.readSync(bytes, 0))
  } finally {
    file.closeSync()
  }
}
