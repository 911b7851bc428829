import { dirname } from 'node:path'
import type { Disk, DiskError, DiskFile, FileStat, FileSystemSpace, OpenMode } from './disk.ts'
import type { Random } from './random.ts'
import type { Scheduler } from './scheduler.ts'

const PAGE_BYTES = 4096
const SECTOR_BYTES = 512

export interface SimulatedDiskOptions {
  /** Completes what answers later. */
  scheduler: Scheduler
  /** Longest time that an asynchronous call takes, in ms; each takes a random part of it. */
  latencyMs?: number
  /** Bytes that can be stored; holes take none. */
  capacityBytes?: number
}

/** One change of a file that has not reached the device: a page, or a new length. */
type Volatile = { kind: 'page'; page: number; bytes: Buffer } | { kind: 'length'; sizeBytes: number }

class FileNode {
  /** As programs see it. */
  sizeBytes = 0
  pages = new Map<number, Buffer>()
  /** As the device has it. */
  durableSizeBytes = 0
  durablePages = new Map<number, Buffer>()
  /** In the order in which they were made. */
  volatile: Volatile[] = []
  /** Changes that are volatile no more. */
  #synced = 0
  modifiedMs = 0

  writePage(page: number, at: number, bytes: Uint8Array): void {
    const before = this.pages.get(page)
    const after = before === undefined ? Buffer.alloc(PAGE_BYTES) : Buffer.from(before)
    after.set(bytes, at)
    this.pages.set(page, after)
    this.volatile.push({ kind: 'page', page, bytes: after })
  }

  setSize(sizeBytes: number): void {
    if (sizeBytes < this.sizeBytes) cutPages(this.pages, sizeBytes)
    this.sizeBytes = sizeBytes
    this.volatile.push({ kind: 'length', sizeBytes })
  }

  /** Changes so far; those before it are what a sync that begins now makes durable. */
  get mark(): number {
    return this.#synced + this.volatile.length
  }

  sync(mark: number): void {
    const count = Math.max(0, mark - this.#synced)
    this.#synced += count
    for (const change of this.volatile.splice(0, count)) {
      if (change.kind === 'page') this.durablePages.set(change.page, change.bytes)
      else this.#setDurableSize(change.sizeBytes)
    }
  }

  /**
   * What a failed sync leaves: the pages are clean for the kernel, and were never written, nor will be. Lengths are the
   * journal's, and wait for another sync.
   */
  dropVolatile(): void {
    const lengths = this.volatile.filter(({ kind }) => kind === 'length')
    this.#synced += this.volatile.length - lengths.length
    this.volatile = lengths
  }

  #setDurableSize(sizeBytes: number): void {
    if (sizeBytes < this.durableSizeBytes) cutPages(this.durablePages, sizeBytes)
    this.durableSizeBytes = sizeBytes
  }

  /** The same file, to be changed on its own; all of it durable where that is asked for. */
  copy(isDurable: boolean): FileNode {
    const copied = new FileNode()
    copied.sizeBytes = this.sizeBytes
    copied.pages = new Map(this.pages)
    copied.durableSizeBytes = isDurable ? this.sizeBytes : this.durableSizeBytes
    copied.durablePages = new Map(isDurable ? this.pages : this.durablePages)
    copied.volatile = isDurable ? [] : [...this.volatile]
    copied.modifiedMs = this.modifiedMs
    return copied
  }

  /** Of what was not synced any part may have reached the device: lengths in order, pages whole, torn, or not at all. */
  crash(random: Random): void {
    let lengths = this.volatile.filter(({ kind }) => kind === 'length').length
    lengths = random.below(lengths + 1)
    for (const change of this.volatile) {
      if (change.kind === 'length') {
        if (lengths-- <= 0) continue
        this.#setDurableSize(change.sizeBytes)
        continue
      }
      const fate = random.below(4)
      if (fate === 0) continue
      if (fate > 1) {
        this.durablePages.set(change.page, change.bytes)
        continue
      }
      const torn = Buffer.from(this.durablePages.get(change.page) ?? Buffer.alloc(PAGE_BYTES))
      for (let at = 0; at < PAGE_BYTES; at += SECTOR_BYTES) {
        if (random.below(2) === 0) change.bytes.copy(torn, at, at, at + SECTOR_BYTES)
      }
      this.durablePages.set(change.page, torn)
    }
    // A page beyond the length is not part of the file.
    cutPages(this.durablePages, this.durableSizeBytes)
    this.sizeBytes = this.durableSizeBytes
    this.pages = new Map(this.durablePages)
    this.volatile = []
  }
}

function cutPages(pages: Map<number, Buffer>, sizeBytes: number): void {
  for (const [page, bytes] of pages) {
    const start = page * PAGE_BYTES
    if (start >= sizeBytes) pages.delete(page)
    else if (start + PAGE_BYTES > sizeBytes) {
      const cut = Buffer.from(bytes)
      cut.fill(0, sizeBytes - start)
      pages.set(page, cut)
    }
  }
}

/** One change of a directory that has not reached the device. */
interface EntryChange {
  directory: string
  apply: (entries: Map<string, Map<string, Node>>) => void
}

type Node = FileNode | 'directory'

/**
 * Files in memory that lose at a crash what a device may lose: pages that were not synced, whole, torn by sectors, in
 * any order; names that were made, moved or removed since their directory was synced, the later before the earlier.
 * What was synced stays. The same random gives the same losses.
 */
export class SimulatedDisk implements Disk {
  /** Calls fail when this says so; for tests of one fault. */
  fault: ((call: 'write' | 'read' | 'datasync' | 'create', path: string) => DiskError | undefined) | undefined
  readonly #random: Random
  readonly #options: SimulatedDiskOptions
  readonly #scheduler: Scheduler
  readonly #latencyMs: number
  readonly #capacityBytes: number
  /** directory → name → what is there. */
  #entries = new Map<string, Map<string, Node>>([['/', new Map()]])
  #durable = new Map<string, Map<string, Node>>([['/', new Map()]])
  #changes: EntryChange[] = []
  /** Moves with each crash: what was opened before does nothing any more. */
  #generation = 0

  constructor(random: Random, options: SimulatedDiskOptions) {
    this.#random = random
    this.#options = options
    this.#scheduler = options.scheduler
    this.#latencyMs = options.latencyMs ?? 2
    this.#capacityBytes = options.capacityBytes ?? Number.POSITIVE_INFINITY
  }

  /** The machine loses power, and comes back with what the device holds. */
  crash(): void {
    this.#generation++
    // Changes of directories reach the device in their order; how many did is chance.
    const kept = this.#random.below(this.#changes.length + 1)
    for (const change of this.#changes.slice(0, kept)) change.apply(this.#durable)
    this.#changes = []
    const nodes = new Set<FileNode>()
    for (const names of this.#durable.values()) {
      for (const node of names.values()) if (node !== 'directory') nodes.add(node)
    }
    for (const node of nodes) node.crash(this.#random)
    this.#entries = copyEntries(this.#durable)
  }

  /** Another disk with what this one would hold after a loss of power now; this one goes on. */
  imageAfterCrash(random: Random, scheduler: Scheduler = this.#scheduler): SimulatedDisk {
    const image = new SimulatedDisk(random, { ...this.#options, scheduler })
    const entries = copyEntries(this.#durable)
    for (const change of this.#changes.slice(0, random.below(this.#changes.length + 1))) change.apply(entries)
    image.#entries = copyNodes(entries, (node) => {
      const copied = node.copy(false)
      copied.crash(random)
      return copied
    })
    image.#durable = copyEntries(image.#entries)
    return image
  }

  /** Another disk with what programs see on this one, all of it on the device. */
  image(random: Random, scheduler: Scheduler = this.#scheduler): SimulatedDisk {
    const image = new SimulatedDisk(random, { ...this.#options, scheduler })
    image.#entries = copyNodes(this.#entries, (node) => node.copy(true))
    image.#durable = copyEntries(image.#entries)
    return image
  }

  /** Bytes stored in files, holes not counted. */
  get usedBytes(): number {
    let pages = 0
    for (const names of this.#entries.values()) {
      for (const node of names.values()) if (node !== 'directory') pages += node.pages.size
    }
    return pages * PAGE_BYTES
  }

  openSync(path: string, mode: OpenMode): DiskFile {
    const names = this.#entries.get(dirname(path))
    if (names === undefined) throw failure('ENOENT', path)
    const name = nameOf(path)
    let node = names.get(name)
    if (node === 'directory') throw failure('EISDIR', path)
    if (node !== undefined && mode === 'create') throw failure('EEXIST', path)
    if (node === undefined) {
      if (mode === 'read') throw failure('ENOENT', path)
      const fault = this.fault?.('create', path)
      if (fault !== undefined) throw fault
      node = new FileNode()
      node.modifiedMs = this.#scheduler.now()
      this.#change(dirname(path), (entries) => entries.get(dirname(path))?.set(name, node as FileNode))
    }
    return this.#file(path, node)
  }

  #file(path: string, node: FileNode): DiskFile {
    const generation = this.#generation
    let isOpen = true
    const check = (call: 'write' | 'read' | 'datasync'): void => {
      if (!isOpen) throw failure('EBADF', path)
      if (generation !== this.#generation) throw failure('EIO', path)
      const fault = this.fault?.(call, path)
      if (fault === undefined) return
      if (call === 'datasync') node.dropVolatile()
      throw fault
    }
    const later = (work: () => void, done: (error: DiskError | null) => void): void => {
      this.#scheduler.after(this.#random.next() * this.#latencyMs, () => {
        if (generation !== this.#generation) return
        let failed: DiskError | null = null
        try {
          work()
        } catch (error) {
          failed = error as DiskError
        }
        done(failed)
      })
    }
    const write = (bytes: Uint8Array, position: number): void => {
      check('write')
      this.#write(path, node, bytes, position)
    }
    const read = (into: Uint8Array, position: number): number => {
      check('read')
      return readNode(node, into, position)
    }
    const datasync = (mark: number): void => {
      check('datasync')
      node.sync(mark)
    }
    return {
      path,
      writeSync: write,
      write: (bytes, position, done) => later(() => write(bytes, position), done),
      readSync: read,
      read: (into, position, done) => {
        let count = 0
        later(
          () => {
            count = read(into, position)
          },
          (error) => done(error, count),
        )
      },
      datasync: (done) => {
        // What is written while it is under way may come too late for it.
        const { mark } = node
        later(() => datasync(mark), done)
      },
      datasyncSync: () => datasync(node.mark),
      truncateSync: (sizeBytes) => {
        check('write')
        node.modifiedMs = this.#scheduler.now()
        if (sizeBytes !== node.sizeBytes) node.setSize(sizeBytes)
      },
      sizeSync: () => node.sizeBytes,
      closeSync: () => {
        if (!isOpen) throw failure('EBADF', path)
        isOpen = false
      },
    }
  }

  #write(path: string, node: FileNode, bytes: Uint8Array, position: number): void {
    node.modifiedMs = this.#scheduler.now()
    if (position + bytes.length > node.sizeBytes) node.setSize(position + bytes.length)
    for (let done = 0; done < bytes.length; ) {
      const page = Math.floor((position + done) / PAGE_BYTES)
      const at = position + done - page * PAGE_BYTES
      const count = Math.min(PAGE_BYTES - at, bytes.length - done)
      if (!node.pages.has(page) && this.#capacityBytes !== Number.POSITIVE_INFINITY) {
        if (this.usedBytes + PAGE_BYTES > this.#capacityBytes) throw failure('ENOSPC', path)
      }
      node.writePage(page, at, bytes.subarray(done, done + count))
      done += count
    }
  }

  listSync(directory: string): string[] {
    return [...(this.#entries.get(trim(directory))?.keys() ?? [])]
  }

  statSync(path: string): FileStat | undefined {
    if (this.#entries.has(trim(path))) return { sizeBytes: 0, isDirectory: true, modifiedMs: 0 }
    const node = this.#entries.get(dirname(path))?.get(nameOf(path))
    if (node === undefined || node === 'directory') return undefined
    return { sizeBytes: node.sizeBytes, isDirectory: false, modifiedMs: node.modifiedMs }
  }

  makeDirectorySync(directory: string, durable?: 'later'): void {
    const path = trim(directory)
    if (this.#entries.has(path)) return
    const parent = dirname(path)
    this.makeDirectorySync(parent, durable)
    this.#change(parent, (entries) => {
      entries.get(parent)?.set(nameOf(path), 'directory')
      if (!entries.has(path)) entries.set(path, new Map())
    })
    if (durable !== 'later') this.syncDirectorySync(parent)
  }

  renameSync(from: string, to: string): void {
    const node = this.#entries.get(dirname(from))?.get(nameOf(from))
    if (node === undefined || !this.#entries.has(dirname(to))) throw failure('ENOENT', from)
    if (node === 'directory') throw failure('EISDIR', from)
    this.#change(dirname(to), (entries) => {
      if (entries.get(dirname(from))?.get(nameOf(from)) === node) entries.get(dirname(from))?.delete(nameOf(from))
      entries.get(dirname(to))?.set(nameOf(to), node)
    })
  }

  removeSync(path: string): void {
    if (this.#entries.get(dirname(path))?.has(nameOf(path)) !== true) return
    this.#change(dirname(path), (entries) => entries.get(dirname(path))?.delete(nameOf(path)))
  }

  remove(path: string, done: (error: DiskError | null) => void): void {
    const generation = this.#generation
    this.#scheduler.after(this.#random.next() * this.#latencyMs, () => {
      if (generation !== this.#generation) return
      this.removeSync(path)
      done(null)
    })
  }

  removeTreeSync(directory: string): void {
    const path = trim(directory)
    for (const [name, node] of this.#entries.get(path) ?? []) {
      if (node === 'directory') this.removeTreeSync(`${path}/${name}`)
      else this.removeSync(`${path}/${name}`)
    }
    if (!this.#entries.has(path)) return
    this.#change(dirname(path), (entries) => {
      entries.delete(path)
      entries.get(dirname(path))?.delete(nameOf(path))
    })
  }

  /** Makes durable what was changed in this directory, with what was changed before it elsewhere, as a journal does. */
  syncDirectorySync(directory: string): void {
    const path = trim(directory)
    if (!this.#entries.has(path)) throw failure('ENOENT', path)
    let last = -1
    for (const [index, change] of this.#changes.entries()) if (change.directory === path) last = index
    for (const change of this.#changes.splice(0, last + 1)) change.apply(this.#durable)
  }

  /** Covers what was changed before it was asked for. */
  syncDirectory(directory: string, done: (error: DiskError | null) => void): void {
    const path = trim(directory)
    const asked = [...this.#changes]
    const generation = this.#generation
    this.#scheduler.after(this.#random.next() * this.#latencyMs, () => {
      if (generation !== this.#generation) return
      if (!this.#entries.has(path)) return done(failure('ENOENT', path))
      const known = new Set(asked)
      let last = -1
      for (const [index, change] of this.#changes.entries()) {
        if (change.directory === path && known.has(change)) last = index
      }
      for (const change of this.#changes.splice(0, last + 1)) change.apply(this.#durable)
      done(null)
    })
  }

  spaceSync(_path: string): FileSystemSpace {
    const totalBytes = Number.isFinite(this.#capacityBytes) ? this.#capacityBytes : 1_099_511_627_776
    const freeBytes = totalBytes - this.usedBytes
    return { totalBytes, freeBytes, availableBytes: freeBytes }
  }

  #change(directory: string, apply: (entries: Map<string, Map<string, Node>>) => void): void {
    apply(this.#entries)
    this.#changes.push({ directory, apply })
  }
}

function readNode(node: FileNode, into: Uint8Array, position: number): number {
  const count = Math.max(0, Math.min(into.length, node.sizeBytes - position))
  for (let done = 0; done < count; ) {
    const page = Math.floor((position + done) / PAGE_BYTES)
    const at = position + done - page * PAGE_BYTES
    const length = Math.min(PAGE_BYTES - at, count - done)
    const bytes = node.pages.get(page)
    if (bytes === undefined) into.fill(0, done, done + length)
    else into.set(bytes.subarray(at, at + length), done)
    done += length
  }
  return count
}

const copyEntries = (entries: Map<string, Map<string, Node>>): Map<string, Map<string, Node>> =>
  new Map([...entries].map(([path, names]) => [path, new Map(names)]))

function copyNodes(
  entries: Map<string, Map<string, Node>>,
  copy: (node: FileNode) => FileNode,
): Map<string, Map<string, Node>> {
  // A file that has two names for a moment stays one file.
  const copies = new Map<FileNode, FileNode>()
  const copyOf = (node: Node): Node => {
    if (node === 'directory') return node
    let copied = copies.get(node)
    if (copied === undefined) copies.set(node, (copied = copy(node)))
    return copied
  }
  return new Map(
    [...entries].map(([path, names]) => [path, new Map([...names].map(([name, node]) => [name, copyOf(node)]))]),
  )
}

const trim = (path: string): string => (path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path)
const nameOf = (path: string): string => path.slice(path.lastIndexOf('/') + 1)

function failure(code: string, path: string): DiskError {
  const error: DiskError = new Error(`${code}: ${path}`)
  error.code = code
  return error
}
