import { listOf, readSubscriptionGroupConfig, type SubscriptionGroupConfig } from '../../protocol/bodies.ts'
import type * as commands from '../../protocol/commands/group.ts'
import { stringifyJavaJson } from '../../protocol/java-json.ts'
import { groupNameFault, MAX_QUEUES } from '../../protocol/names.ts'
import { Refusal } from '../../protocol/refusal.ts'
import { ResponseCode } from '../../protocol/response-code.ts'
import { type Answer, withBody, withCode } from '../../remoting/router.ts'
import type { Broker } from '../broker.ts'
import { alterAttributes, groupAttributes } from './attributes.ts'
import { jsonBody } from './json-body.ts'
import { pageOf } from './pages.ts'

export const updateGroup =
  (broker: Broker): Answer<typeof commands.UpdateAndCreateSubscriptionGroup> =>
  (_, exchange) => {
    const config = checked(broker, readSubscriptionGroupConfig(jsonBody(exchange)))
    broker.groups.update([config])
    broker.log.info('group updated', { group: config.groupName, peer: exchange.connection.peer })
    return undefined
  }

export const updateGroupList =
  (broker: Broker): Answer<typeof commands.UpdateAndCreateSubscriptionGroupList> =>
  (_, exchange) => {
    const configs = listOf(jsonBody(exchange)['groupConfigList'])
      .map(readSubscriptionGroupConfig)
      .map((config) => checked(broker, config))
    broker.groups.update(configs)
    broker.log.info('groups updated', { groups: configs.length, peer: exchange.connection.peer })
    return undefined
  }

/** Name, queues and attributes; what is not named of the attributes stays as it was. */
function checked({ groups }: Broker, config: SubscriptionGroupConfig): SubscriptionGroupConfig {
  const fault = groupNameFault(config.groupName)
  if (fault !== undefined) throw new Refusal(ResponseCode.INVALID_PARAMETER, fault)
  const { retryQueueNums } = config
  if (retryQueueNums > MAX_QUEUES) {
    const remark = `retryQueueNums: a topic has 0 to ${MAX_QUEUES} queues, not ${retryQueueNums}`
    throw new Refusal(ResponseCode.INVALID_PARAMETER, remark)
  }
  const current = groups.get(config.groupName)
  try {
    const attributes = alterAttributes(
      groupAttributes,
      current?.attributes ?? {},
      config.attributes,
      current === undefined,
    )
    return { ...config, attributes }
  } catch (error) {
    // Java lets this one through as an exception, whose name goes out with it.
    throw new Refusal(ResponseCode.SYSTEM_ERROR, `java.lang.RuntimeException: ${(error as Error).message}`)
  }
}

export const deleteGroup =
  ({ groups, offsets, stats, log }: Broker): Answer<typeof commands.DeleteSubscriptionGroup> =>
  ({ groupName, cleanOffset }, { connection }) => {
    if (groups.delete(groupName)) log.info('group deleted', { group: groupName, cleanOffset, peer: connection.peer })
    if (cleanOffset) offsets.deleteGroup(groupName)
    stats.forget(groupName)
    return undefined
  }

export const getAllGroups =
  ({ groups, settings }: Broker): Answer<typeof commands.GetAllSubscriptionGroupConfig> =>
  ({ groupSeq, dataVersion, maxGroupNum }) => {
    const totalGroupNum = groups.size
    if (groupSeq === undefined) return withBody({ totalGroupNum }, stringifyJavaJson(groups.toJson()))
    const page = pageOf(
      groups.all(),
      groupSeq,
      maxGroupNum,
      settings.splitMetadataSize,
      dataVersion,
      groups.dataVersion,
    )
    return withBody({ totalGroupNum }, stringifyJavaJson(groups.toJson(page)))
  }

export const getGroup =
  ({ groups }: Broker): Answer<typeof commands.GetSubscriptionGroupConfig> =>
  ({ group }) => {
    const config = groups.find(group)
    if (config === undefined) throw new Refusal(ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST, 'No group in this broker')
    return withBody(undefined, stringifyJavaJson(config))
  }

export const updateForbidden =
  ({ groups }: Broker): Answer<typeof commands.UpdateAndGetGroupForbidden> =>
  ({ group, topic, readable }) => {
    if (readable !== undefined) groups.setReadForbidden(group, topic, !readable)
    const body = stringifyJavaJson({ group, readable: !groups.readForbidden(group, topic), topic })
    return withCode(ResponseCode.SUCCESS, '', undefined, Buffer.from(body, 'utf8'))
  }

export const queryTopicConsumeByWho =
  ({ consumers, offsets }: Broker): Answer<typeof commands.QueryTopicConsumeByWho> =>
  ({ topic }) =>
    withBody(
      undefined,
      stringifyJavaJson({ groupList: new Set([...consumers.groupsOf(topic), ...offsets.groupsOf(topic)]) }),
    )

export const queryTopicsByConsumer =
  (broker: Broker): Answer<typeof commands.QueryTopicsByConsumer> =>
  ({ group }) =>
    withBody(undefined, stringifyJavaJson({ brokerAddr: broker.address, topicList: broker.offsets.topicsOf(group) }))

export const querySubscription =
  ({ consumers }: Broker): Answer<typeof commands.QuerySubscriptionByConsumer> =>
  ({ group, topic }) =>
    withBody(
      undefined,
      stringifyJavaJson({
        group,
        subscriptionData: topic === undefined ? undefined : consumers.get(group)?.subscriptions.get(topic),
        topic,
      }),
    )
