import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { SeededRandom } from '../base/random.ts'
import { SimulatedDisk } from '../base/simulated-disk.ts'
import { SimulatedScheduler } from '../base/simulated-scheduler.ts'
import { decodeMessage } from '../protocol/message.ts'
import { copyVector, type JavaOracle, openDirectory, oracleOf, vectorsFolder } from './java-vectors.contract.ts'
import type { MessageQuery, MessageStore } from './message-store.ts'

const ROOT = '/store'

/** Gives the work its time. */
async function during<T>(scheduler: SimulatedScheduler, work: Promise<T>): Promise<T> {
  let isOver = false
  const done = work.finally(() => {
    isOver = true
  })
  while (!isOver) await scheduler.advance(1)
  return done
}

/** What Java's index gives, without those that only have the same hash: Java leaves these to its clients. */
function truly(
  store: MessageStore,
  positions: readonly number[],
  topic: string,
  key: string,
  isTag: boolean,
): number[] {
  return positions.filter((position) => {
    const message = decodeMessage(store.recordAt(position)!, 0)
    const { properties } = message
    if (message.topic !== topic) return false
    if (isTag) return properties.get('TAGS') === key
    return properties.get('UNIQ_KEY') === key || properties.get('KEYS')!.split(' ').includes(key)
  })
}

async function agree(
  store: MessageStore,
  scheduler: SimulatedScheduler,
  oracle: JavaOracle,
  isJavas = true,
): Promise<void> {
  const { byKey, byTag, byKeyWindows, range, maxNum } = oracle.index
  const ask = async (expected: number[], query: Omit<MessageQuery, 'maxCount'>): Promise<void> => {
    const { records } = await during(scheduler, store.queryMessages({ ...query, maxCount: maxNum }))
    const positions = records.map((record) => decodeMessage(record, 0).position)
    const asked = `${query.topic} ${query.key} ${query.beginTimestamp} ${query.endTimestamp}`
    assert.deepEqual(positions, truly(store, expected, query.topic, query.key, query.isTag), asked)
  }
  const [beginTimestamp, endTimestamp] = range
  for (const [topic, key, expected] of byKey) {
    await ask(expected, { topic, key, isTag: false, beginTimestamp, endTimestamp })
  }
  for (const [topic, key, expected] of byTag) {
    await ask(expected, { topic, key, isTag: true, beginTimestamp, endTimestamp })
  }
  if (!isJavas) return
  for (const [topic, key, begin, end, expected] of byKeyWindows) {
    await ask(expected, { topic, key, isTag: false, beginTimestamp: begin, endTimestamp: end })
  }
}

/** The bytes of the index files, the oldest first: their names are the times at which they were made. */
function indexOn(disk: SimulatedDisk): Buffer[] {
  return disk
    .listSync(`${ROOT}/index`)
    .sort()
    .map((name) => {
      const file = disk.openSync(`${ROOT}/index/${name}`, 'read')
      const bytes = Buffer.alloc(file.sizeSync())
      file.readSync(bytes, 0)
      file.closeSync()
      return bytes
    })
}

const scenarios = [
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
]

describe('the index of the Java broker', () => {
  for (const name of scenarios) {
    test(`${name}: queries by key, tag and time give what Java's gave, from Java's files and from ours`, async () => {
      const oracle = oracleOf(name)
      const scheduler = new SimulatedScheduler(1_795_480_000_000)
      const disk = new SimulatedDisk(new SeededRandom(1), { scheduler })
      copyVector(name, disk, ROOT)
      const java = indexOn(disk)
      const first = await openDirectory(ROOT, oracle.config, { scheduler, disk })
      await agree(first, scheduler, oracle)
      await during(scheduler, first.close())
      const kept = indexOn(disk)
      assert.equal(kept.length, java.length)
      for (const [index, bytes] of kept.entries()) assert.ok(bytes.equals(java[index]!), `file ${index} is Java's`)

      disk.removeTreeSync(`${ROOT}/index`)
      const again = await openDirectory(ROOT, oracle.config, { scheduler, disk })
      // Java's began before the oldest messages expired. Times are told in seconds from the beginning of a file.
      const isSame = name !== 'minoffset'
      await agree(again, scheduler, oracle, isSame)
      await during(scheduler, again.close())
      const ours = indexOn(disk)
      if (!isSame) return
      assert.equal(ours.length, java.length)
      for (const [index, bytes] of ours.entries()) assert.ok(bytes.equals(java[index]!), `file ${index} is as Java's`)
    })
  }

  test('damaged variants: what is in the log is found, whatever became of index, checkpoint and log', async () => {
    interface Edit {
      op: 'delete' | 'create' | 'truncate' | 'zero' | 'write'
      path: string
      from?: number
      to?: number
      at?: number
      size?: number
      hex?: string
    }
    const text = readFileSync(join(vectorsFolder, 'recovery.json'), 'utf8')
    const oracle = oracleOf('crash-kill')
    const { byKey, range, maxNum } = oracle.index
    let opened = 0
    for (const { variant, edits } of JSON.parse(text) as { variant: string; edits: Edit[] }[]) {
      const scheduler = new SimulatedScheduler(1_795_480_000_000)
      const disk = new SimulatedDisk(new SeededRandom(1), { scheduler })
      copyVector('crash-kill', disk, ROOT)
      for (const { op, path, from, to, at, size, hex } of edits) {
        if (op === 'delete') {
          disk.removeTreeSync(`${ROOT}/${path}`)
          disk.removeSync(`${ROOT}/${path}`)
          continue
        }
        const file = disk.openSync(`${ROOT}/${path}`, 'write')
        if (op === 'truncate') file.truncateSync(size!)
        else if (op === 'zero') file.writeSync(Buffer.alloc(to! - from!), from!)
        else file.writeSync(Buffer.from(hex!, 'hex'), at ?? 0)
        file.closeSync()
      }
      let store: MessageStore
      try {
        store = await openDirectory(ROOT, oracle.config, { scheduler, disk })
      } catch {
        continue // java-directories.test.ts says which are refused, and why
      }
      opened++
      for (const [index, [topic, key, expected]] of byKey.entries()) {
        if (index % 9 !== opened % 9) continue
        const there = expected.filter((position) => store.recordAt(position) !== undefined)
        const query = { topic, key, isTag: false, beginTimestamp: range[0], endTimestamp: range[1], maxCount: maxNum }
        const { records } = await during(scheduler, store.queryMessages(query))
        const found = records.map((record) => decodeMessage(record, 0).position)
        assert.deepEqual(found, truly(store, there, topic, key, false), `${variant}: ${topic} ${key}`)
      }
      await during(scheduler, store.close())
      assert.equal(disk.statSync(`${ROOT}/abort`), undefined, variant)
    }
    assert.ok(opened > 15, `${opened} variants open`)
  })
})
