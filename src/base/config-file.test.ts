import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { ConfigFile } from './config-file.ts'
import { memoryLog, silentLog } from './console-log.ts'
import type { Disk, DiskError, DiskFile } from './disk.ts'
import { SeededRandom } from './random.ts'
import { SimulatedDisk } from './simulated-disk.ts'
import { SimulatedScheduler } from './simulated-scheduler.ts'

const path = '/data/config/topics.json'
const bak = `${path}.bak`

function machine(seed = 1) {
  const scheduler = new SimulatedScheduler()
  const disk = new SimulatedDisk(new SeededRandom(seed), { scheduler })
  return { scheduler, disk }
}
function put(disk: Disk, name: string, text: string): void {
  disk.makeDirectorySync('/data/config')
  const file = disk.openSync(name, 'write')
  file.writeSync(Buffer.from(text), 0)
  file.datasyncSync()
  file.closeSync()
  disk.syncDirectorySync('/data/config')
}
const load = (disk: Disk): string | undefined => new ConfigFile(disk, path, silentLog).load()
const noRoom = (): DiskError => Object.assign(new Error('no room'), { code: 'ENOSPC' })

describe('saving', () => {
  test('makes the folder, keeps the former version beside, and leaves nothing else', () => {
    const { disk } = machine()
    const file = new ConfigFile(disk, path, silentLog)
    assert.equal(file.load(), undefined)
    file.save('one')
    assert.deepEqual(disk.listSync('/data/config'), ['topics.json'])
    file.save('two')
    file.save('three')
    assert.equal(file.load(), 'three')
    assert.equal(new ConfigFile(disk, bak, silentLog).load(), 'two')
    assert.deepEqual(disk.listSync('/data/config').sort(), ['topics.json', 'topics.json.bak'])
  })
  test('is durable when it returns', () => {
    for (let seed = 1; seed <= 30; seed++) {
      const { disk } = machine(seed)
      new ConfigFile(disk, path, silentLog).save('x'.repeat(10_000))
      new ConfigFile(disk, path, silentLog).save('y')
      disk.crash()
      assert.equal(load(disk), 'y')
    }
  })
  test('writes over what an earlier crash left half done', () => {
    const { disk } = machine()
    put(disk, `${path}.tmp`, 'a much longer text of an earlier life')
    new ConfigFile(disk, path, silentLog).save('short')
    assert.equal(load(disk), 'short')
  })
  test('keeps empty text and letters of all kinds', () => {
    const { disk } = machine()
    const file = new ConfigFile(disk, path, silentLog)
    file.save('日本 😀\n\u0000')
    assert.equal(file.load(), '日本 😀\n\u0000')
    file.save('')
    assert.equal(file.load(), '日本 😀\n\u0000', 'an empty file is one that was lost: its backup counts')
  })
  test('that fails throws, and the file is what it was; the next one succeeds', () => {
    for (const call of ['write', 'datasync', 'create'] as const) {
      const { disk } = machine()
      const file = new ConfigFile(disk, path, silentLog)
      file.save('old')
      disk.fault = (which) => (which === call ? noRoom() : undefined)
      assert.throws(() => file.save('new'), /no room/, call)
      disk.fault = undefined
      assert.equal(file.load(), 'old')
      file.save('newer')
      assert.equal(file.load(), 'newer')
    }
  })
})

describe('loading', () => {
  const cases: [string, string | undefined, string | undefined, string | undefined][] = [
    ['the file', '"a"', '"b"', 'a'],
    ['the backup of a file that is not there', undefined, '"b"', 'b'],
    ['the backup of an empty file', '', '"b"', 'b'],
    ['the backup of a file of blanks', ' \n', '"b"', 'b'],
    ['the backup of a torn file', '"a', '"b"', 'b'],
    ['the file, whatever the backup is', '"a"', '"b', 'a'],
    ['nothing, where there is nothing', undefined, undefined, undefined],
    ['nothing, where both are empty', '', '', undefined],
  ]
  for (const [what, main, backup, expected] of cases) {
    test(`reads ${what}`, () => {
      const { disk } = machine()
      if (main !== undefined) put(disk, path, main)
      if (backup !== undefined) put(disk, bak, backup)
      const log = memoryLog()
      const found = new ConfigFile(disk, path, log).loadAs((text) => JSON.parse(text) as string)
      assert.equal(found, expected)
      const warned = log.lines.some(({ message }) => message === 'config file read from its backup')
      assert.equal(warned, expected === 'b')
    })
  }
  for (const [main, backup] of [
    ['"a', '"b'],
    ['"a', undefined],
    ['"a', ''],
    [undefined, '"b'],
  ] as const) {
    test(`refuses ${JSON.stringify(main)} with ${JSON.stringify(backup)}: to start empty would destroy what is left`, () => {
      const { disk } = machine()
      if (main !== undefined) put(disk, path, main)
      if (backup !== undefined) put(disk, bak, backup)
      const file = new ConfigFile(disk, path, silentLog)
      assert.throws(
        () => file.loadAs((text) => JSON.parse(text)),
        (error: Error) => {
          assert.match(error.message, /^\/data\/config\/topics\.json and its \.bak cannot be read: ./)
          assert.ok(error.cause instanceof SyntaxError)
          return true
        },
      )
    })
  }
  test('takes a byte order mark off', () => {
    const { disk } = machine()
    put(disk, path, '\uFEFF{}')
    assert.equal(load(disk), '{}')
  })
  test('does not read a folder of that name', () => {
    const { disk } = machine()
    disk.makeDirectorySync(path)
    assert.equal(load(disk), undefined)
  })
})

/** Goes down at one operation that changes something: nothing happens from there on. */
function downAt(disk: SimulatedDisk, operation: number): { disk: Disk; count: () => number } {
  let done = 0
  const step = (): void => {
    if (++done >= operation) throw Object.assign(new Error('down'), { code: 'EIO' })
  }
  const fileOf = (file: DiskFile): DiskFile => ({
    path: file.path,
    writeSync(bytes, position) {
      if (done + 1 === operation) file.writeSync(bytes.subarray(0, bytes.length >> 1), position)
      step()
      file.writeSync(bytes, position)
    },
    write: (bytes, position, answer) => file.write(bytes, position, answer),
    readSync: (into, position) => file.readSync(into, position),
    read: (into, position, answer) => file.read(into, position, answer),
    datasync(answer) {
      step()
      file.datasync(answer)
    },
    datasyncSync() {
      step()
      file.datasyncSync()
    },
    truncateSync(sizeBytes) {
      step()
      file.truncateSync(sizeBytes)
    },
    sizeSync: () => file.sizeSync(),
    closeSync: () => file.closeSync(),
  })
  const wrapped: Disk = Object.create(disk)
  const changing = ['makeDirectorySync', 'renameSync', 'removeSync', 'syncDirectorySync'] as const
  for (const name of changing) {
    wrapped[name] = (one: string, two: string = '') => {
      step()
      ;(disk[name] as (one: string, two: string) => void).call(disk, one, two)
    }
  }
  for (const name of ['listSync', 'statSync', 'spaceSync'] as const)
    Object.assign(wrapped, { [name]: disk[name].bind(disk) })
  wrapped.openSync = (name, mode) => {
    if (disk.statSync(name) === undefined) step()
    return fileOf(disk.openSync(name, mode))
  }
  return { disk: wrapped, count: () => done }
}

describe('a crash in the middle of a save', () => {
  const old = 'old '.repeat(3_000)
  const fresh = 'new '.repeat(4_000)
  const OPERATIONS = 7

  test('has so many places where it may come', () => {
    const { disk } = machine()
    new ConfigFile(disk, path, silentLog).save(old)
    const counting = downAt(disk, Number.POSITIVE_INFINITY)
    new ConfigFile(counting.disk, path, silentLog).save(fresh)
    assert.equal(counting.count(), OPERATIONS)
  })
  for (let operation = 1; operation <= OPERATIONS + 1; operation++) {
    test(`at operation ${operation} leaves the old version or the new one`, () => {
      const seen = new Set<string>()
      for (let seed = 1; seed <= 60; seed++) {
        const { disk } = machine(seed)
        new ConfigFile(disk, path, silentLog).save(old)
        const crashing = downAt(disk, operation)
        const save = (): void => new ConfigFile(crashing.disk, path, silentLog).save(fresh)
        if (operation <= OPERATIONS) assert.throws(save, /down/)
        else save()
        if (seed % 3 > 0) disk.crash() // else the process was killed, and the machine goes on
        const found = load(disk)
        assert.ok(found === old || found === fresh, `seed ${seed}: ${found?.length} characters`)
        seen.add(found)
        new ConfigFile(disk, path, silentLog).save('next')
        disk.crash()
        assert.equal(load(disk), 'next', 'and it can be saved again')
      }
      if (operation <= 4) assert.deepEqual([...seen], [old])
      if (operation > OPERATIONS) assert.deepEqual([...seen], [fresh])
    })
  }
})

describe('a file that only its backup could give', () => {
  for (const [what, damaged] of [
    ['torn', '{"a'],
    ['empty', ''],
  ] as const) {
    test(`(${what}) does not become the backup, wherever the first save after it is cut off`, () => {
      for (let operation = 1; operation <= 6; operation++) {
        const { disk } = machine(operation)
        put(disk, path, damaged)
        put(disk, bak, '"good"')
        const crashing = downAt(disk, operation)
        const file = new ConfigFile(crashing.disk, path, silentLog)
        assert.equal(
          file.loadAs((text) => JSON.parse(text) as string),
          'good',
        )
        try {
          file.save('"fresh"')
        } catch (error) {
          assert.match((error as Error).message, /down/)
        }
        const found = new ConfigFile(disk, path, silentLog).loadAs((text) => JSON.parse(text) as string)
        assert.ok(found === 'good' || found === 'fresh', `at ${operation}: ${found}`)
      }
    })
  }
})

describe('a later save', () => {
  test('syncs off the loop, and says when it is done', async () => {
    const { disk, scheduler } = machine()
    const file = new ConfigFile(disk, path, silentLog)
    const done: unknown[] = []
    file.saveLater('one', (error) => done.push(error))
    assert.deepEqual(done, [])
    assert.equal(file.load(), undefined, 'nothing is seen of it before')
    await scheduler.advance(5)
    assert.deepEqual(done, [null])
    disk.crash()
    assert.equal(load(disk), 'one')
  })
  test('of those that wait only the newest is written, and all are told', async () => {
    const { disk, scheduler } = machine()
    const file = new ConfigFile(disk, path, silentLog)
    const done: string[] = []
    for (const text of ['one', 'two', 'three', 'four']) file.saveLater(text, () => done.push(text))
    await scheduler.advance(20)
    assert.deepEqual(done, ['one', 'two', 'three', 'four'])
    assert.equal(load(disk), 'four')
    assert.equal(new ConfigFile(disk, bak, silentLog).load(), 'one')
  })
  test('may be asked for by one that is told', async () => {
    const { disk, scheduler } = machine()
    const file = new ConfigFile(disk, path, silentLog)
    const done: string[] = []
    file.saveLater('one', () => {
      done.push('one')
      file.saveLater('two', () => done.push('two'))
    })
    await scheduler.advance(20)
    assert.deepEqual(done, ['one', 'two'])
    assert.equal(load(disk), 'two')
  })
  test('does not take the place of a synchronous one that came later', async () => {
    const { disk, scheduler } = machine()
    const file = new ConfigFile(disk, path, silentLog)
    let told = false
    file.saveLater('older', () => {
      told = true
    })
    file.save('newer')
    await scheduler.advance(20)
    assert.equal(told, true)
    assert.equal(load(disk), 'newer')
  })
  test('that waits behind another does not take the place of a synchronous one either', async () => {
    const { disk, scheduler } = machine()
    const file = new ConfigFile(disk, path, silentLog)
    file.saveLater('first')
    file.saveLater('older')
    file.save('newer')
    await scheduler.advance(20)
    assert.equal(load(disk), 'newer')
    file.saveLater('newest')
    await scheduler.advance(20)
    assert.equal(load(disk), 'newest')
  })
  test('that goes on failing is logged when that begins, and when it ends', async () => {
    const { disk, scheduler } = machine()
    const log = memoryLog()
    const file = new ConfigFile(disk, path, log)
    disk.fault = (call) => (call === 'write' ? noRoom() : undefined)
    for (let each = 0; each < 5; each++) {
      file.saveLater(`new ${each}`)
      await scheduler.advance(20)
    }
    disk.fault = undefined
    for (let each = 5; each < 8; each++) {
      file.saveLater(`new ${each}`)
      await scheduler.advance(20)
    }
    assert.equal(load(disk), 'new 7')
    assert.deepEqual(
      log.lines.map(({ message }) => message),
      ['config file not saved', 'config file saved again'],
    )
  })
  test('that fails is logged and told, keeps the former, and holds up no other', async () => {
    const { disk, scheduler } = machine()
    const log = memoryLog()
    const file = new ConfigFile(disk, path, log)
    file.save('old')
    for (const call of ['create', 'write', 'datasync'] as const) {
      let failed: DiskError | null = null
      disk.fault = (which) => (which === call ? noRoom() : undefined)
      file.saveLater('new', (error) => {
        failed = error
      })
      await scheduler.advance(20)
      disk.fault = undefined
      assert.equal((failed as DiskError | null)?.code, 'ENOSPC', call)
      assert.equal(load(disk), 'old')
      assert.equal(log.lines.filter(({ message }) => message === 'config file not saved').length, 1)
      log.lines.length = 0
      file.saveLater('old')
      await scheduler.advance(20)
    }
    file.saveLater('good')
    await scheduler.advance(20)
    assert.equal(load(disk), 'good')
  })
  test('that fails leaves no file open', async () => {
    const { disk, scheduler } = machine()
    let open = 0
    const counting: Disk = Object.create(disk)
    counting.openSync = (name, mode) => {
      const file = disk.openSync(name, mode)
      open++
      return { ...file, closeSync: () => open-- }
    }
    for (const name of ['listSync', 'statSync', 'makeDirectorySync', 'renameSync', 'syncDirectorySync'] as const)
      Object.assign(counting, { [name]: disk[name].bind(disk) })
    const file = new ConfigFile(counting, path, silentLog)
    for (const call of ['create', 'write', 'datasync'] as const) {
      disk.fault = (which) => (which === call ? noRoom() : undefined)
      for (let time = 0; time < 5; time++) {
        file.saveLater('new')
        await scheduler.advance(20)
        assert.throws(() => file.save('newer'))
      }
      assert.equal(open, 0, call)
    }
  })
  test('is not taken for done because a synchronous one came between and failed', async () => {
    const { disk, scheduler } = machine()
    const file = new ConfigFile(disk, path, silentLog)
    const done: unknown[] = []
    file.saveLater('first')
    file.saveLater('second', (error) => done.push(error))
    disk.fault = (call, name) => (call === 'create' && name.endsWith('.tmp') ? noRoom() : undefined)
    assert.throws(() => file.save('third'), /no room/)
    await scheduler.advance(20)
    assert.deepEqual(done, [null])
    assert.equal(load(disk), 'second')
  })
  test('tells each once, though one of them throws', async () => {
    const { disk, scheduler } = machine()
    const file = new ConfigFile(disk, path, silentLog)
    let told = 0
    file.saveLater('one', () => {
      told++
      throw new Error('of the listener')
    })
    await assert.rejects(scheduler.advance(20), /of the listener/)
    assert.equal(told, 1)
  })
  test('leaves the old version or the new one when the machine goes down at any time', async () => {
    for (let seed = 1; seed <= 200; seed++) {
      const { disk, scheduler } = machine(seed)
      const random = new SeededRandom(seed)
      const file = new ConfigFile(disk, path, silentLog)
      file.save('0 '.repeat(5_000))
      const done: number[] = [0]
      for (let version = 1; version <= 5; version++) {
        file.saveLater(`${version} `.repeat(5_000), () => done.push(version))
        await scheduler.advance(random.next() * 3)
      }
      disk.crash()
      const text = load(disk)!
      const version = Number(text.split(' ')[0])
      assert.equal(text, `${version} `.repeat(5_000), `seed ${seed}`)
      assert.ok(version >= Math.max(...done), `seed ${seed}: ${version}, where ${done} were told`)
    }
  })
})
