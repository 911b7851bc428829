import type { SubscriptionData, SubscriptionGroupConfig, TopicConfig } from '../../protocol/bodies.ts'
import type { Request, Response } from '../../protocol/command.ts'
import type { LitePullMessage, PullMessage } from '../../protocol/commands/pull.ts'
import { ForbiddenType, Permission, PullSysFlag } from '../../protocol/names.ts'
import { ResponseCode } from '../../protocol/response-code.ts'
import type { Connection } from '../../remoting/connection.ts'
import type { Handler, Reply } from '../../remoting/router.ts'
import { GetStatus, type MessageFilter, type ReadResult } from '../../store/message-store.ts'
import type { Broker } from '../broker.ts'
import { filterOf, isTagType, parseSubscription } from '../filter.ts'
import type { ParkedPull } from '../long-poll.ts'

type PullCommand = typeof PullMessage | typeof LitePullMessage
type PullRequest = Request<typeof PullMessage>
type PullReply = Reply<typeof PullMessage>

const FAQ = 'See https://rocketmq.apache.org/docs/bestPractice/06FAQ for further details.'

/** Bytes one answer holds at most, whatever the client asks for: it must fit a frame. */
const MAX_ANSWER_BYTES = 8_388_608

interface PullPlace {
  config: TopicConfig
  group: SubscriptionGroupConfig
  filter: MessageFilter | undefined
}

/** Reads messages of one queue: the rules, in the order in which Java checks them, then the read, then perhaps the wait. */
export const pullMessage = (broker: Broker): Handler<PullCommand> => {
  return (request, reply) => {
    const place = check(broker, request, reply)
    if (place === undefined) return
    const { sysFlag, consumerGroup, topic, queueId, commitOffset } = request
    if ((sysFlag & PullSysFlag.COMMIT_OFFSET) !== 0 && commitOffset >= 0) {
      broker.offsets.commit(consumerGroup, topic, queueId, commitOffset)
    }
    new Pull(broker, request, reply, place).read()
  }
}

/** The same for lite pull consumers, who can be turned off. */
export const litePullMessage = (broker: Broker): Handler<PullCommand> => {
  const pull = pullMessage(broker)
  return (request, reply) => {
    if (broker.settings.litePullMessageEnable) return pull(request, reply)
    refuse(reply, ForbiddenType.BROKER, `the broker[${broker.host}] for lite pull consumer is forbidden`)
  }
}

/** @returns undefined when the request was answered */
function check(broker: Broker, request: PullRequest, reply: PullReply): PullPlace | undefined {
  const { settings, groups, topics } = broker
  const { consumerGroup, topic, queueId } = request
  const no = (answer: void): undefined => answer as undefined
  if ((settings.brokerPermission & Permission.READ) === 0) {
    return no(refuse(reply, ForbiddenType.BROKER, `the broker[${broker.host}] pulling message is forbidden`))
  }
  const group = groups.find(consumerGroup)
  if (group === undefined) {
    return no(
      reply.fail(
        ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST,
        `subscription group [${consumerGroup}] does not exist, ${FAQ}`,
      ),
    )
  }
  if (!group.consumeEnable) {
    return no(refuse(reply, ForbiddenType.GROUP, `subscription group no permission, ${consumerGroup}`))
  }
  const config = topics.get(topic)
  if (config === undefined) {
    return no(reply.fail(ResponseCode.TOPIC_NOT_EXIST, `topic[${topic}] not exist, apply first please! \n${FAQ}`))
  }
  if ((config.perm & Permission.READ) === 0) {
    return no(refuse(reply, ForbiddenType.TOPIC, `the topic[${topic}] pulling message is forbidden`))
  }
  if (queueId < 0 || queueId >= config.readQueueNums) {
    return no(
      reply.fail(
        ResponseCode.INVALID_PARAMETER,
        `queueId[${queueId}] is illegal, topic:[${topic}] topicConfig.readQueueNums:[${config.readQueueNums}] consumer:[/${reply.connection.peer}]`,
      ),
    )
  }
  const subscription = subscriptionOf(broker, request, reply, group)
  if (subscription === undefined) return undefined
  if (!isTagType(subscription.expressionType)) {
    return no(
      reply.fail(
        ResponseCode.SYSTEM_ERROR,
        `The broker does not support consumer to filter message by ${subscription.expressionType}`,
      ),
    )
  }
  return { config, group, filter: filterOf(subscription) }
}

/** From the request, or from the group's heartbeats. @returns undefined when the request was answered */
function subscriptionOf(
  { consumers, groups }: Broker,
  request: PullRequest,
  reply: PullReply,
  config: SubscriptionGroupConfig,
): SubscriptionData | undefined {
  const { consumerGroup, topic, sysFlag, subscription, subVersion, expressionType } = request
  const no = (code: number, remark: string): undefined => reply.fail(code, remark) as undefined
  if ((sysFlag & PullSysFlag.SUBSCRIPTION) !== 0) {
    const parsed = isTagType(expressionType)
      ? parseSubscription(topic, subscription, subVersion)
      : {
          classFilterMode: false,
          topic,
          subString: subscription ?? '',
          tagsSet: [],
          codeSet: [],
          subVersion,
          expressionType: expressionType!,
        }
    return parsed ?? no(ResponseCode.SUBSCRIPTION_PARSE_FAILED, "parse the consumer's subscription failed")
  }
  const group = consumers.get(consumerGroup)
  if (group === undefined) return no(ResponseCode.SUBSCRIPTION_NOT_EXIST, `the consumer's group info not exist\n${FAQ}`)
  if (!config.consumeBroadcastEnable && group.messageModel === 'BROADCASTING') {
    refuse(
      reply,
      ForbiddenType.BROADCASTING_DISABLE,
      `the consumer group[${consumerGroup}] can not consume by broadcast way`,
    )
    return undefined
  }
  if (groups.readForbidden(consumerGroup, topic)) {
    refuse(reply, ForbiddenType.SUBSCRIPTION, `the consumer group[${consumerGroup}] is forbidden for topic[${topic}]`)
    return undefined
  }
  const registered = group.subscriptions.get(topic)
  if (registered === undefined)
    return no(ResponseCode.SUBSCRIPTION_NOT_EXIST, `the consumer's subscription not exist\n${FAQ}`)
  if (registered.subVersion < subVersion)
    return no(ResponseCode.SUBSCRIPTION_NOT_LATEST, "the consumer's subscription not latest")
  return registered
}

function refuse(reply: PullReply, forbiddenType: number, remark: string): void {
  reply.fail(ResponseCode.NO_PERMISSION, remark, { forbiddenType } as Response<typeof PullMessage>)
}

/** One pull that was let in: reads, answers, or waits for a message and reads again. */
class Pull implements ParkedPull {
  readonly topic: string
  readonly queueId: number
  readonly offset: number
  readonly filter: MessageFilter | undefined
  readonly connection: Connection
  deadline = 0
  readonly #broker: Broker
  readonly #reply: PullReply
  readonly #groupName: string
  readonly #maxCount: number
  readonly #maxBytes: number
  readonly #topicSysFlag: number
  readonly #groupSysFlag: number
  readonly #group: SubscriptionGroupConfig
  /** How long it waits, once; 0 when it does not, or not any more. */
  #waitMs: number

  constructor(broker: Broker, request: PullRequest, reply: PullReply, { config, group, filter }: PullPlace) {
    const { settings } = broker
    this.#broker = broker
    this.#reply = reply
    this.connection = reply.connection
    this.topic = config.topicName
    this.queueId = request.queueId
    this.offset = request.queueOffset
    this.filter = filter
    this.#groupName = group.groupName
    this.#group = group
    this.#maxCount = Math.max(1, request.maxMsgNums)
    const maxBytes = request.maxMsgBytes ?? 0
    this.#maxBytes = Math.min(maxBytes > 0 ? maxBytes : MAX_ANSWER_BYTES, MAX_ANSWER_BYTES)
    this.#topicSysFlag = config.topicSysFlag
    this.#groupSysFlag = group.groupSysFlag
    const asked = (request.sysFlag & PullSysFlag.SUSPEND) !== 0 ? request.suspendTimeoutMillis : 0
    this.#waitMs = asked > 0 && !settings.longPollingEnable ? settings.shortPollingTimeMills : asked
  }

  read(): void {
    const { topic, queueId, offset, filter } = this
    this.#broker.store.read(
      { topic, queueId, offset, maxCount: this.#maxCount, maxBytes: this.#maxBytes, filter },
      (result) => this.#done(result),
    )
  }

  /** A message came, or the time is up: whatever is there now is the answer. */
  resume(): void {
    this.#waitMs = 0
    if (this.connection.isOpen) this.read()
    else this.#reply.fail(ResponseCode.SYSTEM_ERROR, 'the connection is closed')
  }

  #done(result: ReadResult): void {
    const code = responseCodeOf(result.status, this.offset)
    if (code === ResponseCode.PULL_NOT_FOUND && this.#waitMs > 0 && this.#park()) return
    const { offsets, counts } = this.#broker
    const { status, count, sizeBytes, nextOffset, minOffset, maxOffset } = result
    offsets.pull(this.#groupName, this.topic, this.queueId, nextOffset)
    counts.get(this.topic, this.#groupName, this.queueId, count, sizeBytes)
    const header: Response<typeof PullMessage> = {
      suggestWhichBrokerId: this.#suggestedBrokerId(result.suggestReplica),
      nextBeginOffset: nextOffset,
      minOffset,
      maxOffset,
      topicSysFlag: this.#topicSysFlag,
      groupSysFlag: this.#groupSysFlag,
    }
    if (code === ResponseCode.SUCCESS) {
      const { records } = result
      this.#reply.send(code, header, records.length === 1 ? records[0]! : records, status)
    } else this.#reply.send(code, header, undefined, status)
  }

  /** Waits for a message, once. @returns false when too many wait already */
  #park(): boolean {
    const { longPoll, scheduler } = this.#broker
    this.deadline = scheduler.monotonic() + this.#waitMs
    if (!longPoll.park(this)) return false
    this.#reply.park()
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
