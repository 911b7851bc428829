import assert from 'node:assert/strict'
import { ConfigFile } from '../../src/base/config-file.ts'
import { silentLog } from '../../src/base/console-log.ts'
import { SeededRandom } from '../../src/base/random.ts'
import { SimulatedDisk } from '../../src/base/simulated-disk.ts'
import { SimulatedScheduler } from '../../src/base/simulated-scheduler.ts'
import { encodeBatch } from '../../src/protocol/batch.ts'
import type { MessageStore } from '../../src/store/message-store.ts'
import { AliveScheduler } from './alive-scheduler.ts'
import { FailingDisk } from './failing-disk.ts'
import { History, type Send } from './history.ts'
import { historyLog } from './history-log.ts'
import { checkImage, openImage } from './image-check.ts'
import { draftOfModel, modelMessage } from './model-message.ts'

const TOPICS = ['orders', 'payments', 'deleted']
const QUEUE_IDS = [0, 1]
const CONFIG = '/store/config/extra.json'

type Within = 'script' | 'truncation'
export type FlushMode = 'SYNC_FLUSH' | 'ASYNC_FLUSH'

/** How one life went in which one call of the disk failed. */
export interface Lived {
  failed: string | undefined
  /** `refused`: it did not start; `died`: an error that nobody caught ended the process. */
  ending: 'went on' | 'refused' | 'died'
  why: string | undefined
}

/**
 * One scripted life of a store: start, sends and batches over several segments, reads, a configuration file, a topic
 * deleted, a truncation, a stop in order, a start, more sends, a kill, recovery, a stop. One call of the disk fails in it,
 * whichever is asked for; whatever the store then does, it must have kept its promises.
 */
export class EveryOperation {
  readonly history: History
  readonly #mode: FlushMode
  readonly #within: Within
  readonly #failAt: number
  readonly #code: 'EIO' | 'ENOSPC'
  readonly #scheduler = new SimulatedScheduler(1_700_000_000_000)
  readonly #disk: SimulatedDisk
  readonly #failing: FailingDisk
  readonly #sends = new Map<number, Send>()
  readonly #acked = new Set<number>()
  /** Neither there nor gone for certain: a deletion or a truncation was under way. */
  readonly #uncertain = new Set<number>()
  #store: MessageStore | undefined
  #config: { saved: string | undefined; begun: string | undefined } = { saved: undefined, begun: undefined }
  #nextId = 1

  /** @param within calls are counted from the beginning of the script, or of its truncation */
  constructor(mode: FlushMode, failAt: number, code: 'EIO' | 'ENOSPC' = 'EIO', within: Within = 'script') {
    this.#mode = mode
    this.#within = within
    this.#failAt = failAt
    this.#code = code
    this.#disk = new SimulatedDisk(new SeededRandom(failAt + 7), { scheduler: this.#scheduler, latencyMs: 1 })
    this.#failing = new FailingDisk(this.#disk, within === 'script' ? failAt : Number.POSITIVE_INFINITY, code)
    this.history = new History(this.#scheduler)
  }

  get calls(): number {
    return this.#failing.calls
  }

  get #settings(): Record<string, string> {
    return {
      flushDiskType: this.#mode,
      mappedFileSizeCommitLog: '16384',
      mappedFileSizeConsumeQueue: '200',
      flushIntervalCommitLog: '20',
      flushIntervalConsumeQueue: '10',
      flushConsumeQueueThoroughInterval: '100',
    }
  }

  async run(): Promise<Lived> {
    this.history.note('script', { mode: this.#mode, failAt: this.#failAt, code: this.#code })
    const lived = await this.#live()
    this.history.note('lived', lived)
    this.#failing.isDown = true
    // What SYNC_FLUSH has promised outlives the power; what ASYNC_FLUSH has, a process.
    if (this.#mode === 'SYNC_FLUSH') this.#disk.crash()
    await this.#check()
    return lived
  }

  async #live(): Promise<Lived> {
    const failing = this.#failing
    try {
      await this.#open()
    } catch (error) {
      return { failed: failing.failed, ending: 'refused', why: (error as Error).message }
    }
    try {
      await this.#script()
      return { failed: failing.failed, ending: 'went on', why: undefined }
    } catch (error) {
      if ((error as Error).name === 'AssertionError') throw error
      const ending = this.#store === undefined ? 'refused' : 'died'
      return { failed: failing.failed, ending, why: (error as Error).stack }
    }
  }

  async #script(): Promise<void> {
    await this.#load(30)
    await this.#save('{"version":1}')
    await this.#read()
    await this.#pass(150)
    await this.#load(40)
    await this.#deleteTopic()
    await this.#truncate()
    await this.#load(10)
    await this.#pass(1_200)
    await this.#close()
    await this.#open()
    await this.#read()
    await this.#load(30)
    await this.#save('{"version":2}')
    await this.#pass(150)
    // A kill: what was written stays, whoever waited is not told.
    this.#store = undefined
    await this.#open()
    await this.#read()
    await this.#load(10)
    await this.#pass(150)
    await this.#close()
  }

  async #open(): Promise<void> {
    this.#store = undefined
    const scheduler = new AliveScheduler(this.#scheduler, () => this.#failing.isDown)
    this.#store = await openImage(this.#failing, this.#settings, scheduler, historyLog(this.history))
    this.history.note('opened', this.#store.positions)
  }

  async #load(count: number): Promise<void> {
    for (let sent = 0; sent < count; sent++) {
      const topic = TOPICS[sent % TOPICS.length]!
      const ids = Array.from({ length: sent % 7 === 0 ? 3 : 1 }, () => this.#nextId++)
      this.#append(topic, sent % 2, ids)
      if (sent % 5 === 0) await this.#pass(3)
    }
    await this.#pass(10)
  }

  #append(topic: string, queueId: number, ids: number[]): void {
    const store = this.#store!
    const draft = draftOfModel(ids[0]!, topic, queueId)
    if (ids.length > 1) {
      draft.body = encodeBatch(ids.map((id) => ({ flag: 0, ...modelMessage(id) })))
      draft.properties = Buffer.alloc(0)
      draft.batch = true
    }
    const send = this.history.send('script', {
      kind: ids.length > 1 ? 'batch' : 'sync',
      topic,
      queueId,
      ids,
      waits: true,
    })
    for (const id of ids) this.#sends.set(id, send)
    const { status, remark, endPosition, queueOffset } = store.append(draft)
    if (status !== 'PUT_OK') {
      assert.ok(this.#failing.failed !== undefined, `refused though nothing had failed: ${status} ${remark}`)
      return this.history.end(send, 'unknown', `${status} ${remark}`)
    }
    send.queueOffset = queueOffset
    store.durable.wait({
      target: endPosition,
      deadline: Number.POSITIVE_INFINITY,
      wake: () => {
        if (store !== this.#store) return
        this.history.end(send, 'ok')
        for (const id of ids) this.#acked.add(id)
      },
      fail: (reason) => {
        this.history.end(send, 'unknown', reason)
        // Its offset may be given to another.
        send.queueOffset = -1
      },
    })
  }

  async #save(text: string): Promise<void> {
    this.#config.begun = text
    try {
      new ConfigFile(this.#failing, CONFIG, silentLog).save(text)
      this.#config = { saved: text, begun: undefined }
    } catch (error) {
      assert.ok(this.#failing.failed !== undefined, (error as Error).message)
    }
    await this.#pass(1)
  }

  async #read(): Promise<void> {
    const store = this.#store!
    for (const topic of TOPICS) {
      store.read({ topic, queueId: 0, offset: 0, maxCount: 32, maxBytes: 100_000, filter: undefined }, () => {})
      this.#try(() => store.entries(topic, 1, 0, 10))
      this.#try(() => store.offsetByTime(topic, 0, this.#scheduler.now() - 10, 'lower'))
    }
    await this.#pass(5)
  }

  /** A call that may throw to who called. */
  #try(call: () => void): void {
    try {
      call()
    } catch (error) {
      assert.ok(this.#failing.failed !== undefined, (error as Error).message)
    }
  }

  async #deleteTopic(): Promise<void> {
    const gone = [...this.#sends].filter(([, { topic }]) => topic === 'deleted').map(([id]) => id)
    for (const id of gone) this.#uncertain.add(id)
    this.#try(() => this.#store!.deleteTopic('deleted'))
    await this.#pass(1)
  }

  async #truncate(): Promise<void> {
    const store = this.#store!
    await this.#pass(20)
    const { appended, written, min } = store.positions
    if (!store.writable || appended !== written) return
    let position = min
    this.#try(() => {
      const entries = TOPICS.slice(0, 2).flatMap((topic) => store.entries(topic, 0, 0, 1_000))
      position = Math.max(min, ...entries.map((entry) => entry.position))
    })
    if (position === min) return
    this.history.note('truncate', { position })
    for (const [id, { outcome }] of this.#sends)
      if (outcome === 'ok' || outcome === 'pending') this.#ifBehind(id, position)
    if (this.#within === 'truncation') this.#failing.failAt = this.#failing.calls + this.#failAt
    this.#try(() => store.truncateTo(position))
  }

  #ifBehind(id: number, position: number): void {
    const { topic, queueId, queueOffset, ids } = this.#sends.get(id)!
    const offset = queueOffset + ids.indexOf(id)
    let stands = -1
    this.#try(() => {
      stands = this.#store!.entries(topic, queueId, offset, 1)[0]?.position ?? -1
    })
    if (stands < 0 || stands >= position) this.#uncertain.add(id)
  }

  async #close(): Promise<void> {
    let isClosed = false
    let failure: unknown
    this.#store!.close().then(
      () => {
        isClosed = true
      },
      (error) => {
        failure = error
      },
    )
    for (let waitedMs = 0; !isClosed && failure === undefined && waitedMs < 2_000; waitedMs += 10) await this.#pass(10)
    this.#store = undefined
    if (failure !== undefined) throw failure
    assert.ok(isClosed, 'the store closes')
  }

  #pass(ms: number): Promise<void> {
    return this.#scheduler.advance(ms)
  }

  /** Recovered on a disk that is well again. */
  async #check(): Promise<void> {
    const store = await openImage(this.#disk, this.#settings, this.#scheduler, historyLog(this.history))
    const must = new Set([...this.#acked].filter((id) => !this.#uncertain.has(id)))
    const promised = {
      sendOf: this.#sends,
      must,
      versions: new Map(),
      topics: TOPICS,
      queueIds: QUEUE_IDS,
      deleted: new Set(['deleted']),
    }
    await checkImage(store, this.#disk, this.#scheduler, promised)
    const { saved, begun } = this.#config
    const loaded = new ConfigFile(this.#disk, CONFIG, silentLog).load()
    assert.ok(
      loaded === saved || (begun !== undefined && loaded === begun),
      `I14: ${saved} was saved, ${loaded} is there`,
    )
    store.append(draftOfModel(1, 'afterwards', 0))
    await this.#pass(100)
    assert.equal(store.maxOffset('afterwards', 0), 1, 'I20: it takes messages again')
  }
}
