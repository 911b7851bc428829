import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Scheduler, Timer } from '../../src/base/scheduler.ts'
import { text } from '../../src/client/index.ts'
import { House } from './house.ts'

describe('closing', () => {
  test('leaves nothing behind: no timer, no connection, no member', async () => {
    const house = await House.open()
    const streams = house.transport.ends.length
    const scheduler = new CountedScheduler(house.scheduler)
    const mq = house.client({ scheduler })
    const topic = mq.topic('left', { codec: text })
    await house.wait(mq.producer({ group: 'p' }).send(topic, 'x'))
    let seen = 0
    const running = mq.consumer({ group: 'g', subscribe: topic, from: 'first' }).run(() => void seen++)
    await house.until('it', () => seen === 1)
    assert.ok(scheduler.live > 0)
    await house.wait(mq.close())
    await house.wait(running)
    await house.scheduler.advance(5)
    assert.equal(scheduler.live, 0)
    assert.equal(house.transport.ends.length, streams)
    const { consumers, producers } = house.broker!.broker
    assert.equal(consumers.memberCount, 0, 'the broker was told, and need not wait for heartbeats to stay away')
    assert.equal(producers.size, 0)
    await house[Symbol.asyncDispose]()
    assert.equal(house.scheduler.pending, 0)
    assert.equal(house.transport.ends.length, 0)
  })

  test('leaves nothing behind when the broker is gone and pulls failed', async () => {
    const house = await House.open()
    const mq = house.client()
    const topic = mq.topic('gone', { codec: text })
    await house.wait(mq.producer().send(topic, 'x'))
    let seen = 0
    const running = mq.consumer({ group: 'g', subscribe: topic, from: 'first' }).run(() => {
      seen++
      throw new Error('later')
    })
    await house.until('it', () => seen > 0)
    await house.stopBroker()
    await house.scheduler.advance(1_500)
    await house.wait(mq.close())
    await house.wait(running)
    await house[Symbol.asyncDispose]()
    assert.equal(house.scheduler.pending, 0)
    assert.equal(house.transport.ends.length, 0)
  })

  test('waits for sends under way', async () => {
    await using house = await House.open()
    const mq = house.client()
    const topic = mq.topic('flying', { codec: text })
    const producer = mq.producer()
    const sends = Array.from({ length: 20 }, (_, at) => producer.send(topic, String(at)))
    const oneWay = producer.sendOneWay(topic, 'one way')
    await house.wait(mq.close())
    assert.ok((await Promise.all(sends)).every(({ status }) => status === 'OK'))
    await oneWay
    const { store } = house.broker!.broker
    assert.equal(
      [0, 1, 2, 3].reduce((sum, queueId) => sum + store.maxOffset('flying', queueId), 0),
      21,
    )
  })

  test('takes no more from then on, and says so', async () => {
    await using house = await House.open()
    const mq = house.client()
    const topic = mq.topic('closed', { codec: text })
    const producer = mq.producer()
    await house.wait(producer.send(topic, 'x'))
    await house.wait(producer.close())
    await assert.rejects(house.wait(producer.send(topic, 'y')), { code: 'CLIENT_CLOSED' })
    await house.wait(mq.close())
    assert.throws(() => mq.producer(), { code: 'CLIENT_CLOSED' })
    assert.throws(() => mq.consumer({ group: 'g', subscribe: topic }), { code: 'CLIENT_CLOSED' })
    await house.wait(mq.close())
  })

  test('waits for handlers under way and commits what they did', async () => {
    await using house = await House.open()
    const mq = house.client()
    const topic = mq.topic('slow', { codec: text })
    await house.wait(mq.producer().send(topic, 'x', { queueId: 0 }))
    let begun = false
    let told = false
    const consumer = mq.consumer({ group: 'g', subscribe: topic, from: 'first' })
    const running = consumer.run(async (_, { signal }) => {
      begun = true
      await house.scheduler.sleep(3_000)
      told = signal.aborted
    })
    await house.until('the handler', () => begun)
    await house.wait(consumer.close())
    await house.wait(running)
    assert.equal(told, true, 'the handler could have hurried')
    await house.scheduler.settle()
    assert.equal(house.broker!.broker.offsets.get('g', 'slow', 0), 1)
  })

  test('a handler that closes its own consumer does not wait for ever', async () => {
    await using house = await House.open()
    const mq = house.client()
    const topic = mq.topic('itself', { codec: text })
    await house.wait(mq.producer().send(topic, 'x'))
    const consumer = mq.consumer({ group: 'g', subscribe: topic, from: 'first' })
    await house.wait(consumer.run(() => consumer.close()))
    assert.ok(house.log.lines.some(({ message }) => message === 'closed while handlers still run'))
  })

  test('an abort ends run and loop, and what was acknowledged is committed', async () => {
    await using house = await House.open()
    const mq = house.client()
    const topic = mq.topic('aborted', { codec: text })
    for (const value of ['1', '2', '3']) await house.wait(mq.producer().send(topic, value, { queueId: 0 }))
    const ran: string[] = []
    const first = new AbortController()
    const running = mq.consumer({ group: 'runs', subscribe: topic, from: 'first' }).run(
      (message) => {
        ran.push(message.value)
        if (ran.length === 2) first.abort()
      },
      { concurrency: 1, signal: first.signal },
    )
    await house.wait(running)
    assert.deepEqual(ran, ['1', '2'])

    const looped: string[] = []
    const second = new AbortController()
    const loop = async (): Promise<void> => {
      const consumer = mq.consumer({ group: 'loops', subscribe: topic, from: 'first' })
      for await (const message of consumer.messages({ signal: second.signal })) {
        if (message.value === '2') second.abort()
        await house.scheduler.sleep(50)
        looped.push(message.value)
        message.ack()
      }
    }
    await house.wait(loop())
    assert.deepEqual(looped, ['1', '2'])
    await house.scheduler.settle()
    const { offsets } = house.broker!.broker
    assert.deepEqual([offsets.get('runs', 'aborted', 0), offsets.get('loops', 'aborted', 0)], [2, 2])
  })

  test('ends one that is still starting', async () => {
    await using house = await House.open()
    const mq = house.client()
    const topic = mq.topic('starting', { codec: text })
    await house.wait(mq.producer().send(topic, 'x'))
    const consumer = mq.consumer({ group: 'g', subscribe: topic })
    const running = consumer.run(() => {})
    await house.wait(consumer.close())
    await house.wait(running)
    await house.scheduler.advance(1_000)
    assert.equal(house.broker!.broker.consumers.memberCount, 0)
  })

  test('a hundred clients come and go without leaving a timer or a stream', async () => {
    await using house = await House.open()
    const streams = house.transport.ends.length
    const scheduler = new CountedScheduler(house.scheduler)
    for (let round = 0; round < 100; round++) {
      const mq = house.client({ scheduler })
      await house.wait(mq.producer().send(mq.topic('many', { codec: text }), 'x'))
      await house.wait(mq.close())
    }
    await house.scheduler.advance(5)
    assert.equal(scheduler.live, 0)
    assert.equal(house.transport.ends.length, streams)
  })
})

/** Time of another scheduler, counting the timers that were set through it and neither fired nor cancelled. */
class CountedScheduler implements Scheduler {
  readonly #time: Scheduler
  readonly #live = new Set<Timer>()

  constructor(time: Scheduler) {
    this.#time = time
  }

  get live(): number {
    return this.#live.size
  }

  now(): number {
    return this.#time.now()
  }

  monotonic(): number {
    return this.#time.monotonic()
  }

  after(delayMs: number, callback: () => void): Timer {
    const timer = this.#counted(
      this.#time.after(delayMs, () => {
        this.#live.delete(timer)
        callback()
      }),
    )
    return timer
  }

  every(periodMs: number, callback: () => void): Timer {
    return this.#counted(this.#time.every(periodMs, callback))
  }

  defer(callback: () => void): void {
    this.#time.defer(callback)
  }

  soon(callback: () => void): void {
    this.#time.soon(callback)
  }

  async sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    const asleep = { cancel: () => {} }
    this.#live.add(asleep)
    await this.#time.sleep(delayMs, signal).finally(() => this.#live.delete(asleep))
  }

  #counted(timer: Timer): Timer {
    const counted: Timer = {
      cancel: () => {
        this.#live.delete(counted)
        timer.cancel()
      },
    }
    this.#live.add(counted)
    return counted
  }
}
