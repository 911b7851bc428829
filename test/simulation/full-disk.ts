import assert from 'node:assert/strict'
import { type SimulatedBroker, type SimulatedClient, startSimulatedBroker } from '../../src/broker/simulated-broker.ts'
import { pullOf, sendOf } from '../../src/broker/simulated-requests.ts'
import { UpdateAndCreateSubscriptionGroup } from '../../src/protocol/commands/group.ts'
import { QueryConsumerOffset, UpdateConsumerOffset } from '../../src/protocol/commands/offset.ts'
import { PullMessage } from '../../src/protocol/commands/pull.ts'
import { SendMessageV2 } from '../../src/protocol/commands/send.ts'
import { decodeMessages } from '../../src/protocol/message.ts'
import { ResponseCode } from '../../src/protocol/response-code.ts'

const TOPICS = ['orders', 'payments']
const QUEUES = [0, 1]
const settings = {
  flushDiskType: 'SYNC_FLUSH',
  mappedFileSizeCommitLog: '16384',
  mappedFileSizeConsumeQueue: '200',
  maxHashSlotNum: '5',
  maxIndexNum: '20',
  flushIntervalConsumeQueue: '20',
  flushConsumeQueueThoroughInterval: '1000',
}
const group = { consumerGroup: 'readers', topic: 'orders', queueId: 0 }

/** One life of a broker whose disk takes nothing more from its n-th write on, until there is room again. */
export class FullDisk {
  readonly #fullAt: number
  #broker!: SimulatedBroker
  #client!: SimulatedClient
  /** What was acknowledged, in its order, by `topic queue`. */
  readonly #acked = new Map<string, string[]>()
  #sent = 0
  #refused = 0
  writes = 0
  #isFreed = false
  #failed = 0

  constructor(fullAt: number) {
    this.#fullAt = fullAt
  }

  get isFull(): boolean {
    return this.writes >= this.#fullAt && !this.#isFreed
  }

  async live(): Promise<void> {
    this.#broker = await startSimulatedBroker(settings)
    this.#client = await this.#broker.connect()
    await this.#client.askLoosely(UpdateAndCreateSubscriptionGroup, {}, '{"groupName":"readers"}')
    this.#broker.disk.fault = (call, path) => {
      if (call !== 'write' && call !== 'create') return undefined
      this.writes++
      if (!this.isFull) return undefined
      this.#failed++
      return Object.assign(new Error(`ENOSPC: no space left on device, ${path}`), { code: 'ENOSPC' })
    }
    for (let round = 0; round < 10; round++) {
      for (let each = 0; each < 4; each++) await this.#send()
      await this.#broker.scheduler.advance(300)
    }
    await this.#client.ask(UpdateConsumerOffset, { ...group, commitOffset: 3 })
    await this.#broker.scheduler.advance(6_000)
    await this.#readAll('while the disk is full')
    const hadBeenFull = this.isFull && this.#failed > 0
    this.#isFreed = true
    await this.#recovers()
    await this.#broker.scheduler.advance(7_000)
    await this.#readAll('after there was room again')
    this.#tellsOnce(hadBeenFull)
    this.#broker.disk.fault = undefined
    this.#broker = await this.#broker.crash()
    this.#client = await this.#broker.connect()
    await this.#readAll('after a crash')
    const { fields } = await this.#client.ask(QueryConsumerOffset, group)
    // A group that stands behind the end of a queue is taken back to it at the start.
    const expected = Math.min(3, this.#ackedOf('orders', 0).length)
    assert.equal(fields['offset'], String(expected), 'the offset of the group is there after a crash')
    await this.#broker.close()
  }

  async #send(): Promise<number> {
    const topic = TOPICS[this.#sent % 3 === 0 ? 1 : 0]!
    const queueId = this.#sent % QUEUES.length
    const body = `${this.#sent++} ${'x'.repeat(700)}`
    const { code, fields, remark } = await this.#client.ask(
      SendMessageV2,
      sendOf({ topic, queueId, properties: `KEYS=k${this.#sent}` }),
      body,
    )
    if (code === ResponseCode.SUCCESS) {
      const acked = this.#ackedOf(topic, queueId)
      assert.equal(fields['queueOffset'], String(acked.length), `${topic} ${queueId}: offsets have no gap`)
      acked.push(body)
    } else {
      assert.equal(code, ResponseCode.SERVICE_NOT_AVAILABLE, remark)
      assert.match(remark ?? '', /no room for|full|ENOSPC/)
      this.#refused++
    }
    return code
  }

  #ackedOf(topic: string, queueId: number): string[] {
    const key = `${topic} ${queueId}`
    if (!this.#acked.has(key)) this.#acked.set(key, [])
    return this.#acked.get(key)!
  }

  /** Writable again within 10 s. */
  async #recovers(): Promise<void> {
    for (let seconds = 0; seconds <= 10; seconds++) {
      if ((await this.#send()) === ResponseCode.SUCCESS) return
      await this.#broker.scheduler.advance(1_000)
    }
    assert.fail('messages are refused 10 s after there was room')
  }

  async #readAll(when: string): Promise<void> {
    for (const topic of TOPICS) {
      for (const queueId of QUEUES) {
        const acked = this.#ackedOf(topic, queueId)
        const read: string[] = []
        while (read.length < acked.length) {
          const answer = await this.#client.ask(PullMessage, pullOf({ topic, queueId, queueOffset: read.length }))
          assert.equal(answer.code, ResponseCode.SUCCESS, `${when}: ${topic} ${queueId} at ${read.length}`)
          read.push(...decodeMessages(answer.body).map((message) => message.body.toString()))
        }
        assert.deepEqual(read, acked, when)
        assert.equal(this.#broker.broker.store.maxOffset(topic, queueId), acked.length, `${when}: nothing else`)
      }
    }
  }

  /** One line when it begins, one when it ends. */
  #tellsOnce(hadBeenFull: boolean): void {
    const lines = this.#broker.log.lines.filter(({ message }) => message.startsWith('disk '))
    if (hadBeenFull && this.#refused > 0) {
      assert.deepEqual(
        lines.map(({ message }) => message),
        ['disk full: messages are refused, reads go on', 'disk has room again: messages are taken'],
      )
    }
  }
}
