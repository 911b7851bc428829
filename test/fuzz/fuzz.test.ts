import assert from 'node:assert/strict'
import { describe, type MockTracker, test } from 'node:test'
import { ConfigFile } from '../../src/base/config-file.ts'
import { LogScanner } from '../../src/store/log-scanner.ts'
import { QueueFiles } from '../../src/store/queue-files.ts'
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

/** Ways to break what reads, each of which a target must notice. */
const mutants: { what: string; target: string; patch: (mock: MockTracker) => void }[] = [
  {
    what: 'what is wrong is not written anew',
    target: 'queue',
    patch: (mock) => mock.method(QueueFiles.prototype, 'write', () => {}),
  },
  {
    what: 'a scan begins where no record does',
    target: 'checkpoint',
    patch: (mock) => mock.method(LogScanner.prototype, 'isRecordAt', () => true),
  },
  {
    what: 'the last byte of a file is not saved',
    target: 'kvConfig',
    patch: (mock) => {
      const { save } = ConfigFile.prototype
      mock.method(ConfigFile.prototype, 'save', function (this: ConfigFile, text: string) {
        save.call(this, text.slice(0, -1))
      })
    },
  },
  {
    what: 'a backup is not looked at',
    target: 'topics',
    patch: (mock) => {
      const { loadAs } = ConfigFile.prototype
      mock.method(ConfigFile.prototype, 'loadAs', function (this: ConfigFile, parse: (text: string) => unknown) {
        let isFirst = true
        return loadAs.call(this, (text) => {
          if (!isFirst) throw new Error('not looked at')
          isFirst = false
          return parse(text)
        })
      })
    },
  },
]

describe('a reader that is broken is noticed', () => {
  for (const { what, target: name, patch } of mutants) {
    test(`${name}: ${what}`, async (context) => {
      const target = targets.find((each) => each.name === name)!
      const execute = await target.prepare()
      patch(context.mock)
      await assert.rejects(runFuzz(target, execute, { seed: 1, executions: EXECUTIONS }), Finding)
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
