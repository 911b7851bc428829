import assert from 'node:assert/strict'
import type { Log } from '../../src/base/log.ts'
import { SeededRandom } from '../../src/base/random.ts'
import type { SimulatedDisk } from '../../src/base/simulated-disk.ts'
import { SimulatedScheduler } from '../../src/base/simulated-scheduler.ts'
import { CrashingDisk } from './crashing-disk.ts'
import { TraceReplay } from './disk-trace.ts'
import type { Send } from './history.ts'
import { assertSameFiles, checkImage, openImage, type Promised, storedFiles } from './image-check.ts'
import { draftOfModel } from './model-message.ts'
import { type Recording, TOPICS } from './recorded-run.ts'

const ROOT = '/store'
const BOOT_ID = '/proc/sys/kernel/random/boot_id'
const QUEUE_IDS = [0, 1]
/** Beside the flush interval: syncs take their time. */
const WINDOW_MS = 100

/** How the machine went down at an operation. */
export type Ending = 'power' | 'kill'

/**
 * Builds many images of the disk out of one recorded trace: for each operation what a kill leaves, and what a loss of
 * power may leave (what was synced, and of the rest any part). Each is recovered by the real store, and judged by what
 * clients had been promised at that operation.
 */
export class CrashImages {
  images = 0
  readonly #recording: Recording
  readonly #promises: PromisedAt

  constructor(recording: Recording) {
    this.#recording = recording
    this.#promises = new PromisedAt(recording)
  }

  /** How many images {@link explore} looks at. */
  static count({ trace }: Recording, perOperation: number): number {
    return trace.length * perOperation
  }

  /** All images, in the order of the trace. @throws ImageError with the image's number */
  async explore(perOperation: number): Promise<void> {
    const { trace, seed } = this.#recording
    const replay = new TraceReplay(trace, new SeededRandom(seed))
    for (let image = 0; image < CrashImages.count(this.#recording, perOperation); image++) {
      replay.advanceTo(1 + Math.floor(image / perOperation))
      await this.#examine(replay, image)
    }
  }

  /** One image, by its number. */
  async examine(image: number, perOperation: number, log?: Log): Promise<void> {
    const replay = new TraceReplay(this.#recording.trace, new SeededRandom(this.#recording.seed))
    replay.advanceTo(1 + Math.floor(image / perOperation))
    await this.#examine(replay, image, log)
  }

  async #examine(replay: TraceReplay, image: number, log?: Log): Promise<void> {
    const { seed } = this.#recording
    const random = new SeededRandom(seed * 1_000_003 + image)
    const ending: Ending = random.below(4) === 0 ? 'kill' : 'power'
    const scheduler = new SimulatedScheduler(1_700_000_100_000)
    const disk =
      ending === 'kill' ? replay.disk.image(random, scheduler) : replay.disk.imageAfterCrash(random, scheduler)
    if (ending === 'power') changeBootId(disk)
    this.images++
    try {
      await this.#recover(disk, scheduler, random, this.#promises.at(replay.done, ending), log)
    } catch (error) {
      throw new ImageError(image, replay.done, ending, error as Error)
    }
  }

  async #recover(
    disk: SimulatedDisk,
    scheduler: SimulatedScheduler,
    random: SeededRandom,
    promised: Promised,
    log?: Log,
  ): Promise<void> {
    const { settings } = this.#recording
    const dice = random.below(100)
    if (dice < 20) await this.#crashInRecovery(disk, scheduler, random, log)
    const untouched = dice >= 20 && dice < 30 ? disk.image(random, scheduler) : undefined
    const store = await openImage(disk, settings, scheduler, log)
    const seen = await checkImage(store, disk, scheduler, promised)
    if (dice >= 90) await expectTaken(store, scheduler)
    else if (dice >= 80) await this.#recoverAgain(disk, scheduler, log)
    if (untouched !== undefined) await this.#rebuild(untouched, disk, scheduler, promised, seen, log)
  }

  /** I12: a recovery that was itself cut short is brought to its end by the next. */
  async #crashInRecovery(
    disk: SimulatedDisk,
    scheduler: SimulatedScheduler,
    random: SeededRandom,
    log?: Log,
  ): Promise<void> {
    const plan = { downAt: 1 + random.below(40), failAt: new Set<number>() }
    const crashing = new CrashingDisk(disk, plan, random)
    try {
      await openImage(crashing, this.#recording.settings, scheduler, log)
    } catch (error) {
      if (!crashing.isDown) throw error
    }
    crashing.isDown = true
    if (random.below(2) === 0) return
    disk.crash()
    changeBootId(disk)
  }

  /** I12: a second recovery changes no byte. */
  async #recoverAgain(disk: SimulatedDisk, scheduler: SimulatedScheduler, log?: Log): Promise<void> {
    const before = storedFiles(disk)
    await openImage(disk, this.#recording.settings, scheduler, log)
    assertSameFiles(storedFiles(disk), before, 'I12: a second recovery changes nothing')
  }

  /** I11: with nothing but the log, recovery builds the same consume queues. */
  async #rebuild(
    untouched: SimulatedDisk,
    recovered: SimulatedDisk,
    scheduler: SimulatedScheduler,
    promised: Promised,
    seen: ReadonlySet<number>,
    log?: Log,
  ): Promise<void> {
    if (untouched.listSync(`${ROOT}/commitlog`).length === 0) return
    untouched.removeTreeSync(`${ROOT}/consumequeue`)
    const store = await openImage(untouched, this.#recording.settings, scheduler, log)
    const again = await checkImage(store, untouched, scheduler, promised)
    assert.deepEqual([...again], [...seen], 'I11: the same messages without consume queues')
    const queuesOf = (disk: SimulatedDisk): Map<string, Buffer> =>
      new Map([...storedFiles(disk)].filter(([path, bytes]) => path.includes('/consumequeue/') && bytes.some(Boolean)))
    assertSameFiles(queuesOf(untouched), queuesOf(recovered), 'I11: rebuilt consume queues')
  }
}

/** I20: what was recovered takes messages. */
async function expectTaken(store: Awaited<ReturnType<typeof openImage>>, scheduler: SimulatedScheduler): Promise<void> {
  const appended = store.append(draftOfModel(1, TOPICS[0]!, 0))
  assert.equal(appended.status, 'PUT_OK', 'I20: a recovered store takes messages')
  const { endPosition, queueOffset } = appended
  await scheduler.advance(100)
  assert.ok(store.durable.value >= endPosition, 'I20: and makes them durable')
  assert.equal(store.maxOffset(TOPICS[0]!, 0), queueOffset + 1, 'I20: and lets them be read')
}

/** What was promised when so many operations were done. */
class PromisedAt {
  readonly #recording: Recording
  readonly #sendOf = new Map<number, Send>()
  readonly #topics: string[]

  constructor(recording: Recording) {
    this.#recording = recording
    this.#topics = [...new Set([...TOPICS, ...recording.history.sends.map(({ topic }) => topic)])]
    for (const send of recording.history.sends) for (const id of send.ids) this.#sendOf.set(id, send)
  }

  at(operations: number, ending: Ending): Promised {
    const { marks, isSync, settings, times } = this.#recording
    const windowMs = Number(settings['flushIntervalCommitLog']) + WINDOW_MS
    const oldMs = times[operations - 1]! - windowMs
    const must = new Set<number>()
    const versions = new Map<string, number>()
    for (const mark of marks) {
      // Whoever was answered before the operation was done was answered before the machine went down.
      if (mark.operations >= operations) break
      const { what } = mark
      if ('change' in what)
        versions.set(what.change.topic, Math.max(what.change.version, versions.get(what.change.topic) ?? 0))
      else {
        const isSafe = isSync && ('delivery' in what || what.send.waits)
        if (ending === 'power' && !isSafe && mark.atMs >= oldMs) continue
        for (const id of 'delivery' in what ? [what.delivery.id] : what.send.ids) must.add(id)
      }
    }
    return { sendOf: this.#sendOf, must, versions, topics: this.#topics, queueIds: QUEUE_IDS }
  }
}

export class ImageError extends Error {
  override readonly name = 'ImageError'
  readonly image: number

  constructor(image: number, operations: number, ending: Ending, cause: Error) {
    super(`image ${image} (${ending} after operation ${operations}): ${cause.message}`, { cause })
    this.image = image
  }
}

function changeBootId(disk: SimulatedDisk): void {
  if (disk.statSync(BOOT_ID) === undefined) return
  const file = disk.openSync(BOOT_ID, 'write')
  file.writeSync(Buffer.from(`after-${disk.listSync('/').length}-power-loss`), 0)
  file.datasyncSync()
  file.closeSync()
}
