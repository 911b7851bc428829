import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { CometMQ } from '../../src/client/index.ts'
import { json, text } from '../../src/client/index.ts'
import { House } from './house.ts'

async function send(house: House, mq: CometMQ, topic: string, values: readonly string[], tag?: string): Promise<void> {
  const producer = mq.producer({ group: 'sends' })
  for (const value of values) await house.wait(producer.send(mq.topic(topic, { codec: text }), value, { tag }))
}

const numbered = (from: number, to: number): string[] =>
  Array.from({ length: to - from + 1 }, (_, at) => String(from + at))

const byNumber = (values: readonly string[]): string[] => [...values].sort((a, b) => Number(a) - Number(b))

describe('a consumer', () => {
  test('hands each message to the handler, decoded', async () => {
    await using house = await House.open()
    const mq = house.client()
    const orders = mq.topic('orders', { codec: json<{ total: number }>() })
    await house.wait(mq.producer().send(orders, { total: 9 }))
    const totals: number[] = []
    const consumer = mq.consumer({ group: 'billing', subscribe: orders, from: 'first' })
    const running = consumer.run((message) => void totals.push(message.value.total))
    await house.until('the order', () => totals.length === 1)
    await house.wait(mq.producer().send(orders, { total: 10 }))
    await house.until('the next order', () => totals.length === 2)
    assert.deepEqual(totals, [9, 10])
    await house.wait(consumer.close())
    await house.wait(running)
  })

  test('resumes where its group stopped', async () => {
    await using house = await House.open()
    const mq = house.client()
    await send(house, mq, 'resumed', numbered(1, 10))
    const read = async (count: number): Promise<string[]> => {
      const values: string[] = []
      const consumer = mq.consumer({ group: 'g', subscribe: { resumed: '*' }, from: 'first' })
      const running = consumer.run((message) => void values.push(message.value))
      await house.until(`${count} messages`, () => values.length >= count)
      await house.wait(consumer.close())
      await house.wait(running)
      return byNumber(values)
    }
    assert.deepEqual(await read(10), numbered(1, 10))
    await send(house, mq, 'resumed', numbered(11, 13))
    assert.deepEqual(await read(3), numbered(11, 13))

    await house.stopBroker()
    await house.startBroker()
    await send(house, mq, 'resumed', ['14'])
    assert.deepEqual(await read(1), ['14'], 'the broker kept the offsets')
  })

  test('commits while it runs, so that one who vanishes is not repeated from the start', async () => {
    await using house = await House.open()
    const mq = house.client()
    await send(house, mq, 'committed', numbered(1, 8))
    const values: string[] = []
    const consumer = mq.consumer({ group: 'g', subscribe: { committed: '*' }, from: 'first' })
    const running = consumer.run((message) => void values.push(message.value))
    await house.until('all', () => values.length === 8)
    await house.scheduler.advance(6_000)
    const { offsets } = house.broker!.broker
    const committed = [0, 1, 2, 3].map((queueId) => offsets.get('g', 'committed', queueId))
    assert.equal(
      committed.reduce<number>((sum, offset) => sum + (offset ?? 0), 0),
      8,
    )
    await house.wait(consumer.close())
    await house.wait(running)
  })

  test('begins at the first, at the last, or at a time, when its group is new', async () => {
    await using house = await House.open()
    const mq = house.client()
    await send(house, mq, 'from', numbered(1, 4))
    await house.scheduler.advance(60_000)
    const middle = house.scheduler.now()
    await house.scheduler.advance(60_000)
    await send(house, mq, 'from', numbered(5, 8))

    const seen: Record<string, string[]> = { first: [], last: [], time: [] }
    const starts = { first: 'first', last: 'last', time: { time: middle } } as const
    for (const [name, from] of Object.entries(starts)) {
      const consumer = mq.consumer({ group: `g-${name}`, subscribe: { from: '*' }, from })
      void consumer.run((message) => void seen[name]!.push(message.value))
    }
    await house.until('the old ones', () => seen['first']!.length === 8 && seen['time']!.length === 4)
    await send(house, mq, 'from', ['9'])
    await house.until('the new one', () => Object.values(seen).every((values) => values.includes('9')))
    assert.deepEqual(byNumber(seen['first']!), numbered(1, 9))
    assert.deepEqual(byNumber(seen['time']!), numbered(5, 9))
    assert.deepEqual(seen['last'], ['9'])
  })

  test('gets the tags it asked for, and passes over those of the same hash', async () => {
    await using house = await House.open()
    const mq = house.client()
    // 'Aa' and 'BB' have one hash in Java, by which brokers filter.
    for (const tag of ['Aa', 'BB', 'refunded', 'paid']) await send(house, mq, 'tagged', [tag], tag)
    await send(house, mq, 'tagged', ['none'])
    const values: string[] = []
    const consumer = mq.consumer({ group: 'g', subscribe: { tagged: 'Aa || paid' }, from: 'first' })
    const running = consumer.run((message) => void values.push(message.value))
    await house.until('two', () => values.length === 2)
    await house.scheduler.advance(6_000)
    assert.deepEqual(values.sort(), ['Aa', 'paid'])
    await house.wait(consumer.close())
    await house.wait(running)
    const { offsets } = house.broker!.broker
    const sum = [0, 1, 2, 3].reduce((all, queueId) => all + (offsets.get('g', 'tagged', queueId) ?? 0), 0)
    assert.equal(sum, 5, 'what was passed over is behind it')
  })

  test('reads several topics', async () => {
    await using house = await House.open()
    const mq = house.client()
    await send(house, mq, 'one', ['1'])
    await send(house, mq, 'two', ['2'])
    const seen: string[] = []
    const consumer = mq.consumer({ group: 'g', subscribe: { one: '*', two: '*' }, from: 'first' })
    void consumer.run((message) => void seen.push(`${message.topic} ${message.value}`))
    await house.until('both', () => seen.length === 2)
    assert.deepEqual(seen.sort(), ['one 1', 'two 2'])
  })

  test('says at once that its topic does not exist, or that it has none', async () => {
    await using house = await House.open()
    const mq = house.client()
    const consumer = mq.consumer({ group: 'g', subscribe: { nothing: '*' } })
    await assert.rejects(house.wait(consumer.run(() => {})), { code: 'TOPIC_NOT_FOUND', topic: 'nothing' })
    assert.throws(() => mq.consumer({ group: 'g', subscribe: {} }), { code: 'NO_SUBSCRIPTION' })
  })

  test('two share the queues, each message once; who stays takes over', async () => {
    await using house = await House.open()
    const sender = house.client()
    await send(house, sender, 'shared', ['0'])
    const seen: string[][] = [[], []]
    const consumers = seen.map((values) => {
      const consumer = house.client().consumer({ group: 'g', subscribe: { shared: '*' }, from: 'first' })
      void consumer.run((message) => void values.push(message.value))
      return consumer
    })
    await house.until('the first', () => seen.flat().length === 1)
    await house.scheduler.advance(1_000)

    await send(house, sender, 'shared', numbered(1, 40))
    await house.until('all', () => seen.flat().length >= 41)
    await house.scheduler.advance(5_000)
    assert.deepEqual(byNumber(seen.flat()), numbered(0, 40), 'each once')
    assert.ok(seen[0]!.length >= 20 && seen[1]!.length >= 20, `fairly: ${seen[0]!.length} and ${seen[1]!.length}`)

    await house.wait(consumers[0]!.close())
    const before = seen[0]!.length
    await send(house, sender, 'shared', numbered(41, 60))
    await house.until('the rest', () => seen.flat().length >= 61)
    await house.scheduler.advance(5_000)
    assert.deepEqual(byNumber(seen.flat()), numbered(0, 60), 'each once')
    assert.equal(seen[0]!.length, before)
  })

  test('a third that comes while messages flow loses none', async () => {
    await using house = await House.open()
    const sender = house.client()
    await send(house, sender, 'growing', ['0'])
    const seen: string[] = []
    const join = (): void => {
      const consumer = house.client().consumer({ group: 'g', subscribe: { growing: '*' }, from: 'first' })
      void consumer.run((message) => void seen.push(message.value))
    }
    join()
    await send(house, sender, 'growing', numbered(1, 20))
    join()
    await send(house, sender, 'growing', numbered(21, 40))
    join()
    await send(house, sender, 'growing', numbered(41, 60))
    await house.until('all', () => new Set(seen).size === 61)
    await house.scheduler.advance(30_000)
    assert.deepEqual(byNumber([...new Set(seen)]), numbered(0, 60))
    // A queue may go over before its last offset is committed: repeated are a few, none twice again.
    assert.ok(seen.length <= 61 + 20, `${seen.length} deliveries of 61`)
  })

  test('hands out again what a handler failed at, and commits no further before', async () => {
    await using house = await House.open()
    const mq = house.client()
    await send(house, mq, 'failing', numbered(1, 6))
    const attempts = new Map<string, number[]>()
    const consumer = mq.consumer({ group: 'g', subscribe: { failing: '*' }, from: 'first' })
    const running = consumer.run((message) => {
      const tries = attempts.get(message.value) ?? []
      attempts.set(message.value, [...tries, message.attempt])
      if (message.value === '3' && tries.length < 2) throw new Error('not now')
    })
    await house.until('the third try', () => attempts.get('3')?.length === 3, 600_000)
    assert.deepEqual(attempts.get('3'), [1, 2, 3])
    for (const value of ['1', '2', '4', '5', '6']) assert.deepEqual(attempts.get(value), [1])
    await house.wait(consumer.close())
    await house.wait(running)

    const again: string[] = []
    const next = mq.consumer({ group: 'g', subscribe: { failing: '*' }, from: 'first' })
    void next.run((message) => void again.push(message.value))
    await house.scheduler.advance(60_000)
    assert.deepEqual(again, [], 'all were acknowledged')
  })

  test('what a handler failed at when the consumer closed comes to the next one', async () => {
    await using house = await House.open()
    const mq = house.client()
    await send(house, mq, 'left', ['1'])
    let tried = 0
    const consumer = mq.consumer({ group: 'g', subscribe: { left: '*' }, from: 'first' })
    const running = consumer.run(() => {
      tried++
      throw new Error('never')
    })
    await house.until('a try', () => tried === 1)
    await house.wait(consumer.close())
    await house.wait(running)
    const seen: string[] = []
    void mq.consumer({ group: 'g', subscribe: { left: '*' } }).run((message) => void seen.push(message.value))
    await house.until('it again', () => seen.length === 1, 600_000)
  })

  test('a loop takes messages at its own pace, acknowledges them, or hands one back', async () => {
    await using house = await House.open()
    const mq = house.client()
    await send(house, mq, 'looped', numbered(1, 4))
    const consumer = mq.consumer({ group: 'g', subscribe: { looped: '*' }, from: 'first' })
    const seen: string[] = []
    const loop = async (): Promise<void> => {
      for await (const message of consumer.messages()) {
        seen.push(`${message.value}#${message.attempt}`)
        if (message.value === '2' && message.attempt === 1) await message.retry()
        else message.ack()
        if (seen.length === 5) break
      }
    }
    await house.wait(loop())
    assert.deepEqual(seen.sort(), ['1#1', '2#1', '2#2', '3#1', '4#1'])
  })

  test('goes on by itself when its connections were cut, and when the broker comes back', async () => {
    await using house = await House.open()
    const mq = house.client()
    await send(house, mq, 'cut', ['1'])
    const seen = new Set<string>()
    const consumer = house.client().consumer({ group: 'g', subscribe: { cut: '*' }, from: 'first' })
    void consumer.run((message) => void seen.add(message.value))
    await house.until('1', () => seen.has('1'))

    house.transport.cutAll()
    await house.scheduler.advance(2_000)
    await send(house, mq, 'cut', ['2'])
    await house.until('2', () => seen.has('2'))

    await house.stopBroker()
    await house.scheduler.advance(60_000)
    await house.startBroker()
    await house.scheduler.advance(40_000)
    await send(house, mq, 'cut', ['3'])
    await house.until('3', () => seen.has('3'))
    assert.deepEqual([...seen], ['1', '2', '3'])
  })

  test('finds out that its broker vanished without a word', async () => {
    await using house = await House.open()
    const mq = house.client()
    await send(house, mq, 'vanished', ['1'])
    const seen = new Set<string>()
    const reader = house.client()
    void reader
      .consumer({ group: 'g', subscribe: { vanished: '*' }, from: 'first' })
      .run((message) => void seen.add(message.value))
    await house.until('1', () => seen.has('1'))
    house.transport.freezeAll()
    await house.scheduler.advance(60_000)
    const fresh = house.client()
    await send(house, fresh, 'vanished', ['2'])
    await house.until('2', () => seen.has('2'), 300_000)
  })
})
