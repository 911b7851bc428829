import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { PendingRecords } from '../../src/store/pending-records.ts'
import { CrashRun, type Mutant } from './crash-run.ts'

const SEEDS = 60
/** So many seeds are tried before a mutant counts as one that lives. */
const MUTANT_SEEDS = 150

/** The first seed that notices the mutant, and by what. */
async function firstNotice(mutant: Mutant): Promise<{ seed: number; message: string } | undefined> {
  for (let seed = 1; seed <= MUTANT_SEEDS; seed++) {
    try {
      await new CrashRun(seed, mutant).run()
    } catch (error) {
      return { seed, message: (error as Error).message }
    }
  }
  return undefined
}

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

describe('the harness notices a store that', () => {
  test('acknowledges before it has written', async () => {
    const notice = await firstNotice({ acknowledgeAppended: true })
    assert.match(notice?.message ?? '', /acknowledged and is lost/)
  })

  test('does not sync', async () => {
    const notice = await firstNotice({ skipDatasync: true })
    assert.match(notice?.message ?? '', /acknowledged and is lost|had been synced up to|is short/)
  })

  test('does not sync directories', async () => {
    const notice = await firstNotice({ skipDirectorySync: true })
    assert.notEqual(notice, undefined)
  })

  test('lets the consume queue run ahead of the log', async () => {
    const original = PendingRecords.prototype.takeUpTo
    const notice = await firstNotice({
      patch: () => {
        PendingRecords.prototype.takeUpTo = function (this: PendingRecords, _position, dispatch) {
          original.call(this, Number.POSITIVE_INFINITY, dispatch)
        }
        return () => {
          PendingRecords.prototype.takeUpTo = original
        }
      },
    })
    assert.notEqual(notice, undefined)
  })

  test('replaces its configuration in place', async () => {
    const notice = await firstNotice({ saveInPlace: true })
    assert.match(notice?.message ?? '', /the configuration is the old or the new version/)
  })

  test('takes a failed sync for a good one', async () => {
    const notice = await firstNotice({ ignoreFailedSync: true })
    assert.match(notice?.message ?? '', /acknowledged and is lost|had been synced up to/)
  })
})
