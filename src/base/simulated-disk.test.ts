import assert from 'node:assert/strict'
import { beforeEach, describe, test } from 'node:test'
import fc from 'fast-check'
import type { DiskError, DiskFile } from './disk.ts'
import { SeededRandom } from './random.ts'
import { SimulatedDisk } from './simulated-disk.ts'
import { SimulatedScheduler } from './simulated-scheduler.ts'

const PAGE = 4_096
const diskOf = (seed: number, capacityBytes?: number): SimulatedDisk => {
  const scheduler = new SimulatedScheduler()
  const disk = new SimulatedDisk(new SeededRandom(seed), { scheduler, ...(capacityBytes && { capacityBytes }) })
  disk.makeDirectorySync('/d')
  return disk
}
const bytesOf = (disk: SimulatedDisk, path: string): Buffer => {
  const file = disk.openSync(path, 'read')
  const bytes = Buffer.alloc(file.sizeSync())
  file.readSync(bytes, 0)
  file.closeSync()
  return bytes
}
const create = (disk: SimulatedDisk, path: string, text = ''): DiskFile => {
  const file = disk.openSync(path, 'create')
  if (text !== '') file.writeSync(Buffer.from(text), 0)
  return file
}
/** On the device, whatever comes. */
const createSafely = (disk: SimulatedDisk, path: string, text: string): DiskFile => {
  const file = create(disk, path, text)
  file.datasyncSync()
  disk.syncDirectorySync('/d')
  return file
}
/** What many machines have after the same steps and a crash. */
function outcomes(
  steps: (disk: SimulatedDisk) => void,
  look: (disk: SimulatedDisk) => string,
  seeds = 200,
): Set<string> {
  const seen = new Set<string>()
  for (let seed = 1; seed <= seeds; seed++) {
    const disk = diskOf(seed)
    steps(disk)
    disk.crash()
    seen.add(look(disk))
  }
  return seen
}
const failure = (code: string): DiskError => Object.assign(new Error(code), { code })
const code = (expected: string) => (error: unknown) => (error as DiskError).code === expected

describe('a crash', () => {
  test('loses nothing that was synced, in a directory that was', () => {
    const seen = outcomes(
      (disk) => createSafely(disk, '/d/f', 'safe'),
      (disk) => bytesOf(disk, '/d/f').toString(),
    )
    assert.deepEqual([...seen], ['safe'])
  })
  test('may lose what was written since, or not', () => {
    const seen = outcomes(
      (disk) => createSafely(disk, '/d/f', 'safe').writeSync(Buffer.from('risk'), 0),
      (disk) => bytesOf(disk, '/d/f').toString(),
    )
    assert.deepEqual([...seen].sort(), ['risk', 'safe'])
  })
  test('may lose pages in any order, and keep the length before its bytes', () => {
    const seen = outcomes(
      (disk) => {
        const file = createSafely(disk, '/d/f', '')
        for (const page of [0, 1]) file.writeSync(Buffer.alloc(PAGE, 65 + page), page * PAGE)
      },
      (disk) => {
        const bytes = bytesOf(disk, '/d/f')
        return `${bytes.length / PAGE}:${String.fromCharCode(bytes[0] ?? 48, bytes[PAGE] ?? 48)}`
      },
    )
    for (const each of ['0:00', '1:A0', '1:\u00000', '2:AB', '2:\u0000B', '2:A\u0000', '2:\u0000\u0000'])
      assert.ok(seen.has(each), JSON.stringify([each, ...seen]))
  })
  test('may tear a page where sectors meet, and nowhere else', () => {
    let torn = 0
    for (let seed = 1; seed <= 100; seed++) {
      const disk = diskOf(seed)
      createSafely(disk, '/d/f', 'a'.repeat(PAGE)).writeSync(Buffer.alloc(PAGE, 'b'), 0)
      disk.crash()
      const bytes = bytesOf(disk, '/d/f')
      for (let at = 0; at < PAGE; at += 512) {
        const sector = bytes.toString('latin1', at, at + 512)
        assert.ok(sector === 'a'.repeat(512) || sector === 'b'.repeat(512))
      }
      if (bytes.includes('a') && bytes.includes('b')) torn++
    }
    assert.ok(torn > 5 && torn < 60, `${torn} of 100`)
  })
  test('loses a file whose directory was not synced, though its data were', () => {
    const seen = outcomes(
      (disk) => create(disk, '/d/f', 'x').datasyncSync(),
      (disk) => disk.listSync('/d').join(),
    )
    assert.deepEqual([...seen].sort(), ['', 'f'])
  })
  test('undoes renames and removals that were not synced, the later before the earlier', () => {
    const seen = outcomes(
      (disk) => {
        createSafely(disk, '/d/a', 'x')
        disk.renameSync('/d/a', '/d/b')
        create(disk, '/d/c')
        disk.removeSync('/d/b')
      },
      (disk) => disk.listSync('/d').sort().join(),
    )
    assert.deepEqual([...seen].sort(), ['a', 'b', 'b,c', 'c'])
  })
  test('keeps them once the directory was synced', () => {
    const seen = outcomes(
      (disk) => {
        createSafely(disk, '/d/a', 'x')
        createSafely(disk, '/d/gone', 'x')
        disk.renameSync('/d/a', '/d/b')
        disk.removeSync('/d/gone')
        disk.syncDirectorySync('/d')
        create(disk, '/d/late')
      },
      (disk) => disk.listSync('/d').sort().join(),
    )
    assert.deepEqual([...seen].sort(), ['b', 'b,late'])
  })
  test('does not lose a directory, which was made durable when it was made', () => {
    const seen = outcomes(
      (disk) => disk.makeDirectorySync('/d/x/y'),
      (disk) => `${disk.statSync('/d/x/y')?.isDirectory}`,
    )
    assert.deepEqual([...seen], ['true'])
  })
  test('ends files that were open, and what was under way', async () => {
    const scheduler = new SimulatedScheduler()
    const disk = new SimulatedDisk(new SeededRandom(1), { scheduler })
    const file = disk.openSync('/f', 'create')
    let answered = false
    file.write(Buffer.from('x'), 0, () => {
      answered = true
    })
    disk.remove('/f', () => {
      answered = true
    })
    disk.crash()
    await scheduler.advance(100)
    assert.equal(answered, false)
    assert.throws(() => file.writeSync(Buffer.from('x'), 0), code('EIO'))
    assert.throws(() => file.readSync(Buffer.alloc(1), 0), code('EIO'))
    assert.throws(() => file.datasyncSync(), code('EIO'))
  })
  test('is the same for the same seed', () => {
    const run = (seed: number): string => {
      const disk = diskOf(seed)
      for (let at = 0; at < 20; at++) {
        const file = create(disk, `/d/f${at}`, `${at}`.repeat(5_000))
        if (at % 3 === 0) file.datasyncSync()
        if (at % 5 === 0) disk.syncDirectorySync('/d')
      }
      disk.crash()
      const names = disk.listSync('/d')
      return names.map((name) => name + bytesOf(disk, `/d/${name}`).toString('hex')).join()
    }
    assert.equal(run(3), run(3))
    assert.notEqual(run(3), run(4))
  })
  test('keeps of any file a mix of what it was and what it became, where it was synced exactly what it was', () =>
    fc.assert(
      fc.property(
        fc.integer(),
        fc.array(fc.tuple(fc.constantFrom('write', 'sync', 'cut'), fc.nat(3 * PAGE), fc.nat(PAGE)), { maxLength: 20 }),
        (seed, steps) => {
          const disk = diskOf(seed)
          const file = createSafely(disk, '/d/f', '')
          const model = Buffer.alloc(4 * PAGE)
          let size = 0
          const sizes = new Set([0])
          /** Sector → what may be in it. */
          let possible = new Map<number, Set<string>>()
          const sectors = (): void => {
            for (let at = 0; at < model.length; at += 512) {
              const text = model.toString('latin1', at, at + 512)
              possible.set(at, (possible.get(at) ?? new Set()).add(text))
            }
          }
          sectors()
          let fill = 1
          for (const [what, at, length] of steps) {
            if (what === 'write' && length > 0) {
              model.fill(fill, at, at + length)
              file.writeSync(Buffer.alloc(length, fill++), at)
              size = Math.max(size, at + length)
            } else if (what === 'cut') {
              file.truncateSync(at)
              model.fill(0, at)
              size = at
            } else if (what === 'sync') {
              file.datasyncSync()
              sizes.clear()
              possible = new Map()
            }
            sizes.add(size)
            sectors()
          }
          assert.deepEqual(bytesOf(disk, '/d/f'), model.subarray(0, size))
          disk.crash()
          const found = bytesOf(disk, '/d/f')
          assert.ok(sizes.has(found.length), `${found.length} of ${[...sizes]}`)
          for (let start = 0; start + 512 <= found.length; start += 512) {
            const text = found.toString('latin1', start, start + 512)
            // A shorter length on the way leaves zeros behind it.
            const cut = [...text].findIndex((_, offset) => sizes.has(start + offset))
            const fits = [...possible.get(start)!].some(
              (each) => each === text || (cut >= 0 && each.slice(0, cut) === text.slice(0, cut)),
            )
            assert.ok(fits || /^\0*$/.test(text), `sector at ${start}`)
          }
        },
      ),
      { numRuns: 100 },
    ))
})

describe('a sync', () => {
  let scheduler: SimulatedScheduler
  let disk: SimulatedDisk
  beforeEach(() => {
    scheduler = new SimulatedScheduler()
    disk = new SimulatedDisk(new SeededRandom(1), { scheduler })
  })
  const afterCrash = (
    seed: number,
    steps: (file: DiskFile, disk: SimulatedDisk, scheduler: SimulatedScheduler) => Promise<void>,
  ) => {
    const time = new SimulatedScheduler()
    const machine = new SimulatedDisk(new SeededRandom(seed), { scheduler: time })
    machine.makeDirectorySync('/d')
    const file = createSafely(machine, '/d/f', 'old')
    return steps(file, machine, time).then(() => {
      machine.crash()
      return bytesOf(machine, '/d/f').toString()
    })
  }

  test('that fails loses what it should have made durable, and a second one does not bring it back', async () => {
    for (let seed = 1; seed <= 50; seed++) {
      const found = await afterCrash(seed, async (file, machine) => {
        file.writeSync(Buffer.from('new'), 0)
        machine.fault = (call) => (call === 'datasync' ? failure('EIO') : undefined)
        assert.throws(() => file.datasyncSync(), code('EIO'))
        machine.fault = undefined
        file.datasyncSync()
        assert.equal(bytesOf(machine, '/d/f').toString(), 'new', 'programs still see it')
      })
      assert.equal(found, 'old', `seed ${seed}`)
    }
  })
  test('after a failed one brings what was written anew', async () => {
    const found = await afterCrash(1, async (file, machine) => {
      file.writeSync(Buffer.from('new'), 0)
      machine.fault = (call) => (call === 'datasync' ? failure('EIO') : undefined)
      assert.throws(() => file.datasyncSync(), code('EIO'))
      machine.fault = undefined
      file.writeSync(Buffer.from('new'), 0)
      file.datasyncSync()
    })
    assert.equal(found, 'new')
  })
  test('covers what was written before it began, and may miss what came later', async () => {
    const seen = new Set<string>()
    for (let seed = 1; seed <= 100; seed++) {
      seen.add(
        await afterCrash(seed, async (file, _machine, time) => {
          file.writeSync(Buffer.from('new'), 0)
          let isDone = false
          file.datasync(() => {
            isDone = true
          })
          file.writeSync(Buffer.from('late'), 0)
          await time.advance(10)
          assert.ok(isDone)
        }),
      )
    }
    assert.deepEqual(
      [...seen].filter((each) => each.startsWith('old')),
      [],
    )
    assert.ok(seen.has('new') && seen.has('late'), [...seen].join())
  })
  test('answers within its latency, at the same time for the same seed', async () => {
    const file = disk.openSync('/f', 'create')
    const times: number[] = []
    for (let at = 0; at < 50; at++) file.datasync(() => times.push(scheduler.monotonic()))
    assert.deepEqual(times, [])
    await scheduler.advance(2)
    assert.equal(times.length, 50)
    assert.ok(new Set(times).size > 25)
  })
})

describe('a disk that is full', () => {
  test('refuses new pages with ENOSPC, takes writes to old ones, and has room again after a removal', () => {
    const disk = diskOf(1, 3 * PAGE)
    const file = create(disk, '/d/f')
    file.truncateSync(1_000_000)
    assert.equal(disk.usedBytes, 0, 'holes take nothing')
    for (const page of [0, 1, 2]) file.writeSync(Buffer.from('x'), page * PAGE)
    assert.equal(disk.spaceSync('/d').totalBytes, 3 * PAGE)
    assert.equal(disk.spaceSync('/d').availableBytes, 0)
    assert.throws(() => file.writeSync(Buffer.from('x'), 3 * PAGE), code('ENOSPC'))
    file.writeSync(Buffer.from('y'), PAGE)
    const other = create(disk, '/d/g')
    assert.throws(() => other.writeSync(Buffer.from('x'), 0), code('ENOSPC'))
    disk.removeSync('/d/f')
    other.writeSync(Buffer.from('x'), 0)
    assert.equal(disk.usedBytes, PAGE)
  })
  test('says so to a write that answers later', async () => {
    const scheduler = new SimulatedScheduler()
    const disk = new SimulatedDisk(new SeededRandom(1), { scheduler, capacityBytes: PAGE })
    const file = disk.openSync('/f', 'create')
    const errors: (string | undefined)[] = []
    file.write(Buffer.alloc(2 * PAGE), 0, (error) => errors.push(error?.code))
    await scheduler.advance(10)
    assert.deepEqual(errors, ['ENOSPC'])
  })
})

describe('a fault', () => {
  test('strikes the calls and files that it names', () => {
    const disk = diskOf(1)
    const [good, bad] = [create(disk, '/d/good'), create(disk, '/d/bad')]
    for (const call of ['write', 'read', 'datasync'] as const) {
      disk.fault = (which, path) => (which === call && path.endsWith('bad') ? failure('EIO') : undefined)
      const act = (file: DiskFile): void => {
        if (call === 'write') file.writeSync(Buffer.from('x'), 0)
        else if (call === 'read') file.readSync(Buffer.alloc(1), 0)
        else file.datasyncSync()
      }
      assert.throws(() => act(bad), code('EIO'))
      act(good)
    }
    disk.fault = (call) => (call === 'create' ? failure('EMFILE') : undefined)
    assert.throws(() => disk.openSync('/d/new', 'write'), code('EMFILE'))
    disk.openSync('/d/good', 'write').closeSync()
  })
  test('of the caller is one too: a closed file, a second close', () => {
    const file = create(diskOf(1), '/d/f')
    file.closeSync()
    assert.throws(() => file.writeSync(Buffer.from('x'), 0), code('EBADF'))
    assert.throws(() => file.closeSync(), code('EBADF'))
  })
})

test('a sync of a directory off the loop covers what was asked for before it, and nothing before it has ended', async () => {
  for (const [isOver, survives] of [
    [true, 'a'],
    [false, undefined],
  ] as const) {
    const seen = new Set<string>()
    for (let seed = 0; seed < 50; seed++) {
      const scheduler = new SimulatedScheduler()
      const disk = new SimulatedDisk(new SeededRandom(seed), { scheduler })
      disk.makeDirectorySync('/d')
      create(disk, '/d/a')
      disk.syncDirectory('/d', () => {})
      create(disk, '/d/b')
      if (isOver) await scheduler.advance(10)
      disk.crash()
      seen.add(disk.listSync('/d').join())
    }
    assert.equal(seen.has(''), !isOver)
    assert.ok(seen.has('a,b'))
    if (survives !== undefined) assert.ok(seen.has(survives))
  }
})
