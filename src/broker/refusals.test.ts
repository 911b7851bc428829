import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { AnyCommand } from '../protocol/command.ts'
import * as config from '../protocol/commands/broker-config.ts'
import * as client from '../protocol/commands/client.ts'
import * as group from '../protocol/commands/group.ts'
import * as lock from '../protocol/commands/lock.ts'
import * as offset from '../protocol/commands/offset.ts'
import * as topic from '../protocol/commands/topic.ts'
import { type SimulatedBroker, type SimulatedClient, startSimulatedBroker } from './simulated-broker.ts'

type Fields = Record<string, string>
type Case = [what: string, command: AnyCommand, fields: Fields, body: string, code: number, remark: RegExp]

const NOT_JSON = ['{not json', '[1,2', '"', '{"a":1}}', 'null', '7', '[]', '\u0000', `${'['.repeat(600)}`]

const topicFields: Fields = {
  topic: 'orders',
  defaultTopic: 'TBW102',
  readQueueNums: '4',
  writeQueueNums: '4',
  perm: '6',
  topicFilterType: 'SINGLE_TAG',
  order: 'false',
}
const without = (fields: Fields, name: string): Fields =>
  Object.fromEntries(Object.entries(fields).filter(([each]) => each !== name))

const missing = (command: AnyCommand, fields: Fields, body = ''): Case[] =>
  Object.keys(fields)
    .filter((name) => command.request[name]?.absence === 'refused')
    .map((name) => [`without ${name}`, command, without(fields, name), body, 1, new RegExp(name)])

const wrong = (command: AnyCommand, fields: Fields, name: string, ...values: string[]): Case[] =>
  values.map((value) => [`${name}=${value}`, command, { ...fields, [name]: value }, '', 1, new RegExp(name)])

const badBodies = (command: AnyCommand): Case[] => [
  ['without a body', command, {}, '', 1, new RegExp(`${command.name} needs a body`)],
  ...NOT_JSON.map((body): Case => [`body ${JSON.stringify(body.slice(0, 12))}`, command, {}, body, 1, /JSON/]),
]

const queryFields: Fields = { consumerGroup: 'g', topic: 'orders', queueId: '0' }
const commitFields: Fields = { ...queryFields, commitOffset: '1' }

const cases: Case[] = [
  ...badBodies(client.HeartBeat),
  ['without a clientID', client.HeartBeat, {}, '{"producerDataSet":[{"groupName":"p"}]}', 1, /clientID/],
  ...missing(client.UnregisterClient, { clientID: 'a' }),
  ...missing(client.GetConsumerListByGroup, { consumerGroup: 'g' }),
  [
    'of a group that is not there',
    client.GetConsumerListByGroup,
    { consumerGroup: 'no' },
    '',
    1,
    /no consumer for this group, no$/,
  ],
  ...missing(client.GetConsumerConnectionList, { consumerGroup: 'g' }),
  [
    'not online',
    client.GetConsumerConnectionList,
    { consumerGroup: 'no' },
    '',
    206,
    /^the consumer group\[no\] not online$/,
  ],
  ...missing(client.GetProducerConnectionList, { producerGroup: 'g' }),
  [
    'not there',
    client.GetProducerConnectionList,
    { producerGroup: 'no' },
    '',
    1,
    /^the producer group\[no\] not exist$/,
  ],
  ['not JSON', client.CheckClientConfig, {}, '{oh', 1, /JSON/],
  [
    'tags that are none',
    client.CheckClientConfig,
    {},
    '{"subscriptionData":{"topic":"t","subString":"||","expressionType":"TAG"}}',
    23,
    /parse the consumer's subscription failed/,
  ],
  [
    'SQL92 without the property filter',
    client.CheckClientConfig,
    {},
    '{"subscriptionData":{"topic":"t","subString":"a=1","expressionType":"SQL92"}}',
    1,
    /does not support consumer to filter message by SQL92/,
  ],

  ...missing(offset.QueryConsumerOffset, queryFields),
  ...wrong(offset.QueryConsumerOffset, queryFields, 'queueId', 'x', '', '1.5', '99999999999'),
  ['unknown', offset.QueryConsumerOffset, { ...queryFields, topic: 'no' }, '', 22, /^Not found, V3_0_6_SNAPSHOT/],
  ...missing(offset.UpdateConsumerOffset, commitFields),
  ...wrong(offset.UpdateConsumerOffset, commitFields, 'commitOffset', 'x', '-1', ''),
  ...wrong(offset.UpdateConsumerOffset, commitFields, 'queueId', '-1', 'x'),
  [
    'unknown group',
    offset.UpdateConsumerOffset,
    { ...commitFields, consumerGroup: 'no' },
    '',
    26,
    /^Group no not exist!$/,
  ],
  ['unknown topic', offset.UpdateConsumerOffset, { ...commitFields, topic: 'no' }, '', 17, /^Topic no not exist!$/],

  ...badBodies(lock.LockBatchMq),
  ...badBodies(lock.UnlockBatchMq),
  ['of nobody', lock.LockBatchMq, {}, '{"consumerGroup":"g","mqSet":[]}', 1, /clientId/],
  ['of no group', lock.UnlockBatchMq, {}, '{"clientId":"a","mqSet":[]}', 1, /consumerGroup/],

  ...missing(topic.UpdateAndCreateTopic, topicFields),
  ...wrong(topic.UpdateAndCreateTopic, topicFields, 'readQueueNums', 'x', '', '4.5'),
  ...wrong(topic.UpdateAndCreateTopic, topicFields, 'topicFilterType', 'NO_TAG', ''),
  ...[
    ['blank', { topic: ' ' }, /blank/],
    ['illegal', { topic: 'a b' }, /illegal characters/],
    ['too long', { topic: 'x'.repeat(128) }, /longer than topic max length/],
    ['a system topic', { topic: 'SCHEDULE_TOPIC_XXXX' }, /conflict with system topic/],
    ['another system topic', { topic: 'rmq_sys_mine' }, /conflict with system topic/],
    ['queues below 0', { writeQueueNums: '-1' }, /queues/],
    ['queues beyond all bounds', { readQueueNums: '2000000000' }, /queues/],
    ['perm', { perm: '8' }, /perm/],
    ['mixed', { attributes: '+message.type=MIXED' }, /^MIXED message type is not supported\.$/],
  ].map(
    ([what, fields, remark]): Case => [
      what as string,
      topic.UpdateAndCreateTopic,
      { ...topicFields, ...(fields as Fields) },
      '',
      29,
      remark as RegExp,
    ],
  ),
  ...[
    ['no.such=1', /wrong format key/],
    ['+no.such=1', /^unsupported key: no\.such$/],
    ['+__proto__=1', /^unsupported key: __proto__$/],
    ['+message.type=FIFO,+message.type=DELAY', /key duplication/],
    ['+message.type=', /not in set/],
    ['+reserve.time=soon', /not in range/],
    ['-message.type', /only add attribute is supported while creating topic/],
  ].map(
    ([attributes, remark]): Case => [
      `attributes ${attributes}`,
      topic.UpdateAndCreateTopic,
      { ...topicFields, topic: 'fresh', attributes: attributes as string },
      '',
      1,
      remark as RegExp,
    ],
  ),
  ...badBodies(topic.UpdateAndCreateTopicList),
  [
    'one of two is bad',
    topic.UpdateAndCreateTopicList,
    {},
    '{"topicConfigList":[{"topicName":"good"},{}]}',
    29,
    /blank/,
  ],
  ...missing(topic.DeleteTopicInBroker, { topic: 'orders' }),
  ['a system topic', topic.DeleteTopicInBroker, { topic: 'TBW102' }, '', 29, /conflict with system topic/],
  ['blank', topic.DeleteTopicInBroker, { topic: '' }, '', 29, /blank/],
  ...missing(topic.GetTopicConfig, { topic: 'orders' }),
  ['unknown', topic.GetTopicConfig, { topic: 'no' }, '', 17, /^No topic in this broker\. topic: no$/],
  ...missing(topic.GetTopicStatsInfo, { topic: 'orders' }),
  ['unknown', topic.GetTopicStatsInfo, { topic: 'no' }, '', 17, /^topic\[no\] not exist$/],
  ...wrong(topic.GetAllTopicConfig, {}, 'topicSeq', 'x'),
  [
    'a version that is none',
    topic.GetAllTopicConfig,
    { topicSeq: '0', dataVersion: '{' },
    '',
    1,
    /dataVersion is not JSON/,
  ],

  ...badBodies(group.UpdateAndCreateSubscriptionGroup),
  ['no name', group.UpdateAndCreateSubscriptionGroup, {}, '{}', 29, /blank/],
  ['an illegal name', group.UpdateAndCreateSubscriptionGroup, {}, '{"groupName":"a b"}', 29, /illegal characters/],
  ['too long a name', group.UpdateAndCreateSubscriptionGroup, {}, `{"groupName":"${'x'.repeat(121)}"}`, 29, /longer/],
  ...badBodies(group.UpdateAndCreateSubscriptionGroupList),
  [
    'one is bad',
    group.UpdateAndCreateSubscriptionGroupList,
    {},
    '{"groupConfigList":[{"groupName":"good2"},7]}',
    29,
    /blank/,
  ],
  ...missing(group.DeleteSubscriptionGroup, { groupName: 'g' }),
  ...missing(group.GetSubscriptionGroupConfig, { group: 'g' }),
  ['a name that cannot be', group.GetSubscriptionGroupConfig, { group: 'a b' }, '', 26, /^No group in this broker$/],
  ...missing(group.UpdateAndGetGroupForbidden, { group: 'g', topic: 't' }),
  ...missing(group.QueryTopicConsumeByWho, { topic: 't' }),
  ...missing(group.QueryTopicsByConsumer, { group: 'g' }),
  ...missing(group.QuerySubscriptionByConsumer, { group: 'g' }),
  ...missing(group.QueryConsumeTimeSpan, { topic: 'orders', group: 'g' }),
  ['unknown topic', group.QueryConsumeTimeSpan, { topic: 'no', group: 'g' }, '', 17, /^topic\[no\] not exist$/],
  ...missing(group.GetConsumeStats, { consumerGroup: 'g' }),

  ...missing(config.ViewBrokerStatsData, { statsName: 'TOPIC_PUT_NUMS', statsKey: 'orders' }),
  ...[
    ['storePathRootDir=/etc', /storePathRootDir/],
    ['rocketmqHome=/', /rocketmqHome/],
    ['brokerConfigPath=/etc/passwd', /brokerConfigPath/],
    ['configBlackList=', /configBlackList/],
    ['brokerName=other', /brokerName/],
    ['listenPort=1', /listenPort/],
    ['namesrvAddr=evil:9876', /namesrvAddr/],
    ['noSuchThing=1', /noSuchThing/],
    ['longPollingEnable=perhaps', /longPollingEnable=perhaps/],
    ['litePullMessageEnable=false\nbrokerName=other', /brokerName/],
  ].map(
    ([text, remark]): Case => [
      JSON.stringify(text),
      config.UpdateBrokerConfig,
      {},
      text as string,
      16,
      remark as RegExp,
    ],
  ),
  ['no properties', config.UpdateBrokerConfig, {}, 'a=\\u00', 1, /properties/],
]

describe('what is refused', () => {
  let broker: SimulatedBroker
  let asking: SimulatedClient
  before(async () => {
    broker = await startSimulatedBroker()
    asking = await broker.connect()
    await asking.askLoosely(topic.UpdateAndCreateTopic, topicFields)
    await asking.askLoosely(group.UpdateAndCreateSubscriptionGroup, {}, '{"groupName":"g"}')
  })
  after(() => broker.close())

  for (const [what, command, fields, body, code, remark] of cases) {
    test(`${command.name}: ${what}`, async () => {
      const got = await asking.askLoosely(command, fields, body)
      assert.equal(got.code, code, got.remark)
      assert.match(got.remark ?? '', remark)
      assert.equal(asking.isClosed, false)
    })
  }

  test('and nothing of it happened, nor was any of it logged as a fault of ours', () => {
    const { topics, groups, settings } = broker.broker
    assert.deepEqual([topics.get('good'), topics.get('fresh'), groups.get('good2')], [undefined, undefined, undefined])
    assert.equal(settings.litePullMessageEnable, true)
    const errors = broker.log.lines.filter(({ level }) => level === 'error')
    assert.deepEqual(errors, [])
  })
})
