import { listOf, type MessageQueue, readMessageQueue, textOf } from '../../protocol/bodies.ts'
import type { LockBatchMq, UnlockBatchMq } from '../../protocol/commands/lock.ts'
import { stringifyJavaJson } from '../../protocol/java-json.ts'
import { Refusal } from '../../protocol/refusal.ts'
import { ResponseCode } from '../../protocol/response-code.ts'
import { type Answer, type Exchange, withBody } from '../../remoting/router.ts'
import type { Broker } from '../broker.ts'
import { jsonBody } from './json-body.ts'

export const lockQueues =
  ({ locks }: Broker): Answer<typeof LockBatchMq> =>
  (_, exchange) => {
    const { group, clientId, queues } = readLockBody(exchange)
    return withBody(undefined, stringifyJavaJson({ lockOKMQSet: locks.lock(group, queues, clientId) }))
  }

export const unlockQueues =
  ({ locks }: Broker): Answer<typeof UnlockBatchMq> =>
  (_, exchange) => {
    const { group, clientId, queues } = readLockBody(exchange)
    locks.unlock(group, queues, clientId)
    return undefined
  }

function readLockBody(exchange: Exchange): { group: string; clientId: string; queues: MessageQueue[] } {
  const body = jsonBody(exchange)
  const group = textOf(body['consumerGroup'])
  const clientId = textOf(body['clientId'])
  // A lock of nobody could be renewed and given up by anybody.
  if (group === '' || clientId === '') {
    throw new Refusal(ResponseCode.SYSTEM_ERROR, 'a lock needs a consumerGroup and a clientId')
  }
  return { group, clientId, queues: listOf(body['mqSet']).map(readMessageQueue) }
}
