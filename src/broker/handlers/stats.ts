import type { ViewBrokerStatsData } from '../../protocol/commands/broker-config.ts'
import type { GetBrokerConsumeStats, GetConsumeStats, QueryConsumeTimeSpan } from '../../protocol/commands/group.ts'
import { QueueKeyMap, stringifyJavaJson } from '../../protocol/java-json.ts'
import { Refusal } from '../../protocol/refusal.ts'
import { ResponseCode } from '../../protocol/response-code.ts'
import { type Answer, withBody } from '../../remoting/router.ts'
import type { Broker } from '../broker.ts'

interface OffsetWrapper {
  brokerOffset: number
  consumerOffset: number
  lastTimestamp: number
  pullOffset: number
}

export const getConsumeStats =
  (broker: Broker): Answer<typeof GetConsumeStats> =>
  ({ consumerGroup, topic, topicList }) => {
    const asked = new Set([topic ?? '', ...(topicList ?? '').split(';')].filter((each) => each !== ''))
    const topics = asked.size > 0 ? [...asked] : broker.offsets.topicsOf(consumerGroup)
    const offsetTable = new QueueKeyMap<OffsetWrapper>()
    let consumeTps = 0
    for (const each of topics) consumeTps += addTopic(broker, consumerGroup, each, asked.size > 0, offsetTable)
    return withBody(undefined, stringifyJavaJson({ consumeTps, offsetTable }))
  }

export const getBrokerConsumeStats =
  (broker: Broker): Answer<typeof GetBrokerConsumeStats> =>
  ({ isOrder }) => {
    const { groups, offsets, topics, address } = broker
    const consumeStatsList: Map<string, object[]>[] = []
    let totalDiff = 0
    let totalInflightDiff = 0
    for (const group of groups.all().keys()) {
      const list: object[] = []
      for (const topic of offsets.topicsOf(group)) {
        const config = topics.get(topic)
        if (config === undefined || (isOrder && !config.order)) continue
        const offsetTable = new QueueKeyMap<OffsetWrapper>()
        const consumeTps = addTopic(broker, group, topic, false, offsetTable)
        for (const [, { brokerOffset, consumerOffset, pullOffset }] of offsetTable.entries) {
          totalDiff += brokerOffset - consumerOffset
          totalInflightDiff += pullOffset - consumerOffset
        }
        list.push({ consumeTps, offsetTable })
      }
      consumeStatsList.push(new Map([[group, list]]))
    }
    return withBody(
      undefined,
      stringifyJavaJson({ brokerAddr: address, consumeStatsList, totalDiff, totalInflightDiff }),
    )
  }

/** @returns messages a second that the group took of the topic */
function addTopic(
  { topics, consumers, offsets, store, stats, settings }: Broker,
  group: string,
  topic: string,
  named: boolean,
  table: QueueKeyMap<OffsetWrapper>,
): number {
  const config = topics.get(topic)
  if (config === undefined) return 0
  // A group that is online says itself what it consumes; old offsets of other topics are not shown.
  const online = consumers.get(group)
  if (!named && online !== undefined && online.subscriptions.size > 0 && !online.subscriptions.has(topic)) return 0
  for (let queueId = 0; queueId < config.readQueueNums; queueId++) {
    const brokerOffset = Math.max(0, store.maxOffset(topic, queueId))
    const consumerOffset = Math.max(0, offsets.get(group, topic, queueId) ?? 0)
    const pullOffset = Math.max(consumerOffset, offsets.pulled(group, topic, queueId) ?? 0)
    const last = consumerOffset > 0 ? store.storeTimestampAt(topic, queueId, consumerOffset - 1) : 0
    table.set(
      { topic, brokerName: settings.brokerName, queueId },
      { brokerOffset, consumerOffset, lastTimestamp: Math.max(0, last), pullOffset },
    )
  }
  return stats.tps('GROUP_GET_NUMS', `${topic}@${group}`)
}

export const queryConsumeTimeSpan =
  ({ topics, store, offsets, scheduler, settings }: Broker): Answer<typeof QueryConsumeTimeSpan> =>
  ({ topic, group }) => {
    const config = topics.get(topic)
    if (config === undefined) throw new Refusal(ResponseCode.TOPIC_NOT_EXIST, `topic[${topic}] not exist`)
    const consumeTimeSpanSet: object[] = []
    for (let queueId = 0; queueId < config.writeQueueNums; queueId++) {
      const maxOffset = store.maxOffset(topic, queueId)
      const minTimeStamp = store.earliestStoreTimestamp(topic, queueId)
      const maxTimeStamp = store.storeTimestampAt(topic, queueId, maxOffset - 1)
      const committed = offsets.get(group, topic, queueId) ?? 0
      const consumeTimeStamp = committed > 0 ? store.storeTimestampAt(topic, queueId, committed - 1) : minTimeStamp
      const waiting = committed < maxOffset ? store.storeTimestampAt(topic, queueId, committed) : -1
      consumeTimeSpanSet.push({
        consumeTimeStamp,
        consumeTimeStampStr: timeText(consumeTimeStamp),
        delayTime: waiting < 0 ? 0 : scheduler.now() - waiting,
        maxTimeStamp,
        maxTimeStampStr: timeText(maxTimeStamp),
        messageQueue: { brokerName: settings.brokerName, queueId, topic },
        minTimeStamp,
        minTimeStampStr: timeText(minTimeStamp),
      })
    }
    return withBody(undefined, stringifyJavaJson({ consumeTimeSpanSet }))
  }

export const viewStats =
  ({ stats }: Broker): Answer<typeof ViewBrokerStatsData> =>
  ({ statsName, statsKey }) => {
    const view = stats.view(statsName, statsKey)
    if (view === undefined)
      throw new Refusal(ResponseCode.SYSTEM_ERROR, `The stats <${statsName}> <${statsKey}> not exist`)
    return withBody(undefined, stringifyJavaJson(view))
  }

/** `2026-11-23#21:56:44:806`, local time. */
function timeText(timestampMs: number): string {
  const date = new Date(timestampMs)
  const two = (value: number, digits = 2): string => String(value).padStart(digits, '0')
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`
  return `${day}#${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}:${two(date.getMilliseconds(), 3)}`
}
