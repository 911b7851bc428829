import assert from 'node:assert/strict'
import { ConfigFile } from '../../src/base/config-file.ts'
import { silentLog } from '../../src/base/console-log.ts'
import type { Disk } from '../../src/base/disk.ts'
import type { Log } from '../../src/base/log.ts'
import { Probes } from '../../src/base/probe.ts'
import { SeededRandom } from '../../src/base/random.ts'
import { SimulatedDisk } from '../../src/base/simulated-disk.ts'
import { SimulatedScheduler } from '../../src/base/simulated-scheduler.ts'
import type { WaitFailure } from '../../src/base/watermark.ts'
import { encodeBatch } from '../../src/protocol/batch.ts'
import { decodeMessage, decodeMessages } from '../../src/protocol/message.ts'
import { type MessageStore, PutStatus, type ReadResult } from '../../src/store/message-store.ts'
import { openStore } from '../../src/store/open-store.ts'
import { storeSettings } from '../../src/store/settings.ts'
import { CrashingDisk, type FaultPlan } from './crashing-disk.ts'
import { filesBelow, queuesInLog } from './log-on-disk.ts'

/** Ways to break the store or the harness's disk, each of which a run must notice. */
export interface Mutant {
  /** Counts a message as acknowledged as soon as it is appended. */
  acknowledgeAppended?: boolean
  skipDatasync?: boolean
  skipDirectorySync?: boolean
  ignoreFailedSync?: boolean
  ignoreFailedWrites?: boolean
  /** Writes the configuration file where it stands. */
  saveInPlace?: boolean
  settings?: Record<string, string>
  /** Writes and syncs fail in most lives, not in some. */
  failsOften?: boolean
  /** Changes a class of the store, and gives back what undoes it. */
  patch?: () => () => void
}

interface Sent {
  id: number
  topic: string
  queueId: number
  body: Buffer
  tag: string | undefined
  /** Half messages are in no queue. */
  isHalf: boolean
  position: number
  endPosition: number
  queueOffset: number
  /** `gone`: a crash or a truncation took it; it must never be seen again. `kept`: it must always be seen;
   * `cached`: unless the power fails before the next start has synced it. */
  state: 'sent' | 'acked' | 'failed' | 'cached' | 'kept' | 'gone'
  waits: 'durable' | 'written'
  /** A consumer was shown it. */
  wasDelivered: boolean
}

interface NewMessage {
  id: number
  body: Buffer
  tag: string | undefined
}

const ROOT = '/store'
const CONFIG = `${ROOT}/config/topics.json`

/** One seed: several lives of a store on one simulated disk, each ended by a crash or a stop, and what must hold. */
export class CrashRun {
  readonly history: string[] = []
  crashes = 0
  readonly #random: SeededRandom
  readonly #disk: SimulatedDisk
  readonly #scheduler: SimulatedScheduler
  readonly #mutant: Mutant
  readonly #settings: Record<string, string>
  readonly #isSync: boolean
  readonly #topics: string[]
  readonly #sent = new Map<number, Sent>()
  #nextId = 1
  #boots = 0
  #store: MessageStore | undefined
  #crashing: CrashingDisk | undefined
  /** Versions of the configuration file: what is there for certain, and what was being written. */
  #config: { saved: string | undefined; begun: string | undefined } = { saved: undefined, begun: undefined }

  constructor(seed: number, mutant: Mutant = {}) {
    this.#random = new SeededRandom(seed)
    this.#mutant = mutant
    const { below, pick } = this
    this.#scheduler = new SimulatedScheduler(1_700_000_000_000 + seed)
    this.#disk = new SimulatedDisk(new SeededRandom(seed ^ 0x5eed), { scheduler: this.#scheduler })
    this.#isSync = below(2) === 0
    this.#settings = {
      storePathRootDir: ROOT,
      flushDiskType: this.#isSync ? 'SYNC_FLUSH' : 'ASYNC_FLUSH',
      mappedFileSizeCommitLog: String(pick([16_384, 20_000, 65_536])),
      mappedFileSizeConsumeQueue: String(20 * pick([3, 10, 64, 300])),
      maxHashSlotNum: '20',
      maxIndexNum: '40',
      flushIntervalCommitLog: String(pick([1, 20, 500])),
      flushIntervalConsumeQueue: String(pick([5, 1000])),
      flushConsumeQueueThoroughInterval: String(pick([50, 2000, 60_000])),
      ...mutant.settings,
    }
    this.#topics = ['orders', 'payments', '%RETRY%group', 'SCHEDULE'].slice(0, 1 + below(4))
    this.#note(`seed ${seed} ${JSON.stringify(this.#settings)}`)
  }

  readonly below = (bound: number): number => this.#random.below(bound)
  readonly pick = <T>(from: readonly T[]): T => from[this.#random.below(from.length)]!
  readonly #chance = (percent: number): boolean => this.#random.below(100) < percent

  #note(line: string): void {
    this.history.push(line)
  }

  async run(): Promise<void> {
    const restore = this.#mutant.patch?.()
    try {
      const lives = 2 + this.below(3)
      for (let life = 0; life < lives; life++) await this.#live(life)
      await this.#open({ downAt: Number.POSITIVE_INFINITY, failAt: new Set() })
      await this.#check('at the end')
      await this.#close()
    } finally {
      restore?.()
    }
  }

  async #live(life: number): Promise<void> {
    this.#note(`life ${life}`)
    // A crash in the middle of recovery, perhaps more than one.
    for (let attempt = 0; attempt < 3 && life > 0 && this.#chance(30); attempt++) {
      const opened = await this.#open({ downAt: 1 + this.below(60), failAt: new Set() })
      if (opened) await this.#check('after a start')
      this.#crash(this.#chance(50) ? 'power' : 'kill')
    }
    await this.#open({ downAt: Number.POSITIVE_INFINITY, failAt: new Set() })
    await this.#check('after recovery')
    if (life > 0 && this.#chance(25)) await this.#recoverAgain()
    const crashing = this.#crashing!
    crashing.plan.downAt = this.#chance(85) ? crashing.operations + 1 + this.below(400) : Number.POSITIVE_INFINITY
    const { failsOften = false } = this.#mutant
    if (this.#chance(failsOften ? 80 : 20)) {
      const failing = crashing.operations + 1 + this.below(60)
      crashing.plan.failAt = new Set([failing, failing + this.below(3)])
    }
    if (this.#chance(failsOften ? 50 : 8)) {
      const failing = crashing.operations + 1 + this.below(80)
      crashing.plan.failSyncAt = new Set(Array.from({ length: 20 }, (_, index) => failing + index))
    }
    for (let steps = 3 + this.below(50); steps > 0 && !crashing.isDown; steps--) {
      try {
        await this.#step()
      } catch (error) {
        if (!crashing.isDown) throw error
      }
    }
    if (!crashing.isDown && this.#chance(30)) {
      if (await this.#close()) return
    }
    this.#crash(this.#chance(60) ? 'power' : 'kill')
  }

  async #open(plan: Partial<FaultPlan> & Pick<FaultPlan, 'downAt' | 'failAt'>): Promise<boolean> {
    this.#writeBootId()
    const { skipDatasync = false, skipDirectorySync = false, ignoreFailedSync = false } = this.#mutant
    const { ignoreFailedWrites = false } = this.#mutant
    const crashing = new CrashingDisk(
      this.#disk,
      { ...plan, skipDatasync, skipDirectorySync, ignoreFailedSync, ignoreFailedWrites },
      this.#random,
    )
    this.#crashing = crashing
    try {
      const store = await openStore({
        settings: storeSettings.parse(this.#settings).settings,
        disk: crashing,
        scheduler: this.#aliveScheduler(crashing),
        random: this.#random,
        log: this.#storeLog(),
        probes: new Probes(),
        processId: 1,
        storeHost: { address: new Uint8Array(this.#chance(80) ? 4 : 16), port: 10_911 },
        memoryBytes: this.pick([100_000, 1_000_000_000]),
        ...(this.#chance(70) ? { writePolicy: this.pick(['sync', 'async'] as const) } : {}),
      })
      this.#store = store
      this.#note(`opened ${JSON.stringify(store.positions)} after ${crashing.operations} operations`)
      store.onArrival((topic, queueId, queueOffset) => {
        if (crashing.isDown) return
        for (const sent of this.#sent.values()) {
          const isIt = sent.topic === topic && sent.queueId === queueId && sent.queueOffset === queueOffset
          if (isIt && !sent.isHalf && sent.state !== 'gone' && sent.state !== 'failed') sent.wasDelivered = true
        }
      })
      return true
    } catch (error) {
      this.#store = undefined
      if (!crashing.isDown) throw error
      this.#note(`down while opening: ${crashing.events.join(', ')}`)
      return false
    }
  }

  /** What the store says goes into the history, so that a failure can be read. */
  #storeLog(): Log {
    const line =
      (level: string) =>
      (message: string, fields: Record<string, unknown> = {}): void => {
        const words = Object.entries(fields).map(
          ([key, value]) => `${key}=${value instanceof Error ? value.message : value}`,
        )
        this.#note(`  ${level}: ${message} ${words.join(' ')}`)
      }
    return { ...silentLog, info: line('info'), warn: line('warn'), error: line('error') }
  }

  /** Callbacks of a life that has ended do not run any more. */
  #aliveScheduler(crashing: CrashingDisk): SimulatedScheduler {
    const scheduler = this.#scheduler
    const alive = (callback: () => void) => (): void => {
      if (!crashing.isDown) callback()
    }
    return Object.assign(Object.create(scheduler) as SimulatedScheduler, {
      now: () => scheduler.now(),
      monotonic: () => scheduler.monotonic(),
      after: (ms: number, callback: () => void) => scheduler.after(ms, alive(callback)),
      every: (ms: number, callback: () => void) => scheduler.every(ms, alive(callback)),
      defer: (callback: () => void) => scheduler.defer(alive(callback)),
      soon: (callback: () => void) => scheduler.soon(alive(callback)),
    })
  }

  /** The machine's boot, as Linux tells it: a power loss changes it, a kill does not. */
  #writeBootId(): void {
    const path = '/proc/sys/kernel/random/boot_id'
    if (this.#disk.statSync('/proc/sys/kernel/random') === undefined)
      this.#disk.makeDirectorySync('/proc/sys/kernel/random')
    const file = this.#disk.openSync(path, 'write')
    file.writeSync(Buffer.from(`boot-${String(this.#boots).padStart(6, '0')}`), 0)
    file.datasyncSync()
    file.closeSync()
    this.#disk.syncDirectorySync('/proc/sys/kernel/random')
  }

  #crash(kind: 'power' | 'kill'): void {
    const crashing = this.#crashing!
    crashing.isDown = true
    this.crashes++
    const flushed = this.#store?.flushed.value ?? 0
    if (kind === 'power') {
      this.#boots++
      this.#disk.crash()
    }
    this.#note(`${kind} ${crashing.events.join(', ')} flushed ${flushed}`)
    for (const sent of this.#sent.values()) {
      if (sent.state === 'kept' || sent.state === 'gone' || sent.state === 'failed') continue
      // Whoever saw it in SYNC_FLUSH saw what was synced.
      const isSynced =
        sent.endPosition <= flushed ||
        (this.#isSync && (sent.wasDelivered || (sent.state === 'acked' && sent.waits === 'durable')))
      if (isSynced && sent.state !== 'sent') sent.state = 'kept'
      else if (kind === 'power') {
        sent.state = 'sent'
        sent.wasDelivered = false
      } else if (sent.state === 'acked' || sent.wasDelivered) sent.state = 'cached'
    }
    this.#store = undefined
  }

  async #close(): Promise<boolean> {
    let closed = false
    let failure: unknown
    this.#store!.close().then(
      () => {
        closed = true
      },
      (error) => {
        failure = error
      },
    )
    for (let tries = 0; !closed && !this.#crashing!.isDown && tries < 100; tries++) await this.#scheduler.advance(10)
    if (this.#crashing!.isDown) return false
    assert.ok(closed, `the store closes: ${failure}`)
    if (this.#crashing!.statSync(`${ROOT}/abort`) !== undefined) {
      // It could not close in order, and says so by the file it leaves.
      assert.ok(this.#crashing!.events.length > 0, 'a store that nothing happened to closes in order')
      return false
    }
    for (const sent of this.#sent.values()) if (sent.state === 'acked') sent.state = 'kept'
    this.#note('closed')
    this.#store = undefined
    this.#crashing!.isDown = true
    return true
  }

  async #step(): Promise<void> {
    const dice = this.below(100)
    if (dice < 62) this.#send(1 + this.below(12))
    else if (dice < 70) this.#sendBatch()
    else if (dice < 74) this.#sendHalf()
    else if (dice < 84) await this.#scheduler.advance(this.below(50))
    else if (dice < 88) await this.#scheduler.advance(1000 + this.below(2000))
    else if (dice < 89) await this.#scheduler.advance(61_000)
    else if (dice < 94) this.#saveConfig()
    else if (dice < 95) await this.#deleteTopic()
    else if (dice < 96) await this.#truncate()
    else await this.#readOne(this.pick(this.#topics), this.below(3))
    if (this.#chance(60)) await this.#scheduler.settle()
  }

  #send(count: number): void {
    for (let index = 0; index < count && !this.#crashing!.isDown; index++) {
      this.#append(this.pick(this.#topics), this.below(3), 0, [this.#newMessage()])
    }
  }

  #sendBatch(): void {
    this.#append(
      this.pick(this.#topics),
      this.below(3),
      0,
      Array.from({ length: 2 + this.below(6) }, () => this.#newMessage()),
    )
  }

  #sendHalf(): void {
    this.#append('half', 0, 0x4, [this.#newMessage()])
  }

  #newMessage(): NewMessage {
    const size = this.#chance(90) ? this.below(300) : this.below(5000)
    return {
      id: this.#nextId++,
      body: this.#random.bytes(size),
      tag: this.#chance(50) ? this.pick(['a', 'order-created', 'ß']) : undefined,
    }
  }

  #append(topic: string, queueId: number, sysFlag: number, messages: NewMessage[]): void {
    const store = this.#store!
    const crashing = this.#crashing!
    const propertiesOf = ({ id, tag }: { id: number; tag: string | undefined }): Buffer =>
      Buffer.from(`ID\u0001${id}\u0002${tag === undefined ? '' : `TAGS\u0001${tag}\u0002`}`)
    const batch = messages.length > 1
    const waits = this.#chance(85) ? 'durable' : 'written'
    const appended = store.append({
      topic,
      queueId,
      flag: 0,
      sysFlag,
      bornTimestamp: this.#scheduler.now(),
      bornHost: { address: new Uint8Array(this.#chance(80) ? 4 : 16), port: 1 },
      reconsumeTimes: 0,
      preparedTransactionOffset: 0,
      properties: batch ? new Uint8Array(0) : propertiesOf(messages[0]!),
      body: batch
        ? encodeBatch(messages.map((message) => ({ flag: 0, body: message.body, properties: propertiesOf(message) })))
        : messages[0]!.body,
      batch,
    })
    this.#note(
      `send ${topic} ${queueId} ${messages.map(({ id, body }) => `${id}:${body.length}`).join(' ')} ${waits} → ${appended.status} ${appended.position} ${appended.queueOffset}`,
    )
    if (appended.status !== PutStatus.PUT_OK) {
      assert.ok(
        store.notWritableReason !== undefined ||
          crashing.isDown ||
          appended.status === PutStatus.CREATE_MAPPED_FILE_FAILED ||
          messages[0]!.body.length > 1000,
        `refused without a reason: ${appended.status} ${appended.remark}`,
      )
      return
    }
    const sent = messages.map(({ id, body, tag }, index): Sent => {
      const message: Sent = {
        id,
        topic,
        queueId,
        body,
        tag,
        isHalf: sysFlag !== 0,
        position: appended.positions?.[index] ?? appended.position,
        endPosition: appended.positions?.[index + 1] ?? appended.endPosition,
        queueOffset: appended.queueOffset + index,
        state: this.#mutant.acknowledgeAppended === true ? 'acked' : 'sent',
        waits,
        wasDelivered: false,
      }
      this.#sent.set(id, message)
      return message
    })
    store[waits].wait({
      target: appended.endPosition,
      deadline: Number.POSITIVE_INFINITY,
      wake: () => {
        if (crashing.isDown) return
        for (const message of sent) if (message.state === 'sent') message.state = 'acked'
        this.#note(`ok ${sent[0]!.id}`)
      },
      fail: (reason: WaitFailure) => {
        if (crashing.isDown) return
        for (const message of sent) if (message.state === 'sent') message.state = 'failed'
        this.#note(`failed ${sent[0]!.id} ${reason}`)
      },
    })
  }

  #saveConfig(): void {
    const text = `{"version":${this.#nextId++}, "padding":"${'x'.repeat(this.below(2000))}"}`
    this.#config.begun = text
    if (this.#mutant.saveInPlace === true) {
      const file = this.#crashing!.openSync(CONFIG, 'write')
      file.truncateSync(0)
      file.writeSync(Buffer.from(text), 0)
      file.datasyncSync()
      file.closeSync()
      this.#crashing!.syncDirectorySync(`${ROOT}/config`)
    } else new ConfigFile(this.#crashing!, CONFIG, silentLog).save(text)
    if (this.#crashing!.isDown) return
    this.#config = { saved: text, begun: undefined }
    this.#note(`config ${text.length}`)
  }

  async #deleteTopic(): Promise<void> {
    const topic = this.pick(this.#topics)
    await this.#scheduler.advance(1000)
    if (this.#crashing!.isDown || !this.#store!.writable) return
    this.#note(`delete ${topic}`)
    const taken = [...this.#sent.values()].filter((sent) => sent.topic === topic && sent.state !== 'gone')
    for (const sent of taken) sent.state = 'failed'
    this.#store!.deleteTopic(topic)
    for (const sent of taken) sent.state = 'gone'
  }

  async #truncate(): Promise<void> {
    await this.#scheduler.advance(1000)
    const store = this.#store!
    const { min, appended, written } = store.positions
    if (this.#crashing!.isDown || !store.writable || appended !== written) return
    const boundaries = [...this.#sent.values()].filter(
      (sent) => sent.state !== 'gone' && sent.state !== 'failed' && sent.position >= min,
    )
    if (boundaries.length === 0) return
    const { position } = this.pick(boundaries.slice(-20))
    this.#note(`truncate to ${position}`)
    const taken = [...this.#sent.values()].filter((sent) => sent.endPosition > position && sent.state !== 'gone')
    // Neither there nor gone while it runs: a crash in between may leave both.
    for (const sent of taken) sent.state = 'failed'
    try {
      store.truncateTo(position)
    } catch (error) {
      if (this.#crashing!.isDown) throw error
      this.#note(`truncation failed: ${(error as Error).message}`)
      assert.equal(store.writable, false)
      this.#crash('kill')
      return
    }
    for (const sent of taken) sent.state = 'gone'
  }

  async #readOne(topic: string, queueId: number): Promise<Buffer[]> {
    const store = this.#store!
    const records: Buffer[] = []
    for (let offset = store.minOffset(topic, queueId); offset < store.maxOffset(topic, queueId); ) {
      let result: ReadResult | undefined
      store.read({ topic, queueId, offset, maxCount: 32, maxBytes: 1_000_000, filter: undefined }, (answer) => {
        result = answer
      })
      for (let tries = 0; result === undefined && !this.#crashing!.isDown && tries < 100; tries++)
        await this.#scheduler.advance(1)
      if (this.#crashing!.isDown) return records
      assert.equal(result?.status, 'FOUND', `read ${topic} ${queueId} at ${offset}`)
      records.push(...result.records)
      assert.ok(result.nextOffset > offset)
      offset = result.nextOffset
    }
    return records
  }

  /** The invariants of one moment; what is seen must be seen from now on. */
  async #check(when: string): Promise<void> {
    const crashing = this.#crashing!
    if (crashing.isDown) return
    const store = this.#store!
    const seen = new Set<number>()
    for (const topic of new Set([...this.#topics, ...[...this.#sent.values()].map((sent) => sent.topic)])) {
      for (let queueId = 0; queueId < 3; queueId++) {
        const messages = (await this.#readOne(topic, queueId)).flatMap((view) => decodeMessages(view))
        if (crashing.isDown) return
        const min = store.minOffset(topic, queueId)
        assert.equal(messages.length, store.maxOffset(topic, queueId) - min, `${when}: ${topic} ${queueId} is dense`)
        for (const [index, message] of messages.entries()) {
          const sent = this.#sent.get(Number(message.properties.get('ID')))
          assert.ok(sent !== undefined, `${when}: a message that nobody sent, at ${message.position}`)
          const about = `${when}: message ${sent.id} of ${topic} ${queueId}`
          assert.ok(!seen.has(sent.id), `${about} once`)
          seen.add(sent.id)
          assert.notEqual(sent.state, 'gone', `${about} had been taken away`)
          assert.equal(message.queueOffset, min + index, `${about} at its offset`)
          assert.deepEqual(
            [message.topic, message.queueId, message.queueOffset, message.position, message.properties.get('TAGS')],
            [sent.topic, sent.queueId, sent.queueOffset, sent.position, sent.tag],
            about,
          )
          assert.ok(message.body.equals(sent.body), `${about} has its body`)
        }
      }
    }
    for (const sent of this.#sent.values()) {
      if (sent.isHalf) {
        const record = store.recordAt(sent.position)
        const isThere = record !== undefined && decodeMessage(record, 0).properties.get('ID') === String(sent.id)
        if (isThere) seen.add(sent.id)
      }
      if (sent.state === 'kept' || sent.state === 'cached')
        assert.ok(seen.has(sent.id), `${when}: message ${sent.id} was acknowledged and is lost`)
      sent.state = seen.has(sent.id) ? 'kept' : 'gone'
    }
    this.#checkQueues(when)
    this.#checkConfig(when)
    this.#note(`checked ${when}: ${seen.size} messages`)
  }

  /** The consume queues are those that the log alone would give. */
  #checkQueues(when: string): void {
    const store = this.#store!
    const { queues, end } = queuesInLog(this.#disk, `${ROOT}/commitlog`)
    assert.ok(end <= store.positions.readable, `${when}: the log holds nothing behind its end`)
    for (const [key, inLog] of queues) {
      const [topic, queueId] = [key.slice(0, key.lastIndexOf(' ')), Number(key.slice(key.lastIndexOf(' ') + 1))]
      const entries = store.entries(topic, queueId, 0, 1_000_000)
      for (const entry of entries) {
        const expected = inLog.get(entry.queueOffset)
        assert.deepEqual(
          [entry.position, entry.sizeBytes, entry.tagsCode],
          [expected?.position, expected?.sizeBytes, expected?.tagsCode],
          `${when}: entry ${entry.queueOffset} of ${key}`,
        )
      }
    }
  }

  #checkConfig(when: string): void {
    const { saved, begun } = this.#config
    const loaded = new ConfigFile(this.#disk as Disk, CONFIG, silentLog).load()
    assert.ok(
      loaded === saved || (begun !== undefined && loaded === begun),
      `${when}: the configuration is the old or the new version, not ${loaded?.slice(0, 40)}`,
    )
    this.#config = { saved: loaded, begun: undefined }
  }

  /** A second recovery of the same state changes no byte of it. */
  async #recoverAgain(): Promise<void> {
    const snapshot = (): Map<string, Buffer> =>
      new Map(['commitlog', 'consumequeue', 'config'].flatMap((name) => [...filesBelow(this.#disk, `${ROOT}/${name}`)]))
    const before = snapshot()
    this.#crash('kill')
    await this.#open({ downAt: Number.POSITIVE_INFINITY, failAt: new Set() })
    const after = snapshot()
    assert.deepEqual([...after.keys()], [...before.keys()], 'a second recovery finds the same files')
    for (const [path, bytes] of before) assert.ok(after.get(path)!.equals(bytes), `a second recovery changes ${path}`)
    await this.#check('after a second recovery')
  }
}
