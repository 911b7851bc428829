import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { SeededRandom } from '../../src/base/random.ts'
import { systemScheduler } from '../../src/base/system-scheduler.ts'
import { tcpTransport } from '../../src/remoting/tcp-transport.ts'
import { Running } from '../processes.ts'
import { ConsumerChecker } from './consumer-checker.ts'
import { History } from './history.ts'
import { Gate, type ModelWorld } from './model-clients.ts'
import { ModelConsumer } from './model-consumer.ts'
import { ModelProducer } from './model-producer.ts'
import { QueueChecker } from './queue-checker.ts'

const main = resolve(import.meta.dirname, '../../src/cli/main.ts')
const TOPICS = ['orders', 'payments']
const QUEUES = TOPICS.flatMap((topic) => [0, 1].map((queueId) => ({ topic, queueId })))
const PRODUCERS = 6
const OFFSETS_MS = 500
/** Longest life between a start and its end. */
const LIFE_MS = 2_000

export interface KillResult {
  cycles: number
  sent: number
  acknowledged: number
  kept: number
  /** From the start of the process to its readiness, the slowest. */
  slowestStartMs: number
}

class EagerProducer extends ModelProducer {
  protected override get thinkMs(): number {
    return this.world.random.below(4)
  }
}

/**
 * A broker process of its own on the machine's disk, under load over TCP: killed at a random moment, started on the same
 * directory, read whole, and so on. A kill keeps the page cache, so nothing that was acknowledged may be missing.
 */
export class KillCycles {
  readonly history: History = new History(systemScheduler)
  readonly #random: SeededRandom
  readonly #folder = mkdtempSync(join(tmpdir(), 'cometmq-kill-'))
  readonly #producing = new Gate()
  readonly #consuming = new Gate()
  #server: Running | undefined
  #ports = { nameServer: '0', broker: '0' }
  #slowestStartMs = 0
  #violation: unknown

  constructor(seed: number) {
    this.#random = new SeededRandom(seed)
  }

  async run(cycles: number): Promise<KillResult> {
    try {
      return await this.#run(cycles)
    } finally {
      this.#server?.kill()
      await this.#server?.ended
      rmSync(this.#folder, { recursive: true, force: true })
    }
  }

  async #run(cycles: number): Promise<KillResult> {
    const random = this.#random
    const { nameServer, broker } = await this.#start(0)
    let nextId = 1
    const world: ModelWorld = {
      scheduler: systemScheduler,
      transport: tcpTransport,
      random,
      history: this.history,
      gate: this.#producing,
      nameServer,
      broker,
      nextId: () => nextId++,
      onViolation: (error) => {
        this.#violation ??= error
      },
    }
    const queues = new QueueChecker(this.history, { isSync: false, windowMs: 0 })
    const groups = new ConsumerChecker(this.history, OFFSETS_MS * 2)
    const producers = Array.from(
      { length: PRODUCERS },
      (_, index) => new EagerProducer(`producer-${index}`, world, TOPICS),
    )
    const consumer = new ModelConsumer('billing', { ...world, gate: this.#consuming }, () => QUEUES, queues.check)
    const auditor = new ModelConsumer('auditor', world, () => QUEUES, queues.check)
    for (const gate of [this.#producing, this.#consuming]) gate.close()
    for (const client of [...producers, consumer]) client.start()
    for (let cycle = 0; cycle < cycles; cycle++) {
      for (const gate of [this.#producing, this.#consuming]) gate.open()
      await systemScheduler.sleep(random.below(LIFE_MS))
      for (const gate of [this.#producing, this.#consuming]) gate.close()
      this.#server!.kill()
      const killedMs = this.history.nowMs
      await this.#server!.ended
      queues.crashed('kill', 0)
      groups.crashed(killedMs)
      await this.#start(cycle + 1)
      const topics = new Set([...TOPICS, ...this.history.sends.map(({ topic }) => topic)])
      const reads = []
      for (const topic of topics) {
        for (const queueId of [0, 1]) reads.push(await auditor.readWhole({ topic, queueId }))
      }
      queues.audit(reads, killedMs)
      if (this.#violation !== undefined) throw this.#violation
    }
    for (const gate of [this.#producing, this.#consuming]) gate.end()
    await Promise.all([...producers, consumer, auditor].map((client) => client.finish()))
    const { sends } = this.history
    const countOf = (wanted: (outcome: string) => boolean): number =>
      sends.filter(({ outcome }) => wanted(outcome)).reduce((sum, { ids }) => sum + ids.length, 0)
    return {
      cycles,
      sent: countOf(() => true),
      acknowledged: countOf((outcome) => outcome === 'ok'),
      kept: queues.kept.length,
      slowestStartMs: this.#slowestStartMs,
    }
  }

  /** By turns with ASYNC_FLUSH and SYNC_FLUSH, always at the same ports. */
  async #start(cycle: number): Promise<{ nameServer: string; broker: string }> {
    const started = performance.now()
    const settings = [
      `flushDiskType=${cycle % 2 === 0 ? 'ASYNC_FLUSH' : 'SYNC_FLUSH'}`,
      'mappedFileSizeCommitLog=1048576',
      'mappedFileSizeConsumeQueue=6000',
      `flushConsumerOffsetInterval=${OFFSETS_MS}`,
    ]
    const server = new Running(process.execPath, [
      main,
      'start',
      '--data',
      this.#folder,
      '--namesrv-port',
      this.#ports.nameServer,
      '--broker-port',
      this.#ports.broker,
      ...settings.flatMap((setting) => ['--set', setting]),
    ])
    this.#server = server
    const ready = await server.until(/^ready {2}name server (\S+) {2}broker (\S+)\n/)
    this.#slowestStartMs = Math.max(this.#slowestStartMs, Math.round(performance.now() - started))
    const [, nameServer, broker] = ready
    this.#ports = { nameServer: portOf(nameServer!), broker: portOf(broker!) }
    return { nameServer: nameServer!, broker: broker! }
  }
}

const portOf = (address: string): string => address.slice(address.lastIndexOf(':') + 1)
