import assert from 'node:assert/strict'
import { SeededRandom } from '../../src/base/random.ts'
import { SimulatedDisk } from '../../src/base/simulated-disk.ts'
import { SimulatedScheduler } from '../../src/base/simulated-scheduler.ts'
import { AbortFile } from '../../src/store/abort-file.ts'
import { StoreLocked } from '../../src/store/store-errors.ts'
import { StoreLock } from '../../src/store/store-lock.ts'
import { storePaths } from '../../src/store/store-paths.ts'
import type { FuzzTarget } from './fuzz-target.ts'
import { mutate } from './mutation.ts'
import { ROOT, readFile, writeFile } from './seed-store.ts'

const PROCESS = 4711
const STAT = '4711 (node (main)) S 1 4711 1 0 -1 4194560 9 0 0 0 1 1 0 0 20 0 11 0 987654 1 2'
const LOCKS =
  '1: POSIX  ADVISORY  WRITE 815 00:2e:1234 0 0\n2: FLOCK  ADVISORY  WRITE 4711 00:2e:99 0 EOF\n3: POSIX  ADVISORY  READ 9 00:2e:1 0 0\n'

/** What files of a process say, here and in /proc: each as it is, damaged, or not there. */
const FILES: { path: string; texts: string[]; oftenDamaged: boolean }[] = [
  {
    path: `${ROOT}/cometmq.owner`,
    texts: ['4711 987654 boot-1\n', '815 11 boot-1\n', '815 - -\n'],
    oftenDamaged: true,
  },
  { path: `${ROOT}/abort`, texts: ['815', '4711', ''], oftenDamaged: true },
  { path: `${ROOT}/lock`, texts: ['lock'], oftenDamaged: true },
  { path: '/proc/sys/kernel/random/boot_id', texts: ['boot-1\n'], oftenDamaged: false },
  { path: `/proc/${PROCESS}/stat`, texts: [STAT], oftenDamaged: false },
  { path: '/proc/815/stat', texts: [STAT.replaceAll('4711', '815').replace('987654', '11')], oftenDamaged: false },
  { path: '/proc/locks', texts: [LOCKS], oftenDamaged: false },
]

export const lockTarget: FuzzTarget = {
  name: 'lock',
  about: 'owner, abort and lock: taken, or refused with the folder; never two owners, never one for ever',
  async prepare() {
    const paths = storePaths(ROOT, '')
    return ({ random, input }) => {
      const scheduler = new SimulatedScheduler()
      const disk = new SimulatedDisk(new SeededRandom(1), { scheduler })
      disk.makeDirectorySync(ROOT)
      for (const { path, texts, oftenDamaged } of FILES) {
        if (random.below(4) === 0) continue
        const text = Buffer.from(texts[random.below(texts.length)]!)
        const isDamaged = random.below(oftenDamaged ? 3 : 10) > 0 === oftenDamaged
        const bytes = isDamaged ? mutate(random, text, { mostBytes: 100_000 }) : text
        input(path, bytes)
        writeFile(disk, path, bytes)
      }
      // Without a boot id the machine is asked for processes, and this is one input that no seed holds.
      if (disk.statSync('/proc/sys/kernel/random/boot_id') === undefined) {
        writeFile(disk, '/proc/sys/kernel/random/boot_id', 'boot-2')
      }
      const abort = new AbortFile(disk, paths.abort)
      const wasUnclean = abort.isPresent
      let lock: StoreLock
      try {
        lock = new StoreLock(disk, paths, PROCESS)
      } catch (error) {
        assert.ok(error instanceof StoreLocked && error.message.startsWith(ROOT), `refused by name: ${error}`)
        assert.ok(disk.statSync(paths.owner) !== undefined || wasUnclean, 'somebody must be there to be refused for')
        return 'refused'
      }
      assert.ok(readFile(disk, paths.owner).toString().startsWith('4711 '))
      assert.equal(abort.isPresent, wasUnclean, 'who takes the folder leaves what the last run left')
      abort.create(PROCESS)
      assert.equal(readFile(disk, paths.abort).toString(), '4711')
      abort.remove()
      lock.release()
      assert.equal(disk.statSync(paths.owner), undefined)
      new StoreLock(disk, paths, PROCESS).release()
      return wasUnclean ? 'taken, unclean' : 'taken, clean'
    }
  },
}
