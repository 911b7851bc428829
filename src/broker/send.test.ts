import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { SeededRandom } from '../base/random.ts'
import { SimulatedDisk } from '../base/simulated-disk.ts'
import { SimulatedScheduler } from '../base/simulated-scheduler.ts'
import { encodeBatch } from '../protocol/batch.ts'
import { HeartBeat } from '../protocol/commands/client.ts'
import { PullMessage } from '../protocol/commands/pull.ts'
import { SendBatchMessage, SendMessage, SendMessageV2 } from '../protocol/commands/send.ts'
import { UpdateAndCreateTopic } from '../protocol/commands/topic.ts'
import { decodeMessages, type StoredMessage } from '../protocol/message.ts'
import { decodeOffsetMessageId } from '../protocol/message-id.ts'
import { ResponseCode } from '../protocol/response-code.ts'
import { type SimulatedBroker, type SimulatedClient, startSimulatedBroker } from './simulated-broker.ts'
import { propertiesOf, pullOf, sendOf } from './simulated-requests.ts'

const diskError = (code: string): Error => Object.assign(new Error(code), { code })

async function pulled(client: SimulatedClient, topic = 'orders', queueId = 0): Promise<StoredMessage[]> {
  const { body } = await client.ask(PullMessage, pullOf({ topic, queueId }))
  return decodeMessages(body)
}

describe('a message that is sent', () => {
  test('is read as it was sent, with what the broker adds', async () => {
    const broker = await startSimulatedBroker()
    const client = await broker.connect()
    const properties = 'TAGS=red KEYS=k1 UNIQ_KEY=7F0000012F7B4E0E2F2A76015B450000 WAIT=true size=大'
    const header = sendOf({
      queueId: 3,
      flag: 7,
      sysFlag: 0x301,
      properties,
      bornTimestamp: 1_234_567_890_123,
      reconsumeTimes: 2,
    })
    const answer = await client.ask(SendMessageV2, header, Buffer.from([0x78, 0x5e, 0, 255]))
    assert.equal(answer.code, ResponseCode.SUCCESS)
    assert.equal(answer.remark, undefined)
    assert.deepEqual(answer.fields, {
      msgId: '7F00000100002A9F0000000000000000',
      queueId: '3',
      queueOffset: '0',
      transactionId: '7F0000012F7B4E0E2F2A76015B450000',
      MSG_REGION: 'DefaultRegion',
      TRACE_ON: 'true',
    })
    const [message, ...others] = await pulled(client, 'orders', 3)
    assert.equal(others.length, 0)
    assert.deepEqual(message!.body, Buffer.from([0x78, 0x5e, 0, 255]), 'a compressed body stays as it is')
    assert.equal(message!.sysFlag, 0x301)
    assert.equal(message!.flag, 7)
    assert.equal(message!.reconsumeTimes, 2)
    assert.equal(message!.bornTimestamp, 1_234_567_890_123)
    assert.equal(`${message!.bornHost.host}:${message!.bornHost.port}`, client.address)
    assert.deepEqual(message!.storeHost, { host: '127.0.0.1', port: 10_911 })
    assert.equal(message!.offsetMessageId, answer.fields['msgId'])
    assert.deepEqual(Object.fromEntries(message!.properties), {
      TAGS: 'red',
      KEYS: 'k1',
      UNIQ_KEY: '7F0000012F7B4E0E2F2A76015B450000',
      WAIT: 'true',
      size: '大',
      MSG_REGION: 'DefaultRegion',
      TRACE_ON: 'true',
      CLUSTER: 'DefaultCluster',
    })
    await broker.close()
  })

  test('comes in either header, with no properties at all, and is told its unique key', async () => {
    const broker = await startSimulatedBroker()
    const client = await broker.connect()
    const { properties: _none, ...bare } = sendOf()
    for (const [index, command] of [SendMessage, SendMessageV2].entries()) {
      const { code, fields } = await client.ask(command, bare, `body ${index}`)
      assert.equal(code, ResponseCode.SUCCESS)
      assert.equal(fields['queueOffset'], String(index))
      const message = (await pulled(client))[index]!
      assert.equal(message.body.toString(), `body ${index}`)
      assert.match(fields['transactionId']!, /^7F000001[0-9A-F]{24}$/)
      assert.equal(message.properties.get('UNIQ_KEY'), fields['transactionId'])
    }
    await broker.close()
  })

  test('one way is stored, and nobody answers', async () => {
    const broker = await startSimulatedBroker()
    const client = await broker.connect()
    await client.tell(SendMessageV2, sendOf({ topic: 'TBW102' }), 'refused, silently')
    await client.tell(SendMessageV2, sendOf(), 'kept')
    await client.tell(SendMessageV2, sendOf({ queueId: 99 }), 'refused, silently')
    assert.deepEqual(client.told, [])
    assert.deepEqual(
      (await pulled(client)).map(({ body }) => body.toString()),
      ['kept'],
    )
    await broker.close()
  })

  test('with queue −1 goes to some queue that takes messages', async () => {
    const broker = await startSimulatedBroker()
    const client = await broker.connect()
    const queues = new Set<string>()
    for (let index = 0; index < 40; index++) {
      queues.add((await client.ask(SendMessageV2, sendOf({ queueId: -1 }), 'x')).fields['queueId']!)
    }
    assert.deepEqual([...queues].sort(), ['0', '1', '2', '3'])
    await broker.close()
  })

  test('keeps its order within a queue', async () => {
    const broker = await startSimulatedBroker()
    const client = await broker.connect()
    const asked: number[] = []
    for (let index = 0; index < 30; index++) {
      asked.push(await client.begin(SendMessageV2, sendOf({ queueId: index % 2 }), `${index}`))
    }
    await broker.scheduler.advance(20)
    for (const [index, opaque] of asked.entries()) {
      assert.equal(client.answer(opaque)?.fields['queueOffset'], String(Math.floor(index / 2)))
    }
    const bodies = (await pulled(client, 'orders', 1)).map(({ body }) => Number(body.toString()))
    assert.deepEqual(
      bodies,
      Array.from({ length: 15 }, (_, index) => index * 2 + 1),
    )
    await broker.close()
  })

  test('in a batch is a message of its own, with its own properties', async () => {
    const broker = await startSimulatedBroker()
    const client = await broker.connect()
    await client.ask(SendMessageV2, sendOf(), 'before')
    const body = encodeBatch(
      ['a', 'b', 'c'].map((tag, flag) => ({
        flag,
        body: Buffer.from(`body ${tag}`),
        properties: propertiesOf(`TAGS=${tag} UNIQ_KEY=key-${tag}`),
      })),
    )
    const header = sendOf({ batch: true, properties: 'UNIQ_KEY=of-the-batch WAIT=true' })
    const { code, fields } = await client.ask(SendBatchMessage, header, body)
    assert.equal(code, ResponseCode.SUCCESS)
    assert.equal(fields['queueOffset'], '1')
    assert.equal(fields['transactionId'], 'of-the-batch')
    const messages = (await pulled(client)).slice(1)
    assert.equal(fields['msgId'], messages.map(({ offsetMessageId }) => offsetMessageId).join(','))
    assert.deepEqual(
      messages.map(({ body: text, flag, queueOffset, properties }) => [
        text.toString(),
        flag,
        queueOffset,
        Object.fromEntries(properties),
      ]),
      ['a', 'b', 'c'].map((tag, index) => [`body ${tag}`, index, index + 1, { TAGS: tag, UNIQ_KEY: `key-${tag}` }]),
    )
    assert.ok(fields['msgId']!.split(',').every((id) => decodeOffsetMessageId(id) !== undefined))
    await broker.close()
  })

  test('is there after a restart, as are its topic and what was read of it', async () => {
    let broker = await startSimulatedBroker()
    let client = await broker.connect()
    await client.ask(SendMessageV2, sendOf({ topic: 'kept' }), 'one')
    await broker.close()
    broker = await broker.reopen()
    client = await broker.connect()
    assert.equal((await pulled(client, 'kept'))[0]?.body.toString(), 'one')
    assert.equal((await client.ask(SendMessageV2, sendOf({ topic: 'kept' }), 'two')).fields['queueOffset'], '1')
    await broker.close()
  })
})

describe('an answer waits', () => {
  const answered = (client: SimulatedClient, opaque: number): number | undefined => client.answer(opaque)?.code

  async function syncFlushing(settings: Record<string, string> = {}): Promise<[SimulatedBroker, SimulatedClient]> {
    const broker = await startSimulatedBroker({ flushDiskType: 'SYNC_FLUSH', ...settings })
    const client = await broker.connect()
    await client.ask(SendMessageV2, sendOf(), 'the topic exists')
    return [broker, client]
  }

  test('for the sync of the disk in SYNC_FLUSH, unless the message does not wait', async () => {
    const [broker, client] = await syncFlushing()
    const patient = await client.begin(SendMessageV2, sendOf({ properties: 'WAIT=true' }), 'a')
    const hasty = await client.begin(SendMessageV2, sendOf({ properties: 'WAIT=false' }), 'b')
    assert.equal(answered(client, patient), undefined, 'the sync is under way')
    assert.equal(answered(client, hasty), ResponseCode.SUCCESS, 'written is enough')
    await broker.scheduler.advance(20)
    assert.equal(answered(client, patient), ResponseCode.SUCCESS)
    await broker.close()
  })

  test('not for ever: FLUSH_DISK_TIMEOUT comes with the whole header', async () => {
    const scheduler = new SimulatedScheduler()
    const disk = new SimulatedDisk(new SeededRandom(1), { scheduler, latencyMs: 60_000 })
    const broker = await startSimulatedBroker(
      { flushDiskType: 'SYNC_FLUSH', syncFlushTimeout: '1000' },
      { scheduler, disk },
    )
    const client = await broker.connect()
    broker.broker.topics.update([{ ...broker.broker.topics.get('TBW102')!, topicName: 'orders' }])
    const opaque = await client.begin(SendMessageV2, sendOf({ properties: 'UNIQ_KEY=u' }), 'a')
    await scheduler.advance(900)
    assert.equal(answered(client, opaque), undefined)
    await scheduler.advance(300)
    const answer = client.answer(opaque)
    assert.equal(answer?.code, ResponseCode.FLUSH_DISK_TIMEOUT)
    assert.equal(answer?.fields['transactionId'], 'u')
    assert.equal(answer?.fields['queueOffset'], '0')
    assert.deepEqual(await pulled(client), [], 'nobody sees what is not safe')
    await scheduler.advance(120_000)
    assert.equal((await pulled(client)).length, 1, 'stored it was')
    await broker.close()
  })

  test('and tells of a write that failed: nothing of it is seen, the next one takes its place', async () => {
    const broker = await startSimulatedBroker()
    const client = await broker.connect()
    await client.ask(SendMessageV2, sendOf(), 'first')
    broker.disk.fault = (call, path) =>
      call === 'write' && path.includes('commitlog') ? diskError('ENOSPC') : undefined
    const { code, remark, fields } = await client.ask(SendMessageV2, sendOf(), 'lost')
    assert.equal(code, ResponseCode.SERVICE_NOT_AVAILABLE)
    assert.match(remark!, /no room for \/store\/commitlog/)
    assert.equal(fields['msgId'], undefined)
    broker.disk.fault = undefined
    await broker.scheduler.advance(5_000)
    const again = await client.ask(SendMessageV2, sendOf(), 'second')
    assert.equal(again.code, ResponseCode.SUCCESS, again.remark)
    assert.deepEqual(
      (await pulled(client)).map(({ body, queueOffset }) => `${queueOffset} ${body}`),
      ['0 first', '1 second'],
    )
    await broker.close()
  })

  test('for the file of a new topic: no crash separates a message from its topic', async () => {
    let broker = await startSimulatedBroker({ flushDiskType: 'SYNC_FLUSH' })
    const client = await broker.connect()
    assert.equal((await client.ask(SendMessageV2, sendOf({ topic: 'brand-new' }), 'x')).code, ResponseCode.SUCCESS)
    broker = await broker.crash()
    const [message] = await pulled(await broker.connect(), 'brand-new')
    assert.equal(message?.body.toString(), 'x')
    await broker.close()
  })

  test('and tells when that file cannot be written', async () => {
    const broker = await startSimulatedBroker()
    const client = await broker.connect()
    broker.disk.fault = (call, path) =>
      call === 'datasync' && path.includes('topics.json') ? diskError('EIO') : undefined
    const refused = await client.ask(SendMessageV2, sendOf({ topic: 'brand-new' }), 'x')
    assert.equal(refused.code, ResponseCode.SYSTEM_ERROR)
    broker.disk.fault = undefined
    assert.equal((await client.ask(SendMessageV2, sendOf({ topic: 'brand-new' }), 'y')).code, ResponseCode.SUCCESS)
    await broker.close()
  })

  test('in one turn of many new topics for one write of their file', async () => {
    const broker = await startSimulatedBroker()
    const client = await broker.connect()
    let writes = 0
    broker.disk.fault = (call, path) => {
      if (call === 'datasync' && path.includes('topics.json')) writes++
      return undefined
    }
    const asked: number[] = []
    for (let index = 0; index < 100; index++) {
      asked.push(await client.begin(SendMessageV2, sendOf({ topic: `topic-${index}` }), 'x'))
    }
    await broker.scheduler.advance(50)
    assert.ok(asked.every((opaque) => answered(client, opaque) === ResponseCode.SUCCESS))
    assert.ok(writes < 30, `${writes} writes for 100 topics`)
    await broker.close()
  })
})

describe('sends beyond the most that may be in work', () => {
  test('are refused, and nobody else is: what they wait for must not put consumers out', async () => {
    const broker = await startSimulatedBroker({ flushDiskType: 'SYNC_FLUSH', sendThreadPoolQueueCapacity: '2' })
    const client = await broker.connect()
    await client.ask(SendMessageV2, sendOf(), 'the topic is there')
    const sends: number[] = []
    for (const body of ['1', '2', '3']) sends.push(await client.begin(SendMessageV2, sendOf(), body))
    const heartbeat = await client.begin(HeartBeat, {}, '{"clientID":"c"}')
    const pull = await client.begin(PullMessage, pullOf())
    const [first, second, third] = sends.map((each) => client.answer(each))
    assert.deepEqual([first, second], [undefined, undefined], 'the disk is not done yet')
    assert.equal(third?.code, ResponseCode.SYSTEM_BUSY)
    assert.match(third?.remark ?? '', /^\[OVERLOAD\]/)
    assert.equal(client.answer(heartbeat)?.code, ResponseCode.SUCCESS)
    assert.equal(client.answer(pull)?.code, ResponseCode.SUCCESS)
    await broker.close()
  })
})

describe('a topic that does not exist', () => {
  const sends = async (settings: Record<string, string>, parts: Parameters<typeof sendOf>[0]) => {
    const broker = await startSimulatedBroker(settings)
    const answer = await (await broker.connect()).ask(SendMessageV2, sendOf({ topic: 'fresh', ...parts }), 'x')
    const topic = broker.broker.topics.get(parts?.topic ?? 'fresh')
    await broker.close()
    return { answer, topic }
  }

  test('is made after its template, with as many queues as both allow', async () => {
    const few = await sends({}, { defaultTopicQueueNums: 2 })
    assert.equal(few.answer.code, ResponseCode.SUCCESS)
    assert.deepEqual(few.topic, {
      topicName: 'fresh',
      readQueueNums: 2,
      writeQueueNums: 2,
      perm: 6,
      topicFilterType: 'SINGLE_TAG',
      topicSysFlag: 0,
      order: false,
      attributes: {},
    })
    assert.equal((await sends({}, { defaultTopicQueueNums: 400 })).topic?.writeQueueNums, 8)
    assert.equal((await sends({ defaultTopicQueueNums: '3' }, {})).topic?.writeQueueNums, 3)
  })

  test('is not made without a template, or where that is turned off', async () => {
    for (const [settings, parts] of [
      [{}, { defaultTopic: 'nothing' }],
      [{}, { defaultTopic: 'SELF_TEST_TOPIC' }],
      [{ autoCreateTopicEnable: 'false' }, {}],
    ] as const) {
      const { answer, topic } = await sends(settings, parts)
      assert.equal(answer.code, ResponseCode.TOPIC_NOT_EXIST)
      assert.match(answer.remark!, /^topic\[fresh\] not exist, apply first please!\nSee https:/)
      assert.equal(topic, undefined)
    }
  })

  test('is not made any more once that was turned off, though the template was on disk', async () => {
    let broker = await startSimulatedBroker()
    await broker.close()
    broker = await startSimulatedBroker({ autoCreateTopicEnable: 'false' }, broker)
    const client = await broker.connect()
    assert.equal((await client.ask(SendMessageV2, sendOf(), 'x')).code, ResponseCode.TOPIC_NOT_EXIST)
    await broker.close()
  })

  test('is always made when it is the retry topic of a group: after its template, or with one queue', async () => {
    const { answer, topic } = await sends({ autoCreateTopicEnable: 'false' }, { topic: '%RETRY%g' })
    assert.equal(answer.code, ResponseCode.SUCCESS)
    assert.deepEqual([topic?.readQueueNums, topic?.perm], [1, 6])
    const templated = await sends({}, { topic: '%RETRY%g', defaultTopicQueueNums: 3 })
    assert.deepEqual([templated.topic?.readQueueNums, templated.topic?.perm], [3, 6])
  })

  test('is marked as one of a unit, where its producer works in one', async () => {
    const unit = { unitMode: true }
    assert.equal((await sends({}, unit)).topic?.topicSysFlag, 1)
    assert.equal((await sends({}, { topic: '%RETRY%g', ...unit })).topic?.topicSysFlag, 2)
    const noTemplate = { autoCreateTopicEnable: 'false' }
    assert.equal((await sends(noTemplate, { topic: '%RETRY%g', ...unit })).topic?.topicSysFlag, 2)
  })

  test('with no queue takes no message', async () => {
    for (const queueId of [0, -1]) {
      const { answer } = await sends({}, { defaultTopicQueueNums: 0, queueId })
      assert.equal(answer.code, ResponseCode.INVALID_PARAMETER)
    }
  })
})

describe('a message that is refused', () => {
  const long = 'x'.repeat(128)
  const illegal = 'the message is illegal, maybe msg body or properties length not matched. '
  const later = /not served by this version of CometMQ/
  const batch = (bytes: Buffer): Parameters<typeof sendOf>[0] & { body: Buffer } => ({ batch: true, body: bytes })
  const int32 = (...values: number[]): Buffer => {
    const bytes = Buffer.alloc(values.length * 4)
    for (const [index, value] of values.entries()) bytes.writeInt32BE(value | 0, index * 4)
    return bytes
  }
  type Parts = Parameters<typeof sendOf>[0] & { body?: string | Buffer }
  const cases: [what: string, parts: Parts, code: number, remark: string | RegExp][] = [
    // Names.
    ['an empty topic', { topic: '' }, 29, 'The specified topic is blank.'],
    ['a blank topic', { topic: '  ' }, 29, 'The specified topic is blank.'],
    [
      'a topic of 128 characters',
      { topic: long },
      29,
      `The specified topic: ${long}, is longer than topic max length: 127`,
    ],
    [
      'a retry topic of 263 characters',
      { topic: `%RETRY%${long}${long}` },
      29,
      `The specified topic is DLQ or Retry topic: %RETRY%${long}${long}, and it's longer than topic max length: 255`,
    ],
    ['a topic that climbs', { topic: '../x' }, 29, 'The specified topic: ../x, contains illegal characters, allowing'],
    ['a retry topic that climbs', { topic: '%RETRY%../x' }, 29, 'The specified topic: %RETRY%../x, contains illegal'],
    ['a topic with NUL', { topic: 'a\u0000' }, 29, /contains illegal characters/],
    ['a topic that is not ASCII', { topic: '订单' }, 29, /contains illegal characters/],
    ...['SCHEDULE_TOPIC_XXXX', 'RMQ_SYS_TRANS_HALF_TOPIC', 'RMQ_SYS_TRANS_OP_HALF_TOPIC', 'SELF_TEST_TOPIC'].map(
      (topic): [string, Parts, number, string] => [
        topic,
        { topic },
        16,
        `Sending message to topic[${topic}] is forbidden.`,
      ],
    ),
    ['TRANS_CHECK_MAX_TIME_TOPIC', { topic: 'TRANS_CHECK_MAX_TIME_TOPIC' }, 16, /is forbidden/],
    ['OFFSET_MOVED_EVENT', { topic: 'OFFSET_MOVED_EVENT' }, 16, /is forbidden/],
    // Queues.
    [
      'queue 99 of 4',
      { queueId: 99 },
      29,
      'request queueId[99] is illegal, TopicConfig [topicName=orders, readQueueNums=4, writeQueueNums=4, perm=RW-, topicFilterType=SINGLE_TAG, topicSysFlag=0, order=false, attributes={}] Producer: 127.0.0.1:',
    ],
    ['queue 2³¹−1', { queueId: 0x7fff_ffff }, 29, 'request queueId[2147483647] is illegal, '],
    // Bodies.
    ['no body', { body: '' }, 1, 'the message has no body'],
    ['a body of 4 MiB and a byte', { body: Buffer.alloc(4_194_305) }, 13, `${illegal}msg body length limit 4194304B`],
    ['properties of 32,768 bytes', { properties: `big=${'p'.repeat(32_768)}` }, 13, illegal],
    // Batches.
    [
      'a batch to a retry group',
      { topic: '%RETRY%g', batch: true },
      13,
      'batch request does not support retry group %RETRY%g',
    ],
    [
      'the same without a body',
      { topic: '%RETRY%g', batch: true, body: '' },
      13,
      'batch request does not support retry',
    ],
    ['a batch that is too short', batch(int32(1, 2)), 13, illegal],
    ['a batch with an element of 0 bytes', batch(int32(0, 0, 0, 0, 0, 0)), 13, illegal],
    ['a batch with an element of −1 bytes', batch(int32(-1, 0, 0, 0, 0, 0)), 13, illegal],
    ['a batch with an element past its end', batch(int32(1_000, 0, 0, 0, 0, 0)), 13, illegal],
    ['a batch with a body of −1 bytes', batch(int32(24, 0, 0, 0, -1, 0)), 13, illegal],
    ['a batch whose second element is cut', batch(Buffer.concat([int32(24, 0, 0, 0, 2, 0), int32(24)])), 13, illegal],
    [
      'a batch of 190,650 empty elements',
      batch(Buffer.alloc(4_194_300, Buffer.concat([int32(22, 0, 0, 0, 0), Buffer.alloc(2)]))),
      13,
      illegal,
    ],
    // Of a later version: never stored as something else.
    ['a delay level', { properties: 'DELAY=3' }, 13, later],
    ['delay level 99', { properties: 'DELAY=99' }, 13, later],
    ['a delay level that is no number', { properties: 'DELAY=soon' }, 13, later],
    ['a timer in seconds', { properties: 'TIMER_DELAY_SEC=2' }, 13, later],
    ['a timer in ms', { properties: 'TIMER_DELAY_MS=-1' }, 13, later],
    ['a timer', { properties: 'KEYS=k TIMER_DELIVER_MS=99999999999999' }, 13, later],
    ['the recall of a timer', { properties: 'TIMER_DEL_UNIQKEY=x' }, 13, later],
    ['a half message', { properties: 'TRAN_MSG=true PGROUP=p', sysFlag: 4 }, 13, later],
    ['a half message by the letters', { properties: 'TRAN_MSG=TRUE' }, 13, later],
    ['transaction bits alone', { sysFlag: 4 }, 13, later],
    ['rollback bits alone', { sysFlag: 12 }, 13, later],
    ['all bits of sysFlag', { sysFlag: -1 }, 13, later],
    ['a lite topic', { properties: '__LITE_TOPIC=l' }, 13, later],
    ['a light message queue', { properties: 'INNER_MULTI_DISPATCH=%LMQ%a' }, 13, later],
    ['INNER_NUM', { properties: 'INNER_NUM=2' }, 13, illegal],
    ['the bit of inner batches', { sysFlag: 0x80 }, 13, illegal],
    ['one attempt too many', { topic: '%RETRY%g', reconsumeTimes: 17 }, 13, /^dead letters are not served/],
    [
      'more attempts than its own most',
      { topic: '%RETRY%g', reconsumeTimes: 3, maxReconsumeTimes: 2 },
      13,
      /^dead letters/,
    ],
  ]

  test('says why, with the marks that every answer has, and leaves nothing behind', async () => {
    const broker = await startSimulatedBroker({ mappedFileSizeCommitLog: '33554432' })
    const client = await broker.connect()
    await client.ask(SendMessageV2, sendOf(), 'the only one')
    const position = broker.broker.store.positions.appended
    for (const [what, { body = 'x', ...parts }, code, remark] of cases) {
      const command = parts.batch === true ? SendBatchMessage : SendMessageV2
      const answer = await client.ask(command, sendOf(parts), body)
      assert.equal(answer.code, code, `${what}: ${answer.remark}`)
      if (typeof remark === 'string') assert.ok(answer.remark?.startsWith(remark), `${what}: ${answer.remark}`)
      else assert.match(answer.remark!, remark, what)
      assert.deepEqual(answer.fields, { MSG_REGION: 'DefaultRegion', TRACE_ON: 'true' }, what)
    }
    assert.equal(broker.broker.store.positions.appended, position)
    assert.equal((await client.ask(SendMessageV2, sendOf(), 'still served')).fields['queueOffset'], '1')
    await broker.close()
  })

  test('for what it is not, is not refused', async () => {
    const broker = await startSimulatedBroker({ mappedFileSizeCommitLog: '8388608' })
    const client = await broker.connect()
    const fine: [string, Parts][] = [
      ['4 MiB', { body: Buffer.alloc(4_194_304, 1) }],
      ['the highest bits of sysFlag', { sysFlag: 0x7fff_f700 }],
      ['delay level 0', { properties: 'DELAY=0' }],
      ['a delay level below', { properties: 'DELAY=-1' }],
      ['no transaction', { properties: 'TRAN_MSG=false' }],
      ['a priority in a topic without', { properties: '_SYS_MSG_PRIORITY_=3' }],
      ['a time of birth before 1970', { bornTimestamp: -5 }],
      ['a unique key of 10 KB', { properties: `UNIQ_KEY=${'k'.repeat(10_240)}` }],
      ['20,000 properties', { properties: Buffer.from(' a\u0001b\u0002'.repeat(5_000)) }],
      ['separators only', { properties: Buffer.from('\u0001\u0002\u0002\u0001\u0001') }],
      ['no last separator', { properties: Buffer.from('a\u0001b') }],
      ['a retry within its attempts', { topic: '%RETRY%g', reconsumeTimes: 16 }],
      ['the template itself', { topic: 'TBW102' }],
      ['the topic of the cluster', { topic: 'DefaultCluster' }],
    ]
    for (const [what, { body = 'x', ...parts }] of fine) {
      const answer = await client.ask(SendMessageV2, sendOf(parts), body)
      assert.equal(answer.code, ResponseCode.SUCCESS, `${what}: ${answer.remark}`)
    }
    await broker.close()
  })

  test('for its topic: compaction, batch queues, priorities', async () => {
    const broker = await startSimulatedBroker()
    const client = await broker.connect()
    const make = (topic: string, attributes: string) =>
      client.ask(UpdateAndCreateTopic, {
        topic,
        attributes,
        defaultTopic: 'TBW102',
        readQueueNums: 1,
        writeQueueNums: 1,
        perm: 6,
        topicFilterType: 'SINGLE_TAG',
        topicSysFlag: 0,
        order: false,
        force: false,
      })
    for (const [topic, attributes, properties] of [
      ['compacted', '+cleanup.policy=COMPACTION', 'KEYS=k'],
      ['batched', '+queue.type=BatchCQ', ''],
      ['ranked', '+message.type=PRIORITY', '_SYS_MSG_PRIORITY_=1'],
    ] as const) {
      assert.equal((await make(topic, attributes)).code, ResponseCode.SUCCESS)
      const answer = await client.ask(SendMessageV2, sendOf({ topic, properties }), 'x')
      assert.equal(answer.code, ResponseCode.MESSAGE_ILLEGAL)
      assert.match(answer.remark!, later)
    }
    assert.equal((await client.ask(SendMessageV2, sendOf({ topic: 'ranked' }), 'x')).code, ResponseCode.SUCCESS)
    await broker.close()
  })

  test('to a retry topic: by the group, and while its queues are locked', async () => {
    const broker = await startSimulatedBroker({ autoCreateSubscriptionGroup: 'false' })
    const client = await broker.connect()
    const retry = sendOf({ topic: '%RETRY%nobody' })
    const unknown = await client.ask(SendMessageV2, retry, 'x')
    assert.equal(unknown.code, ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST)
    assert.match(unknown.remark!, /^subscription group not exist, nobody \nSee https:/)
    broker.broker.groups.update([{ ...broker.broker.groups.get('TOOLS_CONSUMER')!, groupName: 'nobody' }])
    assert.equal((await client.ask(SendMessageV2, retry, 'x')).code, ResponseCode.SUCCESS)
    broker.broker.locks.lock('nobody', [{ topic: 'orders', brokerName: 'broker-a', queueId: 0 }], 'a client')
    const locked = await client.ask(SendMessageV2, retry, 'x')
    assert.equal(locked.code, ResponseCode.MESSAGE_ILLEGAL)
    assert.match(locked.remark!, /^dead letters are not served/)
    await broker.close()
  })

  test('before the broker takes messages, and where an ordered topic may not be written', async () => {
    const opensAt = 1_700_000_060_000
    const broker = await startSimulatedBroker({
      startAcceptSendRequestTimeStamp: String(opensAt),
      brokerPermission: '4',
    })
    const client = await broker.connect()
    const early = await client.ask(SendMessageV2, sendOf(), 'x')
    assert.deepEqual([early.code, early.remark], [1, `broker unable to service, until ${opensAt}`])
    await broker.scheduler.advance(61_000)
    assert.equal((await client.ask(SendMessageV2, sendOf(), 'x')).code, ResponseCode.SUCCESS)
    broker.broker.topics.update([{ ...broker.broker.topics.get('orders')!, order: true }])
    const ordered = await client.ask(SendMessageV2, sendOf(), 'x')
    assert.deepEqual([ordered.code, ordered.remark], [16, 'the broker[127.0.0.1] sending message is forbidden'])
    await broker.close()
  })

  test('not for a field of its header that Java does not miss', async () => {
    const broker = await startSimulatedBroker()
    const client = await broker.connect()
    const needed = { b: 'BenchmarkTest', e: '0', f: '0', g: '1', h: '0' }
    const answer = await client.askLoosely(SendMessageV2, needed, 'x')
    assert.equal(answer.code, ResponseCode.SUCCESS, answer.remark)
    const fresh = await client.askLoosely(SendMessageV2, { ...needed, b: 'fresh' }, 'x')
    assert.equal(fresh.code, ResponseCode.TOPIC_NOT_EXIST, 'there is no template to make it after')
    await broker.close()
  })

  test('by its header: what is missing or malformed is named', async () => {
    const broker = await startSimulatedBroker()
    const client = await broker.connect()
    const whole = {
      a: 'p',
      b: 'orders',
      c: 'TBW102',
      d: '4',
      e: '0',
      f: '0',
      g: '1',
      h: '0',
      i: '',
      j: '0',
      k: 'false',
      m: 'false',
    }
    assert.equal((await client.askLoosely(SendMessageV2, whole, 'x')).code, ResponseCode.SUCCESS)
    for (const [key, field] of [
      ['b', 'topic'],
      ['e', 'queueId'],
      ['g', 'bornTimestamp'],
    ] as const) {
      const { [key]: _gone, ...rest } = whole
      const missing = await client.askLoosely(SendMessageV2, rest, 'x')
      assert.equal(missing.code, ResponseCode.SYSTEM_ERROR)
      assert.match(missing.remark!, new RegExp(field))
    }
    for (const wrong of ['1e3', 'x', '9999999999', '']) {
      const malformed = await client.askLoosely(SendMessageV2, { ...whole, e: wrong }, 'x')
      assert.equal(malformed.code, ResponseCode.SYSTEM_ERROR)
      assert.match(malformed.remark!, /queueId/)
    }
    await broker.close()
  })
})
