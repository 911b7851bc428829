import assert from 'node:assert/strict'
import { checkStore } from '../../src/store/check/store-check.ts'
import { StoreDirectory } from '../../src/store/check/store-directory.ts'
import { StoreCorrupt, StoreRefused } from '../../src/store/store-errors.ts'
import { assertSameFiles } from '../simulation/image-check.ts'
import { filesBelow } from '../simulation/log-on-disk.ts'
import type { FuzzTarget } from './fuzz-target.ts'
import { mutate } from './mutation.ts'
import { recover } from './recovered-store.ts'
import { QUEUE_FILE_BYTES, ROOT, SEGMENT_BYTES, seedSettings, seedStore, writeFile } from './seed-store.ts'

/** The tool that a refused start names. */
export const checkTarget: FuzzTarget = {
  name: 'check',
  about: 'cometmq store check: changes nothing, names its faults, and calls nothing sound that a start refuses',
  oneIn: 100,
  async prepare() {
    const { clean, unclean } = await seedStore()
    return ({ random, input }) => {
      const disk = (random.below(2) === 0 ? clean : unclean).image(random)
      const files = [...filesBelow(disk, ROOT)].filter(([path]) => !path.endsWith('.owner'))
      const [path, original] = files[random.below(files.length)]!
      const others = files.filter((file) => file[1].length === original.length).map((file) => file[1])
      const bytes = mutate(random, original, { others, keepsSize: random.below(8) > 0 })
      input(path, bytes)
      writeFile(disk, path, bytes)
      disk.removeSync(`${ROOT}/cometmq.owner`)
      const before = filesBelow(disk, ROOT)
      const directory = new StoreDirectory({
        disk,
        root: ROOT,
        commitLog: '',
        segmentBytes: SEGMENT_BYTES,
        queueFileBytes: QUEUE_FILE_BYTES,
      })
      const { messageDelayLevel: delayLevels } = seedSettings
      const { faults, isSound } = checkStore({ directory, delayLevels, onProgress: () => {} })
      assertSameFiles(filesBelow(disk, ROOT), before, 'a check changes nothing')
      for (const fault of faults) assert.ok(fault.path.startsWith(ROOT), 'a fault names its file')
      try {
        recover(disk)
      } catch (error) {
        if (!(error instanceof StoreCorrupt) && !(error instanceof StoreRefused)) throw error
        assert.ok(!isSound, `a start says: ${error.message}`)
        return 'refused'
      }
      return isSound ? 'sound' : 'damaged'
    }
  },
}
