import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { silentLog } from '../../src/base/console-log.ts'
import { Probes } from '../../src/base/probe.ts'
import { systemScheduler } from '../../src/base/system-scheduler.ts'
import { pullOf, sendOf } from '../../src/broker/simulated-requests.ts'
import { GetBrokerRuntimeInfo } from '../../src/protocol/commands/broker-config.ts'
import { UpdateConsumerOffset } from '../../src/protocol/commands/offset.ts'
import { PullMessage } from '../../src/protocol/commands/pull.ts'
import { GetMinOffset } from '../../src/protocol/commands/query.ts'
import { SendMessageV2 } from '../../src/protocol/commands/send.ts'
import { decodeMessages } from '../../src/protocol/message.ts'
import { PullSysFlag } from '../../src/protocol/names.ts'
import { ResponseCode } from '../../src/protocol/response-code.ts'
import { RemotingClient } from '../../src/remoting/client.ts'
import { tcpTransport } from '../../src/remoting/tcp-transport.ts'
import { type Running, Workshop } from '../processes.ts'
import type { SmallDisk } from './small-disk.ts'

const WRITABLE_MS = 10_000
const BODY_BYTES = 16_000
const IN_FLIGHT = 16

interface Acked {
  queueOffset: number
  body: Buffer
}

/** A real broker in a process of its own, on a disk that fills up. */
export class RealDiskRun {
  readonly #disk: SmallDisk
  readonly #mode: string
  readonly #say: (line: string) => void
  readonly #workshop = new Workshop()
  readonly #client = new RemotingClient({
    transport: tcpTransport,
    scheduler: systemScheduler,
    log: silentLog,
    probes: new Probes(),
  })
  readonly #acked: Acked[] = []
  #broker: Running | undefined
  #address = ''
  #store = ''

  constructor(disk: SmallDisk, mode: 'ASYNC_FLUSH' | 'SYNC_FLUSH', say: (line: string) => void) {
    this.#disk = disk
    this.#mode = mode
    this.#say = say
  }

  async run(cycles: number): Promise<void> {
    try {
      await this.#fillAndFree(cycles)
      if (this.#mode === 'ASYNC_FLUSH') await this.#forced()
    } finally {
      await this.#client.close()
      await this.#workshop.close()
    }
  }

  async #fillAndFree(cycles: number): Promise<void> {
    this.#store = join(this.#disk.path, `store-${this.#mode}`)
    const fixed = { cleanFileForciblyEnable: 'false', diskMaxUsedSpaceRatio: '95' }
    await this.#start(fixed)
    for (let cycle = 1; cycle <= cycles; cycle++) {
      // Half of the rounds leave the broker to see the limit itself, the others take the last byte from under it.
      const isSudden = cycle % 2 === 0
      const { freeBytes, totalBytes } = this.#disk.space
      this.#disk.occupy(isSudden ? freeBytes / 2 : Math.max(0, freeBytes - totalBytes * 0.1 - 1_500_000))
      // So long at most what others wrote goes unseen.
      if (!isSudden) await systemScheduler.sleep(1_100)
      await this.#sendUntilRefused(isSudden)
      const { usedBytes } = this.#disk.space
      if (!isSudden) assert.ok(usedBytes < totalBytes * 0.95, `some room is left: ${usedBytes} of ${totalBytes} used`)
      await this.#readAll('while the disk is full')
      await this.#commitOffset()
      // Once so long that everything saved by the clock has met the full disk.
      if (cycle === 2) await systemScheduler.sleep(8_000)
      this.#disk.free()
      const writableMs = await this.#untilWritable()
      await this.#readAll('after there was room again')
      this.#say(
        `${this.#mode} cycle ${cycle} (${isSudden ? 'last byte gone' : 'limit'}): full at ${megabytes(usedBytes)} of ` +
          `${megabytes(totalBytes)}, ${this.#acked.length} messages read, writable again after ${writableMs} ms`,
      )
    }
    await this.#checkLog(cycles)
    this.#broker!.kill()
    await this.#broker!.end()
    await this.#start(fixed)
    await this.#readAll('after kill -9')
    await this.#stop()
    await this.#start(fixed)
    await this.#readAll('after a stop')
    await this.#stop()
    this.#say(`${this.#mode}: ${this.#acked.length} acknowledged messages are there after kill -9 and after a stop`)
  }

  /** With deletion allowed the oldest goes, and messages go on being taken. */
  async #forced(): Promise<void> {
    await this.#start({ cleanResourceInterval: '1000' })
    const first = this.#acked.length
    const started = performance.now()
    let min = 0
    let refused = 0
    const { totalBytes } = this.#disk.space
    // The first round comes a minute after the start.
    while (performance.now() - started < 75_000 && min === 0) {
      if (!(await this.#send())) refused++
      if (refused > 0) await systemScheduler.sleep(200)
      min = Number((await this.#runtimeInfo())['commitLogMinOffset'])
    }
    assert.ok(min > 0, `segments were deleted; ${refused} refused`)
    for (let each = 0; each < (2 * totalBytes) / BODY_BYTES; each++) {
      if (!(await this.#send())) await systemScheduler.sleep(100)
      if (each % 50 === 0) await systemScheduler.sleep(100)
    }
    await systemScheduler.sleep(3_000)
    const minOffset = await this.#readAll('with deletion')
    await this.#stop()
    this.#say(
      `${this.#mode} forced: ${this.#acked.length - first} more messages, twice the disk; the queue begins at ${minOffset}`,
    )
  }

  async #start(settings: Record<string, string>): Promise<void> {
    const all: Record<string, string> = {
      flushDiskType: this.#mode,
      mappedFileSizeCommitLog: '1048576',
      mappedFileSizeConsumeQueue: '6000',
      maxHashSlotNum: '1000',
      maxIndexNum: '20000',
      ...settings,
    }
    const words = Object.entries(all).flatMap(([key, value]) => ['--set', `${key}=${value}`])
    const ports = ['--namesrv-port', '0', '--broker-port', '0']
    this.#broker = this.#workshop.cometmq('start', '--data', this.#store, ...ports, ...words)
    const [, address] = await this.#broker.until(/^ready .*broker (\S+)/m)
    this.#address = address!
  }

  async #stop(): Promise<void> {
    const { code } = await this.#broker!.stop()
    assert.equal(code, 0, 'the broker stops in order')
  }

  /** Whether it was taken; refusals are those of a full disk. */
  async #send(): Promise<boolean> {
    const body = randomBytes(BODY_BYTES)
    const header = sendOf({ topic: 'full', queueId: 0 })
    const options = { body, anyCode: true, timeoutMs: 10_000 }
    const { code, remark, header: answer } = await this.#client.request(this.#address, SendMessageV2, header, options)
    if (code === ResponseCode.SUCCESS) {
      this.#acked.push({ queueOffset: Number(answer!.queueOffset), body })
      return true
    }
    assert.equal(code, ResponseCode.SERVICE_NOT_AVAILABLE, remark)
    assert.match(remark ?? '', /(is full: .* used .*free, limit|no room for).*Retry in/)
    return false
  }

  async #sendUntilRefused(isSudden: boolean): Promise<void> {
    for (let rounds = 0; ; rounds++) {
      if (isSudden && rounds === 5) this.#disk.occupy(Number.POSITIVE_INFINITY)
      const taken = await Promise.all(Array.from({ length: IN_FLIGHT }, () => this.#send()))
      if (taken.includes(false)) return
      assert.ok(rounds < 10_000, 'the disk fills up')
    }
  }

  async #untilWritable(): Promise<number> {
    const started = performance.now()
    while (!(await this.#send())) {
      assert.ok(performance.now() - started < WRITABLE_MS, `writable again within ${WRITABLE_MS} ms`)
      await systemScheduler.sleep(50)
    }
    return Math.round(performance.now() - started)
  }

  /** Reads the queue from its beginning. @returns that */
  async #readAll(when: string): Promise<number> {
    const read = new Map<number, Buffer>()
    let next = 0
    for (;;) {
      const sysFlag = PullSysFlag.SUBSCRIPTION
      const header = pullOf({ topic: 'full', queueId: 0, queueOffset: next, sysFlag, suspendTimeoutMillis: 0 })
      const answer = await this.#client.request(this.#address, PullMessage, header, { anyCode: true })
      if (answer.code === ResponseCode.PULL_NOT_FOUND) break
      next = Number(answer.header!.nextBeginOffset)
      if (answer.code === ResponseCode.PULL_OFFSET_MOVED || answer.code === ResponseCode.PULL_RETRY_IMMEDIATELY)
        continue
      assert.equal(answer.code, ResponseCode.SUCCESS, `${when}: ${answer.remark}`)
      for (const { queueOffset, body } of decodeMessages(answer.body)) read.set(queueOffset, body)
    }
    // Asked last: what was deleted while this read need not have been read.
    const { header: first } = await this.#client.request(this.#address, GetMinOffset, { topic: 'full', queueId: 0 })
    const min = Number(first!.offset)
    for (const { queueOffset, body } of this.#acked) {
      if (queueOffset < min) continue
      assert.ok(read.get(queueOffset)?.equals(body), `${when}: message ${queueOffset} was acknowledged and is lost`)
    }
    return min
  }

  async #commitOffset(): Promise<void> {
    const group = { consumerGroup: 'readers', topic: 'full', queueId: 0, commitOffset: 1 }
    const { code } = await this.#client.request(this.#address, UpdateConsumerOffset, group, { anyCode: true })
    // A group that nobody has made is told so; what counts is that the broker answers.
    assert.ok(code === ResponseCode.SUCCESS || code === ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST)
  }

  async #runtimeInfo(): Promise<Record<string, string>> {
    const { body } = await this.#client.request(this.#address, GetBrokerRuntimeInfo, {})
    return JSON.parse(body.toString()).table
  }

  /** One line each time it begins, one each time it ends. */
  async #checkLog(cycles: number): Promise<void> {
    const said = this.#broker!.stderr + this.#broker!.stdout
    const count = (line: RegExp): number => said.match(line)?.length ?? 0
    assert.equal(count(/disk full: messages are refused/g), cycles, said.slice(-4000))
    assert.equal(count(/disk has room again/g), cycles, said.slice(-4000))
  }
}

const megabytes = (bytes: number): string => `${(bytes / 1_048_576).toFixed(1)} MiB`
