import { bool, command, int, name, optional, text, withDefault } from '../command.ts'

export const UpdateAndCreateSubscriptionGroup = command({
  name: 'UPDATE_AND_CREATE_SUBSCRIPTIONGROUP',
  code: 200,
  about: 'Creates a consumer group or changes it.',
  source: 'SubscriptionGroupConfig.java',
})

export const UpdateAndCreateSubscriptionGroupList = command({
  name: 'UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST',
  code: 225,
  about: 'Creates or changes several consumer groups.',
  source: 'SubscriptionGroupList.java',
})

export const DeleteSubscriptionGroup = command({
  name: 'DELETE_SUBSCRIPTIONGROUP',
  code: 207,
  about: 'Deletes a consumer group.',
  source: 'DeleteSubscriptionGroupRequestHeader.java',
  inherits: 'rpc',
  request: { groupName: name('Consumer group.'), cleanOffset: withDefault(bool('Its offsets too.'), false) },
})

export const GetAllSubscriptionGroupConfig = command({
  name: 'GET_ALL_SUBSCRIPTIONGROUP_CONFIG',
  code: 201,
  about: 'All consumer groups, whole or by pages.',
  source: 'GetAllSubscriptionGroupRequestHeader.java, GetAllSubscriptionGroupResponseHeader.java',
  inherits: 'rpc',
  request: {
    groupSeq: optional(int('First group of the page.')),
    dataVersion: optional(text('Version of the pages before, as JSON.')),
    maxGroupNum: optional(int('Groups of a page at most.')),
  },
  response: { totalGroupNum: optional(int('Groups in all.')) },
})

export const GetSubscriptionGroupConfig = command({
  name: 'GET_SUBSCRIPTIONGROUP_CONFIG',
  code: 352,
  about: 'The configuration of a consumer group.',
  source: 'GetSubscriptionGroupConfigRequestHeader.java',
  inherits: 'rpc',
  request: { group: name('Consumer group.') },
})

export const UpdateAndGetGroupForbidden = command({
  name: 'UPDATE_AND_GET_GROUP_FORBIDDEN',
  code: 353,
  about: 'Forbids or allows a group to read a topic.',
  source: 'UpdateGroupForbiddenRequestHeader.java',
  inherits: 'topic',
  request: {
    group: name('Consumer group.'),
    topic: name('Topic.'),
    readable: optional(bool('Absent: only ask.')),
  },
})

export const QueryTopicConsumeByWho = command({
  name: 'QUERY_TOPIC_CONSUME_BY_WHO',
  code: 300,
  about: 'Groups that consume a topic.',
  source: 'QueryTopicConsumeByWhoRequestHeader.java',
  inherits: 'topic',
  request: { topic: name('Topic.') },
})

export const QueryTopicsByConsumer = command({
  name: 'QUERY_TOPICS_BY_CONSUMER',
  code: 343,
  about: 'Topics that a group consumes.',
  source: 'QueryTopicsByConsumerRequestHeader.java',
  inherits: 'rpc',
  request: { group: name('Consumer group.') },
})

export const QuerySubscriptionByConsumer = command({
  name: 'QUERY_SUBSCRIPTION_BY_CONSUMER',
  code: 345,
  about: 'What a group asked for of a topic.',
  source: 'QuerySubscriptionByConsumerRequestHeader.java',
  inherits: 'topic',
  request: { group: name('Consumer group.'), topic: optional(name('Topic.')) },
})

export const QueryConsumeTimeSpan = command({
  name: 'QUERY_CONSUME_TIME_SPAN',
  code: 303,
  about: 'Store times of the first, the last and the next message of each queue.',
  source: 'QueryConsumeTimeSpanRequestHeader.java',
  inherits: 'topic',
  request: { topic: name('Topic.'), group: name('Consumer group.') },
})

export const GetConsumeStats = command({
  name: 'GET_CONSUME_STATS',
  code: 208,
  about: 'Where a group stands on each queue.',
  source: 'GetConsumeStatsRequestHeader.java',
  inherits: 'topic',
  request: {
    consumerGroup: name('Consumer group.'),
    topic: optional(name('Topic; blank for all.')),
    topicList: optional(text('Topics joined by semicolons.')),
  },
})

export const GetBrokerConsumeStats = command({
  name: 'GET_BROKER_CONSUME_STATS',
  code: 317,
  about: 'Where every group stands on every queue.',
  source: 'GetBrokerConsumeStatsRequestHeader.java',
  inherits: 'rpc',
  request: { isOrder: withDefault(bool('Only groups that consume in order.'), false) },
})

/** Declared for clients of Java clusters; answered by int fields of its own. */
export const GetConsumerRunningInfo = command({
  name: 'GET_CONSUMER_RUNNING_INFO',
  code: 307,
  about: 'What a client is doing; the broker passes it on.',
  source: 'GetConsumerRunningInfoRequestHeader.java',
  inherits: 'rpc',
  request: {
    consumerGroup: name('Consumer group.'),
    clientId: text('Client id.'),
    jstackEnable: withDefault(bool('With its stacks.'), false),
    timeoutMillis: optional(int('How long to wait.')),
  },
})
