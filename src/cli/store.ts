import { isAbsolute, resolve } from 'node:path'
import { processId } from '../base/host.ts'
import { systemDisk } from '../base/system-disk.ts'
import { systemScheduler } from '../base/system-scheduler.ts'
import { checkStore } from '../store/check/store-check.ts'
import { StoreDirectory } from '../store/check/store-directory.ts'
import { type ExportFilter, exportStore } from '../store/check/store-export.ts'
import { StoreUnreadable } from '../store/check/store-fault.ts'
import { inspectStore } from '../store/check/store-inspect.ts'
import { StoreRepair } from '../store/check/store-repair.ts'
import { storeSettings } from '../store/settings.ts'
import { StoreLock } from '../store/store-lock.ts'
import { storePaths } from '../store/store-paths.ts'
import { count, readArguments } from './arguments.ts'
import { Failure } from './failure.ts'
import { Progress } from './progress.ts'
import { checkText, inspectionText, planText } from './store-text.ts'

const usage = `cometmq store VERB DIR [OPTIONS]      looks after a store directory, ours or a Java broker's, that no broker runs on

  check      reads everything and changes nothing; each fault once, with file, byte, what it costs and what mends it
  inspect    what is in it: topics, queues, offsets, bytes, times, and how the last run ended
  repair     mends what check finds; what is replaced is kept in DIR/lost+found
  export     writes messages as lines of JSON to standard output, over damage

      --json               check, inspect, repair: one JSON object
      --dry-run            repair: says what it would do
      --cut                repair: where nothing else helps, may cut the log; what lies behind is kept in DIR/lost+found
      --topic NAME         export: this topic only
      --queue N            export: this queue only
      --from WHERE         export: from a queue offset such as 100, or a store time such as 2026-01-31T12:00:00Z
      --to WHERE           export: up to there, without it
      --commitlog DIR      where the commit log lies, when not in DIR/commitlog
      --segment-bytes N    mappedFileSizeCommitLog, when the files do not tell it
      --queue-file-bytes N mappedFileSizeConsumeQueue, likewise
      --delay-levels L     messageDelayLevel of the broker, when it is not the default
  -h, --help

Exit code: 0 nothing is wrong, 2 something is, 1 it could not be looked at.
`

const options = {
  help: { type: 'boolean', short: 'h' },
  json: { type: 'boolean' },
  'dry-run': { type: 'boolean' },
  cut: { type: 'boolean' },
  topic: { type: 'string' },
  queue: { type: 'string' },
  from: { type: 'string' },
  to: { type: 'string' },
  commitlog: { type: 'string' },
  'segment-bytes': { type: 'string' },
  'queue-file-bytes': { type: 'string' },
  'delay-levels': { type: 'string' },
} as const

const VERBS = ['check', 'inspect', 'repair', 'export'] as const
type Verb = (typeof VERBS)[number]

export interface StoreOptions {
  verb: Verb
  root: string
  commitLog: string
  segmentBytes: number | undefined
  queueFileBytes: number | undefined
  delayLevels: string
  json: boolean
  dryRun: boolean
  cut: boolean
  filter: ExportFilter
}

/** @returns undefined when help is asked for. @throws Failure */
export function readStoreOptions(args: string[]): StoreOptions | undefined {
  const { values, positionals } = readArguments('store', args, options)
  if (values.help === true) return undefined
  const [verb, root] = positionals
  if (verb === undefined || !VERBS.includes(verb as Verb)) {
    throw new Failure(`store takes a verb, one of ${VERBS.join(', ')}${verb === undefined ? '' : `, not '${verb}'`}`)
  }
  if (root === undefined || positionals.length > 2)
    throw new Failure(`store ${verb} takes one folder: cometmq store ${verb} DIR`)
  const [fromOffset, fromMs] = place('from', values.from)
  const [toOffset, toMs] = place('to', values.to)
  return {
    verb: verb as Verb,
    root: isAbsolute(root) ? root : resolve(root),
    commitLog: values.commitlog === undefined ? '' : resolve(values.commitlog),
    segmentBytes: count('segment-bytes', values['segment-bytes'], 1),
    queueFileBytes: count('queue-file-bytes', values['queue-file-bytes'], 20),
    delayLevels: values['delay-levels'] ?? storeSettings.parse({}).settings.messageDelayLevel,
    json: values.json ?? false,
    dryRun: values['dry-run'] ?? false,
    cut: values.cut ?? false,
    filter: { topic: values.topic, queueId: count('queue', values.queue, 0), fromOffset, toOffset, fromMs, toMs },
  }
}

/** A queue offset, or a time: as [offset, ms]. */
function place(name: string, word: string | undefined): [number | undefined, number | undefined] {
  if (word === undefined) return [undefined, undefined]
  if (/^\d{1,12}$/.test(word)) return [Number(word), undefined]
  const ms = /^\d{4}-\d{2}-\d{2}/.test(word) ? Date.parse(word) : Number.NaN
  if (Number.isNaN(ms)) {
    throw new Failure(
      `--${name} takes a queue offset such as 100, or a time such as 2026-01-31T12:00:00Z, not '${word}'`,
    )
  }
  return [undefined, ms]
}

export async function run(args: string[]): Promise<number> {
  const wanted = readStoreOptions(args)
  if (wanted === undefined) {
    process.stdout.write(usage)
    return 0
  }
  const progress = new Progress(systemScheduler, process.stderr)
  try {
    return await WORK[wanted.verb](wanted, progress)
  } catch (error) {
    if (error instanceof StoreUnreadable) throw new Failure(error.message)
    throw error
  } finally {
    progress.clear()
  }
}

const WORK: Record<Verb, (wanted: StoreOptions, progress: Progress) => number | Promise<number>> = {
  check: (wanted, progress) => {
    const directory = directoryOf(wanted)
    const result = checkStore({ directory, delayLevels: wanted.delayLevels, onProgress: progress.show })
    progress.clear()
    const { faults, isSound, messages, tail } = result
    if (wanted.json) print({ directory: wanted.root, isSound, messages, endPosition: tail.end, faults })
    else process.stdout.write(checkText(directory, result))
    return isSound ? 0 : 2
  },
  inspect: (wanted, progress) => {
    const inspection = inspectStore(directoryOf(wanted), wanted.delayLevels, progress.show)
    progress.clear()
    if (wanted.json) print(inspection)
    else process.stdout.write(inspectionText(inspection))
    return inspection.damagedBytes > 0 ? 2 : 0
  },
  repair,
  export: (wanted, progress) => {
    let lines: string[] = []
    let waiting = 0
    const flush = (): void => {
      process.stdout.write(lines.join(''))
      lines = []
      waiting = 0
    }
    const { damaged } = exportStore(
      directoryOf(wanted),
      wanted.filter,
      (message) => {
        const line = `${JSON.stringify(message)}\n`
        lines.push(line)
        waiting += line.length
        if (waiting > 65_536) flush()
      },
      progress.show,
    )
    flush()
    progress.clear()
    for (const { position, sizeBytes, what } of damaged) {
      process.stderr.write(`cometmq: ${sizeBytes} bytes from position ${position} passed over: ${what}\n`)
    }
    return damaged.length > 0 ? 2 : 0
  },
}

function repair(wanted: StoreOptions, progress: Progress): number {
  const { delayLevels, cut, dryRun } = wanted
  const looked = directoryOf(wanted)
  // Held while it is changed, and while what is changed is decided.
  const lock = dryRun ? undefined : new StoreLock(systemDisk, storePaths(wanted.root, wanted.commitLog), processId())
  try {
    const check = checkStore({ directory: looked, delayLevels, onProgress: progress.show })
    const work = new StoreRepair({ directory: looked, check, delayLevels, cut, onProgress: progress.show })
    const plan = work.plan()
    progress.clear()
    if (dryRun || plan.steps.length === 0) {
      if (wanted.json)
        print({ directory: wanted.root, done: [], planned: plan.steps.map(({ what }) => what), left: plan.left })
      else process.stdout.write(planText(plan, check.isSound))
      return check.isSound ? 0 : 2
    }
    const stamp = new Date(systemScheduler.now()).toISOString().replaceAll(/[-:]|\.\d+/g, '')
    const done: string[] = []
    const lost = work.apply(plan, stamp, ({ what }) => {
      done.push(what)
      progress.clear()
      if (!wanted.json) process.stdout.write(`${what}\n`)
    })
    const after = checkStore({ directory: directoryOf(wanted, true), delayLevels, onProgress: progress.show })
    progress.clear()
    const kept = lost.kept.length > 0 ? lost.path : undefined
    if (wanted.json) {
      print({ directory: wanted.root, done, left: plan.left, kept, isSound: after.isSound, faults: after.faults })
    } else {
      for (const each of plan.left) process.stdout.write(`left: ${each}\n`)
      if (kept !== undefined) process.stdout.write(`what was replaced is in ${kept}\n`)
      process.stdout.write(checkText(looked, after))
    }
    return after.isSound ? 0 : 2
  } finally {
    lock?.release()
  }
}

function directoryOf({ root, commitLog, ...sizes }: StoreOptions, held = false): StoreDirectory {
  const { segmentBytes, queueFileBytes } = sizes
  return new StoreDirectory({ disk: systemDisk, root, commitLog, segmentBytes, queueFileBytes, held })
}

function print(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value, undefined, 2)}\n`)
}
