import { ConfigFile } from '../../src/base/config-file.ts'
import type { Waiter } from '../../src/base/watermark.ts'
import { Watermark } from '../../src/base/watermark.ts'
import { OffsetTable } from '../../src/broker/offsets.ts'
import { TopicTable } from '../../src/broker/topics.ts'
import { AbortFile } from '../../src/store/abort-file.ts'
import { Checkpoint, type CheckpointNote } from '../../src/store/checkpoint.ts'
import { CommitLog } from '../../src/store/commit-log.ts'
import { EntryRepair } from '../../src/store/entry-repair.ts'
import { LogScanner } from '../../src/store/log-scanner.ts'
import { PendingRecords } from '../../src/store/pending-records.ts'
import { Segment } from '../../src/store/segment.ts'
import { BitFlips } from './bit-flips.ts'
import { type ClusterMutant, ClusterRun } from './cluster-run.ts'
import { CrashRun, type Mutant as StoreMutant } from './crash-run.ts'
import { EveryOperation } from './every-operation.ts'
import { record } from './recorded-run.ts'

/** A way to break the real code, or the disk under it, that the harness must notice. */
export interface Mutant {
  name: string
  /** One seed against the broken code; rejects when it notices. */
  run: (seed: number) => Promise<unknown>
  /** What it should say then. */
  notice: RegExp
  /** Where to begin: a seed that is known to notice it soon. */
  from?: number
  /** So many seeds are tried before it counts as one that lives. */
  seeds?: number
}

type Patch = () => () => void

/** Replaces one method of a class, and gives back what undoes it. */
function replacing<C extends object, K extends keyof C>(target: C, name: K, make: (original: C[K]) => C[K]): Patch {
  return () => {
    const original = Object.getOwnPropertyDescriptor(target, name)!
    Object.defineProperty(target, name, { ...original, value: make(original.value as C[K]) })
    return () => Object.defineProperty(target, name, original)
  }
}

const store =
  (mutant: StoreMutant): Mutant['run'] =>
  (seed) =>
    new CrashRun(seed, mutant).run()

const cluster =
  (mutant: ClusterMutant): Mutant['run'] =>
  (seed) =>
    new ClusterRun(seed, mutant).run()

/** Some flips in one store, with the code that starts on it broken. */
const flips =
  (patch: Patch, ends: 'stop' | 'kill' = 'stop'): Mutant['run'] =>
  async (seed) => {
    const stored = new BitFlips(await record(seed, { ends: [ends], loadMs: 200 }))
    await patched(patch, async () => {
      for (let number = 0; number < 60; number++) await stored.flip(number)
    })
  }

async function patched(patch: Patch, work: () => Promise<void>): Promise<void> {
  const undo = patch()
  try {
    await work()
  } finally {
    undo()
  }
}

const noteAhead = (original: Checkpoint['saveSync']) =>
  function (this: Checkpoint, note: CheckpointNote): void {
    original.call(this, { ...note, flushedPosition: note.flushedPosition + 3_000 })
  }

export const MUTANTS: readonly Mutant[] = [
  {
    name: 'acknowledges before it has written',
    run: cluster({
      patch: replacing(Watermark.prototype, 'wait', () => (waiter: Waiter): void => {
        waiter.wake()
      }),
    }),
    from: 4,
    notice: /I1: .* acknowledged and is lost/,
  },
  { name: 'does not sync', run: store({ skipDatasync: true }), notice: /is lost|had been synced up to|is short/ },
  { name: 'does not sync directories', run: store({ skipDirectorySync: true }), notice: /./ },
  { name: 'ignores a failed write', run: store({ ignoreFailedWrites: true, failsOften: true }), from: 12, notice: /./ },
  {
    name: 'takes a failed sync for a good one',
    run: store({ ignoreFailedSync: true, failsOften: true }),
    notice: /is lost|had been synced|is dense/,
  },
  {
    name: 'syncs again after a failed sync, and believes that',
    run: store({
      failsOften: true,
      patch: replacing(
        Segment.prototype,
        'datasync',
        (original) =>
          function (this: Segment, done): void {
            let tries = 0
            const again = (error: Error | null): void => {
              if (error === null || ++tries > 1_000) done(error)
              else original.call(this, again)
            }
            original.call(this, again)
          },
      ),
    }),
    notice: /is lost|had been synced up to|is dense/,
  },
  {
    name: 'lets the consume queue run ahead of the log',
    run: store({
      failsOften: true,
      patch: replacing(
        PendingRecords.prototype,
        'takeUpTo',
        (original) =>
          function (this: PendingRecords, _position, dispatch): void {
            original.call(this, Number.POSITIVE_INFINITY, dispatch)
          },
      ),
    }),
    notice: /./,
  },
  {
    name: 'keeps the queue offsets of a write that failed',
    run: store({
      failsOften: true,
      patch: replacing(
        PendingRecords.prototype,
        'takeBack',
        (original) =>
          function (this: PendingRecords, position): void {
            original.call(this, position, () => {})
          },
      ),
    }),
    notice: /./,
  },
  {
    name: 'replaces its configuration in place',
    run: store({ saveInPlace: true }),
    notice: /the old or the new version/,
  },
  {
    name: 'truncates in memory only',
    run: store({
      patch: replacing(
        CommitLog.prototype,
        'truncateTo',
        () =>
          function (this: CommitLog, position: number): void {
            this.chunks.clear()
            this.appended = position
            this.written = position
          },
      ),
    }),
    notice: /./,
  },
  {
    name: 'notes more as synced than is',
    run: store({ patch: replacing(Checkpoint.prototype, 'saveSync', noteAhead) }),
    notice: /had been synced up to|had been synced/,
  },
  {
    name: 'does not make durable what it recovered',
    run: store({
      failsOften: true,
      patch: replacing(CommitLog.prototype, 'persistFrom', () => () => {}),
    }),
    notice: /is lost|had been/,
    seeds: 600,
  },
  {
    name: 'forgets that the last run did not end in order',
    run: store({
      patch: () => {
        const original = Object.getOwnPropertyDescriptor(AbortFile.prototype, 'isPresent')!
        Object.defineProperty(AbortFile.prototype, 'isPresent', { ...original, get: () => false })
        return () => Object.defineProperty(AbortFile.prototype, 'isPresent', original)
      },
    }),
    notice: /./,
  },
  {
    name: 'believes records without looking at their checksum',
    run: store({ settings: { checkCRCOnRecover: 'false' } }),
    notice: /./,
    seeds: 120,
  },
  {
    name: 'cuts the log at damage, with healthy messages behind it',
    run: flips(
      replacing(LogScanner.prototype, 'examineBehind', () => () => ({ validPosition: undefined, isZero: false })),
      'kill',
    ),
    notice: /healthy message is gone|nothing away/,
    seeds: 12,
  },
  {
    name: 'serves whatever an entry points to',
    run: flips(replacing(EntryRepair.prototype, 'isMessage', () => () => true)),
    notice: /wrong message was served|healthy message is gone/,
    seeds: 12,
  },
  {
    name: 'leaves a damaged entry as it is',
    run: flips(replacing(EntryRepair.prototype, 'repair', () => () => undefined)),
    notice: /healthy message is gone/,
    seeds: 12,
  },
  {
    name: 'lets groups stand behind the end of the log',
    run: cluster({ patch: replacing(OffsetTable.prototype, 'limit', () => () => 0) }),
    from: 5,
    notice: /I6: .* behind the last offset|I7/,
  },
  {
    name: 'never saves where groups stand',
    run: cluster({
      patch: replacing(
        ConfigFile.prototype,
        'saveLater',
        () =>
          (_text, done = () => {}): void =>
            done(null),
      ),
    }),
    notice: /I6: .* had committed|I1|I14/,
  },
  {
    name: 'answers for a topic that is not saved',
    run: cluster({
      patch: replacing(
        TopicTable.prototype,
        'whenSaved',
        () =>
          (done): void =>
            done(null),
      ),
    }),
    from: 5,
    notice: /I\d+: /,
    seeds: 120,
  },
  {
    name: 'forgets a truncation that failed half way',
    run: (seed) =>
      patched(
        replacing(Checkpoint.prototype, 'freeze', () => () => {}),
        async () => {
          await new EveryOperation('SYNC_FLUSH', seed, 'EIO', 'truncation').run()
        },
      ),
    notice: /commit log damaged|is dense/,
    seeds: 40,
  },
]

export interface Notice {
  seed: number
  message: string
  tried: number
}

/** The first seed that notices a mutant, and by what; undefined when it lives. */
export async function firstNotice({ run, from = 1, seeds = 150 }: Mutant): Promise<Notice | undefined> {
  for (let tried = 1; tried <= seeds; tried++) {
    const seed = from + tried - 1
    try {
      await run(seed)
    } catch (error) {
      return { seed, message: (error as Error).message, tried }
    }
  }
  return undefined
}
