import assert from 'node:assert/strict'
import { test } from 'node:test'
import { memoryLog } from '../base/console-log.ts'
import { SeededRandom } from '../base/random.ts'
import { SimulatedDisk } from '../base/simulated-disk.ts'
import { SimulatedScheduler } from '../base/simulated-scheduler.ts'
import { ConsumeQueues } from './consume-queue.ts'
import { QueueFiles } from './queue-files.ts'
import { QueueTable } from './queue-table.ts'
import { unitPosition } from './queue-unit.ts'

function openQueues(mostTails: number) {
  const scheduler = new SimulatedScheduler()
  const disk = new SimulatedDisk(new SeededRandom(1), { scheduler })
  disk.makeDirectorySync('/q')
  const table = new QueueTable()
  const files = new QueueFiles({ disk, directory: '/q', fileBytes: 2000, table, log: memoryLog() })
  const queues = new ConsumeQueues({
    files,
    table,
    scheduler,
    intervalMs: 1000,
    extendedTopics: new Set(),
    onFailure: () => {},
    mostTails,
  })
  const numbers = Array.from({ length: 300 }, (_, index) =>
    table.intern(table.internTopic(`t${index % 30}`), Math.floor(index / 30)),
  )
  return { scheduler, disk, table, queues, numbers }
}

for (const mostTails of [1, 7, 100, 10_000]) {
  test(`with ${mostTails} tails at most every entry is read back, whenever it is asked for`, async () => {
    const { scheduler, table, queues, numbers } = openQueues(mostTails)
    const random = new SeededRandom(5)
    const held = new Map<number, number[]>(numbers.map((queue) => [queue, []]))
    for (let position = 0; position < 6_000; position++) {
      // Some queues are busy, most are not.
      const queue = numbers[random.below(4) === 0 ? random.below(3) : random.below(numbers.length)]!
      const positions = held.get(queue)!
      queues.put(queue, positions.length, position, 100, position, 0)
      positions.push(position)
      assert.ok(queues.tails <= mostTails, `${queues.tails} tails`)
      if (random.below(50) === 0) await scheduler.advance(random.below(1_500))
      const asked = numbers[random.below(numbers.length)]!
      const expected = held.get(asked)!
      if (expected.length === 0) continue
      const from = random.below(expected.length)
      const units = queues.units(asked, from, 1_000)
      assert.ok(units.count >= 1)
      for (let index = 0; index < units.count; index++) {
        assert.equal(unitPosition(units.view, units.at + index * 20), expected[from + index])
      }
      assert.equal(table.max[asked], expected.length)
    }
    assert.ok(queues.writeAll())
    queues.close()
  })
}

test('of many queues with a new entry each interval writes some, and holds up nobody', async () => {
  const { scheduler, disk, table, queues } = openQueues(10_000)
  const numbers = Array.from({ length: 6_000 }, (_, index) => table.intern(table.internTopic(`m${index}`), 0))
  for (const queue of numbers) queues.put(queue, 0, queue, 100, 0, 0)
  await scheduler.advance(1_001)
  assert.equal(disk.listSync('/q').length, 2048)
  await scheduler.advance(2_000)
  assert.equal(disk.listSync('/q').length, 6_000)
  queues.close()
})
