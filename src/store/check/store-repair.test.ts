import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { SeededRandom } from '../../base/random.ts'
import { SimulatedDisk } from '../../base/simulated-disk.ts'
import { SimulatedScheduler } from '../../base/simulated-scheduler.ts'
import { bodyRange, readPosition, readQueueOffset } from '../../protocol/message.ts'
import { copyVector, type JavaOracle, openDirectory, oracleOf } from '../java-vectors.contract.ts'
import type { MessageStore, ReadResult } from '../message-store.ts'
import { storeSettings } from '../settings.ts'
import { type CheckResult, checkStore } from './store-check.ts'
import { StoreDirectory } from './store-directory.ts'
import { exportStore } from './store-export.ts'
import { inspectStore } from './store-inspect.ts'
import { StoreRepair } from './store-repair.ts'

const ROOT = '/store'
const DELAY_LEVELS = storeSettings.parse({}).settings.messageDelayLevel
const ALL = {
  topic: undefined,
  queueId: undefined,
  fromOffset: undefined,
  toOffset: undefined,
  fromMs: undefined,
  toMs: undefined,
}

/** A copy of a directory of Java's, to be damaged. */
class Patient {
  readonly scheduler = new SimulatedScheduler(1_795_480_000_000)
  readonly disk: SimulatedDisk
  readonly oracle: JavaOracle
  readonly levels: string

  constructor(name: string) {
    this.disk = new SimulatedDisk(new SeededRandom(1), { scheduler: this.scheduler })
    copyVector(name, this.disk, ROOT)
    this.oracle = oracleOf(name)
    this.levels = this.oracle.config['messageDelayLevel'] ?? DELAY_LEVELS
  }

  get directory(): StoreDirectory {
    return new StoreDirectory({ disk: this.disk, root: ROOT, commitLog: '', segmentBytes: undefined })
  }

  check(): CheckResult {
    return checkStore({ directory: this.directory, delayLevels: this.levels, onProgress: () => {} })
  }

  repair(cut = false): { left: string[]; kept: string | undefined } {
    const { directory, levels: delayLevels } = this
    const repair = new StoreRepair({ directory, check: this.check(), delayLevels, cut, onProgress: () => {} })
    const plan = repair.plan()
    const lost = repair.apply(plan, 'test', () => {})
    return { left: plan.left, kept: lost.kept.length > 0 ? lost.path : undefined }
  }

  edit(path: string, byte: number, change: (bytes: Buffer) => void, sizeBytes = 1): void {
    const file = this.disk.openSync(`${ROOT}/${path}`, 'write')
    const bytes = Buffer.alloc(sizeBytes)
    file.readSync(bytes, byte)
    change(bytes)
    file.writeSync(bytes, byte)
    file.closeSync()
  }

  truncate(path: string, sizeBytes: number): void {
    const file = this.disk.openSync(`${ROOT}/${path}`, 'write')
    file.truncateSync(sizeBytes)
    file.closeSync()
  }

  read(path: string): Buffer {
    const file = this.disk.openSync(path, 'read')
    const bytes = Buffer.alloc(file.sizeSync())
    file.readSync(bytes, 0)
    file.closeSync()
    return bytes
  }

  /** Every file of the store, by path. */
  files(directory: string = ROOT): Map<string, string> {
    const found = new Map<string, string>()
    for (const name of this.disk.listSync(directory)) {
      const path = `${directory}/${name}`
      if (this.disk.statSync(path)!.isDirectory) for (const [key, value] of this.files(path)) found.set(key, value)
      else found.set(path, this.read(path).toString('base64'))
    }
    return found
  }

  segmentOf(position: number): { path: string; byte: number } {
    const { segmentBytes } = this.directory
    const base = position - (position % segmentBytes)
    return { path: `commitlog/${String(base).padStart(20, '0')}`, byte: position - base }
  }

  open(): Promise<MessageStore> {
    return openDirectory(ROOT, this.oracle.config, { disk: this.disk, scheduler: this.scheduler })
  }

  async close(store: MessageStore): Promise<void> {
    let isClosed = false
    const closing = store.close().finally(() => {
      isClosed = true
    })
    while (!isClosed) await this.scheduler.advance(10)
    await closing
  }

  /** position → body of all that consumers get. */
  async bodies(store: MessageStore): Promise<Map<number, string>> {
    const found = new Map<number, string>()
    for (const { topic, queueId } of this.oracle.queues) {
      for (let offset = store.minOffset(topic, queueId); offset < store.maxOffset(topic, queueId); ) {
        let result: ReadResult | undefined
        store.read({ topic, queueId, offset, maxCount: 32, maxBytes: 1e9, filter: undefined }, (answer) => {
          result = answer
        })
        while (result === undefined) await this.scheduler.advance(1)
        for (const view of result.records) {
          for (let at = 0; at < view.length; at += view.readInt32BE(at)) {
            const { start, end } = bodyRange(view, at)
            found.set(
              readPosition(view, at),
              `${topic} ${queueId} ${readQueueOffset(view, at)} ${view.toString('latin1', start, end)}`,
            )
          }
        }
        assert.ok(result.nextOffset > offset, `${topic} ${queueId} at ${offset}`)
        offset = result.nextOffset
      }
    }
    return found
  }
}

async function wholeBodies(name: string): Promise<Map<number, string>> {
  const patient = new Patient(name)
  const store = await patient.open()
  const bodies = await patient.bodies(store)
  await patient.close(store)
  return bodies
}

const serious = ({ faults }: CheckResult) => faults.filter(({ isOrdinary }) => !isOrdinary)

const NAMES = [
  'plain',
  'rollover',
  'minoffset',
  'crash-clean',
  'crash-kill',
  'delay-after',
  'tx',
  'retry',
  'filter',
  'propcrc',
]

describe('a store that is looked at offline', () => {
  for (const name of NAMES) {
    test(`${name}: nothing is wrong, and nothing changes`, () => {
      const patient = new Patient(name)
      const before = patient.files()
      const result = patient.check()
      assert.deepEqual(serious(result), [])
      assert.ok(result.messages >= patient.oracle.messages.length)
      const inspection = inspectStore(patient.directory, patient.levels, () => {})
      assert.equal(inspection.messages, result.messages)
      assert.equal(inspection.stop, name === 'crash-kill' ? 'unclean' : 'clean')
      for (const { topic, queueId, min, max } of patient.oracle.queues) {
        if (min === max) continue
        const queue = inspection.queues.find((each) => each.topic === topic && each.queueId === queueId)
        assert.equal(queue?.minOffset, min, `${topic} ${queueId}`)
        assert.ok(queue.maxOffset >= max)
      }
      let exported = 0
      const seen = new Set<number>()
      const { damaged } = exportStore(
        patient.directory,
        ALL,
        ({ position }) => {
          exported++
          seen.add(position)
        },
        () => {},
      )
      assert.equal(exported, result.messages)
      assert.deepEqual(damaged, [])
      for (const [position] of patient.oracle.messages) assert.ok(seen.has(position))
      assert.deepEqual(patient.files(), before)
    })
  }

  test('a folder that a broker runs on is not touched, and it is said who does', () => {
    const patient = new Patient('plain')
    const file = patient.disk.openSync(`${ROOT}/cometmq.owner`, 'write')
    file.writeSync(Buffer.from(`${process.pid} - -\n`), 0)
    file.closeSync()
    assert.throws(() => patient.directory, new RegExp(`in use by CometMQ, process ${process.pid}`))
  })

  test('a folder that is no store is said to be none', () => {
    const patient = new Patient('plain')
    const look = (root: string) =>
      new StoreDirectory({ disk: patient.disk, root, commitLog: '', segmentBytes: undefined })
    assert.throws(() => look('/nowhere'), /is not a folder/)
    assert.throws(() => look(`${ROOT}/config`), /holds no store/)
  })
})

describe('a damaged record', () => {
  /** What is damaged of the record at a position of so many bytes. */
  const DAMAGES: Record<string, (patient: Patient, position: number, sizeBytes: number) => void> = {
    'a bit of its body': (patient, position) => {
      const { path, byte } = patient.segmentOf(position)
      const body = bodyRange(patient.read(`${ROOT}/${path}`), byte)
      patient.edit(path, body.end - 1, (bytes) => (bytes[0]! ^= 1))
    },
    'its length': (patient, position) => {
      const { path, byte } = patient.segmentOf(position)
      patient.edit(path, byte, (bytes) => bytes.writeInt32BE(77_777), 4)
    },
    'its magic number': (patient, position) => {
      const { path, byte } = patient.segmentOf(position)
      patient.edit(path, byte + 4, (bytes) => (bytes[0]! ^= 0x40))
    },
    'its position': (patient, position) => {
      const { path, byte } = patient.segmentOf(position)
      patient.edit(path, byte + 35, (bytes) => (bytes[0]! ^= 1))
    },
    'its queue offset': (patient, position) => {
      const { path, byte } = patient.segmentOf(position)
      patient.edit(path, byte + 24, (bytes) => (bytes[0]! ^= 1))
    },
    'all of it': (patient, position, sizeBytes) => {
      const { path, byte } = patient.segmentOf(position)
      patient.edit(path, byte, (bytes) => bytes.fill(0), sizeBytes)
    },
  }

  for (const [what, damage] of Object.entries(DAMAGES)) {
    for (const name of ['rollover', 'crash-kill', 'plain']) {
      test(`${name}: ${what}: one fault, and after repair all other messages are there`, async () => {
        const whole = await wholeBodies(name)
        const { messages } = oracleOf(name)
        for (let index = 0; index < messages.length - 1; index += Math.ceil(messages.length / 12)) {
          const patient = new Patient(name)
          const [position, sizeBytes] = messages[index]!
          damage(patient, position, sizeBytes)
          const damagedFiles = patient.files()
          const found = patient.check()
          assert.deepEqual(
            serious(found).map((fault) => [fault.kind, fault.position, fault.sizeBytes]),
            [['record', position, sizeBytes]],
          )
          assert.equal(found.lost.length, whole.has(position) ? 1 : 0)
          assert.deepEqual(patient.files(), damagedFiles)
          const { left, kept } = patient.repair()
          assert.deepEqual(left, [])
          assert.deepEqual(serious(patient.check()), [])
          // What was there before the repair is kept, and where it stood.
          const { path, byte } = patient.segmentOf(position)
          const bytes = Buffer.from(damagedFiles.get(`${ROOT}/${path}`)!, 'base64').subarray(byte, byte + sizeBytes)
          assert.ok(patient.read(`${kept}/${path}.${byte}-${byte + sizeBytes}`).equals(bytes))
          const store = await patient.open()
          const bodies = await patient.bodies(store)
          for (const [at, body] of whole) {
            if (at === position) assert.equal(bodies.has(at), false, 'what was lost is not served')
            else assert.equal(bodies.get(at), body, `the message at ${at}`)
          }
          await patient.close(store)
        }
      })
    }
  }

  test('of which the consume queue is gone too: the gap in its queue tells', async () => {
    const whole = await wholeBodies('rollover')
    for (const index of [20, 57, 130]) {
      const patient = new Patient('rollover')
      const [position, sizeBytes] = patient.oracle.messages[index]!
      patient.disk.removeTreeSync(`${ROOT}/consumequeue`)
      DAMAGES['all of it']!(patient, position, sizeBytes)
      const [lost] = patient.check().lost
      assert.ok(whole.get(position)!.startsWith(`${lost?.topic} ${lost?.queueId} ${lost?.queueOffset} `))
      assert.deepEqual(patient.repair().left, [])
      assert.deepEqual(serious(patient.check()), [])
      const store = await patient.open()
      const bodies = await patient.bodies(store)
      assert.equal(bodies.size, whole.size - 1)
      await patient.close(store)
    }
  })

  test('is passed over by an export', () => {
    const patient = new Patient('rollover')
    const [position, sizeBytes] = patient.oracle.messages[57]!
    DAMAGES['its length']!(patient, position, sizeBytes)
    const seen = new Set<number>()
    const { damaged } = exportStore(
      patient.directory,
      ALL,
      (message) => seen.add(message.position),
      () => {},
    )
    assert.deepEqual(
      damaged.map((range) => [range.position, range.sizeBytes]),
      [[position, sizeBytes]],
    )
    for (const [at] of patient.oracle.messages) assert.equal(seen.has(at), at !== position)
    patient.repair()
    const again = exportStore(
      patient.directory,
      ALL,
      ({ position: at }) => assert.notEqual(at, position),
      () => {},
    )
    assert.deepEqual(again, { messages: seen.size, damaged: [] })
  })
})

describe('a damaged file', () => {
  test('a segment whose end is gone is lengthened, and later ones are still read', async () => {
    const whole = await wholeBodies('rollover')
    const patient = new Patient('rollover')
    const second = patient.directory.segments[1]!
    const { segmentBytes } = patient.directory
    patient.truncate(`commitlog/${second.path.split('/').pop()}`, 30_000)
    const faults = serious(patient.check())
    assert.deepEqual(
      faults.map(({ kind, byte, path }) => [kind, byte === 30_000 || kind === 'record', path]),
      [
        ['record', true, second.path],
        ['segment', true, second.path],
      ],
    )
    assert.deepEqual(patient.repair().left, [])
    assert.deepEqual(serious(patient.check()), [])
    const store = await patient.open()
    const bodies = await patient.bodies(store)
    for (const [at, body] of whole) {
      const isLost = at >= second.base && at < second.base + segmentBytes && !bodies.has(at)
      if (isLost) assert.ok(at + 500 > second.base + 30_000, `the message at ${at} was not concerned`)
      else assert.equal(bodies.get(at), body)
    }
    await patient.close(store)
  })

  test('a segment that is missing is made again, of what its queues tell', async () => {
    const whole = await wholeBodies('rollover')
    const patient = new Patient('rollover')
    const { base, path } = patient.directory.segments[2]!
    const { segmentBytes } = patient.directory
    patient.disk.removeSync(path)
    const [fault] = serious(patient.check())
    assert.deepEqual([fault?.kind, fault?.path, fault?.sizeBytes], ['segment', path, segmentBytes])
    assert.deepEqual(patient.repair().left, [])
    assert.deepEqual(serious(patient.check()), [])
    const store = await patient.open()
    const bodies = await patient.bodies(store)
    for (const [at, body] of whole) {
      const isLost = at >= base && at < base + segmentBytes
      assert.equal(bodies.get(at), isLost ? undefined : body)
    }
    await patient.close(store)
  })

  test('a blank record that is damaged is written again', async () => {
    const patient = new Patient('crash-kill')
    const [first, second] = patient.directory.segments
    const last = patient.oracle.messages.findLast(([position]) => position < second!.base)!
    const at = last[0] + last[1]
    patient.edit(`commitlog/${first!.path.split('/').pop()}`, at, (bytes) => bytes.fill(0), 8)
    const faults = serious(patient.check())
    assert.deepEqual(
      faults.map(({ kind, position }) => [kind, position]),
      [['record', at]],
    )
    assert.match(faults[0]!.effect, /no consume queue tells of a message in it/)
    patient.repair()
    assert.deepEqual(serious(patient.check()), [])
    const store = await patient.open()
    assert.equal((await patient.bodies(store)).size, (await wholeBodies('crash-kill')).size)
    await patient.close(store)
  })

  test('entries of consume queues that are wrong, missing or too many are written anew', async () => {
    const names = ['crash-clean', 'rollover', 'filter', 'delay-after']
    for (const name of names) {
      const fresh = new Patient(name)
      const queue = fresh.directory.queues.find(({ files }) => files.some(({ path }) => fresh.read(path)[10] !== 0))!
      const file = queue.files[0]!
      const path = file.path.slice(ROOT.length + 1)
      const damages: Record<string, (patient: Patient) => void> = {
        hole: (patient) => patient.edit(path, 0, (bytes) => bytes.fill(0), 20),
        wrong: (patient) => patient.edit(path, 7, (bytes) => (bytes[0]! ^= 1)),
        size: (patient) => patient.edit(path, 11, (bytes) => (bytes[0]! ^= 1)),
        short: (patient) => patient.truncate(path, file.sizeBytes - 20),
        gone: (patient) => patient.disk.removeSync(`${ROOT}/${path}`),
      }
      for (const [what, damage] of Object.entries(damages)) {
        // A single file that is short, or gone, does not tell how long it should be.
        if (name === 'filter' && (what === 'short' || what === 'gone')) continue
        const patient = new Patient(name)
        damage(patient)
        const faults = serious(patient.check())
        assert.ok(faults.length > 0, `${name} ${what}`)
        assert.deepEqual([...new Set(faults.map(({ kind }) => kind))], ['consume-queue'], `${name} ${what}`)
        assert.deepEqual(patient.repair().left, [], `${name} ${what}`)
        assert.deepEqual(serious(patient.check()), [], `${name} ${what}`)
        // Of an address in the extension files nothing else tells.
        const [after, before] = [patient.read(`${ROOT}/${path}`), fresh.read(`${ROOT}/${path}`)]
        if (name !== 'filter') assert.ok(after.equals(before), `${name} ${what}`)
        else assert.ok(after.subarray(20).equals(before.subarray(20)), `${name} ${what}`)
      }
    }
  })

  test('a foreign file in the commit log is moved away, and its place is told', () => {
    const patient = new Patient('plain')
    patient.edit('commitlog/notes.tmp', 0, (bytes) => bytes.write('x'))
    assert.deepEqual(
      serious(patient.check()).map(({ kind, path }) => [kind, path]),
      [['foreign-file', `${ROOT}/commitlog/notes.tmp`]],
    )
    const { kept } = patient.repair()
    assert.deepEqual(serious(patient.check()), [])
    assert.equal(patient.read(`${kept}/commitlog/notes.tmp`).toString(), 'x')
    assert.equal(JSON.parse(patient.read(`${kept}/kept.json`).toString())[0].from, 'commitlog/notes.tmp')
  })

  test('a configuration file gives way to its backup; when both are spoiled a person must look', () => {
    const patient = new Patient('plain')
    const backup = patient.read(`${ROOT}/config/topics.json.bak`)
    patient.edit('config/topics.json', 0, (bytes) => bytes.fill(0), 40)
    assert.deepEqual(
      serious(patient.check()).map(({ kind }) => kind),
      ['config'],
    )
    patient.repair()
    assert.deepEqual(serious(patient.check()), [])
    assert.ok(patient.read(`${ROOT}/config/topics.json`).equals(backup))
    for (const name of ['topics.json', 'topics.json.bak'])
      patient.edit(`config/${name}`, 0, (bytes) => bytes.write('?'))
    const { left } = patient.repair()
    assert.match(left.join(), /topics\.json: no JSON.*restore it from a copy/)
  })

  test('a checkpoint that says what cannot be says nothing afterwards', async () => {
    const patient = new Patient('crash-clean')
    patient.edit('checkpoint', 40, (bytes) => bytes.writeBigInt64BE(1_000_000n), 8)
    const kinds = serious(patient.check()).map(({ kind }) => kind)
    assert.ok(kinds.includes('checkpoint'))
    patient.repair(true)
    assert.deepEqual(serious(patient.check()), [])
    const store = await patient.open()
    assert.equal((await patient.bodies(store)).size, (await wholeBodies('crash-clean')).size)
    await patient.close(store)
  })

  test('a synced end that is gone is cut only when it is asked for', async () => {
    const patient = new Patient('plain')
    const store = await patient.open()
    await patient.close(store)
    const end = store.positions.appended
    const [position, sizeBytes] = patient.oracle.messages.at(-1)!
    assert.equal(position + sizeBytes, end)
    patient.edit('commitlog/00000000000000000000', position, (bytes) => bytes.fill(7), sizeBytes)
    await assert.rejects(patient.open(), /commit log damaged/)
    const faults = serious(patient.check())
    assert.deepEqual([faults[0]?.kind, faults[0]?.position], ['log-end', position])
    const before = patient.read(`${ROOT}/commitlog/00000000000000000000`)
    assert.match(patient.repair().left.join(), /can only be cut.*--cut/)
    assert.ok(patient.read(`${ROOT}/commitlog/00000000000000000000`).equals(before))
    const { kept } = patient.repair(true)
    assert.deepEqual(serious(patient.check()), [])
    const name = patient.disk.listSync(`${kept}/commitlog`)[0]!
    assert.equal(name, `00000000000000000000.${position}-${before.length}`)
    assert.ok(patient.read(`${kept}/commitlog/${name}`).subarray(0, sizeBytes).equals(before.subarray(position, end)))
    const again = await patient.open()
    assert.equal(again.positions.appended, position)
    await patient.close(again)
  })
})
