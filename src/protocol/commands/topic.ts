import { bool, command, int, name, optional, text, withDefault } from '../command.ts'

export const UpdateAndCreateTopic = command({
  name: 'UPDATE_AND_CREATE_TOPIC',
  code: 17,
  about: 'Creates a topic or changes it.',
  source: 'CreateTopicRequestHeader.java',
  inherits: 'topic',
  request: {
    topic: name('Topic.'),
    defaultTopic: optional(name('Template; has no effect.')),
    readQueueNums: int('Queues that can be read.'),
    writeQueueNums: int('Queues that take messages.'),
    perm: int('Bits of Permission.'),
    topicFilterType: text('SINGLE_TAG or MULTI_TAG.'),
    topicSysFlag: withDefault(int('Flag.'), 0),
    order: withDefault(bool('Order topic.'), false),
    attributes: optional(text('+name=value and -name, joined by commas.')),
    force: withDefault(bool('Force.'), false),
  },
})

export const UpdateAndCreateTopicList = command({
  name: 'UPDATE_AND_CREATE_TOPIC_LIST',
  code: 18,
  about: 'Creates or changes several topics.',
  source: 'CreateTopicListRequestBody.java',
  inherits: 'rpc',
})

export const DeleteTopicInBroker = command({
  name: 'DELETE_TOPIC_IN_BROKER',
  code: 215,
  about: 'Deletes a topic.',
  source: 'DeleteTopicRequestHeader.java',
  inherits: 'topic',
  request: { topic: name('Topic.') },
})

export const GetTopicConfig = command({
  name: 'GET_TOPIC_CONFIG',
  code: 351,
  about: 'The configuration of a topic.',
  source: 'GetTopicConfigRequestHeader.java',
  inherits: 'topic',
  request: { topic: name('Topic.') },
})

export const GetAllTopicConfig = command({
  name: 'GET_ALL_TOPIC_CONFIG',
  code: 21,
  about: 'All topics, whole or by pages.',
  source: 'GetAllTopicConfigRequestHeader.java, GetAllTopicConfigResponseHeader.java',
  inherits: 'rpc',
  request: {
    topicSeq: optional(int('First topic of the page.')),
    dataVersion: optional(text('Version of the pages before, as JSON.')),
    maxTopicNum: optional(int('Topics of a page at most.')),
  },
  response: { totalTopicNum: optional(int('Topics in all.')) },
})

export const GetSystemTopicListFromBroker = command({
  name: 'GET_SYSTEM_TOPIC_LIST_FROM_BROKER',
  code: 305,
  about: 'System topics of a broker.',
  source: 'TopicList.java',
})

export const GetTopicStatsInfo = command({
  name: 'GET_TOPIC_STATS_INFO',
  code: 202,
  about: 'Offsets and last store time of each queue of a topic.',
  source: 'GetTopicStatsInfoRequestHeader.java',
  inherits: 'topic',
  request: { topic: name('Topic.') },
})
