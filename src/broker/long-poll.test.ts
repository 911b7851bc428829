import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { SimulatedScheduler } from '../base/simulated-scheduler.ts'
import type { Connection } from '../remoting/connection.ts'
import type { MessageFilter } from '../store/message-store.ts'
import { LongPoll, type ParkedPull } from './long-poll.ts'

class Pull implements ParkedPull {
  readonly connection: Connection
  readonly topic: string
  readonly queueId: number
  readonly offset: number
  readonly filter: MessageFilter | undefined
  deadline = 0
  passedOver = false
  resumedAt: number | undefined
  readonly #scheduler: SimulatedScheduler

  constructor(
    scheduler: SimulatedScheduler,
    parts: { topic?: string; queueId?: number; offset?: number; tag?: number; connection?: { isOpen: boolean } } = {},
  ) {
    const { topic = 't', queueId = 0, offset = 0, tag, connection = { isOpen: true } } = parts
    this.#scheduler = scheduler
    this.connection = connection as Connection
    this.topic = topic
    this.queueId = queueId
    this.offset = offset
    this.filter = tag === undefined ? undefined : { matchesTagsCode: (low) => low === tag, matchesRecord: undefined }
  }

  resume(): void {
    assert.equal(this.resumedAt, undefined, 'resumed twice')
    this.resumedAt = this.#scheduler.monotonic()
  }
}

function start(most = 1_000): { scheduler: SimulatedScheduler; longPoll: LongPoll; probe: LongPoll['probe'] } {
  const scheduler = new SimulatedScheduler()
  const longPoll = new LongPoll(scheduler, { parked: 0, woken: 0, timedOut: 0, refused: 0 }, most)
  return { scheduler, longPoll, probe: longPoll.probe }
}

describe('long polling', () => {
  test('a pull is resumed when its time is up, 50 ms late at most, however long it is', async () => {
    for (const waitMs of [0, 0.1, 1, 49, 50, 51, 1_000, 15_000, 51_199, 51_200, 51_201, 200_000]) {
      const { scheduler, longPoll } = start()
      await scheduler.advance(1_234.5)
      const pull = new Pull(scheduler)
      longPoll.park(pull, waitMs)
      await scheduler.advance(waitMs + 60)
      const late = pull.resumedAt! - 1_234.5 - waitMs
      assert.ok(late >= 0 && late <= 50, `${waitMs} ms: ${late} ms late`)
      assert.equal(longPoll.parked, 0)
    }
  })

  test('many with all kinds of deadlines are resumed in their time, and leave no timer behind', async () => {
    const { scheduler, longPoll } = start()
    const pulls = Array.from({ length: 1_000 }, (_, index) => ({
      pull: new Pull(scheduler),
      waitMs: (index * 7_919) % 130_000,
    }))
    for (const { pull, waitMs } of pulls) longPoll.park(pull, waitMs)
    await scheduler.advance(131_000)
    for (const { pull, waitMs } of pulls) {
      const late = pull.resumedAt! - waitMs
      assert.ok(late >= 0 && late <= 50, `${waitMs} ms: ${late} ms late`)
    }
    assert.equal(scheduler.pending, 0)
  })

  test('an arrival wakes those of its queue whose offset it reaches, the longest waiting first', () => {
    const { scheduler, longPoll, probe } = start()
    const order: string[] = []
    const named = (name: string, parts: object): Pull => {
      const pull = new Pull(scheduler, parts)
      const resume = pull.resume.bind(pull)
      pull.resume = () => {
        order.push(name)
        resume()
      }
      longPoll.park(pull, 1_000)
      return pull
    }
    named('first', { offset: 5 })
    named('second', { offset: 5 })
    named('further on', { offset: 6 })
    named('another queue', { offset: 5, queueId: 1 })
    named('another topic', { offset: 5, topic: 'u' })
    named('another tag', { offset: 5, tag: 9 })
    named('its tag', { offset: 4, tag: 8 })
    longPoll.arrived('t', 0, 5, 8, 0)
    assert.deepEqual(order, ['first', 'second', 'its tag'])
    assert.deepEqual([probe.woken, probe.parked], [3, 4])
    longPoll.arrived('nobody', 0, 5, 8, 0)
    longPoll.arrived('t', 7, 5, 8, 0)
    assert.equal(order.length, 3)
  })

  test('who wants none of what comes is resumed 5 s after the first of it, or when its time is up', async () => {
    const { scheduler, longPoll } = start()
    const patient = new Pull(scheduler, { tag: 1 })
    const hasty = new Pull(scheduler, { tag: 1 })
    longPoll.park(patient, 20_000)
    longPoll.park(hasty, 4_000)
    await scheduler.advance(1_000)
    longPoll.arrived('t', 0, 0, 2, 0)
    await scheduler.advance(1_000)
    longPoll.arrived('t', 0, 1, 2, 0)
    await scheduler.advance(20_000)
    assert.deepEqual([patient.resumedAt, hasty.resumedAt], [6_000, 4_000])
  })

  test('pulls of closed connections go in one pass, and nobody resumes them', async () => {
    const { scheduler, longPoll } = start()
    const gone = { isOpen: true }
    const pulls = Array.from(
      { length: 100 },
      (_, index) => new Pull(scheduler, index % 2 === 0 ? { connection: gone } : {}),
    )
    for (const pull of pulls) longPoll.park(pull, 10_000)
    gone.isOpen = false
    longPoll.connectionLost()
    await scheduler.advance(60)
    assert.equal(longPoll.parked, 50)
    longPoll.arrived('t', 0, 0, 0, 0)
    for (const [index, pull] of pulls.entries()) assert.equal(pull.resumedAt !== undefined, index % 2 === 1)
    await scheduler.advance(60)
    assert.equal(scheduler.pending, 0)
  })

  test('a deleted topic wakes its pulls and is forgotten', () => {
    const { scheduler, longPoll } = start()
    const pulls = [0, 3, 900].map((queueId) => new Pull(scheduler, { queueId }))
    const other = new Pull(scheduler, { topic: 'u' })
    for (const pull of [...pulls, other]) longPoll.park(pull, 1_000)
    longPoll.wakeTopic('t')
    assert.ok(pulls.every(({ resumedAt }) => resumedAt !== undefined))
    assert.equal(other.resumedAt, undefined)
    assert.equal(longPoll.parked, 1)
  })

  test('no more wait than may, and none once it is closed', async () => {
    const { scheduler, longPoll, probe } = start(2)
    const pulls = [new Pull(scheduler), new Pull(scheduler), new Pull(scheduler)]
    assert.deepEqual(
      pulls.map((pull) => longPoll.park(pull, 1_000)),
      [true, true, false],
    )
    longPoll.close()
    assert.deepEqual(
      pulls.map(({ resumedAt }) => resumedAt),
      [0, 0, undefined],
    )
    assert.equal(longPoll.park(pulls[2]!, 1_000), false)
    assert.deepEqual([probe.parked, probe.refused], [0, 2])
    await scheduler.advance(2_000)
    assert.equal(scheduler.pending, 0)
  })

  test('a hundred thousand are parked, kept and woken in no time', () => {
    const { scheduler, longPoll } = start(100_000)
    const started = performance.now()
    for (let index = 0; index < 100_000; index++) longPoll.park(new Pull(scheduler, { queueId: index % 1_000 }), 15_000)
    for (let queueId = 0; queueId < 1_000; queueId++) longPoll.arrived('t', queueId, 0, 0, 0)
    assert.equal(longPoll.parked, 0)
    assert.ok(performance.now() - started < 2_000)
  })
})
