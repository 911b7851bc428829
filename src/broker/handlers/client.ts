import { readHeartbeat, readSubscriptionData } from '../../protocol/bodies.ts'
import type {
  CheckClientConfig,
  GetAllProducerInfo,
  GetConsumerConnectionList,
  GetConsumerListByGroup,
  GetProducerConnectionList,
  HeartBeat,
  UnregisterClient,
} from '../../protocol/commands/client.ts'
import { isObject, stringifyJavaJson } from '../../protocol/java-json.ts'
import { languageName } from '../../protocol/language.ts'
import { groupNameFault, RETRY_PREFIX, TopicSysFlag } from '../../protocol/names.ts'
import { Refusal } from '../../protocol/refusal.ts'
import { ResponseCode } from '../../protocol/response-code.ts'
import { type Answer, withBody } from '../../remoting/router.ts'
import type { Broker } from '../broker.ts'
import { isTagType, parseSubscription } from './filter.ts'
import { jsonBody } from './json-body.ts'

export const heartBeat =
  ({ consumers, producers, groups, topics, log }: Broker): Answer<typeof HeartBeat> =>
  (_, exchange) => {
    const { connection, frame } = exchange
    const { clientID, heartbeatFingerprint, withoutSub, consumerDataSet, producerDataSet } = readHeartbeat(
      jsonBody(exchange),
    )
    if (clientID === '') throw new Refusal(ResponseCode.SYSTEM_ERROR, 'a heartbeat needs a clientID')
    const { language, version } = frame
    const isV2 = heartbeatFingerprint !== 0
    const heartbeat = {
      connection,
      clientId: clientID,
      language,
      version,
      fingerprint: heartbeatFingerprint,
      withoutSub,
    }
    // Clients that speak v1 are always told to send all: they do.
    let mustSend = !isV2
    const faults: string[] = []
    for (const data of consumerDataSet) {
      const fault = groupNameFault(data.groupName)
      if (fault !== undefined) {
        faults.push(fault)
        continue
      }
      const config = groups.find(data.groupName)
      if (config === undefined) continue
      if (config.retryQueueNums > 0) {
        const order = data.subscriptionDataSet.some(({ topic }) => topics.get(topic)?.order === true)
        const topicSysFlag = data.unitMode ? TopicSysFlag.UNIT_SUB : 0
        topics.createSystemLike(RETRY_PREFIX + data.groupName, config.retryQueueNums, { order, topicSysFlag })
      }
      if (consumers.register(heartbeat, data)) mustSend = true
    }
    if (faults.length > 0) {
      const groups = faults.length
      log.warn('heartbeat of a group that cannot be', {
        peer: connection.peer,
        clientId: clientID,
        groups,
        fault: faults[0],
      })
    }
    for (const { groupName } of producerDataSet) {
      if (groupName !== '') producers.register(connection, clientID, language, version, groupName)
    }
    return { supportsV2: 'true', subscriptionChanged: String(mustSend) }
  }

export const unregisterClient =
  ({ consumers, producers }: Broker): Answer<typeof UnregisterClient> =>
  ({ clientID, producerGroup, consumerGroup }, { connection }) => {
    if (producerGroup !== undefined) producers.unregister(connection, clientID, producerGroup)
    if (consumerGroup !== undefined) consumers.unregister(connection, clientID, consumerGroup)
    return undefined
  }

export const checkClientConfig =
  ({ settings }: Broker): Answer<typeof CheckClientConfig> =>
  (_, exchange) => {
    if (exchange.body.length === 0) return undefined
    const { subscriptionData } = jsonBody(exchange)
    if (!isObject(subscriptionData)) return undefined
    const subscription = readSubscriptionData(subscriptionData)
    if (isTagType(subscription.expressionType)) {
      if (parseSubscription(subscription.topic, subscription.subString, 0) !== undefined) return undefined
      throw new Refusal(ResponseCode.SUBSCRIPTION_PARSE_FAILED, "parse the consumer's subscription failed")
    }
    if (!settings.enablePropertyFilter) {
      throw new Refusal(
        ResponseCode.SYSTEM_ERROR,
        `The broker does not support consumer to filter message by ${subscription.expressionType}`,
      )
    }
    throw new Refusal(
      ResponseCode.SUBSCRIPTION_PARSE_FAILED,
      `${subscription.expressionType} filters are not served by this version of CometMQ`,
    )
  }

export const getConsumerList =
  ({ consumers }: Broker): Answer<typeof GetConsumerListByGroup> =>
  ({ consumerGroup }, { connection }) => {
    const group = consumers.get(consumerGroup)
    if (group === undefined) {
      throw new Refusal(ResponseCode.SYSTEM_ERROR, `no consumer for this group, ${consumerGroup}`)
    }
    consumers.askedForMembers(connection, consumerGroup)
    return withBody(
      {},
      stringifyJavaJson({ consumerIdList: [...group.members.values()].map(({ clientId }) => clientId) }),
    )
  }

export const getConsumerConnections =
  ({ consumers }: Broker): Answer<typeof GetConsumerConnectionList> =>
  ({ consumerGroup }) => {
    const group = consumers.get(consumerGroup)
    if (group === undefined) {
      throw new Refusal(ResponseCode.CONSUMER_NOT_ONLINE, `the consumer group[${consumerGroup}] not online`)
    }
    const { consumeFromWhere, consumeType, messageModel, subscriptions } = group
    const connectionSet = [...group.members.values()].map(connectionOf)
    return withBody(
      undefined,
      stringifyJavaJson({
        connectionSet,
        consumeFromWhere,
        consumeType,
        messageModel,
        subscriptionTable: subscriptions,
      }),
    )
  }

export const getProducerConnections =
  ({ producers }: Broker): Answer<typeof GetProducerConnectionList> =>
  ({ producerGroup }) => {
    const group = producers.get(producerGroup)
    if (group === undefined)
      throw new Refusal(ResponseCode.SYSTEM_ERROR, `the producer group[${producerGroup}] not exist`)
    return withBody(undefined, stringifyJavaJson({ connectionSet: [...group.values()].map(connectionOf) }))
  }

export const getAllProducers =
  ({ producers, scheduler }: Broker): Answer<typeof GetAllProducerInfo> =>
  () => {
    const now = scheduler.now()
    const monotonic = scheduler.monotonic()
    const data = new Map(
      [...producers.groups()].map(([group, members]) => [
        group,
        [...members.values()].map(({ clientId, connection, language, version, lastSeenMs }) => ({
          clientId,
          language: languageName(language),
          lastUpdateTimestamp: Math.round(now - (monotonic - lastSeenMs)),
          remoteIP: `/${connection.peer}`, // as Java prints an address
          version,
        })),
      ]),
    )
    return withBody(undefined, stringifyJavaJson({ data }))
  }

interface Member {
  connection: { peer: string }
  clientId: string
  language: number
  version: number
}

function connectionOf({ connection, clientId, language, version }: Member): object {
  return { clientAddr: connection.peer, clientId, language: languageName(language), version }
}
