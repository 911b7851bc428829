/** Names of files and folders in a store directory, as RocketMQ spells them. */
export interface StorePaths {
  readonly root: string
  readonly commitLog: string
  readonly consumeQueues: string
  readonly consumeQueueExtensions: string
  readonly batchConsumeQueues: string
  readonly index: string
  readonly config: string
  /** Ours: topics deleted while the log still holds their records. */
  readonly deletedTopics: string
  readonly checkpoint: string
  readonly abort: string
  /** Java takes an fcntl lock on its first byte. */
  readonly lock: string
  /** Ours: who runs on this directory. Java does not look at it. */
  readonly owner: string
  /** Ours: what a clean stop knew of every queue. */
  readonly queueList: string
}

export function storePaths(root: string, commitLog: string): StorePaths {
  const base = root.length > 1 && root.endsWith('/') ? root.slice(0, -1) : root
  return {
    root: base,
    commitLog: commitLog === '' ? `${base}/commitlog` : commitLog,
    consumeQueues: `${base}/consumequeue`,
    consumeQueueExtensions: `${base}/consumequeue_ext`,
    batchConsumeQueues: `${base}/batchconsumequeue`,
    index: `${base}/index`,
    config: `${base}/config`,
    deletedTopics: `${base}/config/deletedTopics.json`,
    checkpoint: `${base}/checkpoint`,
    abort: `${base}/abort`,
    lock: `${base}/lock`,
    owner: `${base}/cometmq.owner`,
    queueList: `${base}/cometmq.queues`,
  }
}

export const folderOf = (path: string): string => path.slice(0, path.lastIndexOf('/')) || '/'

/** What mends the store whose commit log lies in this folder, unless told otherwise below the store's own. */
export function repairCommand(commitLog: string): string {
  if (commitLog.endsWith('/commitlog')) return `cometmq store repair ${folderOf(commitLog)}`
  return `cometmq store repair DIR --commitlog ${commitLog}`
}

/** A segment's name is the address of its first byte, in 20 digits. */
export function fileNameOf(firstByte: number): string {
  return String(firstByte).padStart(20, '0')
}

/** undefined when the name is not 20 digits. */
export function firstByteOf(fileName: string): number | undefined {
  return /^\d{20}$/.test(fileName) ? Number(fileName) : undefined
}
