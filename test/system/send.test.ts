import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { bytes, CometError, type CometMQ, json, type Message, type Receipt, text } from '../../src/client/index.ts'
import { BROKER_PORT, House } from './house.ts'

/** Reads a topic from its beginning until so many messages came. */
async function read(house: House, mq: CometMQ, topic: string, count: number): Promise<Message<Buffer>[]> {
  const found: Message<Buffer>[] = []
  const subscribe = { [topic]: '*' }
  const consumer = mq.consumer<Buffer>({ group: `reads-${topic}`, subscribe, codec: bytes as never, from: 'first' })
  const running = consumer.run((message) => void found.push(message), { concurrency: 1 })
  await house.until(`${count} messages of ${topic}`, () => found.length >= count)
  await house.wait(consumer.close())
  await house.wait(running)
  return found
}

async function failureOf(house: House, call: Promise<unknown>): Promise<CometError> {
  try {
    await house.wait(call)
  } catch (error) {
    assert.ok(error instanceof CometError, String(error))
    return error
  }
  throw new assert.AssertionError({ message: 'it did not fail' })
}

describe('a producer', () => {
  test('sends a message that arrives as it was, with tag, keys and properties', async () => {
    await using house = await House.open()
    const mq = house.client()
    const orders = mq.topic('orders', { codec: json<{ total: number }>() })
    const options = { tag: 'paid', keys: ['7', 'k-2'], properties: { shop: 'Zürich', empty: '' } }
    const receipt = await house.wait(mq.producer({ group: 'checkout' }).send(orders, { total: 9 }, options))
    assert.equal(receipt.status, 'OK')
    assert.equal(receipt.topic, 'orders')

    const [message] = await read(house, mq, 'orders', 1)
    assert.equal(message!.text(), '{"total":9}')
    assert.equal(message!.tag, 'paid')
    assert.deepEqual(message!.keys, ['7', 'k-2'])
    assert.equal(message!.properties.get('shop'), 'Zürich')
    assert.deepEqual(
      [message!.id, message!.offsetId, message!.brokerName, message!.queueId, message!.queueOffset],
      [receipt.id, receipt.offsetId, receipt.brokerName, receipt.queueId, receipt.queueOffset],
    )
    assert.equal(message!.attempt, 1)
    assert.ok(message!.storedAt >= message!.bornAt && message!.bornAt >= 1_700_000_000_000)
  })

  test('sends bytes of every value', async () => {
    await using house = await House.open()
    const mq = house.client()
    const body = Uint8Array.from({ length: 256 }, (_, at) => at)
    await house.wait(mq.producer().send(mq.topic('raw'), body))
    const [message] = await read(house, mq, 'raw', 1)
    assert.deepEqual([...message!.body], [...body])
  })

  test('goes round the queues of a topic', async () => {
    await using house = await House.open()
    const mq = house.client()
    const topic = mq.topic('round', { codec: text })
    const producer = mq.producer()
    const queues: number[] = []
    for (let sent = 0; sent < 8; sent++) queues.push((await house.wait(producer.send(topic, `${sent}`))).queueId)
    assert.deepEqual([...queues].sort(), [0, 0, 1, 1, 2, 2, 3, 3])
    assert.deepEqual(queues.slice(4), queues.slice(0, 4), 'in the same order again')
  })

  test('keeps what shares an order key in one queue, in order', async () => {
    await using house = await House.open()
    const mq = house.client()
    const topic = mq.topic('ordered', { codec: text })
    const producer = mq.producer()
    const receipts: Receipt[] = []
    for (let sent = 0; sent < 6; sent++) {
      receipts.push(await house.wait(producer.send(topic, `${sent}`, { orderKey: 'customer-42' })))
    }
    assert.equal(new Set(receipts.map(({ queueId }) => queueId)).size, 1)
    assert.deepEqual(
      receipts.map(({ queueOffset }) => queueOffset),
      [0, 1, 2, 3, 4, 5],
    )
  })

  test('sends to the queue that is asked for, and names one that is not there', async () => {
    await using house = await House.open()
    const mq = house.client()
    const topic = mq.topic('chosen', { codec: text })
    const producer = mq.producer()
    assert.equal((await house.wait(producer.send(topic, 'x', { queueId: 3 }))).queueId, 3)
    const failure = await failureOf(house, producer.send(topic, 'x', { queueId: 99 }))
    assert.equal(failure.code, 'NO_SUCH_QUEUE')
    assert.match(failure.message, /chosen has no queue 99/)
  })

  test('sends a batch whole: one queue, one offset after another', async () => {
    await using house = await House.open()
    const mq = house.client()
    const topic = mq.topic('batched', { codec: text })
    const values = ['a', 'b', 'c', 'd']
    const receipt = await house.wait(mq.producer().sendBatch(topic, values, { tag: 't', keys: ['k'] }))
    assert.equal(receipt.status, 'OK')
    assert.equal(receipt.id.split(',').length, 4)
    const messages = await read(house, mq, 'batched', 4)
    assert.deepEqual(
      messages.map((message) => message.text()),
      values,
    )
    assert.deepEqual(
      messages.map(({ queueId, queueOffset }) => [queueId, queueOffset]),
      [0, 1, 2, 3].map((offset) => [receipt.queueId, receipt.queueOffset + offset]),
    )
    assert.deepEqual(
      messages.map(({ id }) => id),
      receipt.id.split(','),
    )
    assert.ok(messages.every(({ tag, keys }) => tag === 't' && keys[0] === 'k'))
  })

  test('sends one way, without an answer', async () => {
    await using house = await House.open()
    const mq = house.client()
    const topic = mq.topic('one-way', { codec: text })
    await house.wait(mq.producer().sendOneWay(topic, 'gone', { tag: 't' }))
    const [message] = await read(house, mq, 'one-way', 1)
    assert.equal(message!.text(), 'gone')
    assert.equal(message!.tag, 't')
  })

  test('refuses what cannot be a message, before anything is sent', async () => {
    await using house = await House.open()
    const mq = house.client()
    const topic = mq.topic('refused', { codec: text })
    const producer = mq.producer()
    const codes = []
    for (const call of [
      () => producer.send(topic, ''),
      () => producer.sendBatch(topic, []),
      () => producer.send(topic, 'x', { properties: { bad: 'a\u0001b' } }),
    ]) {
      codes.push((await failureOf(house, call())).code)
    }
    assert.deepEqual(codes, ['EMPTY_BODY', 'EMPTY_BATCH', 'BAD_PROPERTY'])
    assert.equal(house.broker!.broker.topics.get('refused'), undefined)
  })

  test('tells at once what the broker refuses for good', async () => {
    await using house = await House.open({ maxMessageSize: '1000' })
    const mq = house.client()
    const failure = await failureOf(house, mq.producer().send(mq.topic('large'), Buffer.alloc(2_000)))
    assert.equal(failure.code, 'SEND_REFUSED')
    assert.equal(failure.responseCode, 13)
    assert.equal(failure.retriable, false)
    assert.equal(failure.brokerAddr, `127.0.0.1:${BROKER_PORT}`)
  })

  test('says of a missing topic who was asked and what mends it', async () => {
    await using house = await House.open({ autoCreateTopicEnable: 'false' })
    const mq = house.client()
    const failure = await failureOf(house, mq.producer().send(mq.topic('missing'), Buffer.from('x')))
    assert.equal(failure.code, 'TOPIC_NOT_FOUND')
    assert.equal(failure.topic, 'missing')
    assert.match(failure.message, /'missing' does not exist; asked 127\.0\.0\.1:9876/)
    assert.match(failure.hint ?? '', /autoCreateTopicEnable=true/)
  })

  test('says of a name server that is not there where it looked and what mends it', async () => {
    await using house = await House.open()
    const mq = house.client({ endpoints: 'rmq://10.9.8.7:1' })
    const failure = await failureOf(house, mq.producer().send(mq.topic('any'), Buffer.from('x')))
    assert.equal(failure.code, 'NAME_SERVER_UNREACHABLE')
    assert.equal(failure.retriable, true)
    assert.match(failure.message, /10\.9\.8\.7:1/)
    assert.match(failure.hint ?? '', /cometmq start/)
    assert.match((failure.cause as Error).message, /nothing listens on 10\.9\.8\.7:1/)
  })

  test('goes on with the next name server when one is gone', async () => {
    await using house = await House.open()
    // Whichever it begins with, the other is asked after it.
    for (let client = 0; client < 4; client++) {
      const mq = house.client({ endpoints: ['10.9.8.7:1', '127.0.0.1:9876'] })
      const receipt = await house.wait(mq.producer().send(mq.topic('any', { codec: text }), 'x'))
      assert.equal(receipt.status, 'OK')
    }
  })

  test('fails in time and retriably while the broker is away, and sends again once it is back', async () => {
    await using house = await House.open()
    const mq = house.client()
    const topic = mq.topic('away', { codec: text })
    const producer = mq.producer({ timeoutMs: 2_000 })
    await house.wait(producer.send(topic, 'before'))
    await house.stopBroker()

    const started = house.scheduler.monotonic()
    const failure = await failureOf(house, producer.send(topic, 'meanwhile'))
    assert.equal(failure.code, 'TOPIC_UNAVAILABLE')
    assert.equal(failure.retriable, true)
    assert.ok(house.scheduler.monotonic() - started <= 2_100, 'it kept to its time')

    await house.startBroker()
    assert.equal((await house.wait(producer.send(topic, 'after'))).status, 'OK')
    const values = (await read(house, mq, 'away', 2)).map((message) => message.text())
    assert.deepEqual(values.sort(), ['after', 'before'])
  })

  test('gives up a broker that does not answer when its time is up', async () => {
    await using house = await House.open()
    const mq = house.client()
    const topic = mq.topic('silent', { codec: text })
    const producer = mq.producer({ timeoutMs: 1_500 })
    await house.wait(producer.send(topic, 'before'))
    house.transport.freezeAll()
    const started = house.scheduler.monotonic()
    const failure = await failureOf(house, producer.send(topic, 'into the void'))
    assert.equal(failure.retriable, true, failure.message)
    assert.ok(house.scheduler.monotonic() - started >= 1_490)
    // The name server is asked once more, for as long as one of its requests may take.
    assert.ok(house.scheduler.monotonic() - started <= 1_500 + 3_100)
  })
})
