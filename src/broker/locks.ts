import type { Scheduler } from '../base/scheduler.ts'
import type { MessageQueue } from '../protocol/bodies.ts'

interface Lock {
  clientId: string
  renewedMs: number
}

/** Which client of a group may consume which queue in order. A lock that is not renewed dies. */
export class QueueLocks {
  readonly #scheduler: Scheduler
  readonly #liveMs: number
  /** group → queue → lock. */
  readonly #locks = new Map<string, Map<string, Lock>>()
  #sweptMs: number

  constructor(scheduler: Scheduler, liveMs: number) {
    this.#scheduler = scheduler
    this.#liveMs = liveMs
    this.#sweptMs = scheduler.monotonic()
  }

  /** Locks what is free, dead or the client's own. @returns the queues the client holds now, of those asked for */
  lock(group: string, queues: readonly MessageQueue[], clientId: string): MessageQueue[] {
    const now = this.#scheduler.monotonic()
    this.#sweep(now)
    const held: MessageQueue[] = []
    if (queues.length === 0) return held
    let locks = this.#locks.get(group)
    if (locks === undefined) this.#locks.set(group, (locks = new Map()))
    for (const queue of queues) {
      const key = keyOf(queue)
      const lock = locks.get(key)
      if (lock === undefined) locks.set(key, { clientId, renewedMs: now })
      else if (lock.clientId === clientId || this.#isDead(lock, now)) {
        lock.clientId = clientId
        lock.renewedMs = now
      } else continue
      held.push(queue)
    }
    return held
  }

  /** Gives up those of the queues that are the client's. */
  unlock(group: string, queues: readonly MessageQueue[], clientId: string): void {
    const locks = this.#locks.get(group)
    if (locks === undefined) return
    for (const queue of queues) {
      const key = keyOf(queue)
      if (locks.get(key)?.clientId === clientId) locks.delete(key)
    }
    if (locks.size === 0) this.#locks.delete(group)
  }

  /** Whether any queue of the group is locked by somebody alive. */
  isAnyLocked(group: string): boolean {
    const now = this.#scheduler.monotonic()
    for (const lock of this.#locks.get(group)?.values() ?? []) if (!this.#isDead(lock, now)) return true
    return false
  }

  get size(): number {
    let count = 0
    for (const locks of this.#locks.values()) count += locks.size
    return count
  }

  #isDead({ renewedMs }: Lock, now: number): boolean {
    return now - renewedMs > this.#liveMs
  }

  /** Once per lifetime of a lock: groups that never come back leave nothing behind. */
  #sweep(now: number): void {
    if (now - this.#sweptMs <= this.#liveMs) return
    this.#sweptMs = now
    for (const [group, locks] of this.#locks) {
      for (const [key, lock] of locks) if (this.#isDead(lock, now)) locks.delete(key)
      if (locks.size === 0) this.#locks.delete(group)
    }
  }
}

const keyOf = ({ topic, brokerName, queueId }: MessageQueue): string => `${topic}@${brokerName}@${queueId}`
