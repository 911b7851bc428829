/** JSON bodies that several commands share. Keys are spelled as on the wire; readers fill in Java's defaults. */
import { isObject, type JsonObject, stringifyJavaJson } from './java-json.ts'

export interface DataVersion {
  stateVersion: number
  timestamp: number
  counter: number
}

export interface TopicConfig {
  topicName: string
  readQueueNums: number
  writeQueueNums: number
  perm: number
  topicFilterType: string
  topicSysFlag: number
  order: boolean
  attributes: Record<string, string>
}

export interface GroupRetryPolicy {
  type: string
  exponentialRetryPolicy?: { initial: number; max: number; multiplier: number }
  customizedRetryPolicy?: { next: number[] }
}

export interface SubscriptionGroupConfig {
  groupName: string
  consumeEnable: boolean
  consumeFromMinEnable: boolean
  consumeBroadcastEnable: boolean
  consumeMessageOrderly: boolean
  retryQueueNums: number
  retryMaxTimes: number
  groupRetryPolicy: GroupRetryPolicy
  brokerId: number
  whichBrokerWhenConsumeSlowly: number
  notifyConsumerIdsChangedEnable: boolean
  groupSysFlag: number
  consumeTimeoutMinute: number
  subscriptionDataSet?: unknown[]
  attributes: Record<string, string>
}

export interface SubscriptionData {
  classFilterMode: boolean
  topic: string
  subString: string
  tagsSet: string[]
  codeSet: number[]
  subVersion: number
  expressionType: string
}

export interface ProducerData {
  groupName: string
}

export interface ConsumerData {
  groupName: string
  consumeType: string
  messageModel: string
  consumeFromWhere: string
  subscriptionDataSet: SubscriptionData[]
  unitMode: boolean
}

export interface HeartbeatData {
  clientID: string
  producerDataSet: ProducerData[]
  consumerDataSet: ConsumerData[]
  heartbeatFingerprint: number
  withoutSub: boolean
}

export interface MessageQueue {
  topic: string
  brokerName: string
  queueId: number
}

export interface QueueData {
  brokerName: string
  readQueueNums: number
  writeQueueNums: number
  perm: number
  topicSysFlag: number
}

export interface BrokerData {
  cluster: string
  brokerName: string
  brokerAddrs: Record<string, string>
  enableActingMaster?: boolean
  zoneName?: string
}

export interface TopicRouteData {
  orderTopicConf?: string
  queueDatas?: QueueData[]
  brokerDatas?: BrokerData[]
  filterServerTable?: Record<string, string[]>
  topicQueueMappingByBroker?: Record<string, unknown>
}

/** Readers of loose values: what fastjson2 makes of them. */
export function textOf(value: unknown, fallback = ''): string {
  if (value === undefined || value === null) return fallback
  if (typeof value === 'object') return stringifyJavaJson(value)
  return typeof value === 'string' ? value : String(value)
}

export function numberOf(value: unknown, fallback: number): number {
  if (value === undefined) return fallback
  if (value === null) return 0
  if (typeof value === 'object') return fallback
  const number = Number(value)
  return Number.isFinite(number) ? Math.trunc(number) : fallback
}

export function boolOf(value: unknown, fallback: boolean): boolean {
  if (value === undefined) return fallback
  if (typeof value === 'string') return value.toLowerCase() === 'true'
  return value === true || (typeof value === 'number' && value !== 0)
}

export const listOf = (value: unknown): unknown[] => (Array.isArray(value) ? value : [])
export const objectOf = (value: unknown): JsonObject => (isObject(value) ? value : Object.create(null))

export function textMapOf(value: unknown): Record<string, string> {
  const map: Record<string, string> = Object.create(null)
  for (const [key, each] of Object.entries(objectOf(value))) map[key] = textOf(each)
  return map
}

export function readDataVersion(value: unknown): DataVersion {
  const object = objectOf(value)
  return {
    stateVersion: numberOf(object['stateVersion'], 0),
    timestamp: numberOf(object['timestamp'], 0),
    counter: numberOf(object['counter'], 0),
  }
}

const TOPIC_FILTER_TYPES = ['SINGLE_TAG', 'MULTI_TAG']

export function readTopicConfig(value: unknown): TopicConfig {
  const object = objectOf(value)
  const type = object['topicFilterType']
  return {
    topicName: textOf(object['topicName']),
    readQueueNums: numberOf(object['readQueueNums'], 16),
    writeQueueNums: numberOf(object['writeQueueNums'], 16),
    perm: numberOf(object['perm'], 6),
    topicFilterType: enumOf(type, TOPIC_FILTER_TYPES, 'SINGLE_TAG'),
    topicSysFlag: numberOf(object['topicSysFlag'], 0),
    order: boolOf(object['order'], false),
    attributes: textMapOf(object['attributes']),
  }
}

export function readSubscriptionGroupConfig(value: unknown): SubscriptionGroupConfig {
  const object = objectOf(value)
  const policy = objectOf(object['groupRetryPolicy'])
  const config: SubscriptionGroupConfig = {
    groupName: textOf(object['groupName']),
    consumeEnable: boolOf(object['consumeEnable'], true),
    consumeFromMinEnable: boolOf(object['consumeFromMinEnable'], true),
    consumeBroadcastEnable: boolOf(object['consumeBroadcastEnable'], true),
    consumeMessageOrderly: boolOf(object['consumeMessageOrderly'], false),
    retryQueueNums: numberOf(object['retryQueueNums'], 1),
    retryMaxTimes: numberOf(object['retryMaxTimes'], 16),
    groupRetryPolicy: { ...policy, type: textOf(policy['type'], 'CUSTOMIZED') },
    brokerId: numberOf(object['brokerId'], 0),
    whichBrokerWhenConsumeSlowly: numberOf(object['whichBrokerWhenConsumeSlowly'], 1),
    notifyConsumerIdsChangedEnable: boolOf(object['notifyConsumerIdsChangedEnable'], true),
    groupSysFlag: numberOf(object['groupSysFlag'], 0),
    consumeTimeoutMinute: numberOf(object['consumeTimeoutMinute'], 15),
    attributes: textMapOf(object['attributes']),
  }
  if (Array.isArray(object['subscriptionDataSet'])) config.subscriptionDataSet = object['subscriptionDataSet']
  return config
}

export function readSubscriptionData(value: unknown): SubscriptionData {
  const object = objectOf(value)
  return {
    classFilterMode: boolOf(object['classFilterMode'], false),
    topic: textOf(object['topic']),
    subString: textOf(object['subString']),
    tagsSet: listOf(object['tagsSet']).map((tag) => textOf(tag)),
    codeSet: listOf(object['codeSet']).map((code) => numberOf(code, 0) | 0),
    subVersion: numberOf(object['subVersion'], 0),
    expressionType: textOf(object['expressionType'], 'TAG'),
  }
}

export function readHeartbeat(value: unknown): HeartbeatData {
  const object = objectOf(value)
  return {
    clientID: textOf(object['clientID']),
    producerDataSet: listOf(object['producerDataSet']).map((each) => ({
      groupName: textOf(objectOf(each)['groupName']),
    })),
    consumerDataSet: listOf(object['consumerDataSet']).map(readConsumerData),
    heartbeatFingerprint: numberOf(object['heartbeatFingerprint'], 0),
    withoutSub: boolOf(object['withoutSub'], false),
  }
}

const CONSUME_TYPES = ['CONSUME_ACTIVELY', 'CONSUME_PASSIVELY', 'CONSUME_POP']
const MESSAGE_MODELS = ['BROADCASTING', 'CLUSTERING']

function readConsumerData(value: unknown): ConsumerData {
  const object = objectOf(value)
  return {
    groupName: textOf(object['groupName']),
    consumeType: enumOf(object['consumeType'], CONSUME_TYPES, 'CONSUME_PASSIVELY'),
    messageModel: enumOf(object['messageModel'], MESSAGE_MODELS, 'CLUSTERING'),
    consumeFromWhere: textOf(object['consumeFromWhere'], 'CONSUME_FROM_LAST_OFFSET'),
    subscriptionDataSet: listOf(object['subscriptionDataSet']).map(readSubscriptionData),
    unitMode: boolOf(object['unitMode'], false),
  }
}

/** Names in any case, or ordinals; for others, which Java reads as null, what is usual. */
function enumOf(value: unknown, names: readonly string[], fallback: string): string {
  if (typeof value === 'number') return names[value] ?? fallback
  const name = textOf(value).toUpperCase()
  return names.includes(name) ? name : fallback
}

export function readMessageQueue(value: unknown): MessageQueue {
  const object = objectOf(value)
  return {
    topic: textOf(object['topic']),
    brokerName: textOf(object['brokerName']),
    queueId: numberOf(object['queueId'], 0),
  }
}

/** Counts a change of a table, as Java does. */
export function nextDataVersion(version: DataVersion, nowMs: number): DataVersion {
  return { stateVersion: version.stateVersion, timestamp: nowMs, counter: version.counter + 1 }
}

export function sameVersion(a: DataVersion, b: DataVersion): boolean {
  return a.stateVersion === b.stateVersion && a.timestamp === b.timestamp && a.counter === b.counter
}
