import assert from 'node:assert/strict'
import { silentLog } from '../../src/base/console-log.ts'
import { SeededRandom } from '../../src/base/random.ts'
import { SimulatedScheduler } from '../../src/base/simulated-scheduler.ts'
import { IndexFolder } from '../../src/store/index-folder.ts'
import { indexHash } from '../../src/store/index-keys.ts'
import { HEADER_BYTES } from '../../src/store/index-layout.ts'
import { IndexDamaged, type IndexQuestion, positionsIn } from '../../src/store/index-search.ts'
import type { FuzzTarget } from './fuzz-target.ts'
import { mutate } from './mutation.ts'
import { commitLogOn } from './recovered-store.ts'
import { INDEX_SHAPE, ROOT, readFile, seedStore, writeFile } from './seed-store.ts'

/** What is asked later is answered in the same turn: no execution has anything else to do meanwhile. */
class ImmediateScheduler extends SimulatedScheduler {
  override after(_delayMs: number, callback: () => void): { cancel(): void } {
    queueMicrotask(callback)
    return { cancel: () => {} }
  }
  override sleep(): Promise<void> {
    return Promise.resolve()
  }
}

const QUESTIONS: IndexQuestion[] = [
  ['orders', 'k0', false],
  ['payments', 'u1', false],
  ['SCHEDULE_TOPIC_XXXX', 'tag-0', true],
  ['orders', 'nobody', false],
].map(([topic, key, isTag]) => ({
  hash: indexHash(topic as string, key as string, isTag as boolean),
  beginTimestamp: 0,
  endTimestamp: Number.MAX_SAFE_INTEGER,
  deadline: Number.POSITIVE_INFINITY,
}))

export const indexTarget: FuzzTarget = {
  name: 'index',
  about: 'index files: believed or built again, the same each time; a search in any of them ends',
  async prepare() {
    const { clean, logEnd } = await seedStore()
    const directory = `${ROOT}/index`
    const names = clean.listSync(directory).sort()
    const files = names.map((name) => readFile(clean, `${directory}/${name}`))
    const scheduler = new ImmediateScheduler()
    const commitLog = commitLogOn(clean)
    return async ({ random, input }) => {
      const disk = clean.image(new SeededRandom(1), scheduler)
      const which = random.below(files.length)
      const bytes = mutate(random, files[which]!, { others: files, keepsSize: random.below(20) > 0 })
      // Chains matter most, and the header is what a load looks at: so it often stays as it was.
      if (random.below(2) === 0) bytes.set(files[which]!.subarray(0, Math.min(HEADER_BYTES, bytes.length)))
      input(names[which]!, bytes)
      writeFile(disk, `${directory}/${names[which]}`, bytes)
      if (random.below(20) === 0)
        writeFile(disk, `${directory}/${random.below(3) === 0 ? 'x' : '20990101000000000'}`, bytes)
      const trust = { unclean: random.below(4) === 0, syncedTimestamp: 1_795_470_010_000, logEnd }
      const parts = { disk, directory, shape: INDEX_SHAPE, log: silentLog, commitLog }
      const folder = new IndexFolder(parts)
      folder.load(trust)
      const again = new IndexFolder(parts)
      again.load(trust)
      assert.deepEqual(
        again.files.map(({ path }) => path),
        folder.files.map(({ path }) => path),
        'what is believed once is believed again',
      )
      let found = 0
      let isDamaged = false
      for (const file of folder.files) {
        for (const question of QUESTIONS) {
          let count = 0
          try {
            for await (const position of positionsIn(file, question, scheduler)) {
              assert.ok(Number.isFinite(position))
              assert.ok(++count <= INDEX_SHAPE.units, 'a chain has an end')
            }
          } catch (error) {
            if (!(error instanceof IndexDamaged)) throw error
            assert.ok(error.message.includes(file.path), `named by its path: ${error.message}`)
            isDamaged = true
          }
          found += count
        }
        file.close()
      }
      if (isDamaged) return 'damage found by a search'
      return folder.files.length < names.length ? 'built again' : found > 0 ? 'believed' : 'nothing found'
    }
  },
}
