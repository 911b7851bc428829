import assert from 'node:assert/strict'
import { crc32 } from 'node:zlib'
import type { Random } from '../../src/base/random.ts'
import type { SimulatedDisk } from '../../src/base/simulated-disk.ts'
import { StoreCorrupt, StoreRefused } from '../../src/store/store-errors.ts'
import { fileNameOf } from '../../src/store/store-paths.ts'
import { assertSameFiles } from '../simulation/image-check.ts'
import { filesBelow } from '../simulation/log-on-disk.ts'
import type { FuzzTarget } from './fuzz-target.ts'
import { damageLog } from './log-targets.ts'
import { mutate } from './mutation.ts'
import { positionsOf, type RecoveredState, recover } from './recovered-store.ts'
import { QUEUE_FILE_BYTES, ROOT, readFile, SEGMENT_BYTES, type SeedStore, seedStore, writeFile } from './seed-store.ts'

/** Recovers, mostly once; the second time changes nothing. @returns undefined when the store is refused, by a name and a path */
export function recoverTwice(random: Random, disk: SimulatedDisk): RecoveredState | undefined {
  let first: RecoveredState
  try {
    first = recover(disk)
  } catch (error) {
    if (!(error instanceof StoreCorrupt) && !(error instanceof StoreRefused)) throw error
    assert.ok(error.message.includes(ROOT), `names a path: ${error.message}`)
    return undefined
  }
  if (random.below(3) > 0) return first // once in three is often enough
  const log = filesBelow(disk, `${ROOT}/commitlog`)
  const second = recover(disk)
  assert.equal(second.end, first.end, 'the second recovery ends where the first did')
  assertSameQueues(second, first, 'the second recovery finds the same queues')
  assertSameFiles(filesBelow(disk, `${ROOT}/commitlog`), log, 'the second recovery changes nothing')
  return first
}

const seeds = async (): Promise<{ seed: SeedStore; healthy: RecoveredState }> => {
  const seed = await seedStore()
  return { seed, healthy: recover(seed.clean.image({ next: () => 0, below: () => 0, bytes: Buffer.alloc })) }
}

/** By hand, since the general comparison takes longer than a recovery. */
function assertSameQueues(state: RecoveredState, expected: RecoveredState, why: string): void {
  for (const [queue, { min, max, entries }] of expected.queues) {
    const found = state.queues.get(queue)
    const text = `${min} to ${max} ${entries.toString('hex')}`
    if (found?.min === min && found.max === max && found.entries.equals(entries)) continue
    assert.equal(`${found?.min} to ${found?.max} ${found?.entries.toString('hex')}`, text, `${why}: ${queue}`)
  }
  assert.equal(state.queues.size, expected.queues.size, why)
}

/** Every queue as the log says it. */
function assertWhole(state: RecoveredState, healthy: RecoveredState): void {
  assert.equal(state.end, healthy.end, 'all of the log is there')
  assertSameQueues(state, healthy, 'the queues are what the log says')
}

/** A damaged log under everything else that is whole. */
export const recoveryTarget: FuzzTarget = {
  name: 'recovery',
  about: 'a start on a damaged log: refused by name, or healthy records kept and entries for all of them',
  async prepare() {
    const { seed, healthy } = await seeds()
    const promised = seed.logEnd
    return ({ random, input }) => {
      const isClean = random.below(2) === 0
      const disk = (isClean ? seed.clean : seed.unclean).image(random)
      const damage = damageLog(random, seed)
      input(`${isClean ? 'clean' : 'unclean'}, segment ${damage.segment}`, damage.bytes)
      writeFile(disk, `${ROOT}/commitlog/${fileNameOf(damage.segment * SEGMENT_BYTES)}`, damage.bytes)
      if (random.below(50) === 0) {
        for (const name of disk.listSync(`${ROOT}/commitlog`)) disk.removeSync(`${ROOT}/commitlog/${name}`)
        assert.equal(recoverTwice(random, disk), undefined, 'a log that is gone is not an empty one')
        return 'refused, no log'
      }
      // Without what we noted of the flushed end, a damaged end is a torn one.
      if (random.below(3) === 0) disk.removeSync(`${ROOT}/checkpoint`)
      const hadCheckpoint = disk.statSync(`${ROOT}/checkpoint`) !== undefined
      const state = recoverTwice(random, disk)
      if (state === undefined) return 'refused'
      assert.ok(state.end <= SEGMENT_BYTES * seed.segments.length)
      if (hadCheckpoint) assert.equal(state.end, promised, 'what had been synced is kept or missed aloud')
      for (const [queue, { entries, max }] of healthy.queues) {
        const positions = positionsOf(entries)
        const kept = positions.filter((position) => position < damage.at && isWholeBefore(seed, position, damage.at))
        const found = state.queues.get(queue)
        // A record that says it is the first of a queue begins it anew.
        if (found !== undefined && !isWholeBefore(seed, positionsOf(found.entries)[0]!, damage.at)) continue
        assert.ok((found?.max ?? 0) >= kept.length - (positions.length - max), `${queue} keeps what was healthy`)
        assert.deepEqual(
          positionsOf(found?.entries ?? Buffer.alloc(0)).slice(0, kept.length),
          kept,
          `${queue} points to what was healthy`,
        )
      }
      return state.end === healthy.end ? 'whole' : 'cut'
    }
  },
}

const isWholeBefore = ({ records }: SeedStore, position: number, end: number): boolean => {
  const record = records.find((each) => each.position === position)
  return record !== undefined && position + record.sizeBytes <= end
}

/** Damaged consume queue files over a healthy log. */
export const queueTarget: FuzzTarget = {
  name: 'queue',
  about: 'consume queue files: built again from the log, or said to be of another size',
  async prepare() {
    const { seed, healthy } = await seeds()
    const paths = [...filesBelow(seed.clean, `${ROOT}/consumequeue`).keys()]
    const files = paths.map((path) => readFile(seed.clean, path))
    return ({ random, input }) => {
      const isClean = random.below(3) === 0
      const disk = (isClean ? seed.clean : seed.unclean).image(random)
      const knowsEnd = random.below(3) > 0
      if (!knowsEnd) disk.removeSync(`${ROOT}/checkpoint`)
      // What is in the list is not read from the files.
      if (random.below(3) > 0) disk.removeSync(`${ROOT}/cometmq.queues`)
      if (random.below(20) === 0) addStrays(random, disk)
      let isOfOtherSize = false
      let scannedOnly = Number.POSITIVE_INFINITY
      // After a clean stop the entries are only counted: two faults could make up for each other.
      for (let count = isClean ? 1 : 1 + random.below(2); count > 0; count--) {
        const which = random.below(paths.length)
        const path = paths[which]!
        if (random.below(20) === 0) {
          input(isClean ? 'clean, removed' : 'unclean, removed', path)
          disk.removeSync(path)
          continue
        }
        const bytes = mutate(random, files[which]!, { others: files, keepsSize: random.below(10) > 0 })
        input(`${isClean ? 'clean' : 'unclean'} ${path}`, bytes)
        if (bytes.length > QUEUE_FILE_BYTES) isOfOtherSize = true
        writeFile(disk, path, bytes)
      }
      const state = recoverTwice(random, disk)
      if (state === undefined) {
        assert.ok(isOfOtherSize, 'what can be built again is no reason to refuse')
        return 'refused'
      }
      assert.equal(state.end, healthy.end, 'the log is kept')
      // Entries of records that had been dispatched durably are believed; reads look at each record itself.
      scannedOnly = state.scannedFrom
      if (scannedOnly === 0) assertWhole(state, healthy)
      for (const [queue, { max, entries }] of healthy.queues) {
        const found = state.queues.get(queue)
        if (isClean && knowsEnd) continue
        assert.equal(found?.max, max, `${queue} ends where it did`)
        const scanned = positionsOf(entries).filter((position) => position >= scannedOnly).length
        if (scanned === 0) continue
        const tail = entries.subarray(-scanned * 20)
        assert.ok(found.entries.subarray(-tail.length).equals(tail), `${queue} has the entries of what was scanned`)
      }
      return scannedOnly === 0 ? 'scanned from the beginning' : 'scanned from the checkpoint'
    }
  },
}

/** Names that belong to no queue, and files far from the others. */
function addStrays(random: Random, disk: SimulatedDisk): void {
  const entries = random.bytes(QUEUE_FILE_BYTES)
  const names = ['x', 'orders/x', 'orders/99999999999/00000000000000000000', 'orders/0/x', 'new/7/00000000000000000000']
  writeFile(disk, `${ROOT}/consumequeue/${names[random.below(names.length)]}`, entries)
}

const NOTE_AT = [1024, 2048]
const NOTE_BYTES = 160

/** A damaged checkpoint beside a healthy log. */
export const checkpointTarget: FuzzTarget = {
  name: 'checkpoint',
  about: 'the checkpoint: it may make a start longer or refuse it, and never shortens the log',
  async prepare() {
    const { seed, healthy } = await seeds()
    const path = `${ROOT}/checkpoint`
    const pages = [readFile(seed.clean, path), readFile(seed.unclean, path)]
    return (execution) => {
      const { random, input } = execution
      const isClean = random.below(2) === 0
      const disk = (isClean ? seed.clean : seed.unclean).image(random)
      const { page, isForged } = damagePage(random, pages)
      input(isClean ? 'clean' : 'unclean', page)
      writeFile(disk, path, page)
      const state = recoverTwice(random, disk)
      if (state === undefined) return 'refused'
      if (isForged) return 'forged'
      assertWhole(state, healthy)
      return state.scannedFrom === 0 ? 'scanned from the beginning' : 'scanned from the checkpoint'
    }
  },
}

/** Java's fields and our notes lie far apart, so mostly one of them is aimed at; a forged note has a right checksum. */
function damagePage(random: Random, pages: readonly Buffer[]): { page: Buffer; isForged: boolean } {
  const page = Buffer.from(pages[random.below(pages.length)]!)
  const others = pages.map((each) => each.subarray(0, 48))
  const kind = random.below(6)
  if (kind === 0) return { page: mutate(random, page, { others: pages }), isForged: false }
  if (kind <= 2) {
    page.set(mutate(random, page.subarray(0, 48), { others, keepsSize: true }), 0)
    return { page, isForged: false }
  }
  for (const at of NOTE_AT) {
    if (random.below(3) === 0) continue
    const note = mutate(random, page.subarray(at, at + NOTE_BYTES), { keepsSize: true })
    if (kind === 5) {
      note.writeUInt32BE(0x434d5131, 0)
      note.writeUInt32BE(crc32(note.subarray(8)), 4)
    }
    page.set(note, at)
  }
  return { page, isForged: kind === 5 }
}
