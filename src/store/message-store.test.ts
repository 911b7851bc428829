import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { WaitFailure, Watermark } from '../base/watermark.ts'
import { encodeBatch } from '../protocol/batch.ts'
import { decodeMessage, decodeMessages, MAGIC_V1, MAGIC_V2, type StoredMessage } from '../protocol/message.ts'
import {
  GetStatus,
  type MessageFilter,
  type MessageStore,
  PutStatus,
  type ReadResult,
  StoreRefused,
} from './message-store.ts'
import { openStore } from './open-store.ts'
import { draftOf, openSimulatedStore, type SimulatedStore } from './simulated-store.ts'

const EIO = Object.assign(new Error('EIO: simulated'), { code: 'EIO' })

function readOf(
  store: MessageStore,
  offset: number,
  more: { maxCount?: number; maxBytes?: number; filter?: MessageFilter; topic?: string; queueId?: number } = {},
): ReadResult {
  let result: ReadResult | undefined
  store.read(
    { topic: 'orders', queueId: 0, maxCount: 32, maxBytes: 1e9, filter: undefined, offset, ...more },
    (answer) => {
      result = answer
    },
  )
  assert.ok(result !== undefined, 'the read answers at once')
  return result
}

const messagesOf = (result: ReadResult): StoredMessage[] => result.records.flatMap((view) => decodeMessages(view))

function waitOn(
  mark: Watermark,
  target: number,
  deadline = Number.POSITIVE_INFINITY,
): { outcome: 'waiting' | 'ok' | WaitFailure } {
  const state: { outcome: 'waiting' | 'ok' | WaitFailure } = { outcome: 'waiting' }
  mark.wait({ target, deadline, wake: () => (state.outcome = 'ok'), fail: (reason) => (state.outcome = reason) })
  return state
}

function sendMany({ store }: SimulatedStore, count: number, bytes = 100): void {
  for (let index = 0; index < count; index++)
    assert.equal(store.append(draftOf({ body: Buffer.alloc(bytes, index) })).status, 'PUT_OK')
}

describe('a message', () => {
  test('has its place at once, and is readable when the turn is over', async () => {
    const { store, scheduler, close } = await openSimulatedStore()
    const first = { ...store.append(draftOf({ properties: 'TAGS\u0001a\u0002' })) }
    const second = { ...store.append(draftOf()) }
    assert.deepEqual([first.position, first.queueOffset, second.queueOffset], [0, 0, 1])
    assert.equal(second.position, first.endPosition)
    assert.equal(store.maxOffset('orders', 0), 0)
    await scheduler.settle()
    assert.equal(store.maxOffset('orders', 0), 2)
    const result = readOf(store, 0)
    assert.equal(result.status, GetStatus.FOUND)
    assert.equal(result.records.length, 1, 'neighbours leave as one view')
    assert.deepEqual(
      messagesOf(result).map(({ queueOffset, position }) => [queueOffset, position]),
      [
        [0, 0],
        [1, second.position],
      ],
    )
    await close()
  })

  test('of a long retry topic is of version 2; longer and unsafe ones are refused', async () => {
    const { store, scheduler, close } = await openSimulatedStore()
    const long = `%RETRY%${'g'.repeat(150)}`
    const { position } = store.append(draftOf({ topic: long }))
    await scheduler.settle()
    assert.equal(decodeMessage(store.recordAt(position)!, 0).magic, MAGIC_V2)
    for (const topic of ['t'.repeat(128), `%RETRY%${'g'.repeat(250)}`, '../x', '..', 'a/b', '']) {
      const { status } = store.append(draftOf({ topic }))
      assert.equal(status, PutStatus.MESSAGE_ILLEGAL, topic)
    }
    assert.equal(store.append(draftOf({ properties: 'p'.repeat(32_768) })).status, PutStatus.PROPERTIES_SIZE_EXCEEDED)
    assert.equal(store.append(draftOf({ body: Buffer.alloc(4_194_305) })).status, PutStatus.MESSAGE_ILLEGAL)
    assert.equal(store.append(draftOf({ queueId: -1 })).status, PutStatus.MESSAGE_ILLEGAL)
    await close()
  })

  test('keeps IPv6 hosts, flags and times', async () => {
    const v6 = new Uint8Array(16).fill(7)
    const { store, scheduler, close } = await openSimulatedStore({}, { storeHost: { address: v6, port: 1 } })
    const { position } = store.append(
      draftOf({ bornHost: { address: v6, port: 2 }, flag: 9, reconsumeTimes: 3, bornTimestamp: 77 }),
    )
    await scheduler.settle()
    const message = decodeMessage(store.recordAt(position)!, 0)
    assert.deepEqual(
      [
        message.magic,
        message.flag,
        message.reconsumeTimes,
        message.bornTimestamp,
        message.sysFlag,
        message.bornHost.port,
      ],
      [MAGIC_V1, 9, 3, 77, 0x30, 2],
    )
    assert.equal(message.storeTimestamp, scheduler.now())
    assert.equal(store.storeTimestampAt('orders', 0, 0), message.storeTimestamp)
    assert.equal(store.earliestStoreTimestamp(), message.storeTimestamp)
    await close()
  })

  test('never has an older store time than the one before it', async () => {
    const { store, scheduler, close } = await openSimulatedStore()
    const first = store.append(draftOf()).storeTimestamp
    scheduler.jumpWallClock(-60_000)
    assert.equal(store.append(draftOf()).storeTimestamp, first)
    await close()
  })

  test('that is half of a transaction is in no queue', async () => {
    const { store, scheduler, close } = await openSimulatedStore()
    const half = { ...store.append(draftOf({ sysFlag: 0x4 })) }
    const committed = { ...store.append(draftOf({ sysFlag: 0x8, preparedTransactionOffset: half.position })) }
    await scheduler.settle()
    assert.equal(committed.queueOffset, 0)
    assert.equal(store.maxOffset('orders', 0), 1)
    assert.equal(decodeMessage(store.recordAt(half.position)!, 0).queueOffset, 0)
    await close()
  })

  test('of a batch is a record of its own, all in one segment', async () => {
    const { store, scheduler, close } = await openSimulatedStore({ mappedFileSizeCommitLog: '16384' })
    sendMany({ store } as SimulatedStore, 80, 90)
    const elements = Array.from({ length: 5 }, (_, index) => ({
      flag: index,
      body: Buffer.alloc(200, index),
      properties: Buffer.from('TAGS\u0001x\u0002'),
    }))
    const appended = { ...store.append(draftOf({ batch: true, body: encodeBatch(elements) })) }
    assert.deepEqual(
      [appended.status, appended.count, appended.queueOffset, appended.positions?.length],
      ['PUT_OK', 5, 80, 5],
    )
    assert.equal(appended.positions![0], 16_384, 'the whole batch went to the next segment')
    await scheduler.settle()
    assert.deepEqual(
      messagesOf(readOf(store, 80)).map(({ flag }) => flag),
      [0, 1, 2, 3, 4],
    )
    for (const body of [Buffer.alloc(0), Buffer.alloc(10), encodeBatch(elements).subarray(0, 300)]) {
      assert.equal(store.append(draftOf({ batch: true, body })).status, PutStatus.MESSAGE_ILLEGAL)
    }
    await close()
  })
})

describe('a read', () => {
  test('has a status for every offset', async () => {
    const simulated = await openSimulatedStore()
    const { store, scheduler, close } = simulated
    assert.equal(readOf(store, 0).status, GetStatus.NO_MATCHED_LOGIC_QUEUE)
    sendMany(simulated, 3)
    assert.equal(readOf(store, 0).status, GetStatus.NO_MESSAGE_IN_QUEUE)
    await scheduler.settle()
    assert.deepEqual([readOf(store, -1).status, readOf(store, -1).nextOffset], [GetStatus.OFFSET_TOO_SMALL, 0])
    assert.deepEqual([readOf(store, 3).status, readOf(store, 3).nextOffset], [GetStatus.OFFSET_OVERFLOW_ONE, 3])
    assert.deepEqual([readOf(store, 9).status, readOf(store, 9).nextOffset], [GetStatus.OFFSET_OVERFLOW_BADLY, 3])
    await close()
  })

  test('ends at its limits of count and bytes, but gives one message at least', async () => {
    const simulated = await openSimulatedStore()
    const { store, scheduler, close } = simulated
    sendMany(simulated, 100)
    await scheduler.settle()
    assert.equal(readOf(store, 0, { maxCount: 1000 }).count, 32)
    assert.equal(readOf(store, 0, { maxCount: 7 }).nextOffset, 7)
    assert.equal(readOf(store, 0, { maxBytes: 450 }).count, 2)
    assert.equal(readOf(store, 0, { maxBytes: 1 }).count, 1)
    await close()
  })

  test('far back ends at the limits of the disk, and suggests a replica', async () => {
    const simulated = await openSimulatedStore({}, { memoryBytes: 10_000 })
    const { store, scheduler, close } = simulated
    sendMany(simulated, 100)
    await scheduler.settle()
    const result = readOf(store, 0)
    assert.equal(result.count, 8)
    assert.equal(result.suggestReplica, true)
    await close()
  })

  test('applies tag and record filters, and says how far it looked', async () => {
    const simulated = await openSimulatedStore()
    const { store, scheduler, close } = simulated
    for (let index = 0; index < 1000; index++) {
      store.append(draftOf({ body: `${index}`, properties: index === 900 ? 'TAGS\u0001TagA\u0002' : '' }))
    }
    await scheduler.settle()
    const tagA: MessageFilter = {
      matchesTagsCode: (low, high) => low === 2_598_919 && high === 0,
      matchesRecord: undefined,
    }
    const first = readOf(store, 0, { filter: tagA })
    assert.deepEqual([first.status, first.nextOffset], [GetStatus.NO_MATCHED_MESSAGE, 800])
    assert.deepEqual(
      messagesOf(readOf(store, 800, { filter: tagA })).map(({ queueOffset }) => queueOffset),
      [900],
    )
    const thirds: MessageFilter = {
      matchesTagsCode: () => true,
      matchesRecord: (record) => Number(decodeMessage(record, 0).body.toString()) % 3 === 0,
    }
    const filtered = readOf(store, 1, { filter: thirds, maxCount: 4 })
    assert.deepEqual(
      messagesOf(filtered).map(({ queueOffset }) => queueOffset),
      [3, 6, 9, 12],
    )
    assert.equal(filtered.nextOffset, 13)
    await close()
  })

  test('never gives a wrong body: what the disk spoiled is left out and counted', async () => {
    const simulated = await openSimulatedStore()
    sendMany(simulated, 10)
    await simulated.close()
    const { store, disk, probes, close } = await simulated.reopen()
    const file = disk.openSync('/store/commitlog/00000000000000000000', 'write')
    file.writeSync(Buffer.from([0xff]), store.entries('orders', 0, 4, 1)[0]!.position + 90)
    assert.deepEqual(
      messagesOf(readOf(store, 0)).map(({ queueOffset }) => queueOffset),
      [0, 1, 2, 3, 5, 6, 7, 8, 9],
    )
    assert.equal(store.recordAt(store.entries('orders', 0, 4, 1)[0]!.position), undefined)
    assert.equal(probes.read().find(({ name }) => name === 'store.damagedRecords')?.value, 1)
    await close()
  })

  test('from the middle of a record, behind the end, or of nonsense finds nothing', async () => {
    const simulated = await openSimulatedStore()
    sendMany(simulated, 3)
    await simulated.scheduler.settle()
    for (const position of [1, 50, -1, 1e15, Number.NaN, simulated.store.positions.readable]) {
      assert.equal(simulated.store.recordAt(position), undefined)
    }
    await simulated.close()
  })
})

describe('promises', () => {
  test('ASYNC_FLUSH: the answer comes with the write, the sync by the clock', async () => {
    const { store, scheduler, close } = await openSimulatedStore()
    const { endPosition } = store.append(draftOf())
    const waiting = waitOn(store.durable, endPosition)
    assert.equal(waiting.outcome, 'waiting')
    await scheduler.settle()
    assert.equal(waiting.outcome, 'ok')
    assert.equal(store.positions.flushed, 0)
    await scheduler.advance(510)
    assert.equal(store.positions.flushed, endPosition)
    await close()
  })

  test('SYNC_FLUSH: answer and consumers wait for the sync; who does not wait gets the write', async () => {
    const { store, scheduler, close } = await openSimulatedStore({ flushDiskType: 'SYNC_FLUSH' })
    const arrived: number[] = []
    store.onArrival((_topic, _queueId, queueOffset) => arrived.push(queueOffset))
    const { endPosition } = store.append(draftOf())
    const durable = waitOn(store.durable, endPosition)
    const written = waitOn(store.written, endPosition)
    await scheduler.settle()
    assert.deepEqual(
      [durable.outcome, written.outcome, store.maxOffset('orders', 0), arrived],
      ['waiting', 'ok', 0, []],
    )
    await scheduler.advance(5)
    assert.deepEqual([durable.outcome, store.maxOffset('orders', 0), arrived], ['ok', 1, [0]])
    await close()
  })

  test('a deadline passes while the disk is slow', async () => {
    const simulated = await openSimulatedStore({ flushDiskType: 'SYNC_FLUSH' })
    const { store, scheduler } = simulated
    simulated.disk.fault = undefined
    const { endPosition } = store.append(draftOf())
    const hopeless = waitOn(store.flushed, endPosition + 1_000_000, scheduler.monotonic() + 5000)
    await scheduler.advance(4800)
    assert.equal(hopeless.outcome, 'waiting')
    await scheduler.advance(400)
    assert.equal(hopeless.outcome, 'timeout')
    await simulated.close()
  })

  test('a failed sync is final: nothing more is taken, nothing more is promised, and what was is there after a restart', async () => {
    const simulated = await openSimulatedStore({ flushDiskType: 'SYNC_FLUSH' })
    const { store, scheduler, disk } = simulated
    sendMany(simulated, 3)
    await scheduler.advance(10)
    disk.fault = (call) => (call === 'datasync' ? EIO : undefined)
    const lost = waitOn(store.durable, store.append(draftOf()).endPosition)
    await scheduler.advance(10)
    disk.fault = undefined
    assert.equal(lost.outcome, 'sync failed')
    assert.equal(store.writable, false)
    const refused = store.append(draftOf())
    assert.equal(refused.status, PutStatus.SERVICE_NOT_AVAILABLE)
    assert.match(refused.remark ?? '', /fdatasync of the commit log failed/)
    await scheduler.advance(10_000)
    assert.equal(store.writable, false)
    assert.equal(store.maxOffset('orders', 0), 3)
    const after = await simulated.crash()
    assert.ok(after.store.maxOffset('orders', 0) >= 3)
    await after.close()
  })

  for (const writePolicy of ['sync', 'async'] as const) {
    test(`a failed ${writePolicy} write takes back its queue offsets, and the log goes on when the disk does`, async () => {
      const simulated = await openSimulatedStore({}, { writePolicy })
      const { store, scheduler, disk } = simulated
      const kept = waitOn(store.durable, store.append(draftOf({ body: 'kept' })).endPosition)
      await scheduler.advance(10)
      disk.fault = (call, path) => (call === 'write' && path.includes('commitlog') ? EIO : undefined)
      sendMany(simulated, 5)
      const lost = waitOn(store.durable, store.positions.appended)
      await scheduler.advance(10)
      assert.deepEqual([kept.outcome, lost.outcome], ['ok', 'write failed'])
      assert.match(store.notWritableReason ?? '', /the commit log cannot be written: EIO/)
      disk.fault = undefined
      await scheduler.advance(2000)
      assert.equal(store.writable, true)
      const next = { ...store.append(draftOf({ body: 'next' })) }
      assert.equal(next.queueOffset, 1)
      await scheduler.advance(10)
      assert.deepEqual(
        messagesOf(readOf(store, 0)).map(({ body }) => body.toString()),
        ['kept', 'next'],
      )
      await simulated.close()
      const again = await simulated.reopen()
      assert.equal(again.store.maxOffset('orders', 0), 2)
      await again.close()
    })
  }

  test('a backlog that the disk does not take is answered busy', async () => {
    const simulated = await openSimulatedStore({ mappedFileSizeCommitLog: '134217728' })
    const body = Buffer.alloc(4_000_000)
    let status: string = PutStatus.PUT_OK
    for (let sent = 0; sent < 20 && status === PutStatus.PUT_OK; sent++)
      status = simulated.store.append(draftOf({ body })).status
    assert.equal(status, PutStatus.OS_PAGE_CACHE_BUSY)
    await simulated.scheduler.advance(10)
    assert.equal(simulated.store.append(draftOf()).status, PutStatus.PUT_OK)
    await simulated.close()
  })
})

describe('a store', () => {
  test('goes on after a clean stop where it ended', async () => {
    const simulated = await openSimulatedStore({ mappedFileSizeCommitLog: '16384', mappedFileSizeConsumeQueue: '200' })
    sendMany(simulated, 300, 250)
    await simulated.scheduler.settle()
    await simulated.close()
    assert.equal(simulated.disk.statSync('/store/abort'), undefined)
    const again = await simulated.reopen()
    assert.equal(again.store.maxOffset('orders', 0), 300)
    assert.equal({ ...again.store.append(draftOf()) }.queueOffset, 300)
    await again.scheduler.settle()
    for (let offset = 0; offset < 301; ) {
      const result = readOf(again.store, offset)
      assert.equal(messagesOf(result)[0]?.queueOffset, offset)
      offset = result.nextOffset
    }
    await again.close()
  })

  test('is refused to a second one on the same folder', async () => {
    const { disk, scheduler, close } = await openSimulatedStore()
    disk.makeDirectorySync('/proc/sys/kernel/random')
    disk.makeDirectorySync('/proc/1')
    await close()
    const write = (path: string, text: string): void => disk.openSync(path, 'write').writeSync(Buffer.from(text), 0)
    write('/proc/sys/kernel/random/boot_id', 'boot-1')
    write('/proc/1/stat', `1 (node (x)) S ${Array.from({ length: 18 }, (_, at) => at).join(' ')} 4711 0`)
    const first = await openSimulatedStore({}, { disk, scheduler })
    await assert.rejects(openSimulatedStore({}, { disk, scheduler }), /\/store is in use by process 1 \(this one\)/)
    await first.close()
    await (await openSimulatedStore({}, { disk, scheduler })).close()
  })

  test('says which forms of directory it does not read', async () => {
    await assert.rejects(openSimulatedStore({ storeType: 'defaultRocksDB' }), StoreRefused)
    await assert.rejects(openSimulatedStore({ enableDLegerCommitLog: 'true' }), /DLedger/)
    const { disk, scheduler, close } = await openSimulatedStore()
    await close()
    disk.openSync('/store/consumequeue/CURRENT', 'create')
    await assert.rejects(openSimulatedStore({}, { disk, scheduler }), /RocksDB/)
    assert.equal(typeof openStore, 'function')
  })

  test('does not bring a deleted topic back, whatever it must scan', async () => {
    const simulated = await openSimulatedStore()
    sendMany(simulated, 5)
    await simulated.scheduler.advance(1000)
    simulated.store.deleteTopic('orders')
    assert.equal(simulated.store.queueExists('orders', 0), false)
    assert.equal({ ...simulated.store.append(draftOf()) }.queueOffset, 0)
    await simulated.scheduler.advance(1000)
    const again = await simulated.crash()
    assert.equal(again.store.maxOffset('orders', 0), 1)
    await again.close()
  })

  test('finds offsets by time', async () => {
    const { store, scheduler, close } = await openSimulatedStore()
    const start = scheduler.now()
    for (let index = 0; index < 5; index++) {
      store.append(draftOf())
      await scheduler.advance(100)
    }
    const lower = (time: number): number => store.offsetByTime('orders', 0, time, 'lower')
    const upper = (time: number): number => store.offsetByTime('orders', 0, time, 'upper')
    assert.deepEqual(
      [lower(0), lower(start), lower(start + 1), lower(start + 400), lower(start + 401)],
      [0, 0, 1, 4, 5],
    )
    assert.deepEqual([upper(0), upper(start), upper(start + 150), upper(start + 9999)], [0, 0, 1, 4])
    assert.equal(store.offsetByTime('nothing', 0, start, 'lower'), 0)
    await close()
  })

  test('tells what GET_BROKER_RUNTIME_INFO needs', async () => {
    const simulated = await openSimulatedStore()
    sendMany(simulated, 20)
    await simulated.scheduler.advance(1500)
    const info = simulated.store.runtimeInfo()
    assert.equal(info['putMessageTimesTotal'], '20')
    assert.equal(info['commitLogMaxOffset'], String(simulated.store.positions.readable))
    assert.equal(info['putMessageAverageSize'], `${Number(info['putMessageSizeTotal']) / 20}.0`)
    assert.equal(info['remainHowManyDataToFlush'], '0 B')
    assert.match(info['commitLogDirCapacity']!, /^Total : 1\.0 TiB, Free : 10\d\d\.\d GiB\.$/)
    assert.equal(info['commitLogDiskRatio'], '0.01')
    assert.match(info['runtime']!, /^\[ 0 days, 0 hours, 0 minutes, 1 seconds \]$/)
    await simulated.close()
  })
})

describe('replication', () => {
  test('raw bytes, cut anywhere, make the same log and the same queues', async () => {
    const settings = { mappedFileSizeCommitLog: '16384', mappedFileSizeConsumeQueue: '200' }
    const master = await openSimulatedStore(settings)
    sendMany(master, 200, 150)
    await master.scheduler.settle()
    await master.close()
    const replica = await openSimulatedStore(settings)
    const names = master.disk.listSync('/store/commitlog').sort()
    for (const name of names) {
      const file = master.disk.openSync(`/store/commitlog/${name}`, 'read')
      const bytes = Buffer.alloc(16_384)
      file.readSync(bytes, 0)
      const length = name === names[names.length - 1] ? (await lengthOf(master)) - Number(name) : 16_384
      for (let at = 0; at < length; at += 777) {
        replica.store.appendRaw(Number(name) + at, bytes.subarray(at, Math.min(at + 777, length)))
        await replica.scheduler.settle()
      }
    }
    assert.equal(replica.store.maxOffset('orders', 0), 200)
    for (let offset = 0; offset < 200; ) {
      const result = readOf(replica.store, offset)
      assert.equal(messagesOf(result)[0]?.queueOffset, offset)
      offset = result.nextOffset
    }
    assert.throws(() => replica.store.appendRaw(5, Buffer.alloc(10)), /the log ends at/)
    const before = replica.store.positions.appended
    assert.throws(() => replica.store.appendRaw(before, Buffer.alloc(200, 1)), /no record at/)
    assert.equal(replica.store.positions.appended, before)
    await replica.close()
  })

  test('what is truncated is gone for good', async () => {
    const simulated = await openSimulatedStore({ mappedFileSizeCommitLog: '16384', mappedFileSizeConsumeQueue: '200' })
    sendMany(simulated, 200, 150)
    await simulated.scheduler.advance(1000)
    const { position } = simulated.store.entries('orders', 0, 50, 1)[0]!
    simulated.store.truncateTo(position)
    assert.equal(simulated.store.maxOffset('orders', 0), 50)
    const after = await simulated.crash()
    assert.equal(after.store.maxOffset('orders', 0), 50)
    assert.equal(after.store.positions.readable, position)
    assert.equal({ ...after.store.append(draftOf()) }.queueOffset, 50)
    await after.close()
  })
})

/** Where the log of a closed store ends: opened once more to ask. */
async function lengthOf(simulated: SimulatedStore): Promise<number> {
  const again = await simulated.reopen()
  const { readable } = again.store.positions
  await again.close()
  return readable
}
