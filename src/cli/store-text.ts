import type { CheckResult } from '../store/check/store-check.ts'
import type { StoreDirectory } from '../store/check/store-directory.ts'
import type { StoreFault } from '../store/check/store-fault.ts'
import type { Inspection } from '../store/check/store-inspect.ts'
import type { RepairPlan } from '../store/check/store-repair.ts'
import { bytesText } from './progress.ts'

const counted = (count: number, word: string): string => `${count} ${word}${count === 1 ? '' : 's'}`

export function checkText({ paths, segments }: StoreDirectory, { faults, messages, tail }: CheckResult): string {
  const serious = faults.filter(({ isOrdinary }) => !isOrdinary)
  const ordinary = faults.filter(({ isOrdinary }) => isOrdinary)
  const read = `${paths.root}: ${counted(segments.length, 'segment')}, ${counted(messages, 'message')}, the log ends at ${tail.end}`
  const lines = [read, ...serious.flatMap(faultLines)]
  if (ordinary.length > 0)
    lines.push('', 'left by the last run, and mended by the next start:', ...ordinary.flatMap(faultLines))
  lines.push('', serious.length === 0 ? 'nothing is wrong' : counted(serious.length, 'fault'))
  return `${lines.join('\n')}\n`
}

function faultLines({ path, byte, position, what, effect, remedy }: StoreFault): string[] {
  const where = position === undefined ? `byte ${byte}` : `byte ${byte}, position ${position}`
  return ['', `${path}, ${where}: ${what}`, `  ${effect}`, `  mended by: ${remedy}`]
}

export function planText({ steps, left }: RepairPlan, isSound: boolean): string {
  const lines = steps.map(({ what }) => `would ${what}`)
  for (const each of left) lines.push(`left: ${each}`)
  if (steps.length === 0) lines.push(isSound ? 'nothing is wrong' : 'nothing that repair could mend')
  return `${lines.join('\n')}\n`
}

export function inspectionText(inspection: Inspection): string {
  const { segments, segmentBytes, minPosition, endPosition, messages, unqueued, versions, damagedBytes } = inspection
  const time = (ms: number): string => (ms === 0 ? '-' : new Date(ms).toISOString())
  const rows: [string, string][] = [
    ['directory', inspection.directory],
    ['last writer', inspection.lastWriter],
    ['last stop', inspection.stop],
    [
      'commit log',
      `${counted(segments, 'segment')} of ${bytesText(segmentBytes)}, positions ${minPosition} to ${endPosition}`,
    ],
    ['messages', `${messages}${unqueued > 0 ? `, of which ${unqueued} in no queue (transactions)` : ''}`],
    [
      'record versions',
      Object.entries(versions)
        .map(([version, count]) => `${version}: ${count}`)
        .join(', ') || '-',
    ],
    ['stored from', time(inspection.firstStoreTimestamp)],
    ['stored to', time(inspection.lastStoreTimestamp)],
    ['not readable', damagedBytes === 0 ? 'nothing' : `${damagedBytes} bytes; see cometmq store check`],
  ]
  const lines = rows.map(([name, value]) => `${name.padEnd(17)}${value}`)
  const width = Math.max(5, ...inspection.queues.map(({ topic }) => topic.length))
  lines.push('', `${'topic'.padEnd(width)}  queue        from          to    messages       bytes`)
  for (const { topic, queueId, minOffset, maxOffset, messages: count, sizeBytes } of inspection.queues) {
    const numbers = [minOffset, maxOffset, count].map((value) => String(value).padStart(12)).join('')
    lines.push(`${topic.padEnd(width)}  ${String(queueId).padStart(5)}${numbers}${bytesText(sizeBytes).padStart(12)}`)
  }
  return `${lines.join('\n')}\n`
}
