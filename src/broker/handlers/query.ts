import type {
  GetEarliestMsgStoretime,
  GetMaxOffset,
  GetMinOffset,
  QueryConsumeQueue,
  QueryMessage,
  SearchOffsetByTimestamp,
  ViewMessageById,
} from '../../protocol/commands/query.ts'
import { stringifyJavaJson } from '../../protocol/java-json.ts'
import { Refusal } from '../../protocol/refusal.ts'
import { ResponseCode } from '../../protocol/response-code.ts'
import { type Answer, Outcome, withBody, withCode } from '../../remoting/router.ts'
import type { Broker } from '../broker.ts'

/** Entries of a consume queue shown at once. */
const MAX_ENTRIES = 1_000

export const searchOffset =
  ({ store }: Broker): Answer<typeof SearchOffsetByTimestamp> =>
  ({ topic, queueId, timestamp, boundaryType }) => ({
    offset: store.offsetByTime(topic, queueId, timestamp, boundaryType?.toLowerCase() === 'upper' ? 'upper' : 'lower'),
  })

export const getMaxOffset =
  ({ store }: Broker): Answer<typeof GetMaxOffset> =>
  ({ topic, queueId }) => ({ offset: store.maxOffset(topic, queueId) })

export const getMinOffset =
  ({ store }: Broker): Answer<typeof GetMinOffset> =>
  ({ topic, queueId }) => ({ offset: store.minOffset(topic, queueId) })

export const getEarliestStoreTime =
  ({ store }: Broker): Answer<typeof GetEarliestMsgStoretime> =>
  ({ topic, queueId }) => ({ timestamp: store.earliestStoreTimestamp(topic, queueId) })

export const viewMessageById =
  ({ store }: Broker): Answer<typeof ViewMessageById> =>
  ({ offset }) => {
    const record = store.recordAt(offset)
    if (record !== undefined) return withBody({}, record)
    throw new Refusal(ResponseCode.SYSTEM_ERROR, `can not find message by the offset, ${offset}`)
  }

/** Other types ask for keys and unique keys alike; `lastKey` belongs to Java's index in RocksDB. */
const TAG_INDEX = 'T'

export const queryMessage =
  ({ store, settings }: Broker): Answer<typeof QueryMessage> =>
  async ({ topic, key, maxNum, beginTimestamp, endTimestamp, indexType, uniqueKeyQuery }) => {
    const maxCount = uniqueKeyQuery === 'true' ? settings.defaultQueryMaxNum : maxNum
    const isTag = indexType === TAG_INDEX
    const found = await store.queryMessages({ topic, key, isTag, maxCount, beginTimestamp, endTimestamp })
    const header = { indexLastUpdateTimestamp: found.lastTimestamp, indexLastUpdatePhyoffset: found.lastPosition }
    if (found.records.length > 0) return new Outcome(ResponseCode.SUCCESS, header, found.records)
    const remark = 'can not find message, maybe time range not correct'
    return withCode(ResponseCode.QUERY_NOT_FOUND, remark, header)
  }

/**
 * For tools. Java evaluates filters for entries with a filter extension only, so `eval` is false; offsets outside of the
 * queue it answers with a success that has no body.
 */
export const queryConsumeQueue =
  ({ store, consumers }: Broker): Answer<typeof QueryConsumeQueue> =>
  ({ topic, queueId, index, count, consumerGroup }) => {
    if (!store.queueExists(topic, queueId))
      throw new Refusal(ResponseCode.SYSTEM_ERROR, `${queueId}@${topic} is not exist!`)
    const min = store.minOffset(topic, queueId)
    const max = store.maxOffset(topic, queueId)
    if (index < min || index >= max)
      return withCode(ResponseCode.SUCCESS, `Index ${index} of ${queueId}@${topic} is not exist!`)
    const queueData = store.entries(topic, queueId, index, Math.min(Math.max(count, 0), MAX_ENTRIES)).map((entry) => ({
      eval: false,
      physicOffset: entry.position,
      physicSize: entry.sizeBytes,
      tagsCode: entry.tagsCode,
    }))
    const subscriptionData =
      consumerGroup === undefined ? undefined : consumers.get(consumerGroup)?.subscriptions.get(topic)
    let filterData: string | undefined
    if (consumerGroup !== undefined)
      filterData = subscriptionData === undefined ? `${consumerGroup}@${topic} is not online!` : 'null'
    const body = { filterData, maxQueueIndex: max, minQueueIndex: min, queueData, subscriptionData }
    return withBody(undefined, stringifyJavaJson(body))
  }
