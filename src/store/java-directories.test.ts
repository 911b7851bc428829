import assert from 'node:assert/strict'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { memoryLog } from '../base/console-log.ts'
import { Probes } from '../base/probe.ts'
import { SeededRandom } from '../base/random.ts'
import { SimulatedScheduler } from '../base/simulated-scheduler.ts'
import { systemDisk } from '../base/system-disk.ts'
import { bodyRange, checkRecord, readQueueOffset, readSysFlag } from '../protocol/message.ts'
import type { MessageStore, ReadResult } from './message-store.ts'
import { openStore } from './open-store.ts'
import { storeSettings } from './settings.ts'

interface Oracle {
  config: Record<string, string>
  commitLog: { minPhyOffset: number; maxPhyOffset: number }
  messages: [number, number, string, number, number, number, number, number, number | null][]
  queues: { topic: string; queueId: number; min: number; max: number; units: number[][] }[]
  offsetByTime: [string, number, number, number, number][]
}

interface Edit {
  op: 'delete' | 'create' | 'truncate' | 'zero' | 'write'
  path: string
  from?: number
  to?: number
  at?: number
  size?: number
  hex?: string
}

interface Variant {
  variant: string
  edits: Edit[]
  javaOpens: boolean
  java?: { maxPosition: number; minPosition: number; messages: number; queues: [string, number, number, number][] }
}

const vectors = resolve(import.meta.dirname, '../../test/vectors/store')
const oracleOf = (name: string): Oracle => JSON.parse(readFileSync(join(vectors, `${name}.json`), 'utf8'))
let root: string
let copies = 0

/** The archive of a scenario, unpacked into a folder of its own. */
function unpack(name: string): string {
  const target = join(root, `${name}-${copies++}`)
  const tar = gunzipSync(readFileSync(join(vectors, `${name}.tar.gz`)))
  let longPath: string | undefined
  for (let at = 0; at + 512 <= tar.length && tar[at] !== 0; ) {
    const field = (from: number, length: number): string =>
      tar.latin1Slice(at + from, at + from + length).split('\0')[0]!
    const prefix = field(345, 155)
    const path = longPath ?? (prefix === '' ? '' : `${prefix}/`) + field(0, 100)
    const size = Number.parseInt(field(124, 12).trim() || '0', 8)
    const type = field(156, 1)
    const to = join(target, path.split('/').slice(1).join('/'))
    const wasLong = longPath !== undefined
    if (type === 'x') longPath = /\d+ path=([^\n]*)\n/.exec(tar.latin1Slice(at + 512, at + 512 + size))?.[1]
    else if (type === '5') mkdirSync(to, { recursive: true })
    else {
      assert.ok(type === '0' || type === '', `entry of type ${type}: ${path}`)
      mkdirSync(dirname(to), { recursive: true })
      writeFileSync(to, tar.subarray(at + 512, at + 512 + size))
    }
    if (wasLong) longPath = undefined
    at += 512 + Math.ceil(size / 512) * 512
  }
  return target
}

function open(directory: string, config: Record<string, string>, log = memoryLog()): Promise<MessageStore> {
  const { settings } = storeSettings.parse({ ...known(config), storePathRootDir: directory })
  return openStore({
    settings,
    disk: systemDisk,
    scheduler: new SimulatedScheduler(1_795_480_000_000),
    random: new SeededRandom(1),
    log,
    probes: new Probes(),
    storeHost: { address: new Uint8Array([127, 0, 0, 1]), port: 30_911 },
    memoryBytes: 1_073_741_824,
  })
}

const known = (config: Record<string, string>): Record<string, string> =>
  Object.fromEntries(Object.entries(config).filter(([key]) => storeSettings.has(key)))

function readAll(store: MessageStore, topic: string, queueId: number): Buffer[] {
  const records: Buffer[] = []
  for (let offset = store.minOffset(topic, queueId); offset < store.maxOffset(topic, queueId); ) {
    let result: ReadResult | undefined
    store.read({ topic, queueId, offset, maxCount: 32, maxBytes: 1e9, filter: undefined }, (answer) => {
      result = answer
    })
    assert.equal(result?.status, 'FOUND')
    for (const view of result.records) {
      for (let at = 0; at < view.length; ) {
        const size = checkRecord(view, at, view.length, { crc: true })
        assert.ok(size > 0)
        records.push(view.subarray(at, at + size))
        at += size
      }
    }
    offset = result.nextOffset
  }
  return records
}

function agree(store: MessageStore, oracle: Oracle): void {
  assert.equal(store.positions.min, oracle.commitLog.minPhyOffset)
  assert.ok(store.positions.readable >= oracle.commitLog.maxPhyOffset)
  for (const [position, sizeBytes, , , queueOffset, , sysFlag, bodyCrc] of oracle.messages) {
    const record = store.recordAt(position)
    assert.equal(record?.length, sizeBytes)
    assert.equal(readQueueOffset(record, 0), queueOffset)
    assert.equal(readSysFlag(record, 0), sysFlag)
    assert.equal(record.readInt32BE(8), bodyCrc)
    assert.ok(bodyRange(record, 0).end <= record.length)
  }
  for (const { topic, queueId, min, max, units } of oracle.queues) {
    const about = `${topic} ${queueId}`
    assert.equal(store.minOffset(topic, queueId), min, about)
    assert.ok(store.maxOffset(topic, queueId) >= max, about)
    const entries = store.entries(topic, queueId, 0, units.length)
    const expected = units.slice(-entries.length)
    assert.deepEqual(
      entries.map((entry, index) => {
        // An address in the extension files: Java's list shows the tag code that it found there.
        const tagsCode = entry.tagsCode < -2147483648n ? expected[index]![3]! : Number(entry.tagsCode)
        return [entry.queueOffset, entry.position, entry.sizeBytes, tagsCode]
      }),
      expected.map((unit) => unit.slice(0, 4)),
      about,
    )
    assert.equal(readAll(store, topic, queueId).length, store.maxOffset(topic, queueId) - min, about)
  }
  for (const [topic, queueId, time, lower, upper] of oracle.offsetByTime) {
    const { max } = oracle.queues.find((queue) => queue.topic === topic && queue.queueId === queueId)!
    // Java's list was made before the last messages came.
    if (store.maxOffset(topic, queueId) > max && (lower === max || upper === max - 1)) continue
    assert.equal(store.offsetByTime(topic, queueId, time, 'lower'), lower, `lower ${topic} ${queueId} ${time}`)
    assert.equal(store.offsetByTime(topic, queueId, time, 'upper'), upper, `upper ${topic} ${queueId} ${time}`)
  }
}

/** Every file and its bytes, but for those that say that somebody was here. */
function contents(directory: string): Map<string, Buffer> {
  const found = new Map<string, Buffer>()
  if (!existsSync(directory)) return found
  for (const name of readdirSync(directory, { recursive: true, encoding: 'utf8' }).sort()) {
    const path = join(directory, name)
    if (statSync(path).isFile() && !['checkpoint', 'abort', 'lock'].includes(name)) found.set(name, readFileSync(path))
  }
  return found
}

describe('directories written by the Java broker', () => {
  before(() => {
    root = mkdtempSync(join(tmpdir(), 'cometmq-java-'))
  })
  after(() => rmSync(root, { recursive: true, force: true }))

  for (const name of [
    'plain',
    'rollover',
    'minoffset',
    'crash-clean',
    'crash-kill',
    'delay-before',
    'delay-after',
    'tx',
    'retry',
    'filter',
    'propcrc',
  ]) {
    test(`${name}: messages, queues and times are what Java says, and nothing of Java's is changed`, async () => {
      const oracle = oracleOf(name)
      const directory = unpack(name)
      const before = contents(directory)
      const store = await open(directory, oracle.config)
      agree(store, oracle)
      await closed(store)
      const after = contents(directory)
      for (const [path, bytes] of before) {
        if (path === 'commitlog/00000000000000262144' && name === 'crash-kill') continue // the empty segment prepared ahead
        assert.ok(after.get(path)?.equals(bytes), `${path} is what it was`)
      }
      const again = await open(directory, oracle.config)
      agree(again, oracle)
      await closed(again)
    })
  }

  test('consume queues that are gone are built again as Java had them', async () => {
    for (const name of ['plain', 'rollover', 'crash-kill', 'delay-after', 'tx', 'propcrc']) {
      const oracle = oracleOf(name)
      const directory = unpack(name)
      const before = contents(directory)
      rmSync(join(directory, 'consumequeue'), { recursive: true })
      const store = await open(directory, oracle.config)
      agree(store, oracle)
      await closed(store)
      const after = contents(directory)
      for (const [path, bytes] of before) {
        // Java makes files for queues that were only asked for.
        if (!path.startsWith('consumequeue/') || bytes.every((byte) => byte === 0)) continue
        assert.ok(after.get(path)?.equals(bytes), `${name}: ${path}`)
      }
    }
  })

  test('damaged variants: what Java cuts silently is refused, the rest is recovered', async () => {
    const variants: Variant[] = JSON.parse(readFileSync(join(vectors, 'recovery.json'), 'utf8'))
    const oracle = oracleOf('crash-kill')
    const refused: Record<string, RegExp> = {
      'last-record-cut-short-file': /00000000000000196608 is short: 13024 of 65536 bytes/,
      'body-bit-flip-last-segment':
        /an invalid record, with valid ones behind it, the first at \d+ at position 199\d{3}/,
      'body-bit-flip-second-segment': /commit log damaged.*00000000000000065536, byte \d+.*cometmq store repair/,
      'foreign-file-in-commitlog': /notes\.tmp does not belong in a commit log/,
      'magic-wrong-last-segment': /commit log damaged/,
      'phyoffset-field-wrong': /a record of another position, with valid ones behind it/,
      'length-inconsistent': /commit log damaged/,
      'blank-record-zero': /no record, with valid ones behind it, the first at 196608/,
      'commitlog-emptied': /the commit log in .* is gone, but consume queues point into it/,
    }
    for (const { variant, edits, java } of variants) {
      const directory = unpack('crash-kill')
      for (const edit of edits) apply(directory, edit)
      const before = contents(join(directory, 'commitlog'))
      const opening = open(directory, oracle.config)
      const why = refused[variant]
      if (why !== undefined) {
        await assert.rejects(opening, why, variant)
        const after = contents(join(directory, 'commitlog'))
        assert.deepEqual([...after.keys()], [...before.keys()], variant)
        for (const [path, bytes] of before)
          assert.ok(after.get(path)?.equals(bytes), `${variant}: ${path} is what it was`)
        continue
      }
      const store = await opening
      if (variant === 'cq-file-short' || variant === 'cq-hole-noabort') {
        // Java refuses the first, and loses 20 entries in the second.
        agree(store, oracle)
      } else if (java !== undefined) {
        assert.equal(store.positions.readable, java.maxPosition, variant)
        assert.equal(store.positions.min, java.minPosition, variant)
        for (const [topic, queueId, min, max] of java.queues) {
          assert.equal(store.minOffset(topic, queueId), min, variant)
          assert.equal(store.maxOffset(topic, queueId), max, variant)
        }
      }
      await closed(store)
    }
  })
})

/** Closing needs turns of the simulated scheduler and answers of the real disk. */
async function closed(store: MessageStore): Promise<void> {
  await store.close()
}

function apply(directory: string, edit: Edit): void {
  const path = join(directory, edit.path)
  if (edit.op === 'delete') rmSync(path, { recursive: true, force: true })
  else if (edit.op === 'create') writeFileSync(path, Buffer.from(edit.hex!, 'hex'))
  else if (edit.op === 'truncate') truncateSync(path, edit.size!)
  else {
    const bytes = readFileSync(path)
    if (edit.op === 'zero') bytes.fill(0, edit.from!, edit.to!)
    else Buffer.from(edit.hex!, 'hex').copy(bytes, edit.at!)
    writeFileSync(path, bytes)
  }
}
