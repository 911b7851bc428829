import { command, name, optional, text } from '../command.ts'

export const HeartBeat = command({
  name: 'HEART_BEAT',
  code: 34,
  about: 'A client says who it is: producer groups, consumer groups and their subscriptions.',
  source: 'HeartbeatData.java',
  response: {
    supportsV2: optional(text('"true".', { key: 'IS_SUPPORT_HEART_BEAT_V2' })),
    subscriptionChanged: optional(text('"true": send the subscriptions again.', { key: 'IS_SUB_CHANGE' })),
  },
})

export const UnregisterClient = command({
  name: 'UNREGISTER_CLIENT',
  code: 35,
  about: 'A client leaves its groups.',
  source: 'UnregisterClientRequestHeader.java',
  inherits: 'rpc',
  request: {
    clientID: text('Client id.'),
    producerGroup: optional(name('Producer group to leave.')),
    consumerGroup: optional(name('Consumer group to leave.')),
  },
})

export const CheckClientConfig = command({
  name: 'CHECK_CLIENT_CONFIG',
  code: 46,
  about: 'Tries the expression of a subscription.',
  source: 'CheckClientRequestBody.java',
})

export const GetConsumerListByGroup = command({
  name: 'GET_CONSUMER_LIST_BY_GROUP',
  code: 38,
  about: 'Client ids of the members of a consumer group.',
  source: 'GetConsumerListByGroupRequestHeader.java',
  inherits: 'rpc',
  request: { consumerGroup: name('Consumer group.') },
})

export const GetConsumerConnectionList = command({
  name: 'GET_CONSUMER_CONNECTION_LIST',
  code: 203,
  about: 'Connections and subscriptions of a consumer group.',
  source: 'GetConsumerConnectionListRequestHeader.java',
  inherits: 'rpc',
  request: { consumerGroup: name('Consumer group.') },
})

export const GetProducerConnectionList = command({
  name: 'GET_PRODUCER_CONNECTION_LIST',
  code: 204,
  about: 'Connections of a producer group.',
  source: 'GetProducerConnectionListRequestHeader.java',
  inherits: 'rpc',
  request: { producerGroup: name('Producer group.') },
})

export const GetAllProducerInfo = command({
  name: 'GET_ALL_PRODUCER_INFO',
  code: 328,
  about: 'All producers of a broker.',
  source: 'GetAllProducerInfoRequestHeader.java',
})

export const NotifyConsumerIdsChanged = command({
  name: 'NOTIFY_CONSUMER_IDS_CHANGED',
  code: 40,
  about: 'Broker to client, one-way: somebody joined or left the group.',
  source: 'NotifyConsumerIdsChangedRequestHeader.java',
  inherits: 'rpc',
  request: { consumerGroup: name('Consumer group.') },
})
