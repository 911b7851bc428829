import assert from 'node:assert/strict'
import type { Random } from '../../src/base/random.ts'
import { checkRecord, decodeMessage, decodeMessages, readPosition } from '../../src/protocol/message.ts'
import { IndexKeys } from '../../src/store/index-keys.ts'
import { LogScanner } from '../../src/store/log-scanner.ts'
import { fileNameOf } from '../../src/store/store-paths.ts'
import type { FuzzTarget } from './fuzz-target.ts'
import { firstDifference, mutate } from './mutation.ts'
import { recordFault } from './record-oracle.ts'
import { commitLogOn } from './recovered-store.ts'
import { ROOT, SEGMENT_BYTES, type SeedStore, seedStore, writeFile } from './seed-store.ts'

/** One record in memory: what a pull answer, a segment and a replica's bytes are made of. */
export const recordTarget: FuzzTarget = {
  name: 'record',
  about: 'a stored message: lengths, checksum, decoding, keys',
  async prepare() {
    const { segments, records } = await seedStore()
    const log = Buffer.concat(segments)
    const wholes = records.map(({ position, sizeBytes }) => log.subarray(position, position + sizeBytes))
    const keys = new IndexKeys()
    return ({ random, input }) => {
      const from = random.below(wholes.length)
      // More than one, so that a length that goes too far meets something.
      const original = Buffer.concat(wholes.slice(from, from + 1 + random.below(3)))
      const bytes = mutate(random, original, { others: wholes })
      input('bytes', bytes)
      const at = random.below(4) === 0 ? random.below(bytes.length + 1) : 0
      const size = checkRecord(bytes, at, bytes.length, { crc: true })
      const loose = checkRecord(bytes, at, bytes.length, { crc: false })
      assert.ok(size === -1 || size === loose, 'without its checksum a record is no longer')
      for (const message of decodeMessages(bytes)) assert.ok(message.sizeBytes <= bytes.length)
      if (loose < 0) {
        assert.throws(() => decodeMessage(bytes, at), RangeError)
        return 'no record'
      }
      decodeMessage(bytes, at)
      keys.collect(bytes, at)
      const fault = recordFault(bytes, at, loose)
      assert.equal(size, fault === undefined ? loose : -1, fault)
      return size < 0 ? 'wrong checksum' : 'record'
    }
  },
}

/** Damage to one segment, as the log's own bytes. */
export function damageLog(random: Random, { segments }: SeedStore): { segment: number; bytes: Buffer; at: number } {
  const segment = random.below(segments.length)
  const original = segments[segment]!
  const bytes = mutate(random, original, { others: segments, keepsSize: true })
  return { segment, bytes, at: segment * SEGMENT_BYTES + firstDifference(bytes, original) }
}

/** A log of two segments. */
export const scanTarget: FuzzTarget = {
  name: 'scan',
  about: 'the scan of the commit log: no false record, none lost before the damage, no step past the end',
  async prepare() {
    const seed = await seedStore()
    return ({ random, input }) => {
      const disk = seed.clean.image(random)
      const damage = damageLog(random, seed)
      input(`segment ${damage.segment}`, damage.bytes)
      writeFile(disk, `${ROOT}/commitlog/${fileNameOf(damage.segment * SEGMENT_BYTES)}`, damage.bytes)
      const bytes = Buffer.concat(seed.segments.map((each, index) => (index === damage.segment ? damage.bytes : each)))
      const log = commitLogOn(disk)
      const scanner = new LogScanner(log, true)
      if (random.below(4) === 0) {
        scanner.tornFrom = random.below(bytes.length)
        scanner.anySectorTorn = random.below(2) === 0
      }
      const found = scan(scanner, bytes)
      const isHarmless = bytes.equals(Buffer.concat(seed.segments))
      // A torn record may end with zeros that were its own.
      const healthyEnd = Math.min(isHarmless ? seed.logEnd : damage.at, scanner.tornFrom)
      for (const { position, sizeBytes } of seed.records) {
        if (position + sizeBytes <= healthyEnd) assert.ok(found.has(position), `the record at ${position} is lost`)
      }
      const end = scanner.position
      assert.ok(end <= bytes.length)
      const behind = scanner.examineBehind(end, Number.POSITIVE_INFINITY)
      const { validPosition } = behind
      if (validPosition !== undefined) {
        assert.ok(validPosition > end, 'what is behind the end stands behind it')
        assert.equal(recordFault(bytes, validPosition, bytes.readInt32BE(validPosition)), undefined)
        assert.equal(behind.isZero, false)
      } else
        assert.equal(
          behind.isZero,
          bytes.subarray(end).every((byte) => byte === 0),
        )
      log.close()
      return validPosition === undefined ? (end === seed.logEnd ? 'whole' : 'torn') : 'damaged'
    }
  },
}

/** Steps to the end, and looks at each record in another way. */
function scan(scanner: LogScanner, bytes: Buffer): Set<number> {
  const found = new Set<number>()
  scanner.seek(0)
  for (let next = 0; scanner.step() === 'record'; next = scanner.position + scanner.sizeBytes) {
    const { position, sizeBytes, at } = scanner
    assert.ok(position >= next, 'the scan goes forward')
    assert.equal(recordFault(bytes, position, sizeBytes), undefined, `the record at ${position}`)
    assert.equal(Math.floor(position / SEGMENT_BYTES), Math.floor((position + sizeBytes - 1) / SEGMENT_BYTES))
    assert.ok(scanner.bytes.compare(bytes, position, position + sizeBytes, at, at + sizeBytes) === 0)
    assert.equal(readPosition(scanner.bytes, at), position)
    found.add(position)
  }
  return found
}
