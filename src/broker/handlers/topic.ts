import { listOf, readDataVersion, readTopicConfig, type TopicConfig } from '../../protocol/bodies.ts'
import type {
  DeleteTopicInBroker,
  GetAllTopicConfig,
  GetSystemTopicListFromBroker,
  GetTopicConfig,
  GetTopicStatsInfo,
  UpdateAndCreateTopic,
  UpdateAndCreateTopicList,
} from '../../protocol/commands/topic.ts'
import { QueueKeyMap, stringifyJavaJson } from '../../protocol/java-json.ts'
import { MAX_QUEUES, RETRY_PREFIX, topicNameFault } from '../../protocol/names.ts'
import { Refusal } from '../../protocol/refusal.ts'
import { ResponseCode } from '../../protocol/response-code.ts'
import { type Answer, withBody } from '../../remoting/router.ts'
import type { Broker } from '../broker.ts'
import { alterAttributes, parseAttributeChanges, topicAttributes } from './attributes.ts'
import { jsonBody } from './json-body.ts'
import { pageOf } from './pages.ts'

export const updateTopic =
  (broker: Broker): Answer<typeof UpdateAndCreateTopic> =>
  async (request, { connection }) => {
    const { topic, readQueueNums, writeQueueNums, perm, topicFilterType, topicSysFlag, order, attributes } = request
    checkName(broker, topic)
    if (topicFilterType !== 'SINGLE_TAG' && topicFilterType !== 'MULTI_TAG') {
      throw new Refusal(ResponseCode.SYSTEM_ERROR, `topicFilterType = [${topicFilterType}] value invalid`)
    }
    const current = broker.topics.get(topic)
    const changes = parseAttributeChanges(attributes ?? '')
    const config: TopicConfig = {
      topicName: topic,
      readQueueNums,
      writeQueueNums,
      perm,
      topicFilterType,
      topicSysFlag,
      order,
      attributes: alterAttributes(topicAttributes, current?.attributes ?? {}, changes, current === undefined),
    }
    checkConfig(broker, config)
    broker.topics.update([config])
    await broker.topics.saved()
    broker.log.info('topic updated', { topic, readQueueNums, writeQueueNums, perm, peer: connection.peer })
    await broker.announcements.all([topic])
    return undefined
  }

export const updateTopicList =
  (broker: Broker): Answer<typeof UpdateAndCreateTopicList> =>
  async (_, exchange) => {
    const configs = listOf(jsonBody(exchange)['topicConfigList']).map(readTopicConfig)
    for (const config of configs) checkName(broker, config.topicName)
    const updated = configs.map((config) => {
      const current = broker.topics.get(config.topicName)
      const attributes = alterAttributes(
        topicAttributes,
        current?.attributes ?? {},
        config.attributes,
        current === undefined,
      )
      return { ...config, attributes }
    })
    for (const config of updated) checkConfig(broker, config)
    broker.topics.update(updated)
    await broker.topics.saved()
    broker.log.info('topics updated', { topics: updated.length, peer: exchange.connection.peer })
    await broker.announcements.all(updated.map(({ topicName }) => topicName))
    return undefined
  }

export const deleteTopic =
  (broker: Broker): Answer<typeof DeleteTopicInBroker> =>
  async ({ topic }, { connection }) => {
    const { topics, offsets, store, longPoll, settings, stats, log } = broker
    // A directory of an old broker may hold topics whose names would be refused today.
    if (topic.trim() === '') throw new Refusal(ResponseCode.INVALID_PARAMETER, 'The specified topic is blank.')
    refuseSystemTopic(broker, topic)
    const doomed = [topic]
    if (settings.clearRetryTopicWhenDeleteTopic) {
      for (const group of offsets.groupsOf(topic)) {
        for (const retryTopic of [`${RETRY_PREFIX}${group}_${topic}`, `${RETRY_PREFIX}${group}+${topic}`]) {
          if (topics.get(retryTopic) !== undefined) doomed.push(retryTopic)
        }
      }
    }
    for (const each of doomed) {
      if (topics.delete(each)) log.info('topic deleted', { topic: each, peer: connection.peer })
      offsets.deleteTopic(each)
      store.deleteTopic(each)
      longPoll.wakeTopic(each)
      stats.forget(each)
    }
    await topics.saved()
    return undefined
  }

export const getTopicConfig =
  ({ topics }: Broker): Answer<typeof GetTopicConfig> =>
  ({ topic }) => {
    const config = topics.get(topic)
    if (config === undefined)
      throw new Refusal(ResponseCode.TOPIC_NOT_EXIST, `No topic in this broker. topic: ${topic}`)
    return withBody(undefined, stringifyJavaJson(config))
  }

export const getAllTopicConfig =
  ({ topics, settings }: Broker): Answer<typeof GetAllTopicConfig> =>
  ({ topicSeq, dataVersion, maxTopicNum }) => {
    const mappingDataVersion = readDataVersion({})
    const table = (map: ReadonlyMap<string, TopicConfig>): string =>
      stringifyJavaJson({
        ...topics.toJson(map),
        mappingDataVersion,
        topicQueueMappingDetailMap: {},
        topicQueueMappingInfoMap: {},
      })
    const totalTopicNum = topics.size
    if (topicSeq === undefined) return withBody({ totalTopicNum }, table(topics.all()))
    const page = pageOf(
      topics.all(),
      topicSeq,
      maxTopicNum,
      settings.splitMetadataSize,
      dataVersion,
      topics.dataVersion,
    )
    return withBody({ totalTopicNum }, table(page))
  }

export const getSystemTopicList =
  ({ topics }: Broker): Answer<typeof GetSystemTopicListFromBroker> =>
  () =>
    withBody(undefined, stringifyJavaJson({ topicList: topics.systemTopics() }))

export const getTopicStats =
  ({ topics, store, stats, settings }: Broker): Answer<typeof GetTopicStatsInfo> =>
  ({ topic }) => {
    const config = topics.get(topic)
    if (config === undefined) throw new Refusal(ResponseCode.TOPIC_NOT_EXIST, `topic[${topic}] not exist`)
    const { brokerName } = settings
    const offsetTable = new QueueKeyMap<object>()
    for (let queueId = 0; queueId < Math.max(config.readQueueNums, config.writeQueueNums); queueId++) {
      const minOffset = Math.max(0, store.minOffset(topic, queueId))
      const maxOffset = Math.max(0, store.maxOffset(topic, queueId))
      const lastUpdateTimestamp = maxOffset > 0 ? Math.max(0, store.storeTimestampAt(topic, queueId, maxOffset - 1)) : 0
      offsetTable.set({ brokerName, queueId, topic }, { lastUpdateTimestamp, maxOffset, minOffset })
    }
    return withBody(undefined, stringifyJavaJson({ offsetTable, topicPutTps: stats.tps('TOPIC_PUT_NUMS', topic) }))
  }

function checkName(broker: Broker, topic: string): void {
  const fault = topicNameFault(topic)
  if (fault !== undefined) throw new Refusal(ResponseCode.INVALID_PARAMETER, fault)
  refuseSystemTopic(broker, topic)
}

function refuseSystemTopic({ topics, settings }: Broker, topic: string): void {
  if (settings.validateSystemTopicWhenUpdateTopic && topics.isSystemTopic(topic)) {
    throw new Refusal(ResponseCode.INVALID_PARAMETER, `The topic[${topic}] is conflict with system topic.`)
  }
}

function checkConfig({ settings }: Broker, config: TopicConfig): void {
  const { readQueueNums, writeQueueNums, perm, attributes } = config
  for (const queues of [readQueueNums, writeQueueNums]) {
    if (queues < 0 || queues > MAX_QUEUES) {
      throw new Refusal(ResponseCode.INVALID_PARAMETER, `a topic has 0 to ${MAX_QUEUES} queues, not ${queues}`)
    }
  }
  if (perm < 0 || perm > 7) throw new Refusal(ResponseCode.INVALID_PARAMETER, `perm is 0 to 7, not ${perm}`)
  if (attributes['message.type'] === 'MIXED' && !settings.enableMixedMessageType) {
    throw new Refusal(ResponseCode.INVALID_PARAMETER, 'MIXED message type is not supported.')
  }
}
