import assert from 'node:assert/strict'
import { ConfigFile } from '../../src/base/config-file.ts'
import { silentLog } from '../../src/base/console-log.ts'
import type { Disk } from '../../src/base/disk.ts'
import type { Log } from '../../src/base/log.ts'
import { Probes } from '../../src/base/probe.ts'
import { SeededRandom } from '../../src/base/random.ts'
import type { Scheduler } from '../../src/base/scheduler.ts'
import type { SimulatedDisk } from '../../src/base/simulated-disk.ts'
import type { SimulatedScheduler } from '../../src/base/simulated-scheduler.ts'
import { objectOf } from '../../src/protocol/bodies.ts'
import { parseJavaObject } from '../../src/protocol/java-json.ts'
import { bodyCrc, decodeMessages, type StoredMessage } from '../../src/protocol/message.ts'
import type { MessageStore, ReadResult } from '../../src/store/message-store.ts'
import { openStore } from '../../src/store/open-store.ts'
import { storeSettings } from '../../src/store/settings.ts'
import type { Send } from './history.ts'
import { filesBelow, queuesInLog } from './log-on-disk.ts'
import { modelMessage } from './model-message.ts'

const ROOT = '/store'

/** What an image of the disk must show. */
export interface Promised {
  /** Of all messages that may be there. */
  sendOf: ReadonlyMap<number, Send>
  /** Messages that must be there. */
  must: ReadonlySet<number>
  /** topic → version that must be there at least. */
  versions: ReadonlyMap<string, number>
  topics: readonly string[]
  queueIds: readonly number[]
  /** Topics whose older records the log may hold though their queues do not. */
  deleted?: ReadonlySet<string>
}

/** Opens a store on an image of the disk. */
export async function openImage(
  disk: Disk,
  settings: Record<string, string>,
  scheduler: Scheduler,
  log: Log = silentLog,
): Promise<MessageStore> {
  return openStore({
    settings: storeSettings.parse({ storePathRootDir: ROOT, ...settings }).settings,
    disk,
    scheduler,
    random: new SeededRandom(1),
    log,
    probes: new Probes(),
    processId: 1,
    storeHost: { address: Uint8Array.of(127, 0, 0, 1), port: 10_911 },
    memoryBytes: 1_073_741_824,
    writePolicy: 'sync',
  })
}

/** I1 to I3, I11 and I14 of what a store recovered. @returns the messages that are there */
export async function checkImage(
  store: MessageStore,
  disk: SimulatedDisk,
  scheduler: SimulatedScheduler,
  promised: Promised,
): Promise<Set<number>> {
  const seen = new Set<number>()
  for (const topic of promised.topics) {
    for (const queueId of promised.queueIds) {
      const messages = await readQueue(store, topic, queueId, scheduler)
      const min = store.minOffset(topic, queueId)
      assert.equal(messages.length, store.maxOffset(topic, queueId) - min, `I3: ${topic}/${queueId} is dense`)
      for (const [index, message] of messages.entries()) {
        const id = Number(message.properties.get('ID'))
        checkMessage(message, promised.sendOf.get(id), `${topic}/${queueId} at ${min + index}`, min + index)
        assert.ok(!seen.has(id), `I3: message ${id} is there twice`)
        seen.add(id)
      }
    }
  }
  for (const id of promised.must) assert.ok(seen.has(id), `I1: message ${id} was promised and is lost`)
  checkQueues(store, disk, promised)
  checkConfiguration(disk, promised)
  return seen
}

async function readQueue(
  store: MessageStore,
  topic: string,
  queueId: number,
  scheduler: SimulatedScheduler,
): Promise<StoredMessage[]> {
  const messages: StoredMessage[] = []
  for (let offset = store.minOffset(topic, queueId); offset < store.maxOffset(topic, queueId); ) {
    let result: ReadResult | undefined
    store.read({ topic, queueId, offset, maxCount: 32, maxBytes: 1_000_000, filter: undefined }, (answer) => {
      result = answer
    })
    for (let tries = 0; result === undefined && tries < 100; tries++) await scheduler.advance(1)
    assert.equal(result?.status, 'FOUND', `I3: ${topic}/${queueId} at ${offset} is read`)
    for (const record of result.records) messages.push(...decodeMessages(record))
    offset = result.nextOffset
  }
  return messages
}

/** I2, and the offset that a producer was told. */
function checkMessage(message: StoredMessage, send: Send | undefined, where: string, queueOffset: number): void {
  assert.ok(send !== undefined, `I2: a message that nobody sent: ${where}`)
  const id = Number(message.properties.get('ID'))
  const expected = modelMessage(id, send.waits)
  assert.ok(message.body.equals(expected.body), `I2: message ${id} has another body: ${where}`)
  assert.equal(bodyCrc(message.body), message.bodyCrc, `I2: the checksum of message ${id}: ${where}`)
  assert.deepEqual(
    [message.topic, message.queueId, message.queueOffset, message.properties.get('TAGS')],
    [send.topic, send.queueId, queueOffset, expected.tag],
    `I2: message ${id} is another: ${where}`,
  )
  if (send.queueOffset < 0) return
  assert.equal(queueOffset, send.queueOffset + send.ids.indexOf(id), `I3: message ${id} was told another offset`)
}

/** I11: the consume queues are what the log alone would give. */
function checkQueues(store: MessageStore, disk: SimulatedDisk, { deleted }: Promised): void {
  const { queues, end } = queuesInLog(disk, `${ROOT}/commitlog`)
  assert.ok(end <= store.positions.readable, 'the log holds nothing behind its end')
  for (const [key, inLog] of queues) {
    const [topic, queueId] = [key.slice(0, key.lastIndexOf(' ')), Number(key.slice(key.lastIndexOf(' ') + 1))]
    const entries = store.entries(topic, queueId, 0, 1_000_000)
    if (deleted?.has(topic) !== true) assert.equal(entries.length, inLog.size, `I11: entries of ${key}`)
    for (const { queueOffset, position, sizeBytes, tagsCode } of entries) {
      const expected = inLog.get(queueOffset)
      assert.deepEqual(
        [position, sizeBytes, tagsCode],
        [expected?.position, expected?.sizeBytes, expected?.tagsCode],
        `I11: entry ${queueOffset} of ${key}`,
      )
    }
  }
}

/** I14: each file of the configuration can be read, and holds the newest version that was promised or a later one. */
function checkConfiguration(disk: Disk, { versions }: Promised): void {
  const read = (name: string): Record<string, unknown> | undefined => {
    try {
      return new ConfigFile(disk, `${ROOT}/config/${name}`, silentLog).loadAs(parseJavaObject)
    } catch (error) {
      assert.fail(`I14: ${name} is neither the old nor the new version: ${(error as Error).message}`)
    }
  }
  const table = objectOf(read('topics.json')?.['topicConfigTable'])
  for (const [topic, version] of versions) {
    const found = Number(objectOf(table[topic])['topicSysFlag'] ?? 0)
    assert.ok(found >= version, `I14: version ${version} of topic ${topic} was saved, ${found} is there`)
  }
  for (const name of ['consumerOffset.json', 'subscriptionGroup.json']) read(name)
}

/** What a store keeps in files, by path: all that recovery decides. */
export function storedFiles(disk: SimulatedDisk): Map<string, Buffer> {
  return new Map(['commitlog', 'consumequeue', 'config'].flatMap((name) => [...filesBelow(disk, `${ROOT}/${name}`)]))
}

export function assertSameFiles(actual: Map<string, Buffer>, expected: Map<string, Buffer>, why: string): void {
  assert.deepEqual([...actual.keys()].sort(), [...expected.keys()].sort(), `${why}: the same files`)
  for (const [path, bytes] of expected) assert.ok(actual.get(path)!.equals(bytes), `${why}: ${path}`)
}
