/**
 * A store on a disk that fills up, and whose old segments are deleted.
 *
 *   npm run faults [-- --cycles N] [--size MB]
 *
 * First on the simulated disk, which takes nothing more from its n-th write on, for each n. Then segments are deleted on
 * a disk that fails, or goes down, at each operation of that. Then a real broker on a real small file system (tmpfs,
 * mounted by root): it fills up, refuses with numbers, consumers still read, room is made, messages are taken again
 * within 10 s, and nothing acknowledged is lost. Where mounting is not allowed this part is left out, with the reason.
 */
import { parseArgs } from 'node:util'
import { crashAtEach, failEach } from '../simulation/deletion-life.ts'
import { FullDisk } from '../simulation/full-disk.ts'
import { RealDiskRun } from './real-disk-run.ts'
import { SmallDisk } from './small-disk.ts'

const { values } = parseArgs({
  options: {
    cycles: { type: 'string', default: '4' },
    size: { type: 'string', default: '64' },
  },
})

const say = (line: string): void => {
  process.stdout.write(`${line}\n`)
}

async function simulated(): Promise<void> {
  const started = performance.now()
  const whole = new FullDisk(Number.POSITIVE_INFINITY)
  await whole.live()
  for (let fullAt = 1; fullAt <= whole.writes; fullAt++) {
    try {
      await new FullDisk(fullAt).live()
    } catch (error) {
      throw new Error(`simulated disk, full from write ${fullAt} of ${whole.writes} on`, { cause: error })
    }
  }
  const seconds = ((performance.now() - started) / 1000).toFixed(1)
  say(`simulated disk: full from each of ${whole.writes} writes on, nothing acknowledged was lost (${seconds} s)`)
}

async function deletion(): Promise<void> {
  const started = performance.now()
  const crashes = (await crashAtEach('power', 1)) + (await crashAtEach('kill', 1))
  const failures = await failEach(1)
  const seconds = ((performance.now() - started) / 1000).toFixed(1)
  say(`deletion of segments: ${crashes} crashes, ${failures} failed calls, nothing else was lost (${seconds} s)`)
}

async function real(): Promise<void> {
  for (const mode of ['SYNC_FLUSH', 'ASYNC_FLUSH'] as const) {
    const mounted = SmallDisk.mount(Number(values.size) * 1_048_576)
    if (typeof mounted === 'string') {
      say(`real disk: skipped, ${mounted}`)
      return
    }
    using disk = mounted
    await new RealDiskRun(disk, mode, say).run(Number(values.cycles))
  }
}

try {
  await simulated()
  await deletion()
  await real()
} catch (error) {
  process.stderr.write(`faults: ${error instanceof Error ? (error.stack ?? error.message) : error}\n`)
  if (error instanceof Error && error.cause instanceof Error) process.stderr.write(`${error.cause.stack}\n`)
  process.exit(1)
}
