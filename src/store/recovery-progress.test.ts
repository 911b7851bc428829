import assert from 'node:assert/strict'
import { test } from 'node:test'
import { memoryLog } from '../base/console-log.ts'
import { SimulatedScheduler } from '../base/simulated-scheduler.ts'
import { RecoveryProgress } from './recovery-progress.ts'

test('a long recovery says every five seconds how far it is, how fast, and how long it will take', async () => {
  const scheduler = new SimulatedScheduler()
  const log = memoryLog()
  const progress = new RecoveryProgress(scheduler, log, 1_000_000_000, 3_000_000_000)
  for (let position = 1_000_000_000; position < 3_000_000_000; position += 10_000_000) {
    progress.at(position)
    await scheduler.advance(100)
  }
  assert.deepEqual(
    log.lines.map(({ fields }) => fields),
    [
      { percent: 25, position: 1_500_000_000, bytesPerSecond: 100_000_000, secondsLeft: 15 },
      { percent: 50, position: 2_000_000_000, bytesPerSecond: 100_000_000, secondsLeft: 10 },
      { percent: 75, position: 2_500_000_000, bytesPerSecond: 100_000_000, secondsLeft: 5 },
    ],
  )
})
