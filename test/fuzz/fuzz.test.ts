import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Finding, runFuzz } from './fuzz-run.ts'
import type { Execute, FuzzTarget } from './fuzz-target.ts'
import { targets } from './targets.ts'

const EXECUTIONS = 2_000

const targetOf = (execute: Execute): FuzzTarget => ({ name: 'x', about: 'x', prepare: async () => execute })
const run = (execute: Execute, executions = 100): Promise<unknown> =>
  runFuzz(targetOf(execute), execute, { seed: 1, executions })

describe('what is read from a disk, damaged', () => {
  for (const target of targets) {
    test(`${target.name}: ${target.about}`, async () => {
      const executions = Math.ceil(EXECUTIONS / (target.oneIn ?? 1))
      const { outcomes } = await runFuzz(target, await target.prepare(), { seed: 1, executions })
      assert.ok(outcomes.size > 1, `not each input comes to the same: ${[...outcomes.keys()]}`)
    })
  }
})

describe('the fuzzer', () => {
  test('says which seed went wrong, what the input was, and how to see it again', async () => {
    const execute: Execute = ({ random, input }) => {
      const bytes = random.bytes(4)
      input('bytes', bytes)
      if (bytes[0]! > 250) throw new Error('too large')
      return 'fine'
    }
    await assert.rejects(run(execute), (error: Finding) => {
      assert.ok(error instanceof Finding)
      assert.match(error.message, /too large/)
      assert.match(error.message, /bytes: 4 bytes f[b-f]/)
      assert.match(error.message, /npm run fuzz -- --target x --seed \d+ --executions 1$/)
      return true
    })
  })

  test('notices what takes more than 50 ms of the processor each time', async () => {
    const burn = (ms: number): string => {
      const started = process.threadCpuUsage()
      for (;;) {
        const { user, system } = process.threadCpuUsage(started)
        if (user + system > ms * 1000) return 'slow'
      }
    }
    await assert.rejects(
      run(() => burn(60), 1),
      /takes \d+ ms of processor time/,
    )
    let times = 0
    await run(() => (times++ === 0 ? burn(60) : 'fast'), 1)
    await run(() => burn(5), 1)
  })

  test('the same seed is the same input', async () => {
    const seen: string[] = []
    const execute: Execute = ({ random }) => {
      seen.push(random.bytes(16).toString('hex'))
      return 'seen'
    }
    await run(execute, 20)
    await run(execute, 20)
    assert.deepEqual(seen.slice(0, 20), seen.slice(20))
    assert.equal(new Set(seen).size, 20)
  })
})
