import assert from 'node:assert/strict'
import type { SimulatedDisk } from '../base/simulated-disk.ts'
import { javaHashCode } from '../protocol/java-hash.ts'

/** What one message is indexed under, in order. */
export interface Indexed {
  position: number
  topic: string
  uniqueKey: string | undefined
  keys: string | undefined
  tag: string | undefined
}

/** Texts that Java would hash for a message. */
export function textsOf({ topic, uniqueKey, keys, tag }: Indexed): string[] {
  const texts = uniqueKey === undefined ? [] : [`${topic}#${uniqueKey}`]
  for (const word of keys?.split(' ') ?? []) if (word !== '') texts.push(`${topic}#${word}`)
  if (tag !== undefined) texts.push(`${topic}#T#${tag}`)
  return texts
}

export interface Unit {
  hash: number
  position: number
}

export function unitsOf(messages: readonly Indexed[]): Unit[] {
  return messages.flatMap((message) =>
    textsOf(message).map((text) => {
      const hash = Math.abs(javaHashCode(text))
      return { hash: hash > 0x7fff_ffff ? 0 : hash, position: message.position }
    }),
  )
}

export interface IndexOnDisk {
  name: string
  units: Unit[]
}

/**
 * Reads index files by the format alone, and proves that each is whole: its header fits its units, every unit is in the
 * chain of its slot, and no slot leads elsewhere.
 */
export function indexOnDisk(
  disk: SimulatedDisk,
  directory: string,
  shape: { slots: number; units: number },
  skip: { usedSlots: boolean } = { usedSlots: false },
): IndexOnDisk[] {
  return disk
    .listSync(directory)
    .sort()
    .map((name) => {
      const file = disk.openSync(`${directory}/${name}`, 'read')
      const bytes = Buffer.alloc(file.sizeSync())
      file.readSync(bytes, 0)
      file.closeSync()
      const unitsAt = 40 + shape.slots * 4
      assert.equal(bytes.length, unitsAt + shape.units * 20, `${name} has its full length`)
      const next = bytes.readInt32BE(36)
      const units: Unit[] = []
      for (let unit = 1; unit < next; unit++) {
        const at = unitsAt + unit * 20
        units.push({ hash: bytes.readInt32BE(at), position: Number(bytes.readBigInt64BE(at + 4)) })
      }
      const chained = new Set<number>()
      let used = 0
      for (let slot = 0; slot < shape.slots; slot++) {
        const first = bytes.readInt32BE(40 + slot * 4)
        if (first !== 0) used++
        for (let unit = first; unit !== 0; unit = bytes.readInt32BE(unitsAt + unit * 20 + 16)) {
          assert.ok(unit < next && !chained.has(unit), `${name}: unit ${unit} is in one chain`)
          assert.equal(units[unit - 1]!.hash % shape.slots, slot, `${name}: unit ${unit} is in its chain`)
          chained.add(unit)
        }
      }
      assert.equal(chained.size, units.length, `${name}: all units are in chains`)
      if (!skip.usedSlots) assert.equal(bytes.readInt32BE(32), used, `${name}: slots in use`)
      assert.equal(Number(bytes.readBigInt64BE(16)), units[0]?.position, `${name}: position of the first`)
      assert.equal(Number(bytes.readBigInt64BE(24)), units[units.length - 1]?.position, `${name}: position of the last`)
      return { name, units }
    })
}
