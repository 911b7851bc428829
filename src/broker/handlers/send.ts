import type { Waiter, WaitFailure } from '../../base/watermark.ts'
import type { TopicConfig } from '../../protocol/bodies.ts'
import type { Request, Response } from '../../protocol/command.ts'
import type { SendBatchMessage, SendMessage, SendMessageV2 } from '../../protocol/commands/send.ts'
import { hexOfHost, hexOfPosition } from '../../protocol/message-id.ts'
import { MessageSysFlag, NOT_SENDABLE_TOPICS, Permission, RETRY_PREFIX, topicNameFault } from '../../protocol/names.ts'
import { ResponseCode } from '../../protocol/response-code.ts'
import type { Handler, Reply } from '../../remoting/router.ts'
import { type Appended, type MessageDraft, type MessageStore, PutStatus } from '../../store/message-store.ts'
import type { Broker } from '../broker.ts'
import { SendProperties } from './send-properties.ts'
import { describeTopic } from './topic-text.ts'

type SendCommand = typeof SendMessage | typeof SendMessageV2 | typeof SendBatchMessage
type SendRequest = Request<typeof SendMessage>
type SendReply = Reply<typeof SendMessageV2>
type SendAnswer = Response<typeof SendMessageV2>

const FAQ = 'See https://rocketmq.apache.org/docs/bestPractice/06FAQ for further details.'

/** Stores a message or a batch: the rules, in the order in which Java checks them. */
export const sendMessage = (broker: Broker): Handler<SendCommand> => {
  const { store, topics, announcements, settings, scheduler, random, counts, bornHosts } = broker
  const { regionId, brokerClusterName, flushDiskType, maxMessageSize } = settings
  const traceOn = String(settings.traceOn)
  const storeHostHex = hexOfHost(broker.storeHost)
  const properties = new SendProperties(
    `MSG_REGION\u0001${regionId}\u0002TRACE_ON\u0001${traceOn}\u0002CLUSTER\u0001${brokerClusterName}\u0002`,
  )
  const makeUniqueKey = (): string => broker.uniqueIds.next()
  /** Refusals carry these two as well. */
  const marks = { regionId, traceOn } as SendAnswer
  const fail = (reply: SendReply, code: number, remark: string): void => reply.fail(code, remark, marks)
  const draft: MessageDraft = {
    topic: '',
    queueId: 0,
    flag: 0,
    sysFlag: 0,
    bornTimestamp: 0,
    bornHost: broker.storeHost,
    reconsumeTimes: 0,
    preparedTransactionOffset: 0,
    properties: new Uint8Array(0),
    body: new Uint8Array(0),
    batch: false,
  }

  return (request, reply) => {
    const { topic, sysFlag, defaultTopic, defaultTopicQueueNums, unitMode } = request
    const { startAcceptSendRequestTimeStamp: opensAt, brokerPermission } = settings
    if (opensAt > 0 && opensAt > scheduler.now()) {
      return fail(reply, ResponseCode.SYSTEM_ERROR, `broker unable to service, until ${opensAt}`)
    }
    const existing = topics.get(topic)
    if (existing?.order === true && (brokerPermission & Permission.WRITE) === 0) {
      return fail(reply, ResponseCode.NO_PERMISSION, `the broker[${broker.host}] sending message is forbidden`)
    }
    // A topic that is there has a name that may be.
    const nameFault = existing === undefined ? topicNameFault(topic) : undefined
    if (nameFault !== undefined) return fail(reply, ResponseCode.INVALID_PARAMETER, nameFault)
    if (NOT_SENDABLE_TOPICS.has(topic)) {
      return fail(reply, ResponseCode.NO_PERMISSION, `Sending message to topic[${topic}] is forbidden.`)
    }
    const config = existing ?? topics.createForSend(topic, defaultTopic, defaultTopicQueueNums, unitMode)
    if (config === undefined) {
      return fail(reply, ResponseCode.TOPIC_NOT_EXIST, `topic[${topic}] not exist, apply first please!\n${FAQ}`)
    }
    const { writeQueueNums, readQueueNums } = config
    const asked = request.queueId
    if (asked < 0 ? writeQueueNums <= 0 : asked >= writeQueueNums && asked >= readQueueNums) {
      return fail(
        reply,
        ResponseCode.INVALID_PARAMETER,
        `request queueId[${asked}] is illegal, ${describeTopic(config)} Producer: ${reply.connection.peer}`,
      )
    }
    const queueId = asked < 0 ? random.below(writeQueueNums) : asked
    if (topic.startsWith(RETRY_PREFIX)) {
      const refusal = retryFault(broker, request)
      if (refusal !== undefined) return fail(reply, refusal.code, refusal.remark)
    }
    const { body } = reply
    // 13 would say it better, but clients know what Java answers: the code of an unexpected error.
    if (body.length === 0) return fail(reply, ResponseCode.SYSTEM_ERROR, 'the message has no body')
    properties.rewrite(request.properties, makeUniqueKey)
    const unserved = unservedOf(config, sysFlag, properties)
    if (unserved !== undefined) {
      return fail(
        reply,
        ResponseCode.MESSAGE_ILLEGAL,
        `${unserved} are not served by this version of CometMQ; the message was not stored`,
      )
    }
    if ((sysFlag & MessageSysFlag.INNER_BATCH) !== 0 || properties.isInnerBatch || body.length > maxMessageSize) {
      return fail(reply, ResponseCode.MESSAGE_ILLEGAL, illegal(maxMessageSize))
    }

    draft.topic = topic
    draft.queueId = queueId
    draft.flag = request.flag
    draft.sysFlag = sysFlag
    draft.bornTimestamp = request.bornTimestamp
    draft.bornHost = bornHosts.of(reply.connection)
    draft.reconsumeTimes = request.reconsumeTimes
    draft.properties = properties.bytes
    draft.body = body
    draft.batch = request.batch
    const appended = store.append(draft)
    if (appended.status !== PutStatus.PUT_OK) {
      counts.putFailed()
      return fail(reply, codeOf(appended), remarkOf(appended, maxMessageSize))
    }
    counts.put(topic, appended.count, appended.sizeBytes)
    const answer: SendAnswer = {
      msgId: messageIds(storeHostHex, appended),
      queueId,
      queueOffset: appended.queueOffset,
      transactionId: properties.uniqueKey,
      batchUniqId: undefined,
      recallHandle: undefined,
      regionId,
      traceOn,
    }
    const safe = properties.waitStore ? store.durable : store.written
    const deadline =
      flushDiskType === 'SYNC_FLUSH' ? scheduler.monotonic() + store.syncFlushTimeoutMs : Number.POSITIVE_INFINITY
    const waiting = new PendingSend(appended.endPosition, deadline, reply, answer, marks, store)
    const someAreNew = topics.isUnsaved || announcements.size > 0
    const isNew = someAreNew && (topics.isUnsavedTopic(topic) || announcements.has(topic))
    safe.wait(isNew ? new TopicFirst(waiting, topic, broker) : waiting)
  }
}

/** Answers once the message is as safe as its mode promises. */
class PendingSend implements Waiter {
  readonly target: number
  readonly deadline: number
  readonly #reply: SendReply
  readonly #answer: SendAnswer
  readonly #marks: SendAnswer
  readonly #store: MessageStore

  constructor(
    target: number,
    deadline: number,
    reply: SendReply,
    answer: SendAnswer,
    marks: SendAnswer,
    store: MessageStore,
  ) {
    this.target = target
    this.deadline = deadline
    this.#reply = reply
    this.#answer = answer
    this.#marks = marks
    this.#store = store
  }

  wake(): void {
    this.#reply.ok(this.#answer)
  }

  fail(reason: WaitFailure): void {
    const reply = this.#reply
    // Stored, and perhaps safe: the client is told that nobody knows yet.
    if (reason === 'timeout') reply.send(ResponseCode.FLUSH_DISK_TIMEOUT, this.#answer)
    else if (reason === 'closed') {
      reply.fail(ResponseCode.SERVICE_NOT_AVAILABLE, 'service not available now. the broker stops', this.#marks)
    } else if (reason === 'write failed' && this.#store.notWritableReason !== undefined) {
      // A full disk, most often: the same words as for those who come after.
      const remark = `service not available now. (${this.#store.notWritableReason})`
      reply.fail(ResponseCode.SERVICE_NOT_AVAILABLE, remark, this.#marks)
    } else {
      const remark = `the message could not be stored: ${reason}; see the broker's log`
      reply.fail(ResponseCode.SYSTEM_ERROR, remark, this.#marks)
    }
  }
}

/** Answers once the topic is safe and announced as well: a message that nobody finds is lost. */
class TopicFirst implements Waiter {
  readonly target: number
  readonly deadline: number
  readonly #waiting: PendingSend
  readonly #topic: string
  readonly #broker: Broker

  constructor(waiting: PendingSend, topic: string, broker: Broker) {
    this.target = waiting.target
    this.deadline = waiting.deadline
    this.#waiting = waiting
    this.#topic = topic
    this.#broker = broker
  }

  wake(): void {
    const { topics, announcements } = this.#broker
    topics.whenSaved((error) => {
      if (error === null) announcements.when(this.#topic, () => this.#waiting.wake())
      else this.#waiting.fail('write failed')
    })
  }

  fail(reason: WaitFailure): void {
    this.#waiting.fail(reason)
  }
}

/** Why a message to a retry topic is refused; undefined when it is stored like any other. */
function retryFault(
  { groups, locks }: Broker,
  { topic, batch, reconsumeTimes, maxReconsumeTimes }: SendRequest,
): { code: number; remark: string } | undefined {
  if (batch) {
    const remark = `batch request does not support retry group ${topic}`
    return { code: ResponseCode.MESSAGE_ILLEGAL, remark }
  }
  const name = retryGroupOf(topic)
  const group = groups.find(name)
  if (group === undefined) {
    const remark = `subscription group not exist, ${name} \n${FAQ}`
    return { code: ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST, remark }
  }
  // Java moves these to the dead-letter topic. Who sent it keeps it, and tries again.
  if (reconsumeTimes > (maxReconsumeTimes ?? group.retryMaxTimes) || locks.isAnyLocked(name)) {
    const remark = `dead letters are not served by this version of CometMQ; the message of group ${name} was not stored`
    return { code: ResponseCode.MESSAGE_ILLEGAL, remark }
  }
  return undefined
}

/** POP's own retry topics carry the topic behind the group. */
function retryGroupOf(topic: string): string {
  const end = topic.indexOf('+')
  return topic.slice(RETRY_PREFIX.length, end < 0 ? undefined : end)
}

/** What the message or its topic asks for that is not served yet; never stored as something else. */
function unservedOf(config: TopicConfig, sysFlag: number, properties: SendProperties): string | undefined {
  if (properties.notServed !== undefined) return properties.notServed
  if ((sysFlag & MessageSysFlag.TRANSACTION_MASK) !== 0) return 'transactional messages'
  const { attributes } = config
  if (attributes['cleanup.policy'] === 'COMPACTION') return 'compaction topics'
  if (attributes['queue.type'] === 'BatchCQ') return 'topics with batch consume queues'
  if (properties.hasPriority && attributes['message.type'] === 'PRIORITY') return 'messages with a priority'
  return undefined
}

const illegal = (maxMessageSize: number): string =>
  `the message is illegal, maybe msg body or properties length not matched. msg body length limit ${maxMessageSize}B, msg properties length limit 32KB.`

function messageIds(storeHostHex: string, { position, positions, count }: Appended): string {
  if (positions === undefined || count === 1) return storeHostHex + hexOfPosition(position)
  let ids = ''
  for (const each of positions) ids += (ids === '' ? '' : ',') + storeHostHex + hexOfPosition(each)
  return ids
}

function codeOf({ status }: Appended): number {
  switch (status) {
    case PutStatus.MESSAGE_ILLEGAL:
    case PutStatus.PROPERTIES_SIZE_EXCEEDED:
      return ResponseCode.MESSAGE_ILLEGAL
    case PutStatus.SERVICE_NOT_AVAILABLE:
      return ResponseCode.SERVICE_NOT_AVAILABLE
    case PutStatus.OS_PAGE_CACHE_BUSY:
      return ResponseCode.SYSTEM_BUSY
    default:
      return ResponseCode.SYSTEM_ERROR
  }
}

function remarkOf({ status, remark }: Appended, maxMessageSize: number): string {
  const why = remark === undefined ? '' : ` (${remark})`
  switch (status) {
    case PutStatus.MESSAGE_ILLEGAL:
    case PutStatus.PROPERTIES_SIZE_EXCEEDED:
      return illegal(maxMessageSize) + why
    case PutStatus.SERVICE_NOT_AVAILABLE:
      return `service not available now.${why}`
    case PutStatus.OS_PAGE_CACHE_BUSY:
      return '[PC_SYNCHRONIZED]broker busy, start flow control for a while'
    case PutStatus.CREATE_MAPPED_FILE_FAILED:
      return `create mapped file failed, server is busy or broken.${why}`
    default:
      return remark ?? status
  }
}
