import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { diskContract } from './disk.contract.ts'
import { SeededRandom } from './random.ts'
import { SimulatedDisk } from './simulated-disk.ts'
import { SimulatedScheduler } from './simulated-scheduler.ts'
import { systemDisk } from './system-disk.ts'

diskContract('the simulated', () => {
  const scheduler = new SimulatedScheduler()
  const disk = new SimulatedDisk(new SeededRandom(1), { scheduler })
  disk.makeDirectorySync('/data')
  return {
    disk,
    root: '/data',
    async settle(answer) {
      await scheduler.advance(10)
      return answer
    },
    close() {},
  }
})

diskContract("the machine's", () => {
  const root = mkdtempSync(join(tmpdir(), 'cometmq-disk-'))
  return { disk: systemDisk, root, settle: (answer) => answer, close: () => rmSync(root, { recursive: true }) }
})
