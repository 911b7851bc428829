import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FullDisk } from './full-disk.ts'

test('a disk that is full from any write on: nothing acknowledged is lost, and messages are taken again in 10 s', async () => {
  const whole = new FullDisk(Number.POSITIVE_INFINITY)
  await whole.live()
  assert.ok(whole.writes > 120, `${whole.writes} writes`)
  // The early ones, which meet each kind of file for the first time, and some; `npm run faults` tries them all.
  for (let fullAt = 1; fullAt < whole.writes; fullAt += fullAt < 60 ? 5 : 29) {
    try {
      await new FullDisk(fullAt).live()
    } catch (error) {
      ;(error as Error).message = `full from write ${fullAt} of ${whole.writes} on: ${(error as Error).message}`
      throw error
    }
  }
})
