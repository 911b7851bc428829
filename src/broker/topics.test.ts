import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { memoryLog } from '../base/console-log.ts'
import type { DiskError } from '../base/disk.ts'
import { SeededRandom } from '../base/random.ts'
import { SimulatedDisk } from '../base/simulated-disk.ts'
import { SimulatedScheduler } from '../base/simulated-scheduler.ts'
import type { TopicConfig } from '../protocol/bodies.ts'
import { parseJavaObject } from '../protocol/java-json.ts'
import { brokerSettings } from './settings.ts'
import { TopicTable } from './topics.ts'

const PATH = '/store/config/topics.json'

class Machine {
  readonly scheduler = new SimulatedScheduler()
  readonly disk = new SimulatedDisk(new SeededRandom(1), { scheduler: this.scheduler })

  open(settings: Record<string, string> = {}): TopicTable {
    const { scheduler, disk } = this
    const parsed = brokerSettings.parse(settings).settings
    return new TopicTable({ settings: parsed, disk, root: '/store', scheduler, log: memoryLog() })
  }

  text(): string {
    const file = this.disk.openSync(PATH, 'read')
    const bytes = Buffer.alloc(file.sizeSync())
    file.readSync(bytes, 0)
    file.closeSync()
    return bytes.toString()
  }

  write(text: string): void {
    this.disk.makeDirectorySync('/store/config')
    const file = this.disk.openSync(PATH, 'write')
    file.writeSync(Buffer.from(text), 0)
    file.datasyncSync()
    file.closeSync()
    this.disk.syncDirectorySync('/store/config')
  }
}

const topic = (topicName: string, parts: Partial<TopicConfig> = {}): TopicConfig => ({
  topicName,
  readQueueNums: 4,
  writeQueueNums: 4,
  perm: 6,
  topicFilterType: 'SINGLE_TAG',
  topicSysFlag: 0,
  order: false,
  attributes: {},
  ...parts,
})

async function savedIn({ scheduler }: Machine, topics: TopicTable): Promise<void> {
  const saved = topics.saved()
  await scheduler.advance(10)
  await saved
}

/** Maps that were read have no prototype, on purpose. */
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value) ?? 'null')

describe('the table of topics', () => {
  test('has the topics of the system from the start', () => {
    const topics = new Machine().open({ brokerName: 'b', brokerClusterName: 'c', traceTopicEnable: 'true' })
    const described = (name: string): unknown => {
      const config = topics.get(name)
      return config === undefined ? undefined : [config.readQueueNums, config.writeQueueNums, config.perm]
    }
    for (const [name, queues, perm] of [
      ['TBW102', 8, 7],
      ['SELF_TEST_TOPIC', 1, 6],
      ['BenchmarkTest', 1_024, 6],
      ['c', 16, 7],
      ['b', 1, 7],
      ['OFFSET_MOVED_EVENT', 1, 6],
      ['SCHEDULE_TOPIC_XXXX', 18, 6],
      ['RMQ_SYS_TRACE_TOPIC', 1, 6],
      ['c_REPLY_TOPIC', 1, 6],
      ['rmq_sys_REVIVE_LOG_c', 8, 6],
      ['rmq_sys_SYNC_BROKER_MEMBER_b', 1, 1],
      ['RMQ_SYS_TRANS_HALF_TOPIC', 1, 6],
      ['RMQ_SYS_TRANS_OP_HALF_TOPIC', 1, 6],
      ['rmq_sys_wheel_timer', 1, 6],
    ] as const) {
      assert.deepEqual(described(name), [queues, queues, perm], name)
      assert.ok(topics.isSystemTopic(name), name)
    }
    assert.ok(!topics.isSystemTopic('orders'))
    assert.ok(topics.isSystemTopic('rmq_sys_anything'))
  })

  test('is the same after a restart, in a file that Java reads', async () => {
    const machine = new Machine()
    const topics = machine.open()
    const odd = topic('odd', {
      perm: 4,
      order: true,
      attributes: { 'message.type': 'FIFO' },
      topicFilterType: 'MULTI_TAG',
    })
    topics.update([odd, topic('orders')])
    await savedIn(machine, topics)
    const { dataVersion } = topics
    const file = parseJavaObject(machine.text())
    assert.deepEqual(Object.keys(file), ['dataVersion', 'topicConfigTable'])
    assert.deepEqual(plain((file['topicConfigTable'] as Record<string, unknown>)['odd']), odd)
    const before = machine.text()
    const again = machine.open()
    assert.deepEqual(plain(again.get('odd')), odd)
    assert.deepEqual(again.dataVersion, dataVersion)
    assert.equal(machine.text(), before, 'nothing changed, nothing is written')
  })

  test('reads what Java writes: order of keys, attributes without a sign, keys that are missing', () => {
    const machine = new Machine()
    machine.write(`{
	"dataVersion":{"counter":7,"stateVersion":0,"timestamp":1700000000000},
	"topicConfigTable":{
		"a":{"attributes":{"cleanup.policy":"DELETE"},"order":false,"perm":6,"readQueueNums":8,"topicFilterType":"SINGLE_TAG","topicName":"a","topicSysFlag":0,"writeQueueNums":8},
		"b":{"perm":2,"readQueueNums":1,"topicName":"b","writeQueueNums":2}
	}
}`)
    const topics = machine.open()
    assert.deepEqual(
      plain(topics.get('a')),
      topic('a', { readQueueNums: 8, writeQueueNums: 8, attributes: { 'cleanup.policy': 'DELETE' } }),
    )
    assert.deepEqual(plain(topics.get('b')), topic('b', { perm: 2, readQueueNums: 1, writeQueueNums: 2 }))
    assert.equal(topics.dataVersion.counter, 7)
  })

  test('changes its version, and tells, only when something changes', () => {
    const topics = new Machine().open()
    const told: string[][] = []
    topics.onChange((changed) => told.push(changed.map(({ topicName }) => topicName)))
    const counter = (): number => topics.dataVersion.counter
    const start = counter()
    topics.update([topic('a'), topic('b')])
    topics.update([topic('a')])
    assert.equal(counter(), start + 1)
    topics.update([topic('a', { perm: 4 }), topic('b')])
    assert.equal(topics.createSystemLike('%RETRY%g', 1).perm, 6)
    assert.equal(topics.createSystemLike('%RETRY%g', 9).readQueueNums, 1, 'it was there')
    assert.deepEqual(told, [['a', 'b'], ['a'], ['%RETRY%g']])
    assert.equal(topics.delete('b'), true)
    assert.equal(topics.delete('b'), false)
    assert.equal(counter(), start + 4)
  })

  test('that a client made by sending is in the file before anybody hears of it', async () => {
    const machine = new Machine()
    const topics = machine.open()
    assert.equal(topics.isUnsaved, false)
    for (const name of ['a', 'b', 'c']) topics.createForSend(name, 'TBW102', 4)
    let saved: DiskError | null | undefined
    topics.whenSaved((error) => {
      saved = error
    })
    assert.ok(topics.isUnsaved)
    assert.ok(!machine.text().includes('"c"'))
    await machine.scheduler.advance(10)
    assert.equal(saved, null)
    assert.equal(topics.isUnsaved, false)
    machine.disk.crash()
    const again = machine.open()
    for (const name of ['a', 'b', 'c']) assert.deepEqual(plain(again.get(name)), topics.get(name))
  })

  test('says when the file cannot be written, and writes it later', async () => {
    const machine = new Machine()
    const topics = machine.open()
    machine.disk.fault = (call) => (call === 'datasync' ? Object.assign(new Error('EIO'), { code: 'EIO' }) : undefined)
    topics.createForSend('a', 'TBW102', 4)
    const outcomes: (DiskError | null)[] = []
    topics.whenSaved((error) => outcomes.push(error))
    await machine.scheduler.advance(10)
    assert.equal(outcomes[0]?.code, 'EIO')
    assert.ok(topics.isUnsaved)
    machine.disk.fault = undefined
    topics.whenSaved((error) => outcomes.push(error))
    await machine.scheduler.advance(10)
    assert.equal(outcomes[1], null)
    assert.ok(machine.text().includes('"a"'))
  })

  test('saved at once between the slices of a save that takes longer is not undone by it', async () => {
    const machine = new Machine()
    const topics = machine.open()
    topics.update(Array.from({ length: 5_000 }, (_, index) => topic(`topic-${index}`)))
    topics.createForSend('a', 'TBW102', 4)
    await Promise.resolve() // the first slice is in words
    topics.update([topic('topic-0', { perm: 4 })])
    await machine.scheduler.advance(20)
    assert.equal(topics.isUnsaved, false)
    const again = machine.open()
    assert.equal(again.get('topic-0')?.perm, 4)
    assert.ok(again.get('a') !== undefined)
  })

  test('that is closed has everything in its file', () => {
    const machine = new Machine()
    const topics = machine.open()
    topics.createForSend('a', 'TBW102', 4)
    topics.close()
    assert.ok(machine.open().get('a') !== undefined)
  })

  test('tells name servers no more than the broker allows', () => {
    const readOnly = new Machine().open({ brokerPermission: '4' })
    assert.deepEqual(
      [6, 7, 2, 4].map((perm) => readOnly.registered(topic('a', { perm })).perm),
      [4, 4, 0, 4],
    )
    assert.equal(new Machine().open().registered(topic('a', { perm: 7 })).perm, 7)
  })

  test('of a hundred thousand topics is read and written in little time', async () => {
    const machine = new Machine()
    const topics = machine.open()
    topics.update(Array.from({ length: 100_000 }, (_, index) => topic(`topic-${index}`)))
    await savedIn(machine, topics)
    const started = performance.now()
    topics.createForSend('one more', 'TBW102', 4)
    await machine.scheduler.advance(10)
    const took = performance.now() - started
    assert.ok(took < 2_000, `${took} ms`)
    assert.equal(machine.open().size, topics.size)
  })

  test('of many topics writes for one change what the change is, and all for Java a second later', async () => {
    const machine = new Machine()
    const topics = machine.open()
    topics.update(Array.from({ length: 10_000 }, (_, index) => topic(`topic-${index}`)))
    await savedIn(machine, topics)
    await machine.scheduler.advance(5_000)
    const table = (): object => parseJavaObject(machine.text())['topicConfigTable'] as object
    const used = machine.disk.usedBytes
    topics.createForSend('one more', 'TBW102', 4)
    topics.delete('topic-7')
    await savedIn(machine, topics)
    assert.ok(machine.disk.usedBytes - used < 10_000, `${machine.disk.usedBytes - used} bytes`)
    machine.disk.crash()
    const again = machine.open()
    assert.deepEqual([again.get('one more')?.perm, again.get('topic-7'), again.size], [6, undefined, topics.size])
    again.createForSend('another', 'TBW102', 4)
    await machine.scheduler.advance(5_000)
    assert.ok('another' in table())
    assert.deepEqual(machine.disk.listSync('/store/config').sort(), ['topics.json', 'topics.json.bak'])
  })
})
