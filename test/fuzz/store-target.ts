import assert from 'node:assert/strict'
import type { Random } from '../../src/base/random.ts'
import type { SimulatedDisk } from '../../src/base/simulated-disk.ts'
import { SimulatedScheduler } from '../../src/base/simulated-scheduler.ts'
import type { MessageStore, ReadResult } from '../../src/store/message-store.ts'
import { StoreCorrupt, StoreLocked, StoreRefused } from '../../src/store/store-errors.ts'
import { filesBelow } from '../simulation/log-on-disk.ts'
import type { FuzzTarget } from './fuzz-target.ts'
import { mutate } from './mutation.ts'
import { recordFault } from './record-oracle.ts'
import { openSeed, ROOT, seedStore, whileTimePasses, writeFile } from './seed-store.ts'

/** The whole of a store over the whole of its files. */
export const storeTarget: FuzzTarget = {
  name: 'store',
  about: 'a directory with any of its files damaged: refused by name, or served without a wrong record, twice the same',
  oneIn: 100,
  async prepare() {
    const seed = await seedStore()
    return async ({ random, input }) => {
      const scheduler = new SimulatedScheduler(1_795_480_000_000)
      const disk = (random.below(2) === 0 ? seed.clean : seed.unclean).image(random, scheduler)
      damageSome(random, disk, input)
      const first = await served(disk, scheduler)
      if (first === undefined) return 'refused'
      const second = await served(disk, scheduler)
      assert.deepEqual(second, first, 'opened again it serves the same')
      return 'served'
    }
  },
}

function damageSome(random: Random, disk: SimulatedDisk, input: (name: string, bytes: Uint8Array) => void): void {
  const files = [...filesBelow(disk, ROOT)]
  for (let count = 1 + random.below(2); count > 0; count--) {
    const [path, original] = files[random.below(files.length)]!
    const others = files.filter((file) => file[1].length === original.length).map((file) => file[1])
    const bytes = mutate(random, original, { others, keepsSize: random.below(8) > 0 })
    input(path, bytes)
    writeFile(disk, path, bytes)
  }
}

/** Opens, reads everything, asks for keys, and stops. @returns undefined when it is refused */
async function served(disk: SimulatedDisk, scheduler: SimulatedScheduler): Promise<string[] | undefined> {
  let store: MessageStore
  try {
    store = await whileTimePasses(scheduler, openSeed(disk, scheduler))
  } catch (error) {
    if (![StoreCorrupt, StoreRefused, StoreLocked].some((kind) => error instanceof kind)) throw error
    assert.ok(error instanceof Error)
    assert.ok(error.message.includes(ROOT), `names a path: ${error.message}`)
    return undefined
  }
  const found = [`log to ${store.positions.readable}`]
  for (const topic of store.topics.sort()) {
    for (let queueId = 0; queueId < 3; queueId++) {
      const max = store.maxOffset(topic, queueId)
      if (max > 0) found.push(`${topic}/${queueId} to ${max}: ${await readQueue(store, scheduler, topic, queueId)}`)
    }
  }
  const query = { topic: 'orders', isTag: false, maxCount: 32, beginTimestamp: 0, endTimestamp: 2 ** 52 }
  for (const key of ['k0', 'k4', 'u8']) {
    const { records } = await whileTimePasses(scheduler, store.queryMessages({ ...query, key }))
    for (const record of records) assert.equal(recordFault(record, 0, record.length), undefined)
  }
  await whileTimePasses(scheduler, store.close())
  return found
}

async function readQueue(
  store: MessageStore,
  scheduler: SimulatedScheduler,
  topic: string,
  queueId: number,
): Promise<string> {
  const found: string[] = []
  const end = store.maxOffset(topic, queueId)
  let steps = 0
  for (let offset = store.minOffset(topic, queueId); offset < end; ) {
    assert.ok(++steps <= 1_000, 'a read goes on')
    const result = await whileTimePasses(
      scheduler,
      new Promise<ReadResult>((resolve) =>
        store.read({ topic, queueId, offset, maxCount: 32, maxBytes: 1e6, filter: undefined }, resolve),
      ),
    )
    for (const view of result.records) {
      for (let at = 0; at < view.length; at += view.readInt32BE(at)) {
        assert.equal(recordFault(view, at, view.readInt32BE(at)), undefined, 'no wrong record is served')
        found.push(String(view.readBigInt64BE(at + 28)))
      }
    }
    if (result.nextOffset <= offset) break
    offset = result.nextOffset
  }
  return found.join(' ')
}
