import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { describe, test } from 'node:test'
import { memoryLog } from '../base/console-log.ts'
import { Probes } from '../base/probe.ts'
import { SeededRandom } from '../base/random.ts'
import { SimulatedDisk } from '../base/simulated-disk.ts'
import { SimulatedScheduler } from '../base/simulated-scheduler.ts'
import { GetBrokerRuntimeInfo, ViewBrokerStatsData } from '../protocol/commands/broker-config.ts'
import { PullMessage } from '../protocol/commands/pull.ts'
import { SendMessageV2 } from '../protocol/commands/send.ts'
import { ResponseCode } from '../protocol/response-code.ts'
import { MemoryTransport } from '../remoting/memory-transport.ts'
import { brokerSettings } from './settings.ts'
import { startSimulatedBroker } from './simulated-broker.ts'
import { pullOf, sendOf } from './simulated-requests.ts'
import { type RunningBroker, startBroker } from './start.ts'

class Machine {
  readonly scheduler = new SimulatedScheduler()
  readonly disk = new SimulatedDisk(new SeededRandom(1), { scheduler: this.scheduler })
  readonly transport = new MemoryTransport(this.scheduler)
  readonly log = memoryLog()

  start(settings: Record<string, string> = {}): Promise<RunningBroker> {
    const { scheduler, disk, transport, log } = this
    const parsed = brokerSettings.parse({ storePathRootDir: '/store', brokerIP1: '127.0.0.1', ...settings }).settings
    const random = new SeededRandom(2)
    return this.pass(startBroker({ settings: parsed, scheduler, random, log, probes: new Probes(), transport, disk }))
  }

  /** Lets time pass until the result is there. */
  async pass<T>(result: Promise<T>): Promise<T> {
    let isSettled = false
    const settled = (): void => {
      isSettled = true
    }
    result.then(settled, settled)
    await this.scheduler.settle()
    while (!isSettled) await this.scheduler.advance(10)
    return result
  }
}

describe('a broker', () => {
  test('that cannot start leaves nothing behind: the next one can', async () => {
    const machine = new Machine()
    const taken = await machine.transport.listen({ host: '127.0.0.1', port: 10_909 }, (wire) => wire.destroy())
    await assert.rejects(machine.start(), /port 10909 .*in use/)
    await taken.close()
    const running = await machine.start()
    assert.deepEqual(running.address.port, 10_911)
    await machine.pass(running.close())
    assert.equal(machine.scheduler.pending, 0, 'no timer is left')
  })

  test('that is told to be a replica does not take messages as a master instead', async () => {
    const machine = new Machine()
    await assert.rejects(machine.start({ brokerRole: 'SLAVE' }), /brokerRole=SLAVE: replicas are not served/)
    await assert.rejects(machine.start({ brokerId: '1' }), /brokerId=1: only masters/)
    assert.deepEqual(machine.disk.listSync('/store'), [])
  })

  test('says of what is asked for and not served yet that it is not, and how to be without it', async () => {
    const machine = new Machine()
    const running = await machine.start({ brokerRole: 'SYNC_MASTER', enablePropertyFilter: 'true' })
    const said = machine.log.lines.filter(({ level }) => level === 'warn')
    assert.deepEqual(
      said.map(({ message, fields }) => [message.split(':')[0], fields['fix']]),
      [
        ['brokerRole=SYNC_MASTER', 'brokerRole=ASYNC_MASTER'],
        ['enablePropertyFilter=true', 'enablePropertyFilter=false, and subscriptions by tags'],
      ],
    )
    await machine.pass(running.close())
  })

  test('with port 0 takes one that is free, and writes it into message ids', async () => {
    const machine = new Machine()
    const running = await machine.start({ listenPort: '0' })
    const { port } = running.address
    assert.notEqual(port, 0)
    assert.equal(running.broker.address, `127.0.0.1:${port}`)
    assert.equal(running.broker.storeHost.port, port)
    await machine.pass(running.close())
  })

  test('with port 0 takes one whose fast port is free as well', async () => {
    const machine = new Machine()
    const host = '0.0.0.0'
    const probe = await machine.transport.listen({ host, port: 0 }, (wire) => wire.destroy())
    await probe.close()
    // The transport hands out ports in turn: the fast port beside the next one is taken.
    await machine.transport.listen({ host, port: probe.address.port - 1 }, (wire) => wire.destroy())
    const running = await machine.start({ listenPort: '0' })
    assert.equal(running.address.port, probe.address.port + 2)
    await machine.pass(running.close())
  })

  test('answers what is under way before it stops, and serves nobody after', async () => {
    const broker = await startSimulatedBroker({ flushDiskType: 'SYNC_FLUSH' })
    const client = await broker.connect()
    await client.ask(SendMessageV2, sendOf(), 'before')
    const sent = await client.begin(SendMessageV2, sendOf(), 'under way')
    const parked = await client.begin(PullMessage, pullOf({ queueOffset: 2, sysFlag: 6, suspendTimeoutMillis: 20_000 }))
    const started = broker.scheduler.monotonic()
    await broker.close()
    assert.equal(client.answer(sent)?.code, ResponseCode.SUCCESS)
    assert.equal(client.answer(parked)?.code, ResponseCode.PULL_OFFSET_MOVED)
    assert.ok(client.isClosed)
    assert.ok(broker.scheduler.monotonic() - started < 2_000)
    await assert.rejects(broker.connect(10_911), /nothing listens/)
    const again = await broker.reopen()
    assert.equal(again.broker.store.maxOffset('orders', 0), 2)
    await again.close()
  })

  test('tells every key of runtime information that Java tells', async () => {
    const broker = await startSimulatedBroker({ storePathRootDir: '/srv/rmq/broker-a/store' })
    const client = await broker.connect()
    await client.ask(SendMessageV2, sendOf(), 'x'.repeat(100))
    await client.ask(PullMessage, pullOf())
    // Rates of ten minutes, which the idle connection does not see.
    await broker.scheduler.advance(601_000)
    const { body } = await (await broker.connect()).ask(GetBrokerRuntimeInfo, {})
    const { table } = JSON.parse(body.toString()) as { table: Record<string, string> }
    const recorded = readFileSync(resolve(import.meta.dirname, '../../test/vectors/wire/admin-broker.jsonl'), 'utf8')
      .split('\n')
      .filter((line) => line.includes('"broker-runtime/') && line.includes('"response"'))
      .map(
        (line) => JSON.parse((JSON.parse(line) as { bodyUtf8: string }).bodyUtf8) as { table: Record<string, string> },
      )
    // Delay levels are told once something was delayed.
    const theirs = Object.keys(recorded[0]!.table).filter((key) => !key.startsWith('scheduleMessageOffset_'))
    assert.deepEqual(Object.keys(table).sort(), theirs.sort())
    const rates = /^[\d.]+ [\d.]+ [\d.]+$/
    for (const key of ['putTps', 'getFoundTps', 'getMissTps', 'getTotalTps', 'getTransferredTps']) {
      assert.match(table[key]!, rates, key)
      assert.match(recorded[0]!.table[key]!, rates, key)
    }
    assert.equal(table['msgPutTotalTodayNow'], '1')
    assert.equal(table['msgGetTotalTodayNow'], '1')
    assert.equal(table['putMessageTimesTotal'], '1')
    assert.equal(table['brokerVersionDesc'], 'V5_5_0')
    assert.equal(table['sendThreadPoolQueueSize'], '0', 'this request itself does not wait')
    assert.match(table['runtime']!, /^\[ \d+ days, \d+ hours, \d+ minutes, \d+ seconds \]$/)
    await broker.close()
  })

  test('counts messages by topic, group and cluster, and the day before by its last second', async () => {
    const broker = await startSimulatedBroker()
    const client = await broker.connect()
    for (let index = 0; index < 30; index++) await client.ask(SendMessageV2, sendOf(), 'x')
    await client.ask(PullMessage, pullOf())
    await broker.scheduler.advance(20_000)
    const view = async (statsName: string, statsKey: string): Promise<Record<string, Record<string, number>>> => {
      const { code, body, remark } = await client.ask(ViewBrokerStatsData, { statsName, statsKey })
      assert.equal(code, ResponseCode.SUCCESS, remark)
      return JSON.parse(body.toString()) as Record<string, Record<string, number>>
    }
    const puts = await view('TOPIC_PUT_NUMS', 'orders')
    assert.deepEqual(Object.keys(puts).sort(), ['statsDay', 'statsHour', 'statsMinute'])
    assert.equal(puts['statsMinute']!['sum'], 30)
    assert.equal(puts['statsMinute']!['avgpt'], 1)
    assert.ok(puts['statsMinute']!['tps']! > 1)
    assert.equal((await view('GROUP_GET_NUMS', 'orders@consumers'))['statsMinute']!['sum'], 30)
    assert.equal((await view('GROUP_GET_NUMS', 'orders@consumers'))['statsMinute']!['avgpt'], 30)
    assert.equal((await view('BROKER_PUT_NUMS', 'DefaultCluster'))['statsMinute']!['sum'], 30)
    const missing = await client.ask(ViewBrokerStatsData, { statsName: 'TOPIC_PUT_NUMS', statsKey: 'nothing' })
    assert.deepEqual([missing.code, missing.remark], [1, 'The stats <TOPIC_PUT_NUMS> <nothing> not exist'])
    const { midnights } = broker.broker.counts
    const untilMidnight = new Date(broker.scheduler.now()).setHours(24, 0, 0, 0) - broker.scheduler.now()
    // The clock of the wall moves; nobody waits a day.
    broker.scheduler.jumpWallClock(untilMidnight + 1_000)
    await broker.scheduler.advance(1_000)
    assert.deepEqual([midnights.putToday, midnights.getToday, midnights.putYesterday], [30, 30, 0])
    broker.scheduler.jumpWallClock(24 * 3_600_000)
    await broker.scheduler.advance(1_000)
    assert.deepEqual([midnights.putToday, midnights.putYesterday], [30, 30])
    await broker.close()
  })
})
