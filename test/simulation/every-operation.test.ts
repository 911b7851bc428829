import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { EveryOperation, type FlushMode } from './every-operation.ts'

async function runWith(mode: FlushMode, failAt: number, code: 'EIO' | 'ENOSPC'): Promise<string> {
  const script = new EveryOperation(mode, failAt, code)
  try {
    const { ending, failed, why } = await script.run()
    assert.notEqual(ending, 'died', `an error that nobody caught: ${failed}: ${why}`)
    return failed ?? ''
  } catch (error) {
    const replay = `npm run crash -- --each-io ${mode} --nth ${failAt} --code ${code} --history`
    return assert.fail(`call ${failAt}: ${(error as Error).message}\nreplay it with: ${replay}`)
  }
}

describe('a store in whose life one call of the disk fails', () => {
  test('keeps what it promised, whichever call it is (a part of them; all are in npm run crash -- --each-io)', async () => {
    const undisturbed = new EveryOperation('SYNC_FLUSH', Number.POSITIVE_INFINITY)
    await undisturbed.run()
    assert.ok(undisturbed.calls >= 500, `${undisturbed.calls} calls`)
    for (let nth = 5; nth <= undisturbed.calls; nth += 61) {
      await runWith('SYNC_FLUSH', nth, 'EIO')
      await runWith('ASYNC_FLUSH', nth + 30, 'ENOSPC')
    }
  })

  test('opens again after a truncation that failed at any of its calls, and a stop', async () => {
    const failures: string[] = []
    for (let nth = 1; nth <= 24; nth += 2) {
      const { failed, why } = await new EveryOperation('SYNC_FLUSH', nth, 'EIO', 'truncation').run()
      assert.doesNotMatch(why ?? '', /damaged/)
      failures.push(failed ?? '')
    }
    assert.ok(failures.some((failed) => failed.startsWith('datasync /store/commitlog')))
  })
})
