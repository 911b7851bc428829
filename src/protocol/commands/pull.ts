import { command, int, long, name, optional, text, withDefault } from '../command.ts'

const pullRequest = {
  consumerGroup: name('Consumer group.'),
  topic: name('Topic.'),
  queueId: int('Queue number within the topic, from 0.'),
  queueOffset: long('First offset wanted.'),
  maxMsgNums: int('Messages wanted at most.'),
  sysFlag: int('Bits of PullSysFlag.'),
  commitOffset: withDefault(long('Where the group stands, when sysFlag says so; below 0 says nothing.'), -1),
  suspendTimeoutMillis: withDefault(long('How long to wait for a message, in ms.'), 0),
  subscription: optional(text('Expression, when sysFlag says so.')),
  subVersion: withDefault(long('Version of the subscription.'), 0),
  expressionType: optional(name('TAG or SQL92.')),
  maxMsgBytes: optional(int('Bytes wanted at most.')),
  requestSource: optional(int('Who asks on whose behalf.')),
  proxyFrowardClientId: optional(text('Client behind a proxy (spelled so on the wire).')),
  liteTopic: optional(text('Lite topic below the topic.')),
}

const pullResponse = {
  suggestWhichBrokerId: long('Broker id to pull from next.'),
  nextBeginOffset: long('Offset to pull from next.'),
  minOffset: long('First offset of the queue.'),
  maxOffset: long('Offset behind the last of the queue.'),
  offsetDelta: optional(long('To be added to offsets of a static topic.')),
  topicSysFlag: optional(int("The topic's flag.")),
  groupSysFlag: optional(int("The group's flag.")),
  forbiddenType: optional(int('Why it is refused: ForbiddenType.')),
}

export const PullMessage = command({
  name: 'PULL_MESSAGE',
  code: 11,
  about: 'Reads messages of one queue; waits for one if asked to.',
  source: 'PullMessageRequestHeader.java, PullMessageResponseHeader.java',
  inherits: 'topic',
  request: pullRequest,
  response: pullResponse,
})

export const LitePullMessage = command({
  name: 'LITE_PULL_MESSAGE',
  code: 361,
  about: 'The same for lite pull consumers.',
  source: 'PullMessageRequestHeader.java, PullMessageResponseHeader.java',
  inherits: 'topic',
  request: pullRequest,
  response: pullResponse,
})
