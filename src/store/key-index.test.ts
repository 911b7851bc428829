import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { DiskError } from '../base/disk.ts'
import { SeededRandom } from '../base/random.ts'
import { SimulatedDisk } from '../base/simulated-disk.ts'
import { SimulatedScheduler } from '../base/simulated-scheduler.ts'
import { decodeMessage } from '../protocol/message.ts'
import { encodeProperties } from '../protocol/properties.ts'
import type { IndexShape } from './index-layout.ts'
import { type Indexed, indexOnDisk, textsOf, unitsOf } from './index-on-disk.contract.ts'
import type { MessageQuery } from './message-store.ts'
import { draftOf, openSimulatedStore, type SimulatedStore } from './simulated-store.ts'

const shape = { slots: 16, units: 50 }
/** Header, slots and units in different pages of the disk, so that a crash may keep one without the other. */
const large = { slots: 3_000, units: 400 }
const FOLDER = '/store/index'
const topics = ['orders', 'Größe']
/** The second and third have one hash, the last one's has no absolute value. */
const words = ['k1', 'Aa', 'BB', 'слово', 'k2', 'polygenelubricants']
const tags = ['red', 'BB', 'a||b']

/** The time of one life of a store: what it left behind when it crashed does not run any more. */
function mortal(scheduler: SimulatedScheduler, life: { isOver: boolean }): SimulatedScheduler {
  const alive = (callback: () => void) => (): void => {
    if (!life.isOver) callback()
  }
  return Object.assign(Object.create(scheduler) as SimulatedScheduler, {
    now: () => scheduler.now(),
    monotonic: () => scheduler.monotonic(),
    after: (ms: number, callback: () => void) => scheduler.after(ms, alive(callback)),
    every: (ms: number, callback: () => void) => scheduler.every(ms, alive(callback)),
    defer: (callback: () => void) => scheduler.defer(alive(callback)),
    soon: (callback: () => void) => scheduler.soon(alive(callback)),
    sleep: (ms: number) => new Promise<void>((resolve) => scheduler.after(ms, alive(resolve))),
    advance: (ms: number) => scheduler.advance(ms),
    settle: () => scheduler.settle(),
  })
}

/** A store and what must be found in it. */
class Indexing {
  it!: SimulatedStore
  messages: Indexed[] = []
  readonly #random: SeededRandom
  readonly #shape: IndexShape
  readonly #settings: Record<string, string>
  readonly #scheduler = new SimulatedScheduler()
  readonly #disk = new SimulatedDisk(new SeededRandom(1), { scheduler: this.#scheduler })
  #life = { isOver: false }
  #sent = 0

  constructor(seed: number, shape: IndexShape, more: Record<string, string>) {
    this.#random = new SeededRandom(seed)
    this.#shape = shape
    this.#settings = {
      maxHashSlotNum: String(shape.slots),
      maxIndexNum: String(shape.units),
      mappedFileSizeCommitLog: '16384',
      ...more,
    }
  }

  async open(more: Record<string, string> = {}): Promise<void> {
    const life = { isOver: false }
    this.#life = life
    const scheduler = mortal(this.#scheduler, life)
    this.it = await openSimulatedStore({ ...this.#settings, ...more }, { scheduler, disk: this.#disk })
  }

  below(limit: number): number {
    return this.#random.below(limit)
  }

  pick<T>(from: readonly T[]): T {
    return from[this.#random.below(from.length)]!
  }

  append(): void {
    const uniqueKey = this.below(10) > 0 ? `U${this.#sent}` : undefined
    const keys =
      this.below(3) > 0 ? Array.from({ length: 1 + this.below(4) }, () => this.pick(words)).join(' ') : undefined
    const tag = this.below(2) > 0 ? this.pick(tags) : undefined
    this.add({ topic: this.pick(topics), uniqueKey, keys, tag })
  }

  add(parts: Omit<Indexed, 'position'>, sysFlag = 0): number {
    const properties = new Map<string, string>([['n', String(this.#sent)]])
    if (parts.keys !== undefined) properties.set('KEYS', parts.keys)
    if (parts.tag !== undefined) properties.set('TAGS', parts.tag)
    if (parts.uniqueKey !== undefined) properties.set('UNIQ_KEY', parts.uniqueKey)
    const draft = draftOf({
      topic: parts.topic,
      sysFlag,
      body: 'b'.repeat(this.below(200)),
      properties: encodeProperties(properties),
    })
    const { status, position } = this.it.store.append(draft)
    assert.equal(status, 'PUT_OK')
    this.#sent++
    this.messages.push({ ...parts, position })
    return position
  }

  async run(steps: number): Promise<void> {
    for (let step = 0; step < steps; step++) {
      for (let count = this.below(8); count >= 0; count--) this.append()
      await this.it.scheduler.advance(this.pick([0, 1, 20, 700, 31_000]))
    }
  }

  async close(): Promise<void> {
    await this.it.close()
  }

  async crash(kind: 'power' | 'kill' = 'power'): Promise<void> {
    this.#life.isOver = true
    if (kind === 'power') this.it.disk.crash()
    await this.open()
    const { readable } = this.it.store.positions
    this.messages = this.messages.filter(({ position }) => position < readable)
  }

  async positions(query: Partial<MessageQuery>): Promise<number[]> {
    const all = { maxCount: 64, beginTimestamp: 0, endTimestamp: Number.MAX_SAFE_INTEGER, isTag: false }
    await this.it.scheduler.settle() // what was appended is written
    const asking = this.it.store.queryMessages({ ...all, topic: 'orders', key: 'k1', ...query })
    let isOver = false
    void asking.finally(() => {
      isOver = true
    })
    while (!isOver) await this.it.scheduler.advance(1)
    return (await asking).records.map((record) => decodeMessage(record, 0).position)
  }

  expected(text: string): number[] {
    return this.messages.filter((message) => textsOf(message).includes(text)).map(({ position }) => position)
  }

  /** Every key that was ever used is asked for. */
  async check(about: string): Promise<void> {
    for (const topic of topics) {
      for (const key of words) {
        const wanted = this.expected(`${topic}#${key}`).slice(-64)
        assert.deepEqual(await this.positions({ topic, key }), wanted, `${about}: ${topic} ${key}`)
      }
      for (const key of tags) {
        const wanted = this.expected(`${topic}#T#${key}`).slice(-64)
        assert.deepEqual(await this.positions({ topic, key, isTag: true }), wanted, `${about}: tag ${topic} ${key}`)
      }
    }
    for (const { topic, uniqueKey, position } of this.messages) {
      if (uniqueKey === undefined || this.below(8) > 0) continue
      assert.deepEqual(await this.positions({ topic, key: uniqueKey }), [position], `${about}: ${uniqueKey}`)
    }
  }

  /** The files hold each key once, in the order of the log; whoever reads them by their format finds them whole. */
  checkFiles(about: string, skip?: { usedSlots: boolean }): void {
    const files = indexOnDisk(this.it.disk, FOLDER, this.#shape, skip)
    assert.deepEqual(
      files.flatMap(({ units }) => units),
      unitsOf(this.messages),
      about,
    )
    for (const { units, name } of files.slice(0, -1))
      assert.equal(units.length, this.#shape.units - 1, `${about}: ${name} is full`)
  }
}

async function started(seed: number, more: Record<string, string> = {}, of: IndexShape = shape): Promise<Indexing> {
  const store = new Indexing(seed, of, more)
  await store.open()
  return store
}

function edit(disk: SimulatedDisk, path: string, change: (bytes: Buffer) => Buffer): void {
  const file = disk.openSync(path, 'write')
  const bytes = Buffer.alloc(file.sizeSync())
  file.readSync(bytes, 0)
  const changed = change(bytes)
  file.truncateSync(changed.length)
  file.writeSync(changed, 0)
  file.datasyncSync()
  file.closeSync()
}

const filesOf = ({ it }: Indexing): string[] =>
  it.disk
    .listSync(FOLDER)
    .sort()
    .map((name) => `${FOLDER}/${name}`)

describe('the index', () => {
  test('finds by key, unique key and tag, over many files, before and after a restart', async () => {
    const store = await started(1)
    await store.run(60)
    await store.check('running')
    await store.close()
    store.checkFiles('closed')
    assert.ok(filesOf(store).length > 10)
    await store.open()
    await store.check('opened again')
    await store.run(10)
    await store.check('gone on')
    await store.close()
    store.checkFiles('closed again')
  })

  test('a message is found in the turn in which it can be read', async () => {
    const store = await started(2)
    const position = store.add({ topic: 'orders', uniqueKey: 'now', keys: undefined, tag: undefined })
    assert.deepEqual(await store.positions({ key: 'now' }), [position])
    await store.close()
  })

  test('half messages are indexed, rolled back ones are not', async () => {
    const store = await started(3)
    const half = store.add({ topic: 'orders', uniqueKey: 'half', keys: undefined, tag: undefined }, 0x4)
    store.add({ topic: 'orders', uniqueKey: 'back', keys: 'k1', tag: 'red' }, 0xc)
    const done = store.add({ topic: 'orders', uniqueKey: 'done', keys: undefined, tag: undefined }, 0x8)
    assert.deepEqual(await store.positions({ key: 'half' }), [half])
    assert.deepEqual(await store.positions({ key: 'back' }), [])
    assert.deepEqual(await store.positions({ key: 'done' }), [done])
    await store.close()
  })

  test('other keys of the same hash are not shown, and do not count', async () => {
    const store = await started(4)
    const wanted = store.add({ topic: 'orders', uniqueKey: undefined, keys: 'Aa', tag: undefined })
    for (let count = 0; count < 20; count++)
      store.add({ topic: 'orders', uniqueKey: undefined, keys: 'BB', tag: undefined })
    assert.deepEqual(await store.positions({ key: 'Aa', maxCount: 1 }), [wanted])
    assert.equal((await store.positions({ key: 'BB', maxCount: 100 })).length, 20)
    await store.close()
  })

  test('answers are bounded in number and time, the newest are shown', async () => {
    const store = await started(5, { maxMsgsNumBatch: '8' })
    for (let second = 0; second < 30; second++) {
      store.add({ topic: 'orders', uniqueKey: undefined, keys: 'k1', tag: undefined })
      await store.it.scheduler.advance(1_000)
    }
    const all = store.expected('orders#k1')
    const start = store.it.scheduler.now() - 30_000
    assert.deepEqual(await store.positions({ maxCount: 1_000 }), all.slice(-8))
    assert.deepEqual(await store.positions({ maxCount: 3 }), all.slice(-3))
    assert.deepEqual(await store.positions({ maxCount: 0 }), [])
    assert.deepEqual(await store.positions({ endTimestamp: start + 4_500 }), all.slice(0, 5))
    assert.deepEqual(
      await store.positions({ beginTimestamp: start + 9_500, endTimestamp: start + 14_500 }),
      all.slice(10, 15),
    )
    await store.close()
  })

  test('a deleted topic is not found, one that is made anew only from there on', async () => {
    const store = await started(6)
    store.add({ topic: 'orders', uniqueKey: 'old', keys: 'k1', tag: undefined })
    await store.it.scheduler.advance(100)
    store.it.store.deleteTopic('orders')
    assert.deepEqual(await store.positions({ key: 'k1' }), [])
    const position = store.add({ topic: 'orders', uniqueKey: 'new', keys: 'k1', tag: undefined })
    assert.deepEqual(await store.positions({ key: 'k1' }), [position])
    await store.close()
  })

  test('what a truncation takes is not found, and what comes in its place is', async () => {
    const store = await started(7)
    await store.run(30)
    await store.it.scheduler.advance(1_000)
    const { position } = store.messages[60]!
    store.it.store.truncateTo(position)
    store.messages = store.messages.filter((message) => message.position < position)
    await store.check('truncated')
    await store.run(20)
    await store.check('gone on')
    await store.close()
    store.checkFiles('closed')
  })

  test('a record whose keys fill several files is in all of them once', async () => {
    const store = await started(8)
    store.append()
    const keys = Array.from({ length: 130 }, (_, index) => `w${index}`).join(' ')
    store.add({ topic: 'orders', uniqueKey: 'many', keys, tag: 'red' })
    await store.it.scheduler.advance(100)
    await store.close()
    store.checkFiles('closed')
    await store.open()
    store.append()
    await store.close()
    store.checkFiles('closed again')
    for (const crashes of [1, 2]) {
      await store.open()
      store.append()
      await store.it.scheduler.advance(10_000)
      await store.crash()
      store.append()
      await store.close()
      store.checkFiles(`after crash ${crashes}`)
    }
  })

  test('without messageIndexEnable nothing is found and no file is made; with it all is', async () => {
    const store = await started(9, { messageIndexEnable: 'false' })
    await store.run(10)
    assert.deepEqual(await store.positions({ key: 'k1' }), [])
    await store.close()
    assert.deepEqual(filesOf(store), [])
    await store.open({ messageIndexEnable: 'true' })
    await store.check('switched on')
    await store.close()
    store.checkFiles('closed')
  })

  test('files of another size are built again', async () => {
    const store = await started(10)
    await store.run(20)
    await store.close()
    await store.open({ maxIndexNum: '60' })
    await store.check('other size')
    await store.close()
    await store.open({ maxIndexNum: String(shape.units) })
    await store.close()
    store.checkFiles('as before')
  })
})

describe('an index that is damaged', () => {
  const damages: [name: string, damage: (store: Indexing, files: string[]) => void][] = [
    ['all files gone', ({ it }) => it.disk.removeTreeSync(FOLDER)],
    ['the first file gone', ({ it }, files) => it.disk.removeSync(files[0]!)],
    ['a file in the middle gone', ({ it }, files) => it.disk.removeSync(files[3]!)],
    ['the last file gone', ({ it }, files) => it.disk.removeSync(files.at(-1)!)],
    ['a short file', ({ it }, files) => edit(it.disk, files[2]!, (bytes) => bytes.subarray(0, bytes.length - 1))],
    ['an empty file', ({ it }, files) => edit(it.disk, files.at(-1)!, () => Buffer.alloc(0))],
    ['a long file', ({ it }, files) => edit(it.disk, files[2]!, (bytes) => Buffer.concat([bytes, Buffer.alloc(1)]))],
    ['a file of zeros', ({ it }, files) => edit(it.disk, files[2]!, (bytes) => Buffer.alloc(bytes.length))],
    [
      'two files exchanged',
      ({ it }, files) => {
        const swap = `${FOLDER}/swap`
        it.disk.renameSync(files[1]!, swap)
        it.disk.renameSync(files[4]!, files[1]!)
        it.disk.renameSync(swap, files[4]!)
      },
    ],
    [
      'a file twice',
      ({ it }, files) => {
        let copy = Buffer.alloc(0)
        edit(it.disk, files[1]!, (bytes) => (copy = Buffer.from(bytes)))
        it.disk.openSync(`${FOLDER}/99991231235959999`, 'create').closeSync()
        edit(it.disk, `${FOLDER}/99991231235959999`, () => copy)
      },
    ],
    [
      'strange names',
      ({ it }) => {
        for (const name of ['notes.txt', '123', '2026112321584919x'])
          it.disk.openSync(`${FOLDER}/${name}`, 'create').closeSync()
        it.disk.makeDirectorySync(`${FOLDER}/20991231235959999`)
      },
    ],
  ]
  for (const [name, damage] of damages) {
    test(`${name}: the start succeeds, and all is found`, async () => {
      const store = await started(20)
      await store.run(40)
      await store.close()
      damage(store, filesOf(store))
      await store.open()
      await store.check(name)
      await store.run(5)
      await store.check(`${name}, gone on`)
      await store.close()
      if (name === 'strange names') return
      store.checkFiles(name)
    })
  }

  test('wrong bytes in any field of a header, of the first, a middle and the last file', async () => {
    const store = await started(21)
    await store.run(12)
    await store.close()
    store.checkFiles('before')
    assert.ok(store.messages.length <= 64, 'one answer can show them all')
    const count = filesOf(store).length
    for (const file of [0, Math.floor(count / 2), count - 1]) {
      for (let at = 0; at < 40; at++) {
        const bits = store.pick([1, 0x80, 0xff])
        edit(store.it.disk, filesOf(store)[file]!, (bytes) => {
          bytes[at]! ^= bits
          return bytes
        })
        await store.open()
        const about = `file ${file}, byte ${at} ^ ${bits}`
        const { topic, keys, position } = store.pick(store.messages.filter((message) => message.keys !== undefined))
        assert.ok((await store.positions({ topic, key: keys!.split(' ')[0]! })).includes(position), about)
        await store.close()
        // How many slots are in use is told to nobody, and not looked at when it is possible at all.
        store.checkFiles(about, { usedSlots: true })
      }
    }
    await store.open()
    await store.check('after all that')
    await store.close()
  })

  test('wrong bytes anywhere else: never a wrong message, never an error', async () => {
    const store = await started(22)
    await store.run(40)
    await store.close()
    const files = filesOf(store)
    for (let round = 0; round < 20; round++) {
      const path = store.pick(files)
      edit(store.it.disk, path, (bytes) => {
        for (let count = 0; count < 5; count++) bytes[40 + store.below(bytes.length - 40)] = store.below(256)
        return bytes
      })
      await store.open()
      for (const topic of topics) {
        for (const key of words) {
          const wanted = new Set(store.expected(`${topic}#${key}`))
          for (const position of await store.positions({ topic, key })) assert.ok(wanted.has(position))
        }
      }
      await store.close()
    }
  })

  test('a disk that refuses the index does not refuse messages; later all is found', async () => {
    const store = await started(23)
    const { disk, scheduler } = store.it
    await store.run(10)
    const refused: DiskError = Object.assign(new Error('no'), { code: 'EIO' })
    disk.fault = (call, path) => (call !== 'read' && path.startsWith(FOLDER) ? refused : undefined)
    await store.run(30)
    disk.fault = undefined
    await scheduler.advance(5_000)
    await store.check('after the fault')
    await store.close()
    await store.open()
    await store.check('opened again')
    await store.close()
  })

  test('an index that cannot be read does not keep a store from its start', async () => {
    const store = await started(25)
    await store.run(20)
    await store.close()
    const [first] = filesOf(store)
    for (const call of ['read', 'datasync'] as const) {
      const refused: DiskError = Object.assign(new Error('no'), { code: 'EIO' })
      store.it.disk.fault = (now, path) => (now === call && path === first ? refused : undefined)
      await store.open()
      await store.positions({ key: 'k1' })
      store.it.disk.fault = undefined
      await store.it.scheduler.advance(3_000)
      await store.check(call)
      await store.close()
      await store.open()
      await store.check(`${call}, opened again`)
      await store.close()
      store.checkFiles(call)
    }
  })

  test('an index that cannot be finished leaves the abort file, so that nobody takes it for whole', async () => {
    const store = await started(24)
    await store.run(3)
    const refused: DiskError = Object.assign(new Error('no'), { code: 'EIO' })
    store.it.disk.fault = (call, path) => (call === 'datasync' && path.startsWith(FOLDER) ? refused : undefined)
    await store.close()
    assert.notEqual(store.it.disk.statSync('/store/abort'), undefined)
    store.it.disk.fault = undefined
    await store.open()
    await store.check('opened again')
    await store.close()
    assert.equal(store.it.disk.statSync('/store/abort'), undefined)
    store.checkFiles('closed')
  })
})

describe('an index after crashes', () => {
  for (let seed = 100; seed < 124; seed++) {
    test(`seed ${seed}: whatever the disk kept, all that is in the log is found`, async () => {
      const flushDiskType = seed % 2 === 0 ? 'SYNC_FLUSH' : 'ASYNC_FLUSH'
      const store = await started(seed, { flushDiskType }, seed % 3 === 0 ? shape : large)
      for (let life = 0; life < 4; life++) {
        await store.run(1 + store.below(25))
        if (store.below(5) === 0) {
          await store.close()
          store.checkFiles(`closed ${life}`)
          await store.open()
        } else await store.crash(store.pick(['power', 'kill']))
        if (store.below(3) === 0) await store.check(`life ${life}`)
      }
      await store.check('in the end')
      await store.close()
      store.checkFiles('in the end')
    })
  }
})
