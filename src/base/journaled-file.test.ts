import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { memoryLog } from './console-log.ts'
import type { DiskError } from './disk.ts'
import { JournaledFile } from './journaled-file.ts'
import { SeededRandom } from './random.ts'
import { SimulatedDisk } from './simulated-disk.ts'
import { SimulatedScheduler } from './simulated-scheduler.ts'

const PATH = '/config/table.json'

interface Change {
  key: string
  value: number | undefined
}

/** A table of numbers, kept as topics and offsets are. */
class Table {
  readonly values = new Map<string, number>()
  readonly file: JournaledFile
  readonly replayed: number

  constructor(disk: SimulatedDisk, scheduler: SimulatedScheduler, smallSize = 0) {
    this.file = new JournaledFile({
      disk,
      path: PATH,
      scheduler,
      log: memoryLog(),
      pieces: () => this.#pieces(),
      isSmall: () => this.values.size <= smallSize,
    })
    const { whole, changes } = this.file.load(parse)
    for (const [key, value] of Object.entries(whole ?? {})) this.values.set(key, value)
    for (const change of changes) this.#make(JSON.parse(change) as Change)
    this.replayed = changes.length
    if (changes.length > 0) this.file.saveSync()
  }

  *#pieces(): Generator<string> {
    yield '{"":0'
    for (const [key, value] of this.values) yield `,${JSON.stringify(key)}:${value}`
    yield '}'
  }

  #make({ key, value }: Change): void {
    if (value === undefined) this.values.delete(key)
    else this.values.set(key, value)
  }

  change(key: string, value: number | undefined): void {
    this.#make({ key, value })
    this.file.add(JSON.stringify({ key, value }))
  }
}

function parse(text: string): Record<string, number> {
  const values = JSON.parse(text) as Record<string, number>
  delete values['']
  return values
}

function wholeOn(disk: SimulatedDisk, path = PATH): Record<string, number> | undefined {
  if (disk.statSync(path) === undefined) return undefined
  const file = disk.openSync(path, 'read')
  const bytes = Buffer.alloc(file.sizeSync())
  file.readSync(bytes, 0)
  return parse(bytes.toString())
}

function machine(seed = 1): { disk: SimulatedDisk; scheduler: SimulatedScheduler } {
  const scheduler = new SimulatedScheduler()
  const disk = new SimulatedDisk(new SeededRandom(seed), { scheduler, latencyMs: 20 })
  disk.makeDirectorySync('/config')
  return { disk, scheduler }
}

describe('a file with a journal', () => {
  test('loses nothing acknowledged at a loss of power, whenever it comes, and Java finds a whole file', async () => {
    let crashes = 0
    let replays = 0
    for (let seed = 1; seed <= 400; seed++) {
      const random = new SeededRandom(seed)
      const { scheduler, ...first } = machine(seed)
      let { disk } = first
      const smallSize = random.below(3) === 0 ? 20 : 0
      let before = new Map<string, number>()
      let table = new Table(disk, scheduler, smallSize)
      for (let life = 0; life < 4; life++) {
        const running = table
        const made: Change[] = []
        let acknowledged = 0
        let isClosed = false
        for (let step = random.below(40); step > 0; step--) {
          const change = {
            key: `k${random.below(30)}`,
            value: random.below(4) === 0 ? undefined : random.below(1_000_000),
          }
          running.change(change.key, change.value)
          made.push(change)
          const count = made.length
          if (random.below(3) === 0) {
            running.file.whenSaved((error) => {
              if (error === null) acknowledged = Math.max(acknowledged, count)
            })
          }
          if (random.below(6) === 0) {
            running.file.saveSync()
            acknowledged = count
          }
          if (random.below(2) === 0) await scheduler.advance(random.below(random.below(8) === 0 ? 3_000 : 60))
        }
        if (random.below(5) === 0) {
          isClosed = true
          running.file.close()
          acknowledged = made.length
          if (made.length > 0) assert.deepEqual(wholeOn(disk) ?? {}, Object.fromEntries(running.values), `seed ${seed}`)
        }
        const kept = acknowledged
        // What ran before goes on upon the disk that it had.
        disk = disk.imageAfterCrash(new SeededRandom(seed * 10 + life))
        crashes += isClosed ? 0 : 1
        table = new Table(disk, scheduler, smallSize)
        replays += table.replayed > 0 ? 1 : 0
        for (const key of new Set([...before.keys(), ...made.map((each) => each.key)])) {
          const sure = made.slice(0, kept).findLast((each) => each.key === key)
          const allowed = [sure === undefined ? before.get(key) : sure.value]
          for (const each of made.slice(kept)) if (each.key === key) allowed.push(each.value)
          const found = table.values.get(key)
          assert.ok(allowed.includes(found), `seed ${seed} life ${life}: ${key} is ${found}, not one of ${allowed}`)
        }
        before = new Map(table.values)
      }
    }
    assert.ok(crashes > 500 && replays > 100, `${crashes} crashes, ${replays} replays`)
  })

  test('that another wrote in between is his: the journal is dropped', async () => {
    const { disk, scheduler } = machine()
    const table = new Table(disk, scheduler)
    table.change('ours', 1)
    table.file.saveSync()
    table.change('later', 2)
    await scheduler.advance(100)
    const image = disk.image(new SeededRandom(2))
    assert.equal(new Table(image, scheduler).values.get('later'), 2)
    const java = disk.openSync(PATH, 'write')
    java.truncateSync(0)
    java.writeSync(Buffer.from('{"java":3}'), 0)
    assert.deepEqual([...new Table(disk, scheduler).values], [['java', 3]])
    assert.deepEqual(disk.listSync('/config').sort(), ['table.json'])
  })

  test('folds with a tenth of the loop at most, and ends in one file', async () => {
    const { disk, scheduler } = machine()
    const table = new Table(disk, scheduler)
    for (let key = 0; key < 20_000; key++) table.change(`key ${key}`, key)
    await scheduler.advance(900)
    assert.equal(table.file.isUnsaved, false)
    assert.equal(wholeOn(disk), undefined, 'not yet')
    await scheduler.advance(300)
    assert.equal(Object.keys(wholeOn(disk)!).length, 20_000)
    assert.deepEqual(disk.listSync('/config'), ['table.json'])
  })

  test('whose journal cannot be written says so, and is written whole by the next who asks', async () => {
    const { disk, scheduler } = machine()
    const table = new Table(disk, scheduler)
    table.change('a', 1)
    await scheduler.advance(100)
    disk.fault = (call, path) =>
      call === 'datasync' && path.includes('journal') ? Object.assign(new Error('EIO'), { code: 'EIO' }) : undefined
    table.change('b', 2)
    const outcomes: (DiskError | null)[] = []
    table.file.whenSaved((error) => outcomes.push(error))
    await scheduler.advance(100)
    table.file.whenSaved((error) => outcomes.push(error))
    await scheduler.advance(100)
    assert.deepEqual(
      outcomes.map((error) => error?.code),
      ['EIO', undefined],
    )
    assert.deepEqual(wholeOn(disk), { a: 1, b: 2 })
    disk.crash()
    assert.deepEqual(Object.fromEntries(new Table(disk, scheduler).values), { a: 1, b: 2 })
  })

  test('that could not be folded keeps both journals, and both are made again', async () => {
    const { disk, scheduler } = machine()
    const table = new Table(disk, scheduler)
    table.change('a', 1)
    await scheduler.advance(100)
    disk.fault = (call, path) =>
      call === 'datasync' && path.includes('folded') ? Object.assign(new Error('EIO'), { code: 'EIO' }) : undefined
    await scheduler.advance(1_000)
    table.change('b', 2)
    table.change('a', 3)
    await scheduler.advance(100)
    assert.equal(table.file.isUnsaved, false)
    assert.deepEqual(disk.listSync('/config').sort(), [
      'table.json.folded',
      'table.json.journal',
      'table.json.journal.next',
    ])
    const image = disk.imageAfterCrash(new SeededRandom(3))
    assert.deepEqual(Object.fromEntries(new Table(image, scheduler).values), { a: 3, b: 2 })
    disk.fault = undefined
    await scheduler.advance(3_000)
    assert.deepEqual(wholeOn(disk), { a: 3, b: 2 })
    assert.deepEqual(disk.listSync('/config').sort(), ['table.json', 'table.json.bak'])
  })

  test('leaves no timer behind when it is closed', async () => {
    const { disk, scheduler } = machine()
    const table = new Table(disk, scheduler)
    for (let key = 0; key < 5_000; key++) table.change(`key ${key}`, key)
    await scheduler.advance(50)
    table.change('last', 1)
    table.file.close()
    await scheduler.advance(100)
    assert.equal(scheduler.pending, 0)
    assert.equal(Object.keys(wholeOn(disk)!).length, 5_001)
  })
})
