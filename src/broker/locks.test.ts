import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { SimulatedScheduler } from '../base/simulated-scheduler.ts'
import { QueueLocks } from './locks.ts'

const queue = (queueId: number) => ({ topic: 'orders', brokerName: 'broker-a', queueId })
const numbers = (queues: readonly { queueId: number }[]): number[] => queues.map(({ queueId }) => queueId)

describe('order locks', () => {
  test('a queue is held by one client of a group, and by another of another group', () => {
    const locks = new QueueLocks(new SimulatedScheduler(), 60_000)
    assert.deepEqual(numbers(locks.lock('g', [queue(0), queue(1)], 'a')), [0, 1])
    assert.deepEqual(numbers(locks.lock('g', [queue(1), queue(2)], 'b')), [2])
    assert.deepEqual(numbers(locks.lock('h', [queue(0)], 'b')), [0])
  })

  test('a lock is the same client’s for 60 s, and free one millisecond later', async () => {
    const scheduler = new SimulatedScheduler()
    const locks = new QueueLocks(scheduler, 60_000)
    locks.lock('g', [queue(0)], 'a')
    await scheduler.advance(60_000)
    assert.deepEqual(locks.lock('g', [queue(0)], 'b'), [])
    assert.equal(locks.isAnyLocked('g'), true)
    await scheduler.advance(1)
    assert.equal(locks.isAnyLocked('g'), false)
    assert.deepEqual(numbers(locks.lock('g', [queue(0)], 'b')), [0])
    assert.deepEqual(locks.lock('g', [queue(0)], 'a'), [], 'the former owner has lost it')
  })

  test('locking again renews', async () => {
    const scheduler = new SimulatedScheduler()
    const locks = new QueueLocks(scheduler, 60_000)
    for (let round = 0; round < 10; round++) {
      assert.deepEqual(numbers(locks.lock('g', [queue(0)], 'a')), [0])
      await scheduler.advance(20_000)
      assert.deepEqual(locks.lock('g', [queue(0)], 'b'), [])
    }
  })

  test('only the owner gives a lock up', () => {
    const locks = new QueueLocks(new SimulatedScheduler(), 60_000)
    locks.lock('g', [queue(0), queue(1)], 'a')
    locks.unlock('g', [queue(0)], 'b')
    locks.unlock('unknown', [queue(0)], 'a')
    assert.deepEqual(locks.lock('g', [queue(0)], 'b'), [])
    locks.unlock('g', [queue(0)], 'a')
    assert.deepEqual(numbers(locks.lock('g', [queue(0), queue(1)], 'b')), [0])
  })

  test('groups that never come back leave nothing behind', async () => {
    const scheduler = new SimulatedScheduler()
    const locks = new QueueLocks(scheduler, 60_000)
    for (let group = 0; group < 1_000; group++) locks.lock(`g${group}`, [queue(0)], 'a')
    locks.lock('empty', [], 'a')
    assert.equal(locks.size, 1_000)
    await scheduler.advance(60_001)
    locks.lock('g', [queue(0)], 'a')
    assert.equal(locks.size, 1)
  })

  test('the wall clock may jump', () => {
    const scheduler = new SimulatedScheduler()
    const locks = new QueueLocks(scheduler, 60_000)
    locks.lock('g', [queue(0)], 'a')
    scheduler.jumpWallClock(3_600_000)
    assert.deepEqual(locks.lock('g', [queue(0)], 'b'), [])
    scheduler.jumpWallClock(-7_200_000)
    assert.deepEqual(locks.lock('g', [queue(0)], 'b'), [])
  })
})
