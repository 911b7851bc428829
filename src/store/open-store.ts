import { totalmem } from 'node:os'
import { ConfigFile } from '../base/config-file.ts'
import { processId } from '../base/host.ts'
import { AbortFile } from './abort-file.ts'
import { Checkpoint } from './checkpoint.ts'
import { CommitLog } from './commit-log.ts'
import { ConsumeQueues } from './consume-queue.ts'
import { DeletedTopics } from './deleted-topics.ts'
import { DiskSpace } from './disk-space.ts'
import { Dispatcher } from './dispatch.ts'
import { FileStore } from './file-store.ts'
import { KeyIndex } from './key-index.ts'
import { reachOfLastRun } from './log-reach.ts'
import type { MessageStore, StoreOptions } from './message-store.ts'
import { QueueFiles } from './queue-files.ts'
import { QueueList } from './queue-list.ts'
import { QueueTable } from './queue-table.ts'
import { Recovery } from './recovery.ts'
import { StoreLock } from './store-lock.ts'
import { type StorePaths, storePaths } from './store-paths.ts'
import { refusalOfFullDisk, refuseForeignStore } from './store-refusals.ts'
import { TagsCode } from './tags-code.ts'
import { WriteGate } from './write-gate.ts'

const CHUNK_BYTES = 4_194_304
const LEAST_CHUNKS_BYTES = 16_777_216
const MOST_CHUNKS_BYTES = 134_217_728

/**
 * Opens a store directory, ours or Java's: locks it, recovers it, and gives back a store that runs. What it opened it
 * closes again should a later step refuse.
 *
 * @throws StoreLocked, StoreRefused, StoreCorrupt: their messages are for the operator
 */
export async function openStore(options: StoreOptions): Promise<MessageStore> {
  try {
    return await lockAndOpen(options)
  } catch (error) {
    throw refusalOfFullDisk(error, options.disk, options.settings.storePathRootDir)
  }
}

async function lockAndOpen(options: StoreOptions): Promise<MessageStore> {
  const { settings, disk } = options
  const paths = storePaths(settings.storePathRootDir, settings.storePathCommitLog)
  refuseForeignStore(disk, paths, settings)
  for (const directory of [paths.root, paths.commitLog, paths.consumeQueues, paths.config]) {
    if (disk.statSync(directory) === undefined) disk.makeDirectorySync(directory)
  }
  const lock = new StoreLock(disk, paths, options.processId ?? processId())
  const opened: { close(): void }[] = []
  try {
    const store = build(options, paths, lock, opened)
    if (settings.messageIndexSafe) await store.awaitIndex()
    return store
  } catch (error) {
    for (const each of opened.reverse()) each.close()
    lock.release()
    throw error
  }
}

function build(options: StoreOptions, paths: StorePaths, lock: StoreLock, opened: { close(): void }[]): FileStore {
  const { settings, disk, scheduler, log } = options
  const memoryBytes = options.memoryBytes ?? machineMemory()
  const checkpoint = new Checkpoint(disk, paths.checkpoint, scheduler)
  checkpoint.load()
  const abort = new AbortFile(disk, paths.abort)
  const commitLog = new CommitLog({
    disk,
    directory: paths.commitLog,
    segmentBytes: settings.mappedFileSizeCommitLog,
    chunkBytes: Math.min(CHUNK_BYTES, settings.mappedFileSizeCommitLog),
    chunkBudgetBytes: Math.min(MOST_CHUNKS_BYTES, Math.max(LEAST_CHUNKS_BYTES, memoryBytes / 8)),
    log,
  })
  opened.push(commitLog, checkpoint)
  commitLog.load()
  const table = new QueueTable()
  const files = new QueueFiles({
    disk,
    directory: paths.consumeQueues,
    fileBytes: settings.mappedFileSizeConsumeQueue,
    table,
    log,
  })
  const gate = new WriteGate()
  const space = new DiskSpace({
    disk,
    paths: [paths.commitLog, paths.consumeQueues],
    limits: settings,
    scheduler,
    log,
    gate,
  })
  opened.push({ close: () => space.stop() })
  const queues = new ConsumeQueues({
    files,
    table,
    scheduler,
    intervalMs: settings.flushIntervalConsumeQueue,
    extendedTopics: new Set(disk.listSync(paths.consumeQueueExtensions)),
    onFailure: (error) => {
      const isFull = error !== undefined && space.isNoSpace(error, paths.consumeQueues)
      if (error !== undefined && gate.pausedByQueues === undefined && !isFull) {
        log.error('consume queue not written', { cause: error })
      }
      if (error === undefined) space.proven()
      const reason = error && `consume queue entries cannot be written: ${error.message}`
      gate.pausedByQueues = isFull ? gate.pausedByDisk : reason
    },
  })
  opened.push(queues)
  const tags = new TagsCode(settings.messageDelayLevel)
  const batchTopics = new Set(disk.listSync(paths.batchConsumeQueues))
  if (batchTopics.size > 0) log.warn('batch consume queues are not served', { topics: [...batchTopics].join(' ') })
  const deletedTopics = new DeletedTopics(new ConfigFile(disk, paths.deletedTopics, log))
  deletedTopics.load(commitLog.min)
  const dispatcher = new Dispatcher({ table, queues, tags, deletedTopics, skippedTopics: batchTopics })
  const list = new QueueList({ disk, path: paths.queueList, directory: paths.consumeQueues, table })
  const recovered = new Recovery({
    commitLog,
    table,
    files,
    list,
    queues,
    dispatcher,
    checkpoint,
    scheduler,
    log,
    unclean: abort.isPresent,
    bootId: lock.bootId,
    crc: settings.checkCRCOnRecover,
    reach: reachOfLastRun(checkpoint, abort),
  }).run()
  if (queues.failure !== undefined) throw queues.failure
  deletedTopics.cut(recovered.end)
  const index = settings.messageIndexEnable ? openIndex(options, paths, commitLog, space) : undefined
  opened.push({ close: () => index?.close() })
  index?.load({ unclean: abort.isPresent, syncedTimestamp: checkpoint.indexMsgTimestamp, logEnd: recovered.end })
  const store = new FileStore({
    options,
    memoryBytes,
    paths,
    lock,
    abort,
    checkpoint,
    commitLog,
    table,
    files,
    list,
    queues,
    dispatcher,
    deletedTopics,
    tags,
    gate,
    space,
    recovered,
    index,
  })
  list.remove()
  abort.create(lock.processId)
  store.start()
  return store
}

function openIndex(
  { settings, disk, scheduler, log }: StoreOptions,
  paths: StorePaths,
  commitLog: CommitLog,
  space: DiskSpace,
): KeyIndex {
  const shape = { slots: settings.maxHashSlotNum, units: settings.maxIndexNum }
  return new KeyIndex({ disk, directory: paths.index, shape, scheduler, log, commitLog, space })
}

/** Of the machine, or of the control group when that allows less. */
function machineMemory(): number {
  const allowed = process.constrainedMemory()
  return allowed > 0 ? Math.min(allowed, totalmem()) : totalmem()
}
