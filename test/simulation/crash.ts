/**
 * Crashes a store at random and looks at what is left.
 *
 *   npm run crash -- --seeds 1000 [--from 1]     many seeds; the first failure is printed and ends with exit code 1
 *   npm run crash -- --seed 42 [--history]       one seed, and what happened in it
 */
import { parseArgs } from 'node:util'
import { CrashRun } from './crash-run.ts'

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '1000' },
    from: { type: 'string', default: '1' },
    seed: { type: 'string' },
    history: { type: 'boolean', default: false },
  },
})

const from = Number(values.seed ?? values.from)
const count = values.seed === undefined ? Number(values.seeds) : 1
const started = performance.now()
for (let seed = from; seed < from + count; seed++) {
  const run = new CrashRun(seed)
  try {
    await run.run()
  } catch (error) {
    if (values.history) process.stdout.write(`${run.history.join('\n')}\n`)
    process.stderr.write(`seed ${seed} failed: ${error instanceof Error ? error.stack : error}\n`)
    process.stderr.write(`replay it with: npm run crash -- --seed ${seed} --history\n`)
    process.exit(1)
  }
  if (values.history) process.stdout.write(`${run.history.join('\n')}\n`)
}
const seconds = ((performance.now() - started) / 1000).toFixed(1)
process.stdout.write(`${count} seeds from ${from}: nothing acknowledged was lost (${seconds} s)\n`)
