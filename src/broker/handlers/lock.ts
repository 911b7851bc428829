import { listOf, type MessageQueue, readMessageQueue, textOf } from '../../protocol/bodies.ts'
import type { LockBatchMq, UnlockBatchMq } from '../../protocol/commands/lock.ts'
import { parseJavaObject, stringifyJavaJson } from '../../protocol/java-json.ts'
import { type Answer, withBody } from '../../remoting/router.ts'
import type { Broker } from '../broker.ts'

export const lockQueues =
  ({ locks }: Broker): Answer<typeof LockBatchMq> =>
  (_, { body }) => {
    const { group, clientId, queues } = readLockBody(body)
    return withBody(undefined, stringifyJavaJson({ lockOKMQSet: locks.lock(group, queues, clientId) }))
  }

export const unlockQueues =
  ({ locks }: Broker): Answer<typeof UnlockBatchMq> =>
  (_, { body }) => {
    const { group, clientId, queues } = readLockBody(body)
    locks.unlock(group, queues, clientId)
    return undefined
  }

function readLockBody(body: Buffer): { group: string; clientId: string; queues: MessageQueue[] } {
  const object = parseJavaObject(body.toString('utf8'))
  return {
    group: textOf(object['consumerGroup']),
    clientId: textOf(object['clientId']),
    queues: listOf(object['mqSet']).map(readMessageQueue),
  }
}
