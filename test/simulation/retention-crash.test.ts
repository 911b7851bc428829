import { describe, test } from 'node:test'
import { crashAtEach, failEach } from './deletion-life.ts'

/** Some of the operations; `npm run faults` tries them all. */
describe('deleting segments', () => {
  test('survives a loss of power at any operation of the disk', async () => {
    await crashAtEach('power', 3)
  })
  test('survives a kill at any operation of the disk', async () => {
    await crashAtEach('kill', 3)
  })
  test('survives any call of the disk failing once, and comes to its end', async () => {
    await failEach(11)
  })
})
