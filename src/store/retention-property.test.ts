import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { silentLog } from '../base/console-log.ts'
import { SeededRandom } from '../base/random.ts'
import { SimulatedDisk } from '../base/simulated-disk.ts'
import { SimulatedScheduler } from '../base/simulated-scheduler.ts'
import { draftOf, openSimulatedStore, type SimulatedStore } from './simulated-store.ts'

const SEGMENT = 16_384
const HOUR_MS = 3_600_000
const CAPACITY = 40 * SEGMENT

type Step =
  | { kind: 'fill'; segments: number }
  | { kind: 'wait'; minutes: number }
  | { kind: 'jump'; hours: number }
  | { kind: 'occupy'; percent: number }
  | { kind: 'ask' }
  | { kind: 'restart' }

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({ kind: fc.constant('fill' as const), segments: fc.integer({ min: 1, max: 3 }) }),
    },
    {
      weight: 4,
      arbitrary: fc.record({ kind: fc.constant('wait' as const), minutes: fc.integer({ min: 1, max: 150 }) }),
    },
    {
      weight: 2,
      arbitrary: fc.record({ kind: fc.constant('jump' as const), hours: fc.integer({ min: -30, max: 60 }) }),
    },
    {
      weight: 3,
      arbitrary: fc.record({ kind: fc.constant('occupy' as const), percent: fc.integer({ min: 60, max: 97 }) }),
    },
    { weight: 2, arbitrary: fc.constant({ kind: 'ask' as const }) },
    { weight: 1, arbitrary: fc.constant({ kind: 'restart' as const }) },
  ),
  { minLength: 4, maxLength: 16 },
)

/** What the store does, and what it should have known. */
class Model {
  readonly scheduler = new SimulatedScheduler()
  readonly disk = new SimulatedDisk(new SeededRandom(1), { scheduler: this.scheduler, capacityBytes: CAPACITY })
  readonly reservedHours: number
  /** Monotonic time of the last write to each segment, as the test made it. */
  readonly lastWrite = new Map<number, number>()
  readonly wrong: string[] = []
  deleted = 0
  forced = 0
  /** Wall clock minus what it should be. */
  #jumped = 0
  #simulated!: SimulatedStore

  constructor(reservedHours: number) {
    this.reservedHours = reservedHours
  }

  async open(): Promise<void> {
    const info = (message: string, fields: Record<string, unknown> = {}): void => {
      if (message === 'segment deleted') this.#sawDeletion(String(fields['path']), String(fields['reason']))
    }
    this.#simulated = await openSimulatedStore(
      {
        mappedFileSizeCommitLog: String(SEGMENT),
        mappedFileSizeConsumeQueue: '2000',
        fileReservedTime: String(this.reservedHours),
        deleteWhen: '0;3;6;9;12;15;18;21',
        cleanResourceInterval: '60000',
        messageIndexEnable: 'false',
      },
      { scheduler: this.scheduler, disk: this.disk, log: { ...silentLog, info } },
    )
  }

  #sawDeletion(path: string, reason: string): void {
    const base = Number(path.split('/').pop())
    const ageMs = this.scheduler.monotonic() - this.lastWrite.get(base)!
    this.deleted++
    if (base >= this.#simulated.store.positions.written - SEGMENT) this.wrong.push(`${base} was in use`)
    const forced = /^forced though not expired, disk of \S+ used (\d+) % of 85 %$/.exec(reason)
    if (forced !== null) {
      this.forced++
      if (Number(forced[1]) <= 85) this.wrong.push(`${base} was forced at ${forced[1]} %`)
    } else if (ageMs < this.reservedHours * HOUR_MS) {
      this.wrong.push(`${base} of ${ageMs / HOUR_MS} hours was deleted, ${this.reservedHours} are reserved: ${reason}`)
    }
  }

  async take(step: Step): Promise<void> {
    const { scheduler, disk } = this
    const { store } = this.#simulated
    switch (step.kind) {
      case 'fill': {
        const until = store.positions.appended + step.segments * SEGMENT
        while (store.positions.appended < until) {
          const appended = store.append(draftOf({ body: Buffer.alloc(2000) }))
          if (appended.count === 0) break
          this.lastWrite.set(appended.position - (appended.position % SEGMENT), scheduler.monotonic())
          await scheduler.settle()
        }
        return await scheduler.advance(1500)
      }
      case 'wait':
        return await scheduler.advance(step.minutes * 60_000)
      case 'jump':
        // Behind the true time nothing is written, or it would look too old to whoever starts later.
        this.#jumpBy(Math.max(step.hours * HOUR_MS, -this.#jumped))
        return
      case 'occupy': {
        disk.removeSync('/others')
        const bytes = Math.max(0, (CAPACITY * step.percent) / 100 - disk.usedBytes)
        const file = disk.openSync('/others', 'write')
        file.writeSync(Buffer.alloc(bytes - (bytes % 4096), 1), 0)
        return file.closeSync()
      }
      case 'ask':
        return store.deleteExpiredLog()
      case 'restart':
        await this.close()
        this.#jumpBy(-this.#jumped)
        return await this.open()
    }
  }

  #jumpBy(ms: number): void {
    this.#jumped += ms
    this.scheduler.jumpWallClock(ms)
  }

  close(): Promise<void> {
    return this.#simulated.close()
  }
}

test('nothing younger than reserved is deleted unless the disk forces it, whatever the clocks do', async () => {
  let deleted = 0
  let forced = 0
  await fc.assert(
    fc.asyncProperty(steps, fc.integer({ min: 0, max: 4 }), async (taken, reservedHours) => {
      const model = new Model(reservedHours)
      await model.open()
      for (const step of taken) await model.take(step)
      await model.close()
      deleted += model.deleted
      forced += model.forced
      assert.deepEqual(model.wrong, [])
    }),
    { numRuns: 40, seed: 4711 },
  )
  assert.ok(deleted - forced > 10 && forced > 2, `too little happened: ${deleted} deleted, ${forced} of them forced`)
})
