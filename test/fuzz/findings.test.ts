import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { ConfigFile } from '../../src/base/config-file.ts'
import { silentLog } from '../../src/base/console-log.ts'
import { SeededRandom } from '../../src/base/random.ts'
import { SimulatedDisk } from '../../src/base/simulated-disk.ts'
import { SimulatedScheduler } from '../../src/base/simulated-scheduler.ts'
import { OffsetTable } from '../../src/broker/offsets.ts'
import { brokerSettings } from '../../src/broker/settings.ts'
import { KvConfig } from '../../src/nameserver/kv-config.ts'
import { setLong } from '../../src/protocol/message.ts'
import { DeletedTopics } from '../../src/store/deleted-topics.ts'
import { StoreCorrupt } from '../../src/store/store-errors.ts'
import { StoreLock } from '../../src/store/store-lock.ts'
import { fileNameOf, storePaths } from '../../src/store/store-paths.ts'
import { positionsOf, recover } from './recovered-store.ts'
import { ROOT, readFile, SEGMENT_BYTES, type SeedStore, seedStore, writeFile } from './seed-store.ts'

const imageOf = (disk: SimulatedDisk): SimulatedDisk => disk.image(new SeededRandom(1))
const viewOf = (bytes: Buffer): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
const emptyDisk = (): SimulatedDisk => new SimulatedDisk(new SeededRandom(1), { scheduler: new SimulatedScheduler() })

/** The store of which one record says that it has another queue offset: the log has no checksum for that. */
function withQueueOffset(seed: SeedStore, disk: SimulatedDisk, position: number, queueOffset: number): SimulatedDisk {
  const segment = Math.floor(position / SEGMENT_BYTES)
  const bytes = Buffer.from(seed.segments[segment]!)
  setLong(viewOf(bytes), (position % SEGMENT_BYTES) + 20, queueOffset)
  writeFile(disk, `${ROOT}/commitlog/${fileNameOf(segment * SEGMENT_BYTES)}`, bytes)
  return disk
}

describe('what the fuzzer found', () => {
  test('a queue offset far beyond its queue is damage, and makes no files up to there', async () => {
    const seed = await seedStore()
    const [, , third] = positionsOf(recover(imageOf(seed.clean)).queues.get('orders/0')!.entries)
    for (const disk of [seed.clean, seed.unclean]) {
      const damaged = withQueueOffset(seed, imageOf(disk), third!, 2 ** 40)
      damaged.removeSync(`${ROOT}/checkpoint`)
      assert.throws(() => recover(damaged), StoreCorrupt)
      assert.throws(() => recover(withQueueOffset(seed, damaged, third!, -1)), StoreCorrupt)
    }
  })

  test('a record with the queue offset of an earlier one does not take its place', async () => {
    const seed = await seedStore()
    const before = positionsOf(recover(imageOf(seed.clean)).queues.get('orders/0')!.entries)
    const disk = withQueueOffset(seed, imageOf(seed.unclean), before[3]!, 1)
    disk.removeSync(`${ROOT}/checkpoint`)
    assert.deepEqual(positionsOf(recover(disk).queues.get('orders/0')!.entries), before.slice(0, 3))
  })

  test('an entry that points behind the log, after a clean stop, is built again and not cut off', async () => {
    const seed = await seedStore()
    const path = `${ROOT}/consumequeue/vec_tx/0/${fileNameOf(0)}`
    const healthy = recover(imageOf(seed.clean))
    const disk = imageOf(seed.clean)
    disk.removeSync(`${ROOT}/cometmq.queues`)
    const bytes = readFile(disk, path)
    setLong(viewOf(bytes), 0, 1_048_576)
    writeFile(disk, path, bytes)
    assert.deepEqual(recover(disk).queues.get('vec_tx/0'), healthy.queues.get('vec_tx/0'))
  })

  test('a queue whose first file was lost begins where the log does, at once', async () => {
    const seed = await seedStore()
    const disk = imageOf(seed.unclean)
    disk.removeSync(`${ROOT}/checkpoint`)
    disk.removeSync(`${ROOT}/consumequeue/orders/0/${fileNameOf(0)}`)
    assert.equal(recover(disk).queues.get('orders/0')!.min, 0)
  })

  test('half of an owner mark names nobody', () => {
    const disk = emptyDisk()
    // This process runs, and is none of a store.
    writeFile(disk, `${ROOT}/cometmq.owner`, `${process.pid} 98`)
    new StoreLock(disk, storePaths(ROOT, ''), 4711).release()
  })

  test('an object where a number or a text belongs does not keep a broker or a name server from its start', () => {
    const disk = emptyDisk()
    writeFile(disk, '/store/config/consumerOffset.json', '{"offsetTable":{"orders@g":{0:1,1:{"a":2},2:[3]}}}')
    const { settings } = brokerSettings.parse({})
    const scheduler = new SimulatedScheduler()
    const offsets = new OffsetTable({ settings, disk, root: '/store', scheduler, log: silentLog })
    assert.deepEqual(
      [0, 1, 2].map((queueId) => offsets.get('g', 'orders', queueId)),
      [1, undefined, undefined],
    )
    writeFile(disk, '/namesrv/kvConfig.json', '{"configTable":{"ns":{"key":{"a":[1]}}}}')
    assert.equal(new KvConfig(disk, '/namesrv/kvConfig.json', silentLog).get('ns', 'key'), '{"a":[1]}')
  })

  test('a list of deleted topics that says what it cannot is refused by name, or read from its backup', () => {
    for (const text of [
      '{"deletedTopics":{"orders":1e400}}',
      '{"deletedTopics":{"orders":"5"}}',
      '{"deletedTopics":7}',
    ]) {
      const disk = emptyDisk()
      writeFile(disk, '/store/deletedTopics.json', text)
      const load = (): DeletedTopics => {
        const topics = new DeletedTopics(new ConfigFile(disk, '/store/deletedTopics.json', silentLog))
        topics.load(0)
        return topics
      }
      assert.throws(load, /^Error: \/store\/deletedTopics\.json /)
      writeFile(disk, '/store/deletedTopics.json.bak', '{"deletedTopics":{"orders":5}}')
      assert.equal(load().holds('orders', 4), true)
    }
  })

  // Recovery, seed 107392: a damaged record began a queue that the list did not know, and the next start believed the list.
  test('a recovery that writes queues leaves no list of queues from before', async () => {
    const seed = await seedStore()
    const disk = seed.clean.image({ next: () => 0, below: () => 0, bytes: Buffer.alloc })
    recover(disk)
    assert.notEqual(disk.statSync(`${ROOT}/cometmq.queues`), undefined, 'nothing was written')
    disk.removeSync(`${ROOT}/checkpoint`)
    recover(disk)
    assert.equal(disk.statSync(`${ROOT}/cometmq.queues`), undefined)
  })
})
