import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { memoryLog } from '../base/console-log.ts'
import { SimulatedScheduler } from '../base/simulated-scheduler.ts'
import { encodeRecord, recordSize, type StoredMessage } from '../protocol/message.ts'
import { encodeProperties } from '../protocol/properties.ts'
import { ResponseCode } from '../protocol/response-code.ts'
import { tagsOf } from './consumer.ts'
import type { Instance } from './instance.ts'
import { QueueReader } from './queue-reader.ts'

interface Asked {
  queueOffset: number
  commitOffset: number
  sysFlag: number
  maxMsgNums: number
}

interface Answer {
  code: number
  remark?: string
  header?: { nextBeginOffset: number }
  body: Buffer
}

const queue = { topic: 'orders', brokerName: 'broker-a', queueId: 2 }

function record(queueOffset: number, tag = ''): Buffer {
  const body = Buffer.from(String(queueOffset))
  const properties = Buffer.from(encodeProperties(new Map(tag === '' ? [] : [['TAGS', tag]])))
  const host = { address: Uint8Array.of(127, 0, 0, 1), port: 10_911 }
  const topic = Buffer.from(queue.topic)
  const bytes = Buffer.alloc(recordSize(body.length, topic.length, properties.length, 1, false, false))
  encodeRecord(bytes, new DataView(bytes.buffer, bytes.byteOffset, bytes.length), 0, {
    version: 1,
    topic,
    queueId: queue.queueId,
    flag: 0,
    queueOffset,
    position: queueOffset * 100,
    sysFlag: 0,
    bornTimestamp: 1,
    bornHost: host,
    storeTimestamp: 2,
    storeHost: host,
    reconsumeTimes: 0,
    preparedTransactionOffset: 0,
    body,
    properties,
  })
  return bytes
}

const found = (from: number, to: number, tag?: string): Answer => ({
  code: ResponseCode.SUCCESS,
  header: { nextBeginOffset: to },
  body: Buffer.concat(Array.from({ length: to - from }, (_, at) => record(from + at, tag))),
})

/** A reader whose broker is a script: each pull is kept until the test answers it. */
function read(options: { offset?: number; expression?: string } = {}) {
  const scheduler = new SimulatedScheduler()
  const log = memoryLog()
  const pulls: { asked: Asked; answer: (answer: Answer | Error) => void }[] = []
  const received: StoredMessage[] = []
  let master: string | undefined = '127.0.0.1:10911'
  const instance = {
    scheduler,
    log,
    closed: false,
    routes: { master: () => master },
    remoting: {
      request: (_address: string, _command: unknown, asked: Asked) =>
        new Promise<Answer>((resolve, reject) => {
          pulls.push({ asked, answer: (answer) => (answer instanceof Error ? reject(answer) : resolve(answer)) })
        }),
    },
  }
  const expression = options.expression ?? '*'
  const reader = new QueueReader({
    instance: instance as unknown as Instance,
    group: 'g',
    queue,
    subscription: { topic: queue.topic, expression, tags: tagsOf(expression), version: 1 },
    offset: options.offset ?? 0,
    onMessage: (message) => received.push(message),
  })
  let ended = false
  void reader.run().then(() => {
    ended = true
  })
  return {
    scheduler,
    log,
    reader,
    received,
    hasEnded: () => ended,
    loseBroker: () => {
      master = undefined
    },
    /** The pull that waits for an answer; undefined when none does. */
    async pull(): Promise<(typeof pulls)[number] | undefined> {
      await scheduler.settle()
      return pulls.shift()
    },
  }
}

describe('a reader of a queue', () => {
  test('asks from where the group stands, then from where the broker says', async () => {
    const { reader, received, pull } = read({ offset: 7 })
    const first = await pull()
    assert.equal(first!.asked.queueOffset, 7)
    assert.equal(await pull(), undefined, 'one at a time')
    first!.answer(found(7, 10))
    assert.equal((await pull())!.asked.queueOffset, 10)
    assert.deepEqual(
      received.map(({ queueOffset }) => queueOffset),
      [7, 8, 9],
    )
    reader.stop()
  })

  test('commits up to the first that is not done, whatever was done behind it', async () => {
    const { reader, pull } = read()
    ;(await pull())!.answer(found(0, 4))
    const second = await pull()
    assert.equal(second!.asked.commitOffset, 0)
    assert.equal(reader.takeCommit(), 0)
    reader.done(2)
    reader.done(1)
    assert.equal(reader.takeCommit(), undefined, 'nothing changed')
    reader.done(0)
    assert.equal(reader.takeCommit(), 3)
    reader.done(3)
    second!.answer({ code: ResponseCode.PULL_NOT_FOUND, header: { nextBeginOffset: 4 }, body: Buffer.alloc(0) })
    assert.equal((await pull())!.asked.commitOffset, 4)
    assert.equal(reader.takeCommit(), 4)
    assert.equal(reader.takeCommit(), undefined)
    reader.stop()
  })

  test('tells the broker to commit only what there is to commit', async () => {
    const { reader, pull } = read()
    const first = await pull()
    assert.equal(first!.asked.sysFlag & 0x1, 0)
    first!.answer(found(0, 1))
    await pull().then((second) => second!.answer(found(1, 2)))
    reader.done(0)
    reader.done(1)
    await pull().then((third) => third!.answer(found(2, 3)))
    assert.equal((await pull())!.asked.sysFlag & 0x1, 0x1)
    reader.stop()
  })

  test('pauses at a thousand that nobody has done, and goes on when one is', async () => {
    const { reader, received, pull } = read()
    for (let offset = 0; offset < 1_000; offset += 25) (await pull())!.answer(found(offset, offset + 25))
    assert.equal(await pull(), undefined)
    assert.equal(received.length, 1_000)
    reader.done(500)
    assert.equal((await pull())!.asked.queueOffset, 1_000)
    reader.stop()
  })

  test('passes over tags of the same hash that nobody asked for, and commits behind them', async () => {
    const { reader, received, pull } = read({ expression: 'Aa || paid' })
    const first = await pull()
    const body = Buffer.concat([record(0, 'BB'), record(1, 'Aa'), record(2)])
    first!.answer({ code: ResponseCode.SUCCESS, header: { nextBeginOffset: 3 }, body })
    await pull()
    assert.deepEqual(
      received.map(({ queueOffset }) => queueOffset),
      [1],
    )
    reader.done(1)
    assert.equal(reader.takeCommit(), 3)
    reader.stop()
  })

  test('goes where the broker sends it when its offset is outside the queue', async () => {
    const { reader, pull } = read({ offset: 99 })
    const first = await pull()
    first!.answer({ code: ResponseCode.PULL_OFFSET_MOVED, header: { nextBeginOffset: 5 }, body: Buffer.alloc(0) })
    assert.equal((await pull())!.asked.queueOffset, 5)
    reader.stop()
  })

  test('asks again a second after a failure, and says what failed', async () => {
    const { reader, scheduler, log, loseBroker, pull } = read()
    ;(await pull())!.answer(new Error('cut'))
    assert.equal(await pull(), undefined)
    await scheduler.advance(1_000)
    ;(await pull())!.answer({ code: ResponseCode.NO_PERMISSION, remark: 'not yours', body: Buffer.alloc(0) })
    await scheduler.settle()
    loseBroker()
    await scheduler.advance(1_000)
    assert.equal(await pull(), undefined)
    assert.deepEqual(
      log.lines.map(({ level, fields }) => [level, (fields['cause'] as Error).message]),
      [
        ['warn', 'cut'],
        ['warn', 'not yours'],
        ['warn', 'no address of broker broker-a'],
      ],
    )
    reader.stop()
  })

  test('stopped, it ends: while it waits for an answer, for a failure to pass, for somebody to be done', async () => {
    const asking = read()
    const pulled = await asking.pull()
    asking.reader.stop()
    pulled!.answer(found(0, 1))
    await asking.scheduler.settle()
    assert.equal(asking.hasEnded(), true)
    assert.deepEqual(asking.received, [], 'what comes late belongs to the next reader')
    assert.equal(asking.reader.takeCommit(), 0)

    const failing = read()
    ;(await failing.pull())!.answer(new Error('cut'))
    await failing.scheduler.settle()
    failing.reader.stop()
    await failing.scheduler.settle()
    assert.equal(failing.hasEnded(), true)
    assert.equal(failing.scheduler.pending, 0)

    const full = read()
    for (let offset = 0; offset < 1_000; offset += 25) (await full.pull())!.answer(found(offset, offset + 25))
    await full.scheduler.settle()
    full.reader.stop()
    await full.scheduler.settle()
    assert.equal(full.hasEnded(), true)
  })
})
