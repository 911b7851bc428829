import type { Disk, DiskError } from '../base/disk.ts'
import { sizeText } from './space-text.ts'
import { StoreRefused } from './store-errors.ts'
import type { StorePaths } from './store-paths.ts'

/** A start writes some small files: without room for them it says so, with numbers. Other errors are given back. */
export function refusalOfFullDisk(error: unknown, disk: Disk, root: string): unknown {
  if (!(error instanceof Error) || (error as DiskError).code !== 'ENOSPC') return error
  const { totalBytes, freeBytes, availableBytes } = disk.spaceSync(root)
  return new StoreRefused(
    `the disk of ${root} is full: ${sizeText(totalBytes - freeBytes)} of ${sizeText(totalBytes)} used, ` +
      `${sizeText(availableBytes)} free (${error.message}). Make some room, and start again: nothing is lost`,
    { cause: error },
  )
}

/** Forms of a store directory that RocketMQ knows and this store does not read: said before anything is touched. */
export function refuseForeignStore(
  disk: Disk,
  paths: StorePaths,
  settings: { storeType: string; enableDLegerCommitLog: boolean; storePathCommitLog: string },
): void {
  if (settings.storeType !== 'default') {
    throw new StoreRefused(
      `storeType=${settings.storeType}: consume queues in RocksDB are not read here. ` +
        'Use storeType=default; the consume queues are then built from the commit log',
    )
  }
  if (settings.enableDLegerCommitLog) {
    throw new StoreRefused('enableDLegerCommitLog=true: a DLedger log has another format, and is not read here')
  }
  if (settings.storePathCommitLog.includes(',')) {
    throw new StoreRefused('storePathCommitLog: several paths are not served yet; name one')
  }
  for (const name of disk.listSync(paths.root)) {
    if (name.startsWith('dledger-')) {
      throw new StoreRefused(`${paths.root}/${name} is a DLedger log: it has another format, and is not read here`)
    }
  }
  for (const directory of [
    paths.consumeQueues,
    `${paths.config}/topics`,
    `${paths.config}/subscriptionGroups`,
    `${paths.config}/consumerOffsets`,
    `${paths.config}/rdb`,
  ]) {
    if (disk.listSync(directory).some((name) => name === 'CURRENT' || name.startsWith('MANIFEST-'))) {
      throw new StoreRefused(
        `${directory} is a RocksDB database, which is not read here: export it with Java's tools first`,
      )
    }
  }
}
