import { bool, command, int, long, name, optional } from '../command.ts'

export const QueryConsumerOffset = command({
  name: 'QUERY_CONSUMER_OFFSET',
  code: 14,
  about: 'Reads where a consumer group stands on one queue.',
  source: 'QueryConsumerOffsetRequestHeader.java',
  inherits: 'topic',
  request: {
    consumerGroup: name('Consumer group.'),
    topic: name('Topic.'),
    queueId: int('Queue number within the topic, from 0.'),
    setZeroIfNotFound: optional(bool('false: never answer 0 to a new group.')),
  },
  response: { offset: long('Next queue offset to consume.') },
})

export const UpdateConsumerOffset = command({
  name: 'UPDATE_CONSUMER_OFFSET',
  code: 15,
  about: 'Stores where a consumer group stands on one queue.',
  source: 'UpdateConsumerOffsetRequestHeader.java',
  inherits: 'topic',
  request: {
    consumerGroup: name('Consumer group.'),
    topic: name('Topic.'),
    queueId: int('Queue number within the topic, from 0.'),
    commitOffset: long('Next queue offset to consume.'),
  },
})

export const GetAllConsumerOffset = command({
  name: 'GET_ALL_CONSUMER_OFFSET',
  code: 43,
  about: 'All offsets of all groups, for a replica.',
  source: 'ConsumerOffsetSerializeWrapper.java',
})
