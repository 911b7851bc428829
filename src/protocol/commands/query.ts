import { bool, command, int, long, name, optional, text } from '../command.ts'

export const QueryMessage = command({
  name: 'QUERY_MESSAGE',
  code: 12,
  about: 'Finds messages by key.',
  source: 'QueryMessageRequestHeader.java, QueryMessageResponseHeader.java',
  inherits: 'topic',
  request: {
    topic: name('Topic.'),
    key: text('Key, or unique id.'),
    maxNum: int('Messages wanted at most.'),
    beginTimestamp: long('Store time from, ms since 1970.'),
    endTimestamp: long('Store time to, ms since 1970.'),
    indexType: optional(text('K key, U unique id, T tag.')),
    lastKey: optional(text('Where to go on.')),
    uniqueKeyQuery: optional(text('"true": the key is a unique id.', { key: '_UNIQUE_KEY_QUERY' })),
  },
  response: {
    indexLastUpdateTimestamp: long('Newest time in the index.'),
    indexLastUpdatePhyoffset: long('Newest position in the index.'),
  },
})

export const ViewMessageById = command({
  name: 'VIEW_MESSAGE_BY_ID',
  code: 33,
  about: 'One message by its commit-log position.',
  source: 'ViewMessageRequestHeader.java',
  inherits: 'topic',
  request: { topic: optional(name('Topic.')), offset: long('Commit-log position.') },
})

export const SearchOffsetByTimestamp = command({
  name: 'SEARCH_OFFSET_BY_TIMESTAMP',
  code: 29,
  about: 'Finds the offset of a queue at a time.',
  source: 'SearchOffsetRequestHeader.java',
  inherits: 'topic',
  request: {
    topic: name('Topic.'),
    queueId: int('Queue number within the topic, from 0.'),
    timestamp: long('Store time, ms since 1970.'),
    boundaryType: optional(text('lower (default) or upper, in any case.')),
    liteTopic: optional(text('Lite topic below the topic.')),
  },
  response: { offset: long('Queue offset.') },
})

export const GetMaxOffset = command({
  name: 'GET_MAX_OFFSET',
  code: 30,
  about: 'The offset behind the last message of a queue.',
  source: 'GetMaxOffsetRequestHeader.java',
  inherits: 'topic',
  request: {
    topic: name('Topic.'),
    queueId: int('Queue number within the topic, from 0.'),
    committed: optional(bool('Only what consumers may see; default true.')),
  },
  response: { offset: long('Queue offset.') },
})

export const GetMinOffset = command({
  name: 'GET_MIN_OFFSET',
  code: 31,
  about: 'The first offset of a queue.',
  source: 'GetMinOffsetRequestHeader.java',
  inherits: 'topic',
  request: { topic: name('Topic.'), queueId: int('Queue number within the topic, from 0.') },
  response: { offset: long('Queue offset.') },
})

export const GetEarliestMsgStoretime = command({
  name: 'GET_EARLIEST_MSG_STORETIME',
  code: 32,
  about: 'Store time of the first message of a queue; -1 when there is none.',
  source: 'GetEarliestMsgStoretimeRequestHeader.java',
  inherits: 'topic',
  request: { topic: name('Topic.'), queueId: int('Queue number within the topic, from 0.') },
  response: { timestamp: long('ms since 1970, or -1.') },
})

export const QueryConsumeQueue = command({
  name: 'QUERY_CONSUME_QUEUE',
  code: 321,
  about: 'Entries of a consume queue, for tools.',
  source: 'QueryConsumeQueueRequestHeader.java',
  inherits: 'topic',
  request: {
    topic: name('Topic.'),
    queueId: int('Queue number within the topic, from 0.'),
    index: long('First queue offset.'),
    count: int('Entries wanted at most.'),
    consumerGroup: optional(name('Group whose filter is tried.')),
  },
})
