import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { memoryLog } from '../base/console-log.ts'
import { SeededRandom } from '../base/random.ts'
import { SimulatedDisk } from '../base/simulated-disk.ts'
import { SimulatedScheduler } from '../base/simulated-scheduler.ts'
import { parseJavaObject } from '../protocol/java-json.ts'
import { OffsetTable } from './offsets.ts'
import { brokerSettings } from './settings.ts'

const PATH = '/store/config/consumerOffset.json'

interface Machine {
  scheduler: SimulatedScheduler
  disk: SimulatedDisk
  log: ReturnType<typeof memoryLog>
  open(settings?: Record<string, string>): OffsetTable
  text(path?: string): string | undefined
}

function machine(): Machine {
  const scheduler = new SimulatedScheduler()
  const disk = new SimulatedDisk(new SeededRandom(7), { scheduler })
  const log = memoryLog()
  return {
    scheduler,
    disk,
    log,
    open: (settings = {}) =>
      new OffsetTable({ settings: brokerSettings.parse(settings).settings, disk, root: '/store', scheduler, log }),
    text(path = PATH) {
      if (disk.statSync(path) === undefined) return undefined
      const file = disk.openSync(path, 'read')
      const bytes = Buffer.alloc(file.sizeSync())
      file.readSync(bytes, 0)
      file.closeSync()
      return bytes.toString('utf8')
    },
  }
}

function put(disk: SimulatedDisk, path: string, text: string): void {
  disk.makeDirectorySync('/store/config')
  const file = disk.openSync(path, 'write')
  file.writeSync(Buffer.from(text), 0)
  file.datasyncSync()
  file.closeSync()
  disk.syncDirectorySync('/store/config')
}

const recorded = (name: string): { configFiles: Record<string, string> } =>
  JSON.parse(readFileSync(resolve(import.meta.dirname, `../../test/vectors/store/${name}.json`), 'utf8'))

describe('offsets of consumer groups', () => {
  test('nothing is known of a group that never committed', () => {
    const offsets = machine().open()
    assert.equal(offsets.get('g', 't', 0), undefined)
    offsets.commit('g', 't', 3, 9)
    assert.equal(offsets.get('g', 't', 0), undefined)
    assert.equal(offsets.get('g', 't', 3), 9)
    assert.equal(offsets.pulled('g', 't', 3), undefined)
    assert.deepEqual(offsets.topicsOf('g'), ['t'])
    assert.deepEqual(offsets.groupsOf('t'), ['g'])
  })

  test('a group may go back', () => {
    const offsets = machine().open()
    offsets.commit('g', 't', 0, 100)
    offsets.commit('g', 't', 0, 7)
    assert.equal(offsets.get('g', 't', 0), 7)
  })

  test('a queue number far out takes no room for those before it', () => {
    const offsets = machine().open()
    offsets.commit('g', 't', 2_147_483_647, 5)
    offsets.commit('g', 't', 90, 4)
    for (let queueId = 0; queueId <= 100; queueId++) if (queueId !== 90) offsets.commit('g', 't', queueId, queueId)
    assert.equal(offsets.get('g', 't', 90), 4)
    assert.equal(offsets.get('g', 't', 100), 100)
    assert.equal(offsets.get('g', 't', 2_147_483_647), 5)
    assert.match(offsets.body(), /89:89,90:4,91:91.*100:100,2147483647:5\}/)
  })

  test('written every 5 s when something changed, and only then', async () => {
    const { open, scheduler, text, disk } = machine()
    const offsets = open()
    await scheduler.advance(20_000)
    assert.equal(text(), undefined)
    offsets.commit('g', 't', 0, 1)
    await scheduler.advance(4_999)
    assert.equal(text(), undefined)
    await scheduler.advance(5_000)
    assert.match(text()!, /"t@g":\{0:1\}/)
    const written = disk.statSync(PATH)!.modifiedMs
    offsets.commit('g', 't', 0, 1)
    offsets.pull('g', 't', 0, 1)
    offsets.pull('g', 't', 0, 1)
    await scheduler.advance(5_000)
    const again = disk.statSync(PATH)!.modifiedMs
    assert.ok(again > written, 'the pulled offset is new')
    offsets.pull('g', 't', 0, 1)
    offsets.commit('g', 't', 0, 1)
    await scheduler.advance(20_000)
    assert.equal(disk.statSync(PATH)!.modifiedMs, again, 'the same offsets again are no change')
  })

  test('closing writes what is not written yet', () => {
    const { open } = machine()
    const offsets = open()
    offsets.commit('g', 't', 0, 41)
    offsets.pull('g', 't', 0, 42)
    offsets.close()
    const again = open()
    assert.equal(again.get('g', 't', 0), 41)
    assert.equal(again.pulled('g', 't', 0), 42)
  })

  test('a save that failed is made again', async () => {
    const { open, scheduler, disk, text, log } = machine()
    const offsets = open()
    const full = Object.assign(new Error('no space left'), { code: 'ENOSPC' })
    offsets.commit('g', 't', 0, 1)
    disk.fault = (kind) => (kind === 'create' ? full : undefined)
    await scheduler.advance(5_000)
    assert.equal(text(), undefined)
    assert.equal(
      log.lines.some(({ level, message }) => level === 'error' && message === 'config file not saved'),
      true,
    )
    disk.fault = undefined
    await scheduler.advance(5_100)
    assert.match(text()!, /"t@g":\{0:1\}/)
  })

  test('a deleted topic is forgotten on the device too, at once', async () => {
    const { open, scheduler, disk } = machine()
    const offsets = open()
    offsets.commit('g', 'gone', 0, 100)
    offsets.commit('g', 'stays', 0, 1)
    offsets.pull('h', 'gone', 0, 100)
    await scheduler.advance(5_000)
    offsets.deleteTopic('gone')
    await scheduler.advance(100)
    disk.crash()
    const again = open()
    assert.equal(again.get('g', 'gone', 0), undefined)
    assert.equal(again.pulled('h', 'gone', 0), undefined)
    assert.equal(again.get('g', 'stays', 0), 1)
  })

  test('a deleted group is forgotten whole', async () => {
    const { open, scheduler, disk } = machine()
    const offsets = open()
    offsets.commit('g', 't', 0, 1)
    offsets.pull('g', 't', 0, 1)
    offsets.commit('h', 't', 0, 2)
    await scheduler.advance(5_000)
    offsets.deleteGroup('g')
    await scheduler.advance(100)
    disk.crash()
    const again = open()
    assert.deepEqual([again.topicsOf('g'), again.topicsOf('h')], [[], ['t']])
    assert.equal(again.pulled('g', 't', 0), undefined)
  })

  test('the version counts every 500th commit', () => {
    const offsets = machine().open()
    const counter = (): unknown => (parseJavaObject(offsets.body())['dataVersion'] as { counter: number }).counter
    for (let commit = 0; commit < 499; commit++) offsets.commit('g', 't', 0, commit)
    assert.equal(counter(), 0)
    offsets.commit('g', 't', 0, 499)
    assert.equal(counter(), 1)
  })

  test('Java’s file is read, and what is written of it means the same', async () => {
    for (const text of [
      recorded('config').configFiles['consumerOffset.json']!,
      '{"dataVersion":{"counter":9,"stateVersion":0,"timestamp":5},"offsetTable":{"vec_retry@vec_retry_g":{0:2,1:2},"t@g@broadcast":{"0":7}},"pullOffsetTable":{"vec_retry@vec_retry_g":{0:3}}}',
    ]) {
      const { disk, open, text: saved } = machine()
      put(disk, PATH, text)
      open().close()
      const written = parseJavaObject(saved()!)
      const { groupTopicMap: _, ...expected } = parseJavaObject(text)
      const { groupTopicMap, ...got } = written
      assert.deepEqual(got, expected)
      assert.ok(groupTopicMap !== undefined)
    }
  })

  test('entries that make no sense are left out', () => {
    const { disk, open } = machine()
    put(
      disk,
      PATH,
      '{"offsetTable":{"nogroup":{0:1},"@g":{0:1},"t@g":{"x":1,"-1":1,"0":"what","1":-1,"2":"12","3":9223372036854775807}}}',
    )
    const offsets = open()
    assert.deepEqual(
      [0, 1, 2, 3].map((queueId) => offsets.get('g', 't', queueId)),
      [undefined, undefined, 12, Number.MAX_SAFE_INTEGER],
    )
    assert.match(offsets.body(), /"t@g":\{2:12,3:9223372036854775807\}/)
  })

  test('a file that is torn gives way to its backup', async () => {
    const { disk, open, scheduler } = machine()
    put(disk, `${PATH}.bak`, '{"offsetTable":{"t@g":{0:5}}}')
    put(disk, PATH, '{"offsetTable":{"t@g":{0')
    assert.equal(open().get('g', 't', 0), 5)
    await scheduler.settle()
  })

  test('any history: what is read back is what a plain map would hold', () => {
    const names = fc.constantFrom('a', 'b', '%RETRY%a', 'c_d', '__proto__')
    const queueIds = fc.oneof(
      fc.integer({ min: 0, max: 12 }),
      fc.constantFrom(63, 64, 65, 66, 200, 65_535, 2_147_483_647),
    )
    const step = fc.oneof(
      fc.record({
        kind: fc.constantFrom<'commit' | 'pull'>('commit', 'pull'),
        group: names,
        topic: names,
        queueId: queueIds,
        offset: fc.oneof(fc.nat(), fc.constant(Number.MAX_SAFE_INTEGER)),
      }),
      fc.record({ kind: fc.constant('deleteTopic'), topic: names }),
      fc.record({ kind: fc.constant('deleteGroup'), group: names }),
      fc.record({ kind: fc.constantFrom<'save' | 'reopen'>('save', 'reopen') }),
    )
    return fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const { open, scheduler } = machine()
        let offsets = open()
        const models = { commit: new Map<string, number>(), pull: new Map<string, number>() }
        const drop = (test: (group: string, topic: string) => boolean): void => {
          for (const model of Object.values(models)) {
            for (const key of model.keys()) {
              const [group, topic] = JSON.parse(key) as [string, string]
              if (test(group, topic)) model.delete(key)
            }
          }
        }
        for (const each of steps) {
          if ('offset' in each) {
            const { kind, group, topic, queueId, offset } = each
            offsets[kind](group, topic, queueId, offset)
            models[kind].set(JSON.stringify([group, topic, queueId]), offset)
          } else if ('topic' in each) {
            offsets.deleteTopic(each.topic)
            drop((_, topic) => topic === each.topic)
          } else if ('group' in each) {
            offsets.deleteGroup(each.group)
            drop((group) => group === each.group)
          } else if (each.kind === 'save') await scheduler.advance(5_000)
          else {
            offsets.close()
            offsets = open()
          }
        }
        for (const [model, read] of [
          [models.commit, (g: string, t: string, q: number) => offsets.get(g, t, q)],
          [models.pull, (g: string, t: string, q: number) => offsets.pulled(g, t, q)],
        ] as const) {
          for (const [key, offset] of model) {
            assert.equal(read(...(JSON.parse(key) as [string, string, number])), offset)
          }
        }
        const table = parseJavaObject(offsets.body())['offsetTable'] as Record<string, Record<string, number>>
        const flat = Object.entries(table).flatMap(([key, queues]) =>
          Object.entries(queues).map(([queueId, offset]) => {
            const at = key.indexOf('@')
            return [JSON.stringify([key.slice(at + 1), key.slice(0, at), Number(queueId)]), offset]
          }),
        )
        assert.deepEqual(new Map(flat as [string, number][]), new Map(models.commit))
        offsets.close()
      }),
      { numRuns: 150 },
    )
  })
})
