import { bool, bytes, command, int, long, name, optional, text, withDefault } from '../command.ts'

const sendResponse = {
  msgId: text('Offset message id; of a batch, all joined by commas.'),
  queueId: int('Queue that took it.'),
  queueOffset: long('Offset in the queue; of a batch, of its first message.'),
  transactionId: optional(text('The UNIQ_KEY of the message.')),
  batchUniqId: optional(text('Id of an inner batch.')),
  recallHandle: optional(text('What recalls a timer message.')),
  traceOn: optional(text('Whether clients trace.', { key: 'TRACE_ON' })),
  regionId: optional(text('Region of the broker.', { key: 'MSG_REGION' })),
}

export const SendMessage = command({
  name: 'SEND_MESSAGE',
  code: 10,
  about: 'Stores a message.',
  source: 'SendMessageRequestHeader.java, SendMessageResponseHeader.java',
  inherits: 'topic',
  request: {
    producerGroup: withDefault(name('Producer group.'), ''),
    topic: name('Topic.'),
    defaultTopic: withDefault(name('Template for a topic that does not exist yet.'), ''),
    defaultTopicQueueNums: withDefault(int('Queues of a topic that does not exist yet.'), 0),
    queueId: int('Queue; below 0 the broker picks one.'),
    sysFlag: int('Bits of MessageSysFlag.'),
    bornTimestamp: long('Clock of the producer, ms since 1970.'),
    flag: int("The user's own flag."),
    properties: optional(bytes('Encoded properties.')),
    reconsumeTimes: withDefault(int('How often it was handed out before.'), 0),
    unitMode: withDefault(bool('Unit mode.'), false),
    batch: withDefault(bool('The body is a batch.'), false),
    maxReconsumeTimes: optional(int('Attempts before the dead-letter topic.')),
  },
  response: sendResponse,
})

const compactRequest = {
  producerGroup: withDefault(name('Producer group.', { key: 'a' }), ''),
  topic: name('Topic.', { key: 'b' }),
  defaultTopic: withDefault(name('Template for a topic that does not exist yet.', { key: 'c' }), ''),
  defaultTopicQueueNums: withDefault(int('Queues of a topic that does not exist yet.', { key: 'd' }), 0),
  queueId: int('Queue; below 0 the broker picks one.', { key: 'e' }),
  sysFlag: int('Bits of MessageSysFlag.', { key: 'f' }),
  bornTimestamp: long('Clock of the producer, ms since 1970.', { key: 'g' }),
  flag: int("The user's own flag.", { key: 'h' }),
  properties: optional(bytes('Encoded properties.', { key: 'i' })),
  reconsumeTimes: withDefault(int('How often it was handed out before.', { key: 'j' }), 0),
  unitMode: withDefault(bool('Unit mode.', { key: 'k' }), false),
  maxReconsumeTimes: optional(int('Attempts before the dead-letter topic.', { key: 'l' })),
  batch: withDefault(bool('The body is a batch.', { key: 'm' }), false),
  brokerName: optional(name('Logical target broker.', { key: 'n' })),
}

export const SendMessageV2 = command({
  name: 'SEND_MESSAGE_V2',
  code: 310,
  about: 'Stores a message; the header has one-letter keys.',
  source: 'SendMessageRequestHeaderV2.java',
  inherits: 'topic',
  request: compactRequest,
  response: sendResponse,
})

export const SendBatchMessage = command({
  name: 'SEND_BATCH_MESSAGE',
  code: 320,
  about: 'Stores a batch: all or none, in one queue.',
  source: 'SendMessageRequestHeaderV2.java',
  inherits: 'topic',
  request: compactRequest,
  response: sendResponse,
})

export const ConsumerSendMsgBack = command({
  name: 'CONSUMER_SEND_MSG_BACK',
  code: 36,
  about: 'Hands a message back for a later retry.',
  source: 'ConsumerSendMsgBackRequestHeader.java',
  inherits: 'rpc',
  request: {
    offset: long('Commit-log position of the message.'),
    group: name('Consumer group.'),
    delayLevel: int('Delay level; 0: by the number of attempts; below 0: dead letter.'),
    originMsgId: optional(text('Offset message id.')),
    originTopic: optional(name('Topic it was read from.')),
    unitMode: withDefault(bool('Unit mode.'), false),
    maxReconsumeTimes: optional(int('Attempts before the dead-letter topic.')),
  },
})
