import assert from 'node:assert/strict'
import { SeededRandom } from '../../src/base/random.ts'
import { SimulatedScheduler } from '../../src/base/simulated-scheduler.ts'
import { MemoryTransport } from '../../src/remoting/memory-transport.ts'
import { BoundsChecker } from './bounds-checker.ts'
import { ConsumerChecker } from './consumer-checker.ts'
import type { FaultPlan } from './crashing-disk.ts'
import { GarbageClient } from './garbage-client.ts'
import { History } from './history.ts'
import { historyLog } from './history-log.ts'
import { ModelAdministrator } from './model-administrator.ts'
import { Gate, type ModelWorld } from './model-clients.ts'
import { ModelConsumer } from './model-consumer.ts'
import { ModelProducer } from './model-producer.ts'
import { QueueChecker, type QueueRead } from './queue-checker.ts'
import { BROKER, NAME_SERVER, SimulatedMachine } from './simulated-machine.ts'
import { TopicChecker } from './topic-checker.ts'

const TOPICS = ['orders', 'payments']
const QUEUES = [0, 1]
const GROUPS = ['billing', 'shipping']
/** ASYNC_FLUSH: R13 allows the messages of one second to be lost with the power. */
const WINDOW_MS = 1_000

/** Changes of the real code or its disk, each of which a run must notice. */
export interface ClusterMutant {
  disk?: Partial<FaultPlan>
  /** Changes a class, and gives back what undoes it. */
  patch?: () => () => void
  settings?: Record<string, string>
}

/** One seed: a broker, a name server and their clients, over several lives of the broker, and what must hold. */
export class ClusterRun {
  readonly history: History
  crashes = 0
  readonly queues: QueueChecker
  readonly #random: SeededRandom
  readonly #scheduler: SimulatedScheduler
  readonly #machine: SimulatedMachine
  readonly #consumersOf: ConsumerChecker
  readonly #topics: TopicChecker
  readonly #bounds: BoundsChecker
  readonly #gate = new Gate()
  readonly #consuming = new Gate()
  readonly #producers: ModelProducer[]
  readonly #consumers: ModelConsumer[]
  readonly #administrator: ModelAdministrator
  readonly #auditor: ModelConsumer
  readonly #garbage: GarbageClient
  readonly #transport: MemoryTransport
  readonly #mutant: ClusterMutant
  /** No faults of disk or network in this run: only clients that misbehave, and crashes. */
  readonly #isCalm: boolean
  #trustedMs = Number.POSITIVE_INFINITY
  #lastCrashMs = 0
  #nextId = 1
  /** What a client saw that must not be. */
  #violation: unknown

  constructor(seed: number, mutant: ClusterMutant = {}) {
    const random = new SeededRandom(seed)
    const scheduler = new SimulatedScheduler(1_700_000_000_000 + seed)
    this.#random = random
    this.#scheduler = scheduler
    this.#mutant = mutant
    this.history = new History(scheduler)
    this.#isCalm = random.below(3) === 0
    const isSync = random.below(2) === 0
    const flushConsumerOffsetInterval = this.#pick([300, 1_000, 5_000])
    const settings = {
      flushDiskType: isSync ? 'SYNC_FLUSH' : 'ASYNC_FLUSH',
      mappedFileSizeCommitLog: String(this.#pick([20_000, 65_536, 1_048_576])),
      mappedFileSizeConsumeQueue: String(20 * this.#pick([3, 10, 300])),
      flushIntervalCommitLog: String(this.#pick([20, 500])),
      flushIntervalConsumeQueue: String(this.#pick([5, 1_000])),
      flushConsumeQueueThoroughInterval: String(this.#pick([50, 2_000, 60_000])),
      flushConsumerOffsetInterval: String(flushConsumerOffsetInterval),
      ...mutant.settings,
    }
    const slices = this.#isCalm ? {} : { sliceBytes: this.#pick([7, 500, 65_536]), random: new SeededRandom(seed ^ 77) }
    this.#transport = new MemoryTransport(scheduler, { ...slices, delayMs: this.#pick([0, 0, 1]) })
    const latencyMs = this.#isCalm ? 2 : this.#pick([0.5, 2, 50])
    const transport = this.#transport
    this.#machine = new SimulatedMachine({
      scheduler,
      transport,
      random,
      settings,
      latencyMs,
      log: historyLog(this.history),
      ...(mutant.disk && { mutant: mutant.disk }),
    })
    this.queues = new QueueChecker(this.history, { isSync, windowMs: WINDOW_MS })
    this.#consumersOf = new ConsumerChecker(this.history, flushConsumerOffsetInterval + 500)
    this.#topics = new TopicChecker(this.history)
    this.#bounds = new BoundsChecker(this.history)
    this.#garbage = new GarbageClient(transport, random)
    const world: ModelWorld = {
      scheduler,
      transport,
      random,
      history: this.history,
      gate: this.#gate,
      nameServer: NAME_SERVER,
      broker: BROKER,
      nextId: () => this.#nextId++,
      onViolation: (error) => {
        this.#violation ??= error
      },
    }
    this.#producers = ['producer-1', 'producer-2'].map((name) => new ModelProducer(name, world, TOPICS))
    this.#consumers = GROUPS.map(
      (group) => new ModelConsumer(group, { ...world, gate: this.#consuming }, this.#knownQueues, this.queues.check),
    )
    this.#administrator = new ModelAdministrator('administrator', world, TOPICS)
    this.#auditor = new ModelConsumer('auditor', world, this.#knownQueues, this.queues.check)
    this.history.note('seed', { seed, latencyMs, isCalm: this.#isCalm, ...settings })
  }

  #pick<T>(from: readonly T[]): T {
    return from[this.#random.below(from.length)]!
  }

  #chance(percent: number): boolean {
    return this.#random.below(100) < percent
  }

  readonly #knownQueues = (): { topic: string; queueId: number }[] => {
    const topics = new Set([...TOPICS, ...this.history.sends.map(({ topic }) => topic)])
    return [...topics].flatMap((topic) => QUEUES.map((queueId) => ({ topic, queueId })))
  }

  get #clients(): (ModelProducer | ModelConsumer | ModelAdministrator)[] {
    return [...this.#producers, ...this.#consumers, this.#administrator]
  }

  async run(): Promise<void> {
    const undo = this.#mutant.patch?.()
    try {
      this.#pause()
      await this.#machine.startNameServer()
      for (const client of this.#clients) client.start()
      for (let life = 0, lives = 2 + this.#random.below(3); life < lives; life++) await this.#live(life)
      await this.#settle()
    } finally {
      undo?.()
    }
  }

  #pause(): void {
    this.#gate.close()
    this.#consuming.close()
  }

  async #live(life: number): Promise<void> {
    this.history.note('life', { life })
    for (let attempt = 0; attempt < 3 && life > 0 && this.#chance(30); attempt++) {
      const isUp = await this.#machine.startBroker({ downAt: 1 + this.#random.below(80) })
      if (isUp) await this.#audit()
      await this.#crash()
    }
    assert.ok(await this.#machine.startBroker())
    await this.#audit()
    this.#plan()
    this.#gate.open()
    this.#consuming.open()
    const until = this.#scheduler.monotonic() + 20 + this.#random.below(this.#chance(15) ? 8_000 : 700)
    if (this.#isCalm) this.#bounds.skip()
    while (this.#scheduler.monotonic() < until && !this.#machine.isDown) {
      await this.#pass(1 + this.#random.below(20))
      if (!this.#machine.isDown) await this.#disturb()
    }
    this.#pause()
    if (!this.#machine.isDown) {
      if (this.#isCalm) this.#bounds.calm(new Set(TOPICS))
      this.#bounds.bounded(this.#machine.probes)
      if (this.#chance(25) && (await this.#stop())) return
    }
    await this.#crash()
  }

  /** What the disk will do in this life. */
  #plan(): void {
    const { crashing } = this.#machine
    const { plan } = crashing
    const next = crashing.operations + 1
    if (this.#chance(70)) plan.downAt = next + this.#random.below(500)
    crashing.onSyncFailed = () => {
      this.#trustedMs = Math.min(this.#trustedMs, this.history.nowMs)
    }
    if (this.#isCalm) return
    if (this.#chance(20)) plan.failAt = new Set([next + this.#random.below(60), next + this.#random.below(120)])
    if (this.#chance(12)) {
      const failing = next + this.#random.below(80)
      plan.failSyncAt = new Set(Array.from({ length: 20 }, (_, index) => failing + index))
    }
  }

  /** Something that happens to clients, network and clock. */
  async #disturb(): Promise<void> {
    const dice = this.#random.below(200)
    if (dice < 6) await this.#pump(this.#garbage.disturb(BROKER))
    else if (dice < 8) for (const consumer of this.#consumers) consumer.forget()
    if (this.#isCalm) return
    const { ends } = this.#transport
    if (dice >= 10 && dice < 14 && ends.length > 0) this.#pick(ends).cutAfter(this.#random.below(4_000))
    else if (dice === 14 && ends.length > 0) this.#pick(ends).freeze()
    else if (dice === 15) this.#scheduler.jumpWallClock(this.#pick([-86_400_000, -1_000, 1_000, 3_600_000]))
    else if (dice === 16) {
      this.history.note('name server restarts')
      await this.#machine.stopNameServer(this.#pick(['reset', 'silence']))
      await this.#machine.startNameServer()
    }
  }

  async #crash(): Promise<void> {
    const kind = this.#chance(60) ? 'power' : 'kill'
    const now = this.history.nowMs
    this.crashes++
    this.history.note(kind, { events: this.#machine.crashing.events })
    const trustedMs = Math.min(now, this.#trustedMs)
    this.queues.crashed(kind, trustedMs)
    this.#consumersOf.crashed(trustedMs)
    this.#trustedMs = Number.POSITIVE_INFINITY
    this.#lastCrashMs = now
    await this.#machine.crash(kind)
    this.#garbage.leave()
    await this.#pass(this.#random.below(200))
  }

  async #stop(): Promise<boolean> {
    // Whoever is in the middle of something is answered first.
    const wasInOrder = await this.#machine.stopBroker()
    if (!wasInOrder) return false
    const isClean = this.#machine.disk.statSync(`${this.#machine.root}/abort`) === undefined
    this.history.note('stopped', { isClean })
    if (isClean) {
      this.queues.stopped()
      this.#consumersOf.stopped()
    } else {
      assert.ok(this.#machine.crashing.events.length > 0, 'a broker that nothing happened to stops in order')
      this.queues.crashed('kill', Math.min(this.history.nowMs, this.#trustedMs))
    }
    this.#trustedMs = Number.POSITIVE_INFINITY
    this.#lastCrashMs = this.history.nowMs
    await this.#pass(this.#random.below(50))
    return true
  }

  /** Faults are over: all must be well soon, and what was kept must have reached everybody. */
  async #settle(): Promise<void> {
    this.history.note('settle')
    this.#transport.cutAll()
    const begun = this.history.nowMs
    assert.ok(await this.#machine.startBroker())
    await this.#audit()
    const started = this.history.nowMs
    const producer = this.#producers[0]!
    for (const topic of TOPICS) {
      for (let isTaken = false; !isTaken; ) {
        await this.#pump(producer.sendSome(topic))
        isTaken = this.history.sends[this.history.sends.length - 1]!.outcome !== 'unknown' || this.#wasOneWay
        this.#bounds.alive(`a send to ${topic}`, this.history.nowMs - started)
      }
      for (let isFound = false; !isFound; ) {
        isFound = await this.#pump(producer.findsRoute(topic))
        this.#bounds.alive(`the route of ${topic}`, this.history.nowMs - started)
        if (!isFound) await this.#pass(100)
      }
    }
    for (const consumer of this.#consumers) consumer.forget()
    this.#gate.open()
    this.#consuming.open()
    await this.#pass(300)
    this.#gate.end()
    const quietMs = this.history.nowMs
    while (!this.#consumers.every((consumer) => consumer.hasCaughtUp) && this.history.nowMs - quietMs < 60_000) {
      await this.#pass(100)
    }
    for (const group of GROUPS) this.#consumersOf.expectDelivered(group, this.queues.kept)
    this.#consuming.end()
    for (const client of [...this.#clients, this.#auditor]) await this.#pump(client.finish())
    await this.#pass(200)
    this.#bounds.empty(this.#machine.probes)
    assert.ok(await this.#machine.stopBroker(), 'stops in order')
    this.history.note('end', { simulatedMs: this.history.nowMs - begun })
  }

  get #wasOneWay(): boolean {
    return this.history.sends[this.history.sends.length - 1]!.kind === 'one-way'
  }

  /** Reads everything as clients do, and asks what must be known of groups and topics. */
  async #audit(): Promise<void> {
    const reads: QueueRead[] = []
    for (const queue of this.#knownQueues()) {
      const read = await this.#pump(this.#auditor.readWhole(queue))
      if (this.#machine.isDown) return
      reads.push(read)
    }
    this.queues.audit(reads, this.#lastCrashMs)
    const { offsets } = this.#machine.broker!.broker
    for (const { topic, queueId, maxOffset } of reads) {
      for (const group of GROUPS) {
        this.#consumersOf.audit(group, topic, queueId, offsets.get(group, topic, queueId), maxOffset)
      }
    }
    for (const topic of TOPICS) {
      const version = await this.#pump(this.#administrator.versionOf(topic))
      if (this.#machine.isDown) return
      this.#topics.audit(topic, version)
    }
    this.#topics.settle()
    this.history.note('audited', { queues: reads.map(({ maxOffset }) => maxOffset) })
  }

  async #pass(ms: number): Promise<void> {
    try {
      await this.#scheduler.advance(ms)
    } catch (error) {
      if (!this.#machine.isDown) throw error
    }
    if (this.#violation !== undefined) throw this.#violation
  }

  /** Waits while time passes; when the machine goes down meanwhile, what comes of it does not matter. */
  async #pump<T>(work: Promise<T>): Promise<T> {
    let isSettled = false
    const settled = (): void => {
      isSettled = true
    }
    work.then(settled, settled)
    await this.#scheduler.settle()
    for (let waitedMs = 0; !isSettled; waitedMs += 2) {
      assert.ok(waitedMs < 100_000, 'nothing settles it')
      if (this.#machine.isDown) return undefined as T
      await this.#pass(2)
    }
    return work
  }
}
