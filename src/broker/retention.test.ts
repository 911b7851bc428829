import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Disk } from '../base/disk.ts'
import { SeededRandom } from '../base/random.ts'
import { SimulatedDisk } from '../base/simulated-disk.ts'
import { SimulatedScheduler } from '../base/simulated-scheduler.ts'
import * as config from '../protocol/commands/broker-config.ts'
import { UpdateAndCreateSubscriptionGroup } from '../protocol/commands/group.ts'
import * as offset from '../protocol/commands/offset.ts'
import { PullMessage } from '../protocol/commands/pull.ts'
import { GetMinOffset } from '../protocol/commands/query.ts'
import { SendMessageV2 } from '../protocol/commands/send.ts'
import { decodeMessages } from '../protocol/message.ts'
import { ResponseCode } from '../protocol/response-code.ts'
import { draftOf } from '../store/simulated-store.ts'
import { type Received, type SimulatedBroker, type SimulatedClient, startSimulatedBroker } from './simulated-broker.ts'
import { pullOf, sendOf } from './simulated-requests.ts'

const KB = 'x'.repeat(1000)
const small = {
  mappedFileSizeCommitLog: '20000',
  mappedFileSizeConsumeQueue: '200',
  maxHashSlotNum: '100',
  maxIndexNum: '1000',
  fileReservedTime: '0',
}
const send = (client: SimulatedClient, queueId: number, body = KB): Promise<Received> =>
  client.ask(SendMessageV2, sendOf({ queueId }), body)
const pull = (client: SimulatedClient, queueId: number, queueOffset: number): Promise<Received> =>
  client.ask(PullMessage, pullOf({ queueId, queueOffset }))
/** Lets some seconds pass, in which nobody asks. */
const pass = (broker: SimulatedBroker, seconds: number): Promise<void> => broker.scheduler.advance(seconds * 1000)

/** Three segments, the first two of which go; queue 1 has messages in the first only. */
async function expired(): Promise<[SimulatedBroker, SimulatedClient]> {
  // At an hour in which nothing is deleted by itself.
  const broker = await startSimulatedBroker({ ...small, deleteWhen: '0' }, { scheduler: new SimulatedScheduler(noon) })
  const client = await broker.connect()
  for (let each = 0; each < 3; each++) assert.equal((await send(client, 1)).code, 0)
  for (let each = 0; each < 40; each++) assert.equal((await send(client, 0)).code, 0)
  assert.equal((await client.ask(config.DeleteExpiredCommitLog, {})).code, ResponseCode.SUCCESS)
  assert.equal(broker.broker.store.positions.min, 0, 'the answer does not wait')
  await pass(broker, 75)
  assert.equal(broker.broker.store.positions.min, 40_000)
  return [broker, client]
}
const noon = new Date(2026, 5, 15, 12).getTime()

describe('when segments have gone', () => {
  test('a pull before the first message is told to go there', async () => {
    const [broker, client] = await expired()
    const min = broker.broker.store.minOffset('orders', 0)
    assert.ok(min > 0)
    const { code, fields } = await pull(client, 0, 3)
    assert.deepEqual([code, fields['nextBeginOffset']], [ResponseCode.PULL_OFFSET_MOVED, String(min)])
    assert.deepEqual([fields['minOffset'], fields['maxOffset']], [String(min), '40'])
    const found = await pull(client, 0, min)
    assert.equal(found.code, ResponseCode.SUCCESS)
    assert.equal(decodeMessages(found.body)[0]?.queueOffset, min)
    const queue = { topic: 'orders', queueId: 0 }
    assert.equal((await client.ask(GetMinOffset, queue)).fields['offset'], String(min))
    await broker.close()
  })

  test('they go sooner once the broker was told so', async () => {
    const broker = await startSimulatedBroker({ ...small, fileReservedTime: '72', deleteWhen: '0' })
    const client = await broker.connect()
    for (let each = 0; each < 40; each++) assert.equal((await send(client, 0)).code, 0)
    await pass(broker, 100)
    assert.equal(broker.broker.store.positions.min, 0)
    const changes = `fileReservedTime=0\ndeleteWhen=${new Date(broker.scheduler.now()).getHours()}`
    assert.equal((await client.ask(config.UpdateBrokerConfig, {}, changes)).code, ResponseCode.SUCCESS)
    await pass(broker, 15)
    assert.equal(broker.broker.store.positions.min, 40_000)
    await broker.close()
  })

  test('an emptied queue keeps its end, and tells it', async () => {
    const [broker, client] = await expired()
    const { code, fields } = await pull(client, 1, 0)
    assert.deepEqual([code, fields['nextBeginOffset']], [ResponseCode.PULL_OFFSET_MOVED, '3'])
    assert.equal((await pull(client, 1, 3)).code, ResponseCode.PULL_NOT_FOUND)
    assert.equal((await send(client, 1)).fields['queueOffset'], '3')
    await broker.close()
  })

  test('the runtime info and the probes tell what is left and what went', async () => {
    const [broker, client] = await expired()
    const { table } = JSON.parse((await client.ask(config.GetBrokerRuntimeInfo, {})).body.toString())
    assert.equal(table['commitLogMinOffset'], '40000')
    const ofMin = broker.broker.store.storeTimestampAt('orders', 0, broker.broker.store.minOffset('orders', 0))
    assert.equal(table['earliestMessageTimeStamp'], String(ofMin))
    assert.deepEqual(
      ['deletedSegments', 'deletedBytes', 'forcedSegments', 'segments'].map((name) => broker.probe(`store.${name}`)),
      [2, 40_000, 0, 1],
    )
    assert.ok(broker.probe('store.deletedQueueFiles') > 0)
    await broker.close()
  })
})

describe('CLEAN_EXPIRED_CONSUMEQUEUE', () => {
  test('forgets what has expired, and no group misses what comes then', async () => {
    const [broker, client] = await expired()
    const group = { consumerGroup: 'late', topic: 'orders', queueId: 1 }
    await client.askLoosely(UpdateAndCreateSubscriptionGroup, {}, '{"groupName":"late"}')
    assert.equal((await client.ask(offset.UpdateConsumerOffset, { ...group, commitOffset: 3 })).code, 0)
    assert.equal((await client.ask(config.CleanExpiredConsumeQueue, {})).code, ResponseCode.SUCCESS)
    const { store } = broker.broker
    assert.deepEqual([store.queueExists('orders', 1), store.queueExists('orders', 0)], [false, true])
    assert.equal((await send(client, 1, 'anew')).fields['queueOffset'], '0')
    const { fields } = await client.ask(offset.QueryConsumerOffset, group)
    assert.equal(fields['offset'], '0')
    assert.equal(decodeMessages((await pull(client, 1, 0)).body)[0]?.body.toString(), 'anew')
    await broker.close()
  })

  test('does nothing where nothing has expired', async () => {
    const broker = await startSimulatedBroker()
    const client = await broker.connect()
    await send(client, 0)
    assert.equal((await client.ask(config.CleanExpiredConsumeQueue, {})).code, ResponseCode.SUCCESS)
    assert.equal(broker.broker.store.maxOffset('orders', 0), 1)
    await broker.close()
  })
})

test('CLEAN_UNUSED_TOPIC removes the queues of topics that the broker does not know, and no others', async () => {
  const broker = await startSimulatedBroker()
  const client = await broker.connect()
  const { store } = broker.broker
  await send(client, 0)
  for (const topic of ['unknown', 'SCHEDULE_TOPIC_XXXX', 'rmq_sys_wheel_timer', '%LMQ%lite']) {
    store.append(draftOf({ topic }))
  }
  await pass(broker, 1)
  assert.equal((await client.ask(config.CleanUnusedTopic, {})).code, ResponseCode.SUCCESS)
  assert.equal(store.queueExists('unknown', 0), false)
  assert.equal(broker.disk.statSync('/store/consumequeue/unknown'), undefined)
  for (const topic of ['orders', 'SCHEDULE_TOPIC_XXXX', 'rmq_sys_wheel_timer', '%LMQ%lite']) {
    assert.equal(store.maxOffset(topic, 0), 1, topic)
  }
  await broker.close()
})

describe('a broker whose disk fills up', () => {
  const capacityBytes = 4_000_000

  async function startOn(more: Record<string, string> = {}): Promise<[SimulatedBroker, SimulatedClient]> {
    const scheduler = new SimulatedScheduler()
    const disk = new SimulatedDisk(new SeededRandom(1), { scheduler, capacityBytes })
    const settings = { ...small, fileReservedTime: '72', cleanFileForciblyEnable: 'false', ...more }
    const broker = await startSimulatedBroker(settings, { scheduler, disk })
    return [broker, await broker.connect()]
  }

  function occupy(disk: Disk, usedBytes: number): () => void {
    const file = disk.openSync('/others', 'write')
    const pages = Math.floor((usedBytes - (disk as SimulatedDisk).usedBytes) / 4096)
    file.writeSync(Buffer.alloc(pages * 4096, 1), 0)
    file.closeSync()
    return () => disk.removeSync('/others')
  }

  test('refuses messages with numbers, path and a hint; reads and offsets go on', async () => {
    const [broker, client] = await startOn()
    const bodies: string[] = []
    let refused: Received | undefined
    for (let each = 0; refused === undefined; each++) {
      const answer = await send(client, 0, `${each} ${KB}`)
      if (answer.code === ResponseCode.SUCCESS) bodies.push(`${each} ${KB}`)
      else refused = answer
      if (each % 100 === 50) await pass(broker, 10)
    }
    assert.equal(refused.code, ResponseCode.SERVICE_NOT_AVAILABLE)
    assert.match(
      refused.remark ?? '',
      /^service not available now\. \(the disk of \/store\/commitlog is full: 3\.\d MiB of 3\.8 MiB used \(9\d %\), \d+\.\d KiB free, limit 3\.4 MiB \(90 %, diskSpaceWarningLevelRatio\)\. Retry in 10 s, or at another broker\)$/,
    )
    assert.ok(broker.disk.usedBytes < capacityBytes * 0.94, 'what others need is left')
    const read: string[] = []
    for (let next = 0; next < bodies.length; ) {
      const answer = await pull(client, 0, next)
      assert.equal(answer.code, ResponseCode.SUCCESS)
      read.push(...decodeMessages(answer.body).map((message) => message.body.toString()))
      next = Number(answer.fields['nextBeginOffset'])
    }
    assert.deepEqual(read, bodies)
    const group = { consumerGroup: 'late', topic: 'orders', queueId: 0 }
    await client.askLoosely(UpdateAndCreateSubscriptionGroup, {}, '{"groupName":"late"}')
    assert.equal((await client.ask(offset.UpdateConsumerOffset, { ...group, commitOffset: 5 })).code, 0)
    await pass(broker, 10)
    assert.match(textOf(broker.disk, '/store/config/consumerOffset.json'), /"orders@late":\{0:5\}/)
    await broker.close()
  })

  test('takes messages again within 10 s after there is room; the log tells when it began and when it ended', async () => {
    const [broker, client] = await startOn()
    for (let each = 0; each < 30; each++) assert.equal((await send(client, 0)).code, 0)
    const free = occupy(broker.disk, capacityBytes - 20_000)
    await pass(broker, 30)
    const max = broker.broker.store.maxOffset('orders', 0)
    for (let each = 0; each < 20; each++) {
      assert.equal((await send(client, 0)).code, ResponseCode.SERVICE_NOT_AVAILABLE)
      await pass(broker, 7)
    }
    assert.equal(broker.probe('store.diskFull'), 1)
    free()
    await pass(broker, 2)
    const answer = await send(client, 0)
    assert.deepEqual([answer.code, answer.fields['queueOffset']], [ResponseCode.SUCCESS, String(max)])
    assert.equal(broker.probe('store.diskFull'), 0)
    const lines = broker.log.lines.filter(({ message }) => message.startsWith('disk '))
    assert.deepEqual(
      lines.map(({ level, message }) => [level, message]),
      [
        ['error', 'disk full: messages are refused, reads go on'],
        ['info', 'disk has room again: messages are taken'],
      ],
    )
    assert.deepEqual(
      broker.log.lines.filter(({ level }) => level === 'error').map(({ message }) => message),
      ['disk full: messages are refused, reads go on'],
      'no other part cries as well',
    )
    for (const name of ['usedBytes', 'freeBytes', 'limitBytes']) assert.equal(typeof lines[0]?.fields[name], 'number')
    await broker.close()
  })

  test('to the last byte before anybody looked loses nothing, and stores nothing that it refused', async () => {
    const [broker, client] = await startOn()
    for (let each = 0; each < 5; each++) assert.equal((await send(client, 0)).code, 0)
    await pass(broker, 1)
    // Whatever else lives on this disk takes all of it at once.
    const free = occupy(broker.disk, capacityBytes)
    const asked = await Promise.all(Array.from({ length: 30 }, () => client.begin(SendMessageV2, sendOf(), KB)))
    await pass(broker, 1)
    const codes = asked.map((opaque) => client.answer(opaque)?.code)
    const taken = codes.filter((code) => code === ResponseCode.SUCCESS).length
    const refused = codes.filter((code) => code === ResponseCode.SERVICE_NOT_AVAILABLE).length
    assert.ok(refused > 0)
    assert.equal(taken + refused, codes.length, `${codes}`)
    await pass(broker, 60)
    assert.equal((await pull(client, 0, 0)).code, ResponseCode.SUCCESS)
    free()
    await pass(broker, 10)
    assert.equal((await send(client, 0)).fields['queueOffset'], String(5 + taken))
    await pass(broker, 5)
    const after = await broker.crash()
    assert.equal(after.broker.store.maxOffset('orders', 0), 6 + taken)
    await after.close()
  })

  test('that was full at the start refuses from the first message on, and recovers by itself', async () => {
    const [first] = await startOn()
    await first.close()
    const free = occupy(first.disk, capacityBytes * 0.95)
    const broker = await first.reopen()
    const client = await broker.connect()
    assert.equal((await send(client, 0)).code, ResponseCode.SERVICE_NOT_AVAILABLE)
    free()
    await pass(broker, 2)
    assert.equal((await send(client, 0)).code, ResponseCode.SUCCESS)
    await broker.close()
  })

  test('deletes the oldest segments where that is allowed, and goes on taking messages', async () => {
    const [broker, client] = await startOn({ cleanFileForciblyEnable: 'true' })
    await pass(broker, 60)
    let taken = 0
    for (let each = 0; each < 6000; each++) {
      if ((await send(client, 0)).code === ResponseCode.SUCCESS) taken++
      if (each % 80 === 79) await pass(broker, 10)
    }
    assert.equal(taken, 6000)
    assert.ok(broker.probe('store.forcedSegments') > 20)
    assert.equal(broker.broker.store.maxOffset('orders', 0), 6000)
    await broker.close()
  })
})

function textOf(disk: Disk, path: string): string {
  const file = disk.openSync(path, 'read')
  const bytes = Buffer.alloc(file.sizeSync())
  file.readSync(bytes, 0)
  file.closeSync()
  return bytes.toString().replaceAll(/\s/g, '')
}
