import assert from 'node:assert/strict'
import { SeededRandom } from '../../src/base/random.ts'
import { SimulatedScheduler } from '../../src/base/simulated-scheduler.ts'
import { MemoryTransport } from '../../src/remoting/memory-transport.ts'
import type { FaultPlan } from './crashing-disk.ts'
import { type DiskOperation, RecordingDisk } from './disk-trace.ts'
import { type Delivery, History, type Send, type TopicChange } from './history.ts'
import { historyLog } from './history-log.ts'
import { ModelAdministrator } from './model-administrator.ts'
import { Gate, type ModelWorld } from './model-clients.ts'
import { ModelConsumer } from './model-consumer.ts'
import { ModelProducer } from './model-producer.ts'
import { BROKER, NAME_SERVER, SimulatedMachine } from './simulated-machine.ts'

export const TOPICS: readonly string[] = ['orders', 'payments']
const QUEUES = [0, 1]

/** What clients knew when so many operations of the disk were done. */
export interface Mark {
  operations: number
  atMs: number
  what: { send: Send } | { delivery: Delivery } | { change: TopicChange }
}

/** How a life of the broker ends. */
export type Ending = 'kill' | 'stop'

/** A trace of the disk, and what was promised at each moment of it. */
export interface Recording {
  seed: number
  isSync: boolean
  settings: Record<string, string>
  trace: readonly DiskOperation[]
  marks: readonly Mark[]
  /** Operation → time at which it was done. */
  times: Float64Array
  history: History
}

/**
 * Runs the real broker with clients on a disk that writes everything down: a start, load over several segments, a kill
 * and what recovery does, a stop in order, and load again.
 */
export async function record(
  seed: number,
  options: { disk?: Partial<FaultPlan>; settings?: Record<string, string>; loadMs?: number; ends?: Ending[] } = {},
): Promise<Recording> {
  const random = new SeededRandom(seed)
  const scheduler = new SimulatedScheduler(1_700_000_000_000 + seed)
  const transport = new MemoryTransport(scheduler, { delayMs: 1 })
  const history = new History(scheduler)
  const pick = <T>(from: readonly T[]): T => from[random.below(from.length)]!
  const isSync = seed % 2 === 0
  const settings = {
    flushDiskType: isSync ? 'SYNC_FLUSH' : 'ASYNC_FLUSH',
    mappedFileSizeCommitLog: String(pick([20_000, 65_536])),
    mappedFileSizeConsumeQueue: String(20 * pick([10, 50])),
    flushIntervalCommitLog: String(pick([10, 100])),
    flushIntervalConsumeQueue: String(pick([5, 50])),
    flushConsumeQueueThoroughInterval: String(pick([50, 2_000])),
    flushConsumerOffsetInterval: '100',
    ...options.settings,
  }
  const disk = new RecordingDisk(new SeededRandom(seed ^ 0x5eed), { scheduler, latencyMs: 3 })
  const log = historyLog(history)
  const machine = new SimulatedMachine({
    scheduler,
    transport,
    random,
    settings,
    log,
    disk,
    ...(options.disk && { mutant: options.disk }),
  })
  const gate = new Gate()
  let nextId = 1
  let violation: unknown
  const world: ModelWorld = {
    scheduler,
    transport,
    random,
    history,
    gate,
    nameServer: NAME_SERVER,
    broker: BROKER,
    nextId: () => nextId++,
    onViolation: (error) => {
      violation = error
    },
  }
  const marks: Mark[] = []
  const mark = (what: Mark['what']): void => {
    marks.push({ operations: disk.trace.length, atMs: history.nowMs, what })
  }
  history.onAnswer = (operation) => {
    if (operation.outcome !== 'ok') return
    if ('ids' in operation) mark({ send: { ...operation } })
    else if ('version' in operation) mark({ change: { ...operation } })
  }
  history.onDelivery = (delivery) => mark({ delivery })
  const times: number[] = []
  const pass = async (ms: number): Promise<void> => {
    for (let passed = 0; passed < ms; passed++) {
      await scheduler.advance(1)
      while (times.length < disk.trace.length) times.push(history.nowMs)
    }
    if (violation !== undefined) throw violation
  }

  const queues = TOPICS.flatMap((topic) => QUEUES.map((queueId) => ({ topic, queueId })))
  const clients = [
    new ModelProducer('producer-1', world, TOPICS),
    new ModelProducer('producer-2', world, TOPICS),
    new ModelConsumer(
      'billing',
      world,
      () => queues,
      (message) => Number(message.properties.get('ID')),
    ),
    new ModelAdministrator('administrator', world, TOPICS),
  ]
  history.note('recording', { seed, ...settings })
  gate.close()
  await machine.startNameServer()
  for (const client of clients) client.start()
  const { loadMs = 250, ends = ['kill', 'stop', 'kill'] } = options
  for (const end of ends) {
    assert.ok(await machine.startBroker())
    gate.open()
    await pass(loadMs)
    gate.close()
    if (end === 'kill') await machine.crash('kill')
    else assert.ok(await machine.stopBroker())
    await pass(10)
  }
  gate.end()
  const finishing = Promise.all(clients.map((client) => client.finish()))
  await pass(3_100)
  await finishing
  return { seed, isSync, settings, trace: disk.trace, marks, times: Float64Array.from(times), history }
}
