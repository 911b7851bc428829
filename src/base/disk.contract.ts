import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, test } from 'node:test'
import type { Disk, DiskError } from './disk.ts'

export interface DiskUnderTest {
  disk: Disk
  /** An empty directory. */
  root: string
  /** Lets time pass until the call has answered. */
  settle<T>(answer: Promise<T>): Promise<T>
  close(): void
}

const code = (expected: string) => (error: unknown) => (error as DiskError).code === expected

/** What every disk does; run against each implementation. */
export function diskContract(name: string, open: () => DiskUnderTest): void {
  describe(`${name} disk`, () => {
    let parts: DiskUnderTest
    let disk: Disk
    let root: string
    beforeEach(() => {
      parts = open()
      ;({ disk, root } = parts)
    })
    afterEach(() => parts.close())

    const put = (path: string, text: string, position = 0): void => {
      const file = disk.openSync(path, 'write')
      file.writeSync(Buffer.from(text), position)
      file.closeSync()
    }
    const textOf = (path: string): string => {
      const file = disk.openSync(path, 'read')
      const bytes = Buffer.alloc(file.sizeSync())
      assert.equal(file.readSync(bytes, 0), bytes.length)
      file.closeSync()
      return bytes.toString('latin1')
    }

    test('opens: read what exists, create what does not, write either', () => {
      const path = `${root}/f`
      assert.throws(() => disk.openSync(path, 'read'), code('ENOENT'))
      disk.openSync(path, 'create').closeSync()
      assert.throws(() => disk.openSync(path, 'create'), code('EEXIST'))
      disk.openSync(path, 'read').closeSync()
      put(path, 'abc')
      const file = disk.openSync(path, 'write')
      assert.deepEqual([file.path, file.sizeSync()], [path, 3], 'and does not empty it')
      file.closeSync()
      for (const mode of ['write', 'create', 'read'] as const)
        assert.throws(() => disk.openSync(`${root}/no/f`, mode), code('ENOENT'))
    })
    test('makes a folder with its parents, also when its names are synced later', () => {
      disk.makeDirectorySync(`${root}/a/b`, 'later')
      disk.makeDirectorySync(`${root}/a/b`, 'later')
      assert.deepEqual([disk.listSync(root), disk.listSync(`${root}/a`)], [['a'], ['b']])
      put(`${root}/a/b/f`, 'x')
      for (const directory of [`${root}/a/b`, `${root}/a`, root]) disk.syncDirectorySync(directory)
      assert.equal(textOf(`${root}/a/b/f`), 'x')
    })
    test('writes over, behind the end and far beyond it, where zeros come between', () => {
      const path = `${root}/f`
      put(path, 'hello world')
      put(path, 'J', 0)
      put(path, 'xy', 10)
      assert.equal(textOf(path), 'Jello worlxy')
      put(path, 'z', 10_000)
      const text = textOf(path)
      assert.equal(text.length, 10_001)
      assert.equal(text.slice(12, -1), '\0'.repeat(9_988))
      assert.equal(text.at(-1), 'z')
    })
    test('reads short at the end only, also where pages meet', () => {
      const path = `${root}/f`
      const bytes = Buffer.from(Array.from({ length: 9_000 }, (_, at) => at % 251))
      put(path, bytes.toString('latin1').replace(/[\u0080-\uffff]/g, 'x'))
      const whole = Buffer.from(textOf(path), 'latin1')
      const file = disk.openSync(path, 'read')
      for (const [position, length] of [
        [0, 10],
        [4_090, 12],
        [4_096, 4_096],
        [100, 8_900],
        [8_990, 100],
        [9_000, 5],
        [20_000, 5],
      ]) {
        const into = Buffer.alloc(length!)
        const count = file.readSync(into, position!)
        assert.deepEqual(into.subarray(0, count), whole.subarray(position!, position! + length!))
      }
      file.closeSync()
    })
    test('truncates down, and up with zeros, also over what was cut', () => {
      const path = `${root}/f`
      put(path, 'abcdef')
      const file = disk.openSync(path, 'write')
      file.truncateSync(2)
      assert.equal(file.sizeSync(), 2)
      file.truncateSync(5_000)
      file.truncateSync(5)
      file.closeSync()
      assert.equal(textOf(path), 'ab\0\0\0')
      assert.equal(disk.statSync(path)!.sizeBytes, 5)
    })
    test('answers later with what the synchronous calls do', async () => {
      const path = `${root}/f`
      const file = disk.openSync(path, 'create')
      const later = <T>(call: (done: (error: DiskError | null, value?: T) => void) => void): Promise<T | undefined> =>
        parts.settle(
          new Promise((resolve, reject) => call((error, value) => (error === null ? resolve(value) : reject(error)))),
        )
      await later((done) => file.write(Buffer.from('hello'), 3, done))
      await later((done) => file.datasync(done))
      const into = Buffer.alloc(10)
      assert.equal(await later<number>((done) => file.read(into, 2, done)), 6)
      assert.equal(into.toString('latin1', 0, 6), '\0hello')
      file.closeSync()
      await later((done) => disk.remove(path, done))
      assert.equal(disk.statSync(path), undefined)
      await later((done) => disk.remove(path, done))
      await later((done) => disk.syncDirectory(root, done))
      const failed = await later<DiskError | null>((done) =>
        disk.syncDirectory(`${root}/no`, (error) => done(null, error)),
      )
      assert.equal(failed?.code, 'ENOENT')
    })
    test('lists, renames over, and removes', () => {
      put(`${root}/a`, '1')
      put(`${root}/b`, '2')
      assert.deepEqual(disk.listSync(root).sort(), ['a', 'b'])
      disk.renameSync(`${root}/a`, `${root}/b`)
      assert.deepEqual(disk.listSync(root), ['b'])
      assert.equal(textOf(`${root}/b`), '1')
      assert.throws(() => disk.renameSync(`${root}/a`, `${root}/c`), code('ENOENT'))
      assert.throws(() => disk.renameSync(`${root}/b`, `${root}/no/b`), code('ENOENT'))
      disk.removeSync(`${root}/b`)
      disk.removeSync(`${root}/b`)
      assert.deepEqual(disk.listSync(root), [])
      assert.deepEqual(disk.listSync(`${root}/no`), [])
    })
    test('keeps an open file that was renamed or removed', () => {
      put(`${root}/a`, 'x')
      const file = disk.openSync(`${root}/a`, 'write')
      disk.renameSync(`${root}/a`, `${root}/b`)
      file.writeSync(Buffer.from('y'), 1)
      assert.equal(textOf(`${root}/b`), 'xy')
      disk.removeSync(`${root}/b`)
      assert.equal(file.sizeSync(), 2)
      file.closeSync()
    })
    test('makes directories with their parents, and removes them with all they hold', () => {
      disk.makeDirectorySync(`${root}/x/y/z`)
      disk.makeDirectorySync(`${root}/x/y/z`)
      put(`${root}/x/f`, '1')
      put(`${root}/x/y/z/g`, '2')
      assert.deepEqual(disk.listSync(`${root}/x`).sort(), ['f', 'y'])
      assert.equal(disk.statSync(`${root}/x/y`)!.isDirectory, true)
      assert.equal(disk.statSync(`${root}/x/f`)!.isDirectory, false)
      assert.equal(disk.statSync(`${root}/x/f/below`), undefined, 'nothing lies below a file')
      disk.syncDirectorySync(`${root}/x/y`)
      assert.throws(() => disk.syncDirectorySync(`${root}/no`), code('ENOENT'))
      disk.removeTreeSync(`${root}/x`)
      disk.removeTreeSync(`${root}/x`)
      assert.deepEqual(disk.listSync(root), [])
      assert.equal(disk.statSync(`${root}/x/y/z/g`), undefined)
    })
    test('knows its space, also for what does not exist yet', () => {
      const { totalBytes, availableBytes } = disk.spaceSync(`${root}/not/yet`)
      assert.ok(availableBytes > 0 && availableBytes <= totalBytes)
    })
  })
}
