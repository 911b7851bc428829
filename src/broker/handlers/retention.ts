import type {
  CleanExpiredConsumeQueue,
  CleanUnusedTopic,
  DeleteExpiredCommitLog,
} from '../../protocol/commands/broker-config.ts'
import { LMQ_PREFIX } from '../../protocol/names.ts'
import type { Answer } from '../../remoting/router.ts'
import type { Broker } from '../broker.ts'

/** Deletes what has expired in the next rounds, whatever the hour; the answer does not wait for it. */
export const deleteExpiredCommitLog =
  ({ store, log }: Broker): Answer<typeof DeleteExpiredCommitLog> =>
  (_, { connection }) => {
    store.deleteExpiredLog()
    log.info('deletion of expired segments asked for', { peer: connection.peer })
    return undefined
  }

/**
 * Forgets queues of which the log holds no message any more. Their next message has offset 0, so the groups that stood
 * in them are set back: Java leaves them, and they miss what comes until the queue has grown so long again.
 */
export const cleanExpiredConsumeQueue =
  ({ store, topics, offsets, longPoll, log }: Broker): Answer<typeof CleanExpiredConsumeQueue> =>
  async (_, { connection }) => {
    const destroyed = await store.destroyExpiredQueues((topic) => topics.isSystemTopic(topic))
    const groupsSetBack =
      destroyed.length === 0 ? 0 : offsets.limit((topic, queueId) => store.maxOffset(topic, queueId))
    for (const topic of new Set(destroyed.map((queue) => queue.topic))) longPoll.wakeTopic(topic)
    log.info('expired consume queues removed', { queues: destroyed.length, groupsSetBack, peer: connection.peer })
    return undefined
  }

/** Removes the queues of topics that the broker does not know. */
export const cleanUnusedTopic =
  ({ store, topics, log }: Broker): Answer<typeof CleanUnusedTopic> =>
  (_, { connection }) => {
    const unused = store.topics.filter(
      (topic) => topics.get(topic) === undefined && !topics.isSystemTopic(topic) && !topic.startsWith(LMQ_PREFIX),
    )
    for (const topic of unused) store.deleteTopic(topic)
    log.info('queues of unknown topics removed', { topics: unused.length, peer: connection.peer })
    return undefined
  }
