import { crc32 } from 'node:zlib'
import type { Disk } from '../../base/disk.ts'
import { parseJavaJson } from '../../protocol/java-json.ts'
import { decodeHeader, HEADER_BYTES, isIndexFileName, SLOT_BYTES, UNIT_BYTES } from '../index-layout.ts'
import type { StoreDirectory } from './store-directory.ts'
import type { StoreFault } from './store-fault.ts'

const CHECKPOINT_BYTES = 4096
const NOTE_AT = [1024, 2048]
const NOTE_BYTES = 160
const NOTE_MAGIC = 0x434d5131
const STAMPS = ['physicMsgTimestamp', 'logicsMsgTimestamp', 'indexMsgTimestamp']
const AT_START = 'the next start of CometMQ builds it again'

/** What the log says, against which the small files are held. */
export interface LogFacts {
  end: number
  lastStoreTimestamp: number
}

/** Faults of the checkpoint, of the index files' headers, and of the configuration. */
export function checkSmallFiles(directory: StoreDirectory, log: LogFacts): StoreFault[] {
  return [...checkCheckpoint(directory, log), ...checkIndex(directory, log), ...checkConfig(directory)]
}

function checkCheckpoint(directory: StoreDirectory, log: LogFacts): StoreFault[] {
  const { disk, paths, checkpoint } = directory
  const fault = (byte: number, what: string): StoreFault => ({
    kind: 'checkpoint',
    path: paths.checkpoint,
    byte,
    sizeBytes: 8,
    what,
    effect: 'nothing is lost: without it the next start reads the whole log',
    remedy: directory.repairCommand,
    isOrdinary: false,
  })
  const page = readWhole(disk, paths.checkpoint)
  if (page === undefined) return []
  const faults: StoreFault[] = []
  if (page.length !== CHECKPOINT_BYTES)
    faults.push(fault(0, `${page.length} bytes long instead of ${CHECKPOINT_BYTES}`))
  const stamps = [checkpoint.physicMsgTimestamp, checkpoint.logicsMsgTimestamp, checkpoint.indexMsgTimestamp]
  for (const [index, stamp] of stamps.entries()) {
    if (stamp >= 0 && stamp <= log.lastStoreTimestamp) continue
    faults.push(fault(index * 8, `${STAMPS[index]} is ${stamp}, and the last message is of ${log.lastStoreTimestamp}`))
  }
  const { confirmPhyOffset, logicsPhysicalOffset } = checkpoint
  for (const [byte, name, position] of [
    [32, 'confirmPhyOffset', confirmPhyOffset],
    [40, 'logicsPhysicalOffset', logicsPhysicalOffset],
  ] as const) {
    if (position < -1 || position > log.end)
      faults.push(fault(byte, `${name} is ${position}, and the log ends at ${log.end}`))
  }
  const marked = NOTE_AT.filter((at) => page.length >= at + NOTE_BYTES && page.readUInt32BE(at) === NOTE_MAGIC)
  for (const at of marked) {
    if (page.readUInt32BE(at + 4) === crc32(page.subarray(at + 8, at + NOTE_BYTES))) continue
    faults.push({
      ...fault(at, 'a note of CometMQ has a wrong checksum'),
      sizeBytes: NOTE_BYTES,
      // One of the two may be torn by a power loss; the other then stands.
      isOrdinary: marked.length === 2 && directory.isUnclean,
    })
  }
  return faults
}

function checkIndex({ disk, paths, isUnclean, min }: StoreDirectory, log: LogFacts): StoreFault[] {
  const faults: StoreFault[] = []
  for (const name of disk.listSync(paths.index).sort()) {
    const path = `${paths.index}/${name}`
    if (!isIndexFileName(name) || disk.statSync(path)?.isDirectory === true) continue
    const { sizeBytes } = disk.statSync(path)!
    const fault = (byte: number, what: string): void => {
      faults.push({
        kind: 'index',
        path,
        byte,
        sizeBytes: HEADER_BYTES,
        what,
        effect: 'nothing is lost: the index is built from the log; until then queries by key may miss messages',
        remedy: AT_START,
        isOrdinary: isUnclean,
      })
    }
    const bytes = readWhole(disk, path, HEADER_BYTES)
    if (bytes === undefined || bytes.length < HEADER_BYTES || (sizeBytes - HEADER_BYTES) % SLOT_BYTES !== 0) {
      fault(0, `${sizeBytes} bytes long: no index file`)
      continue
    }
    const header = decodeHeader(bytes)
    const mostUnits = Math.floor((sizeBytes - HEADER_BYTES) / UNIT_BYTES)
    if (header.nextUnit > mostUnits)
      fault(36, `it says that unit ${header.nextUnit} is the next, and ${mostUnits} have room`)
    else if (header.usedSlots < 0 || header.usedSlots >= header.nextUnit) {
      fault(32, `it says that ${header.usedSlots} slots are in use by ${header.nextUnit - 1} units`)
    }
    if (header.nextUnit <= 1) continue
    if (header.beginPosition > header.endPosition) {
      fault(16, `it says that it begins at position ${header.beginPosition} and ends at ${header.endPosition}`)
    } else if (header.endPosition >= log.end && header.endPosition >= min) {
      fault(24, `it points to position ${header.endPosition}, and the log ends at ${log.end}`)
    }
    if (header.beginTimestamp > header.endTimestamp) {
      fault(0, `its times run backwards: ${header.beginTimestamp} to ${header.endTimestamp}`)
    }
  }
  return faults
}

function checkConfig(directory: StoreDirectory): StoreFault[] {
  const { disk, paths } = directory
  const faults: StoreFault[] = []
  const names = new Set(disk.listSync(paths.config).filter((name) => /\.json(\.bak)?$/.test(name)))
  for (const name of [...new Set([...names].map((each) => each.replace(/\.bak$/, '')))].sort()) {
    const path = `${paths.config}/${name}`
    const main = faultOfJson(readWhole(disk, path))
    const backup = faultOfJson(readWhole(disk, `${path}.bak`))
    if (main === undefined && (backup === undefined || backup.isMissing)) continue
    // Java renames to .bak before it writes: a crash in between leaves the backup alone.
    const isBetween = main?.isMissing === true && backup === undefined
    const common = { kind: 'config' as const, sizeBytes: 0 }
    if (main === undefined) {
      faults.push({
        ...common,
        path: `${path}.bak`,
        byte: backup!.byte,
        what: backup!.what,
        effect: 'nothing is lost: it is only a backup, and the file itself is whole',
        remedy: directory.repairCommand,
        isOrdinary: false,
      })
    } else if (backup === undefined) {
      faults.push({
        ...common,
        path,
        byte: main.byte,
        what: main.what,
        effect: 'what changed since the backup beside it is lost; a start reads the backup',
        remedy: directory.repairCommand,
        isOrdinary: isBetween,
      })
    } else {
      faults.push({
        ...common,
        path,
        byte: main.byte,
        what: `${main.what}, and its backup is no better`,
        effect: 'what it said is lost: no start gets by it',
        remedy: 'restore it from a copy, or mend its text by hand; moved away, the broker begins with an empty table',
        isOrdinary: false,
      })
    }
  }
  return faults
}

function faultOfJson(bytes: Buffer | undefined): { what: string; byte: number; isMissing: boolean } | undefined {
  if (bytes === undefined) return { what: 'the file is missing', byte: 0, isMissing: true }
  const text = bytes.toString('utf8')
  if (text.trim() === '' || text.includes('\0')) {
    return {
      what: text.trim() === '' ? 'the file is empty' : 'zero bytes in the text',
      byte: Math.max(0, bytes.indexOf(0)),
      isMissing: false,
    }
  }
  try {
    parseJavaJson(text)
    return undefined
  } catch (error) {
    const byte = /(?:at|position|byte|character) (\d+)/.exec((error as Error).message)?.[1]
    return { what: `no JSON: ${(error as Error).message}`, byte: Number(byte ?? 0), isMissing: false }
  }
}

function readWhole(disk: Disk, path: string, most = 64_000_000): Buffer | undefined {
  const stat = disk.statSync(path)
  if (stat === undefined || stat.isDirectory) return undefined
  const file = disk.openSync(path, 'read')
  try {
    const bytes = Buffer.alloc(Math.min(most, file.sizeSync()))
    return bytes.subarray(0, file.readSync(bytes, 0))
  } finally {
    file.closeSync()
  }
}
