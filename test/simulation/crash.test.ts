import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { ClusterRun } from './cluster-run.ts'
import { CrashImages } from './crash-images.ts'
import { CrashRun } from './crash-run.ts'
import { record } from './recorded-run.ts'

const SEEDS = 60
describe('a store that crashes anywhere', () => {
  test(`keeps what it acknowledged, over ${SEEDS} seeds`, async () => {
    for (let seed = 1; seed <= SEEDS; seed++) {
      const run = new CrashRun(seed)
      try {
        await run.run()
      } catch (error) {
        assert.fail(
          `seed ${seed}: ${(error as Error).message}\nreplay it with: npm run crash -- --seed ${seed} --history`,
        )
      }
    }
  })

  test('has the same history for the same seed', async () => {
    for (const seed of [3, 17, 529]) {
      const [first, second] = [new CrashRun(seed), new CrashRun(seed)]
      await first.run()
      await second.run()
      assert.equal(first.history.join('\n'), second.history.join('\n'))
    }
  })
})

/** Seeds that once found something: with what, is said beside them. */
const FOUND = [
  { seed: 5, what: 'a group that stood behind the end of the log after a loss of power' },
  { seed: 7, what: 'the same, in a topic that was made by its first message' },
]

describe('a broker with clients', () => {
  for (const { seed, what } of FOUND) {
    test(`seed ${seed}: ${what}`, async () => {
      await new ClusterRun(seed).run()
    })
  }

  test('has the same history for the same seed, byte for byte', async () => {
    const [first, second] = [new ClusterRun(12), new ClusterRun(12)]
    await first.run()
    await second.run()
    assert.equal(first.history.lines.join('\n'), second.history.lines.join('\n'))
  })
})

describe('images of the disk at every operation', () => {
  test('hold what was promised (one trace; ten thousand images are in npm run crash -- --ci)', async () => {
    const recording = await record(2, { loadMs: 60 })
    const explorer = new CrashImages(recording)
    await explorer.explore(1)
    assert.ok(explorer.images >= 200, `${explorer.images} images`)
  })
})
