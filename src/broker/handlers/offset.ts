import type { GetAllConsumerOffset, QueryConsumerOffset, UpdateConsumerOffset } from '../../protocol/commands/offset.ts'
import { Refusal } from '../../protocol/refusal.ts'
import { ResponseCode } from '../../protocol/response-code.ts'
import { type Answer, withBody } from '../../remoting/router.ts'
import type { Broker } from '../broker.ts'

export const queryOffset =
  ({ offsets, store, isRecent }: Broker): Answer<typeof QueryConsumerOffset> =>
  ({ consumerGroup, topic, queueId, setZeroIfNotFound }) => {
    const offset = offsets.get(consumerGroup, topic, queueId)
    if (offset !== undefined) return { offset }
    if (setZeroIfNotFound === false) {
      throw new Refusal(ResponseCode.QUERY_NOT_FOUND, 'Not found, do not set to zero, maybe this group boot first')
    }
    // A young queue is read from its beginning, so that «last» may mean that too: Java does, and clients rely on it.
    if (store.minOffset(topic, queueId) <= 0 && isRecent(store.entries(topic, queueId, 0, 1)[0]?.position))
      return { offset: 0 }
    throw new Refusal(ResponseCode.QUERY_NOT_FOUND, 'Not found, V3_0_6_SNAPSHOT maybe this group consumer boot first')
  }

export const updateOffset =
  ({ offsets, groups, topics }: Broker): Answer<typeof UpdateConsumerOffset> =>
  ({ consumerGroup, topic, queueId, commitOffset }) => {
    if (groups.get(consumerGroup) === undefined) {
      throw new Refusal(ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST, `Group ${consumerGroup} not exist!`)
    }
    if (topics.get(topic) === undefined) throw new Refusal(ResponseCode.TOPIC_NOT_EXIST, `Topic ${topic} not exist!`)
    // A queue beyond the topic is taken, as Java takes it: topics shrink while consumers still commit.
    if (queueId < 0 || commitOffset < 0) {
      throw new Refusal(
        ResponseCode.SYSTEM_ERROR,
        `queueId ${queueId} and commitOffset ${commitOffset} must not be below 0`,
      )
    }
    offsets.commit(consumerGroup, topic, queueId, commitOffset)
    return {}
  }

export const getAllOffsets =
  ({ offsets }: Broker): Answer<typeof GetAllConsumerOffset> =>
  () =>
    withBody(undefined, offsets.body())
