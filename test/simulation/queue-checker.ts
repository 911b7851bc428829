import assert from 'node:assert/strict'
import { bodyCrc, type StoredMessage } from '../../src/protocol/message.ts'
import type { Delivery, History, Send } from './history.ts'
import { modelMessage } from './model-message.ts'

/** One queue, read from its first offset to its last. */
export interface QueueRead {
  topic: string
  queueId: number
  minOffset: number
  maxOffset: number
  messages: readonly StoredMessage[]
  /** The broker knows the topic; otherwise nobody can tell what is in the queue. */
  isKnown: boolean
}

/**
 * What became of a message. `open`: it may be there or not; `cached`: it must be there, unless the power fails before it
 * is seen; `kept`: it must be there for ever; `gone`: it must never be seen again.
 */
type State = 'open' | 'cached' | 'kept' | 'gone'

interface Fate {
  id: number
  send: Send
  /** Among the messages of its send. */
  index: number
  state: State
  /** It was not safe when the power failed: a kill thereafter promises nothing. */
  lostPower: boolean
  /** When a consumer was first handed it. */
  deliveredMs: number
  /** Where it was seen, for ever the same. */
  queueOffset: number
}

export interface Durability {
  isSync: boolean
  /** ASYNC_FLUSH: what was acknowledged longer ago than this survives a loss of power. */
  windowMs: number
}

/** I1 to I5 over what clients saw and what is found after each start, as clients see it. */
export class QueueChecker {
  /** Longest time before a loss of power of an acknowledged message that it took, in ms: the recovery point. */
  worstLossMs = 0
  lostToPower = 0
  readonly #history: History
  readonly #durability: Durability
  readonly #fates = new Map<number, Fate>()
  /** `topic queue offset` → message, of what was ever seen there. */
  readonly #places = new Map<string, Fate>()
  readonly #minOffsets = new Map<string, number>()
  #knownSends = 0

  constructor(history: History, durability: Durability) {
    this.#history = history
    this.#durability = durability
    history.onDelivery = (delivery) => this.#delivered(delivery)
  }

  /** Messages that must be there. */
  get kept(): number[] {
    return [...this.#fates.values()].filter(({ state }) => state === 'kept').map(({ id }) => id)
  }

  fateOf(id: number): State | undefined {
    this.#learn()
    return this.#fates.get(id)?.state
  }

  /** The broker is gone: with the power, or killed. `trustedMs`: until when its syncs succeeded. */
  crashed(kind: 'power' | 'kill', trustedMs: number): void {
    this.#learn()
    for (const fate of this.#fates.values()) {
      if (fate.state === 'kept' || fate.state === 'gone') continue
      // Once it went down a message grows no safer by the time that passes: the syncs trusted now are of a later life.
      const isOfThisLife = fate.state === 'open' && !fate.lostPower
      if (isOfThisLife && this.#isDurable(fate, trustedMs)) fate.state = 'kept'
      else if (kind === 'power') {
        fate.state = 'open'
        fate.lostPower = true
      } else if (fate.lostPower) continue
      else if (fate.send.outcome === 'ok' || fate.deliveredMs < Number.POSITIVE_INFINITY) fate.state = 'cached'
    }
  }

  /** A clean stop keeps all that was acknowledged. */
  stopped(): void {
    this.#learn()
    for (const fate of this.#fates.values()) {
      if (fate.send.outcome === 'ok' && fate.state !== 'gone') fate.state = 'kept'
    }
  }

  #isDurable({ send, deliveredMs }: Fate, trustedMs: number): boolean {
    const { isSync, windowMs } = this.#durability
    const isAcked = send.outcome === 'ok'
    if (isSync && ((isAcked && send.waits) || deliveredMs < Number.POSITIVE_INFINITY)) return true
    return Math.min(isAcked ? send.endedMs : Number.POSITIVE_INFINITY, deliveredMs) < trustedMs - windowMs
  }

  /** I2, and what a checker of consumers relies on. @returns the message's number */
  readonly check = (
    message: StoredMessage,
    { topic, queueId }: { topic: string; queueId: number },
    queueOffset: number,
  ): number => {
    this.#learn()
    const id = Number(message.properties.get('ID'))
    const fate = this.#fates.get(id)
    const where = `${topic}/${queueId} at ${queueOffset}`
    assert.ok(fate !== undefined, `I2: a message that nobody sent: ${where}`)
    assert.notEqual(fate.send.outcome, 'refused', `I2: message ${id} was refused, and is there: ${where}`)
    const expected = modelMessage(id, fate.send.waits)
    assert.ok(message.body.equals(expected.body), `I2: message ${id} has another body: ${where}`)
    assert.equal(bodyCrc(message.body), message.bodyCrc, `I2: the checksum of message ${id}: ${where}`)
    assert.deepEqual(
      [message.topic, message.queueId, message.queueOffset, message.properties.get('TAGS'), message.flag],
      [fate.send.topic, fate.send.queueId, queueOffset, expected.tag, 0],
      `I2: message ${id} is another: ${where}`,
    )
    assert.deepEqual([message.topic, message.queueId], [topic, queueId], `I2: message ${id} in the wrong queue`)
    assert.notEqual(fate.state, 'gone', `I13: message ${id} had been taken away, and is there again: ${where}`)
    if (fate.send.queueOffset >= 0) {
      assert.equal(
        queueOffset,
        fate.send.queueOffset + fate.index,
        `I3: message ${id} was told another offset: ${where}`,
      )
    }
    this.#place(fate, `${topic} ${queueId} ${queueOffset}`, queueOffset)
    return id
  }

  #place(fate: Fate, key: string, queueOffset: number): void {
    const there = this.#places.get(key)
    if (there !== undefined && there !== fate) {
      // Of a topic that a loss of power took as well nobody can say that the message is gone.
      const mayBeGone = there.state === 'gone' || (there.state === 'open' && there.lostPower)
      assert.ok(mayBeGone, `I3: ${key} holds message ${fate.id}, and held ${there.id} before`)
    }
    assert.ok(fate.queueOffset < 0 || fate.queueOffset === queueOffset, `I3: message ${fate.id} is there twice: ${key}`)
    this.#places.set(key, fate)
    fate.queueOffset = queueOffset
  }

  /** After a start: all queues as they are. What is seen now stays, and what is not seen never comes. */
  audit(queues: readonly QueueRead[], lastCrashMs: number): void {
    this.#learn()
    const seen = new Set<number>()
    const unknown = new Set<string>()
    for (const { topic, queueId, minOffset, maxOffset, messages, isKnown } of queues) {
      if (!isKnown) unknown.add(topic)
      const where = `${topic}/${queueId}`
      assert.equal(messages.length, maxOffset - minOffset, `I3: ${where} from ${minOffset} to ${maxOffset} is dense`)
      const before = this.#minOffsets.get(where) ?? 0
      assert.ok(minOffset >= before, `I5: the first offset of ${where} falls from ${before} to ${minOffset}`)
      this.#minOffsets.set(where, minOffset)
      for (const [index, message] of messages.entries()) {
        const id = this.check(message, { topic, queueId }, minOffset + index)
        assert.ok(!seen.has(id), `I3: message ${id} is there twice: ${where}`)
        seen.add(id)
      }
    }
    for (const fate of this.#fates.values()) {
      // What is sent from now on is another matter.
      if (fate.send.invokedMs > lastCrashMs && fate.state === 'open') continue
      const isThere = seen.has(fate.id)
      // Nobody was answered before the topic was saved, so what a consumer saw of it may be out of sight for now.
      if (!isThere && unknown.has(fate.send.topic) && fate.send.outcome !== 'ok') continue
      if (fate.state === 'kept' || fate.state === 'cached') {
        assert.ok(isThere, `I1: message ${fate.id} was acknowledged and is lost: ${describe(fate)}`)
      }
      if (!isThere && fate.state === 'open' && fate.send.outcome === 'ok') {
        this.lostToPower++
        this.worstLossMs = Math.max(this.worstLossMs, lastCrashMs - fate.send.endedMs)
      }
      if (isThere) fate.state = 'kept'
      else if (!unknown.has(fate.send.topic)) fate.state = 'gone'
    }
    this.#checkOrder()
  }

  /** I4, I5: who was answered before another asked stands before it; nobody stands behind the end. */
  #checkOrder(): void {
    const byQueue = new Map<string, Send[]>()
    for (const send of this.#history.sends) {
      if (send.outcome !== 'ok' || send.ids.some((id) => this.#fates.get(id)?.state === 'gone')) continue
      const key = `${send.topic} ${send.queueId}`
      const list = byQueue.get(key)
      if (list === undefined) byQueue.set(key, [send])
      else list.push(send)
    }
    for (const [key, sends] of byQueue) {
      const byAnswer = [...sends].sort((a, b) => a.endedMs - b.endedMs)
      let highest = -1
      let next = 0
      for (const send of sends) {
        for (
          let first = byAnswer[next];
          first !== undefined && first.endedMs < send.invokedMs;
          first = byAnswer[++next]
        ) {
          highest = Math.max(highest, first.queueOffset + first.ids.length - 1)
        }
        assert.ok(send.queueOffset > highest, `I4: message ${send.ids[0]} of ${key} stands before one that was first`)
      }
    }
  }

  #delivered({ id, atMs }: Delivery): void {
    const fate = this.#fates.get(id)
    if (fate !== undefined) fate.deliveredMs = Math.min(fate.deliveredMs, atMs)
  }

  /** Takes up the sends since it last looked. */
  #learn(): void {
    const { sends } = this.#history
    for (; this.#knownSends < sends.length; this.#knownSends++) {
      const send = sends[this.#knownSends]!
      for (const [index, id] of send.ids.entries()) {
        this.#fates.set(id, {
          id,
          send,
          index,
          state: 'open',
          lostPower: false,
          deliveredMs: Number.POSITIVE_INFINITY,
          queueOffset: -1,
        })
      }
    }
  }
}

function describe({ send, state }: Fate): string {
  const { kind, topic, queueId, queueOffset, outcome, invokedMs, endedMs, waits } = send
  return JSON.stringify({ kind, topic, queueId, queueOffset, outcome, invokedMs, endedMs, waits, state })
}
