import type { SubscriptionGroupConfig, TopicConfig } from '../../protocol/bodies.ts'
import type { Request, Response } from '../../protocol/command.ts'
import type { LitePullMessage, PullMessage } from '../../protocol/commands/pull.ts'
import { ForbiddenType, Permission, PullSysFlag } from '../../protocol/names.ts'
import { ResponseCode } from '../../protocol/response-code.ts'
import type { Connection } from '../../remoting/connection.ts'
import type { Handler, Reply } from '../../remoting/router.ts'
import { GetStatus, type MessageFilter, type ReadResult } from '../../store/message-store.ts'
import type { Broker } from '../broker.ts'
import type { ParkedPull } from '../long-poll.ts'
import { isTagType, TagFilters } from './filter.ts'

type PullCommand = typeof PullMessage | typeof LitePullMessage
type PullRequest = Request<typeof PullMessage>
type PullReply = Reply<typeof PullMessage>
type PullAnswer = Response<typeof PullMessage>

const FAQ = 'See https://rocketmq.apache.org/docs/bestPractice/06FAQ for further details.'

/** Bytes one answer holds at most, whatever the client asks for: it must fit a frame. */
const MAX_ANSWER_BYTES = 8_388_608

/** What the rules look at: of a pull that comes, and of one that waited. */
type PullTerms = Pick<
  PullRequest,
  'consumerGroup' | 'topic' | 'queueId' | 'sysFlag' | 'subscription' | 'expressionType' | 'subVersion'
>

/** What was found out about a pull that was let in. */
interface PullPlace {
  config: TopicConfig
  group: SubscriptionGroupConfig
  filter: MessageFilter | undefined
}

/** Reads messages of one queue: the rules, in the order in which Java checks them, then the read, then perhaps the wait. */
export const pullMessage = (broker: Broker): Handler<PullCommand> => {
  const filters = new TagFilters()
  return (request, reply) => {
    const place = check(broker, filters, request, reply)
    if (place === undefined) return
    const { sysFlag, consumerGroup, topic, queueId, commitOffset } = request
    if ((sysFlag & PullSysFlag.COMMIT_OFFSET) !== 0 && commitOffset >= 0) {
      broker.offsets.commit(consumerGroup, topic, queueId, commitOffset)
    }
    new Pull(broker, filters, request, reply, place).read()
  }
}

/** The same for lite pull consumers, who can be turned off. */
export const litePullMessage = (broker: Broker): Handler<PullCommand> => {
  const pull = pullMessage(broker)
  return (request, reply) => {
    if (broker.settings.litePullMessageEnable) return pull(request, reply)
    forbid(reply, ForbiddenType.BROKER, `the broker[${broker.host}] for lite pull consumer is forbidden`)
  }
}

/** @returns undefined when the request was answered */
function check(broker: Broker, filters: TagFilters, request: PullTerms, reply: PullReply): PullPlace | undefined {
  const { settings, groups, topics } = broker
  const { consumerGroup, topic, queueId } = request
  if ((settings.brokerPermission & Permission.READ) === 0) {
    return forbid(reply, ForbiddenType.BROKER, `the broker[${broker.host}] pulling message is forbidden`)
  }
  const group = groups.find(consumerGroup)
  if (group === undefined) {
    const remark = `subscription group [${consumerGroup}] does not exist, \n${FAQ}`
    return fail(reply, ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST, remark)
  }
  if (!group.consumeEnable) {
    return forbid(reply, ForbiddenType.GROUP, `subscription group no permission, ${consumerGroup}`)
  }
  const config = topics.get(topic)
  if (config === undefined) return topicGone(reply, topic)
  if ((config.perm & Permission.READ) === 0) {
    return forbid(reply, ForbiddenType.TOPIC, `the topic[${topic}] pulling message is forbidden`)
  }
  const { readQueueNums } = config
  if (queueId < 0 || queueId >= readQueueNums) {
    const consumer = `consumer:[/${reply.connection.peer}]`
    const remark = `queueId[${queueId}] is illegal, topic:[${topic}] topicConfig.readQueueNums:[${readQueueNums}] ${consumer}`
    return fail(reply, ResponseCode.INVALID_PARAMETER, remark)
  }
  if ((request.sysFlag & PullSysFlag.SUBSCRIPTION) === 0)
    return subscribed(broker, filters, request, reply, config, group)
  if (!isTagType(request.expressionType)) return unsupported(reply, request.expressionType)
  const filter = filters.ofExpression(request.subscription)
  if (filter === 'none') {
    return fail(reply, ResponseCode.SUBSCRIPTION_PARSE_FAILED, "parse the consumer's subscription failed")
  }
  return { config, group, filter }
}

/** A pull that relies on what its group said in heartbeats. */
function subscribed(
  { consumers, groups }: Broker,
  filters: TagFilters,
  request: PullTerms,
  reply: PullReply,
  config: TopicConfig,
  group: SubscriptionGroupConfig,
): PullPlace | undefined {
  const { consumerGroup, topic, subVersion } = request
  const members = consumers.get(consumerGroup)
  if (members === undefined) {
    return fail(reply, ResponseCode.SUBSCRIPTION_NOT_EXIST, `the consumer's group info not exist\n${FAQ}`)
  }
  if (!group.consumeBroadcastEnable && members.messageModel === 'BROADCASTING') {
    const remark = `the consumer group[${consumerGroup}] can not consume by broadcast way`
    return forbid(reply, ForbiddenType.BROADCASTING_DISABLE, remark)
  }
  if (groups.readForbidden(consumerGroup, topic)) {
    const remark = `the consumer group[${consumerGroup}] is forbidden for topic[${topic}]`
    return forbid(reply, ForbiddenType.SUBSCRIPTION, remark)
  }
  const subscription = members.subscriptions.get(topic)
  if (subscription === undefined) {
    return fail(reply, ResponseCode.SUBSCRIPTION_NOT_EXIST, `the consumer's subscription not exist\n${FAQ}`)
  }
  if (subscription.subVersion < subVersion) {
    return fail(reply, ResponseCode.SUBSCRIPTION_NOT_LATEST, "the consumer's subscription not latest")
  }
  if (!isTagType(subscription.expressionType)) return unsupported(reply, subscription.expressionType)
  return { config, group, filter: filters.of(subscription) }
}

function fail(reply: PullReply, code: number, remark: string, header: object = {}): undefined {
  reply.fail(code, remark, header as PullAnswer)
  return undefined
}

function forbid(reply: PullReply, forbiddenType: number, remark: string): undefined {
  return fail(reply, ResponseCode.NO_PERMISSION, remark, { forbiddenType })
}

function topicGone(reply: PullReply, topic: string): undefined {
  return fail(reply, ResponseCode.TOPIC_NOT_EXIST, `topic[${topic}] not exist, apply first please! \n${FAQ}`)
}

/** What Java says too while enablePropertyFilter is false. */
function unsupported(reply: PullReply, expressionType: string | undefined): undefined {
  const remark = `The broker does not support consumer to filter message by ${expressionType}`
  return fail(reply, ResponseCode.SYSTEM_ERROR, remark)
}

/** One pull that was let in: reads, answers, or waits for a message and reads again. */
class Pull implements ParkedPull, PullTerms {
  readonly consumerGroup: string
  readonly topic: string
  readonly queueId: number
  readonly sysFlag: number
  readonly subscription: PullTerms['subscription']
  readonly expressionType: PullTerms['expressionType']
  readonly subVersion: number
  readonly offset: number
  filter: MessageFilter | undefined
  readonly connection: Connection
  deadline = 0
  passedOver = false
  readonly #broker: Broker
  readonly #filters: TagFilters
  readonly #reply: PullReply
  readonly #maxCount: number
  readonly #maxBytes: number
  #config: TopicConfig
  #group: SubscriptionGroupConfig
  /** How long it waits, once; 0 when it does not, or not any more. */
  #waitMs: number

  constructor(broker: Broker, filters: TagFilters, request: PullRequest, reply: PullReply, place: PullPlace) {
    const { config, group, filter } = place
    const { longPollingEnable, shortPollingTimeMills } = broker.settings
    const { maxMsgNums, maxMsgBytes = 0, sysFlag, suspendTimeoutMillis } = request
    this.#broker = broker
    this.#filters = filters
    this.#reply = reply
    this.connection = reply.connection
    this.consumerGroup = group.groupName
    this.topic = config.topicName
    this.queueId = request.queueId
    this.sysFlag = sysFlag
    this.subscription = request.subscription
    this.expressionType = request.expressionType
    this.subVersion = request.subVersion
    this.offset = request.queueOffset
    this.filter = filter
    this.#maxCount = Math.max(1, maxMsgNums)
    this.#maxBytes = maxMsgBytes > 0 ? Math.min(maxMsgBytes, MAX_ANSWER_BYTES) : MAX_ANSWER_BYTES
    this.#config = config
    this.#group = group
    const asked = (sysFlag & PullSysFlag.SUSPEND) !== 0 ? suspendTimeoutMillis : 0
    this.#waitMs = asked > 0 && !longPollingEnable ? shortPollingTimeMills : asked
  }

  read(): void {
    const { topic, queueId, offset, filter } = this
    const request = { topic, queueId, offset, maxCount: this.#maxCount, maxBytes: this.#maxBytes, filter }
    this.#broker.store.read(request, (result) => this.#done(result))
  }

  /** A message came, or the time is up: whatever is there now is the answer, by the rules as they are now. */
  resume(): void {
    // Nobody hears the answer, so that no message counts as taken.
    if (!this.connection.isOpen) return
    this.#waitMs = 0
    const place = check(this.#broker, this.#filters, this, this.#reply)
    if (place === undefined) return
    this.#config = place.config
    this.#group = place.group
    this.filter = place.filter
    this.read()
  }

  #done({ status, records, count, sizeBytes, nextOffset, minOffset, maxOffset, suggestReplica }: ReadResult): void {
    const code = responseCodeOf(status, this.offset)
    if (code === ResponseCode.PULL_NOT_FOUND && this.#waitMs > 0 && this.#waits()) return
    const { offsets, counts } = this.#broker
    const { groupName, groupSysFlag } = this.#group
    offsets.pull(groupName, this.topic, this.queueId, nextOffset)
    counts.get(this.topic, groupName, count, sizeBytes)
    const answer: PullAnswer = {
      suggestWhichBrokerId: this.#suggestedBrokerId(suggestReplica),
      nextBeginOffset: nextOffset,
      minOffset,
      maxOffset,
      topicSysFlag: this.#config.topicSysFlag,
      groupSysFlag,
    }
    this.#reply.send(code, answer, code === ResponseCode.SUCCESS ? records : undefined, status)
  }

  /** Waits for a message, once. @returns false when nobody may any more */
  #waits(): boolean {
    const { longPoll } = this.#broker
    if (longPoll.park(this, this.#waitMs)) {
      this.#reply.park()
      return true
    }
    if (longPoll.isClosed) return false
    fail(this.#reply, ResponseCode.SYSTEM_BUSY, '[OVERLOAD]system busy, start flow control for a while')
    return true
  }

  #suggestedBrokerId(isFarBack: boolean): number {
    if (!this.#broker.settings.slaveReadEnable) return 0
    return isFarBack ? this.#group.whichBrokerWhenConsumeSlowly : this.#group.brokerId
  }
}

/** @source PullMessageProcessor.java, composeResponseHeader */
function responseCodeOf(status: GetStatus, offset: number): number {
  switch (status) {
    case GetStatus.FOUND:
      return ResponseCode.SUCCESS
    case GetStatus.MESSAGE_WAS_REMOVING:
    case GetStatus.NO_MATCHED_MESSAGE:
      return ResponseCode.PULL_RETRY_IMMEDIATELY
    case GetStatus.NO_MATCHED_LOGIC_QUEUE:
    case GetStatus.NO_MESSAGE_IN_QUEUE:
      return offset === 0 ? ResponseCode.PULL_NOT_FOUND : ResponseCode.PULL_OFFSET_MOVED
    case GetStatus.OFFSET_FOUND_NULL:
    case GetStatus.OFFSET_OVERFLOW_ONE:
      return ResponseCode.PULL_NOT_FOUND
    default:
      return ResponseCode.PULL_OFFSET_MOVED
  }
}
