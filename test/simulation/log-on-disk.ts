import type { Disk } from '../../src/base/disk.ts'
import { javaHashCode } from '../../src/protocol/java-hash.ts'
import { decodeMessage, type StoredMessage } from '../../src/protocol/message.ts'

/** A queue as the log alone tells it: offset → entry. */
export type QueueInLog = Map<number, { position: number; sizeBytes: number; tagsCode: bigint; message: StoredMessage }>

export function readFile(disk: Disk, path: string): Buffer {
  const file = disk.openSync(path, 'read')
  try {
    const bytes = Buffer.alloc(file.sizeSync())
    file.readSync(bytes, 0)
    return bytes
  } finally {
    file.closeSync()
  }
}

/** Reads the segments in the plainest way, sharing nothing with the store but the layout of a record. */
export function queuesInLog(disk: Disk, directory: string): { queues: Map<string, QueueInLog>; end: number } {
  const queues = new Map<string, QueueInLog>()
  let end = 0
  for (const name of disk.listSync(directory).sort()) {
    const bytes = readFile(disk, `${directory}/${name}`)
    const base = Number(name)
    for (let at = 0; at + 8 <= bytes.length; ) {
      const size = bytes.readInt32BE(at)
      if (size <= 0 || bytes.readInt32BE(at + 4) === (0xcbd43194 | 0)) break
      const message = decodeMessage(bytes.subarray(at, at + size), 0)
      end = base + at + size
      const transaction = message.sysFlag & 0xc
      if (transaction === 0 || transaction === 0x8) {
        const key = `${message.topic} ${message.queueId}`
        if (!queues.has(key)) queues.set(key, new Map())
        const tag = message.properties.get('TAGS')
        queues.get(key)!.set(message.queueOffset, {
          position: base + at,
          sizeBytes: size,
          tagsCode: tag === undefined ? 0n : BigInt(javaHashCode(tag)),
          message,
        })
      }
      at += size
    }
  }
  return { queues, end }
}

/** Every file below a folder, by path. */
export function filesBelow(disk: Disk, directory: string): Map<string, Buffer> {
  const found = new Map<string, Buffer>()
  for (const name of disk.listSync(directory).sort()) {
    const path = `${directory}/${name}`
    if (disk.statSync(path)?.isDirectory === true) {
      for (const [below, bytes] of filesBelow(disk, path)) found.set(below, bytes)
    } else found.set(path, readFile(disk, path))
  }
  return found
}
