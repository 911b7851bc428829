import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { SeededRandom } from '../../base/random.ts'
import type { SimulatedDisk } from '../../base/simulated-disk.ts'
import { storeSettings } from '../settings.ts'
import { draftOf, openSimulatedStore } from '../simulated-store.ts'
import { type CheckResult, checkStore } from './store-check.ts'
import { StoreDirectory } from './store-directory.ts'

const { messageDelayLevel: delayLevels } = storeSettings.parse({}).settings

function check(disk: SimulatedDisk): CheckResult {
  disk.removeSync('/store/cometmq.owner')
  const directory = new StoreDirectory({ disk, root: '/store', commitLog: '', segmentBytes: undefined })
  return checkStore({ directory, delayLevels, onProgress: () => {} })
}

const NOTHING = { isSound: true, faults: [] }

describe('a directory of ours', () => {
  for (const flushDiskType of ['ASYNC_FLUSH', 'SYNC_FLUSH']) {
    test(`${flushDiskType}: what a crash leaves is no damage, and after a stop nothing is said at all`, async () => {
      for (let seed = 1; seed <= 6; seed++) {
        const random = new SeededRandom(seed)
        const settings = { flushDiskType, mappedFileSizeCommitLog: '65536', flushIntervalConsumeQueue: '20' }
        let life = await openSimulatedStore(settings)
        for (let lives = 0; lives < 2; lives++) {
          for (let turn = 0; turn < 40; turn++) {
            const topic = ['orders', 'payments'][random.below(2)]!
            life.store.append(draftOf({ topic, queueId: random.below(3), body: Buffer.alloc(random.below(9_000), 7) }))
            await life.scheduler.advance(random.below(60))
            if (turn % 4 !== 0) continue
            const ends = { kill: life.disk.image(random), power: life.disk.imageAfterCrash(random) }
            for (const [end, image] of Object.entries(ends)) {
              const result = check(image)
              const serious = result.faults.filter(({ isOrdinary }) => !isOrdinary)
              assert.deepEqual(serious, [], `seed ${seed}, ${end} in turn ${turn} of life ${lives}`)
            }
          }
          life = await life.crash()
        }
        await life.close()
        const { isSound, faults } = check(life.disk)
        assert.deepEqual({ isSound, faults }, NOTHING, `seed ${seed}`)
      }
    })
  }
})
