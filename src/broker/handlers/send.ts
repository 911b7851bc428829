import type { Waiter, WaitFailure } from '../../base/watermark.ts'
import type { TopicConfig } from '../../protocol/bodies.ts'
import type { Request, Response } from '../../protocol/command.ts'
import type { SendBatchMessage, SendMessage, SendMessageV2 } from '../../protocol/commands/send.ts'
import { hexOfHost, hexOfPosition } from '../../protocol/message-id.ts'
import { NOT_SENDABLE_TOPICS, Permission, RETRY_PREFIX, topicNameFault } from '../../protocol/names.ts'
import { ResponseCode } from '../../protocol/response-code.ts'
import type { Handler, Reply } from '../../remoting/router.ts'
import { type Appended, type MessageDraft, PutStatus } from '../../store/message-store.ts'
import type { Broker } from '../broker.ts'
import { SendProperties } from '../send-properties.ts'

type SendCommand = typeof SendMessage | typeof SendMessageV2 | typeof SendBatchMessage
type SendReply = Reply<typeof SendMessageV2>

const FAQ = 'See https://rocketmq.apache.org/docs/bestPractice/06FAQ for further details.'

/** Stores a message or a batch: the rules, in the order in which Java checks them. */
export const sendMessage = (broker: Broker): Handler<SendCommand> => {
  const { store, topics, groups, settings, scheduler, random, counts, bornHosts } = broker
  const { regionId, brokerClusterName, flushDiskType, maxMessageSize } = settings
  const storeHostHex = hexOfHost(broker.storeHost)
  const properties = new SendProperties(
    `MSG_REGION\u0001${regionId}\u0002TRACE_ON\u0001${settings.traceOn}\u0002CLUSTER\u0001${brokerClusterName}\u0002`,
  )
  const makeUniqueKey = (): string => broker.uniqueIds.next()
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
    const { topic } = request
    const { body } = reply
    if (settings.startAcceptSendRequestTimeStamp > scheduler.now()) {
      return reply.fail(
        ResponseCode.SYSTEM_ERROR,
        `broker unable to service, until ${settings.startAcceptSendRequestTimeStamp}`,
      )
    }
    const config = topics.get(topic) ?? newTopic(broker, request, reply)
    if (config === undefined) return
    if ((broker.settings.brokerPermission & Permission.WRITE) === 0 && config.order) {
      return reply.fail(ResponseCode.NO_PERMISSION, `the broker[${broker.host}] sending message is forbidden`)
    }
    if (NOT_SENDABLE_TOPICS.has(topic)) {
      return reply.fail(ResponseCode.NO_PERMISSION, `Sending message to topic[${topic}] is forbidden.`)
    }
    if (request.queueId >= config.writeQueueNums && request.queueId >= config.readQueueNums) {
      return reply.fail(
        ResponseCode.INVALID_PARAMETER,
        `request queueId[${request.queueId}] is illegal, ${describeTopic(config)} Producer: ${reply.connection.peer}`,
      )
    }
    const queueId = request.queueId < 0 ? random.below(config.writeQueueNums) : request.queueId
    if (topic.startsWith(RETRY_PREFIX)) {
      const group = topic.slice(RETRY_PREFIX.length)
      if (request.batch) {
        return reply.fail(ResponseCode.MESSAGE_ILLEGAL, `batch request does not support retry group ${topic}`)
      }
      if (groups.find(group) === undefined) {
        return reply.fail(ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST, `subscription group not exist, ${group} \n${FAQ}`)
      }
    }
    const unserved = unservedTopic(config)
    if (unserved !== undefined) return reply.fail(ResponseCode.MESSAGE_ILLEGAL, notServed(unserved))
    if (body.length === 0) return reply.fail(ResponseCode.MESSAGE_ILLEGAL, 'the message has no body')
    if (body.length > maxMessageSize) return reply.fail(ResponseCode.MESSAGE_ILLEGAL, tooLarge(maxMessageSize))

    const isBatch = request.batch
    properties.rewrite(request.properties, makeUniqueKey)
    if (properties.notServed !== undefined)
      return reply.fail(ResponseCode.MESSAGE_ILLEGAL, notServed(properties.notServed))
    draft.topic = topic
    draft.queueId = queueId
    draft.flag = request.flag
    draft.sysFlag = request.sysFlag
    draft.bornTimestamp = request.bornTimestamp
    draft.bornHost = bornHosts.of(reply.connection)
    draft.reconsumeTimes = request.reconsumeTimes
    draft.properties = properties.bytes
    draft.body = body
    draft.batch = isBatch
    const appended = store.append(draft)
    if (appended.status !== PutStatus.PUT_OK) {
      counts.putFailed()
      return refuse(reply, appended, maxMessageSize)
    }
    counts.put(topic, queueId, appended.count, appended.sizeBytes)
    const header: Response<typeof SendMessageV2> = {
      msgId: messageIds(storeHostHex, appended),
      queueId,
      queueOffset: appended.queueOffset,
      transactionId: isBatch ? undefined : properties.uniqueKey,
      batchUniqId: undefined,
      recallHandle: undefined,
      regionId,
      traceOn: settings.traceOn ? 'true' : 'false',
    }
    const safe = properties.waitStore ? store.durable : store.written
    const deadline =
      flushDiskType === 'SYNC_FLUSH' ? scheduler.monotonic() + store.syncFlushTimeoutMs : Number.POSITIVE_INFINITY
    safe.wait(new PendingSend(appended.endPosition, deadline, reply, header))
  }
}

/** Answers once the message is as safe as its mode promises. */
class PendingSend implements Waiter {
  readonly target: number
  readonly deadline: number
  readonly #reply: SendReply
  readonly #header: Response<typeof SendMessageV2>

  constructor(target: number, deadline: number, reply: SendReply, header: Response<typeof SendMessageV2>) {
    this.target = target
    this.deadline = deadline
    this.#reply = reply
    this.#header = header
  }

  wake(): void {
    this.#reply.ok(this.#header)
  }

  fail(reason: WaitFailure): void {
    // Stored, and perhaps safe: the client is told that nobody knows yet.
    if (reason === 'timeout') this.#reply.send(ResponseCode.FLUSH_DISK_TIMEOUT, this.#header)
    else if (reason === 'closed') this.#reply.fail(ResponseCode.SERVICE_NOT_AVAILABLE, 'the broker stops')
    else this.#reply.fail(ResponseCode.SYSTEM_ERROR, `the message could not be stored: ${reason}; see the broker's log`)
  }
}

/** The topic of a message that came for one that is not there. @returns undefined when the request was answered */
function newTopic({ topics }: Broker, request: Request<typeof SendMessage>, reply: SendReply): TopicConfig | undefined {
  const { topic, defaultTopic, defaultTopicQueueNums } = request
  const fault = topicNameFault(topic)
  if (fault !== undefined) {
    reply.fail(ResponseCode.INVALID_PARAMETER, fault)
    return undefined
  }
  if (NOT_SENDABLE_TOPICS.has(topic)) {
    reply.fail(ResponseCode.NO_PERMISSION, `Sending message to topic[${topic}] is forbidden.`)
    return undefined
  }
  const created = topics.createForSend(topic, defaultTopic, defaultTopicQueueNums)
  if (created === undefined) {
    reply.fail(ResponseCode.TOPIC_NOT_EXIST, `topic[${topic}] not exist, apply first please!\n${FAQ}`)
  }
  return created
}

/** What a topic asks for that is not served yet. */
function unservedTopic({ attributes }: TopicConfig): string | undefined {
  if (attributes['cleanup.policy'] === 'COMPACTION') return 'compaction topics'
  if (attributes['queue.type'] === 'BatchCQ') return 'topics with batch consume queues'
  return undefined
}

const notServed = (what: string): string =>
  `${what} are not served by this version of CometMQ; the message was not stored`

const tooLarge = (maxMessageSize: number): string =>
  `the message is illegal, maybe msg body or properties length not matched. msg body length limit ${maxMessageSize}B, msg properties length limit 32KB.`

function messageIds(storeHostHex: string, appended: Appended): string {
  if (appended.positions === undefined || appended.count === 1) return storeHostHex + hexOfPosition(appended.position)
  let ids = ''
  for (let at = 0; at < appended.count; at++)
    ids += (at === 0 ? '' : ',') + storeHostHex + hexOfPosition(appended.positions[at]!)
  return ids
}

function refuse(reply: SendReply, { status, remark }: Appended, maxMessageSize: number): void {
  switch (status) {
    case PutStatus.MESSAGE_ILLEGAL:
    case PutStatus.PROPERTIES_SIZE_EXCEEDED:
      return reply.fail(
        ResponseCode.MESSAGE_ILLEGAL,
        `${tooLarge(maxMessageSize)}${remark === undefined ? '' : ` (${remark})`}`,
      )
    case PutStatus.SERVICE_NOT_AVAILABLE:
      return reply.fail(ResponseCode.SERVICE_NOT_AVAILABLE, `service not available now. ${remark ?? ''}`)
    case PutStatus.OS_PAGE_CACHE_BUSY:
      return reply.fail(ResponseCode.SYSTEM_BUSY, '[PC_SYNCHRONIZED]broker busy, start flow control for a while')
    case PutStatus.CREATE_MAPPED_FILE_FAILED:
      return reply.fail(
        ResponseCode.SYSTEM_ERROR,
        `create mapped file failed, server is busy or broken. ${remark ?? ''}`,
      )
    default:
      return reply.fail(ResponseCode.SYSTEM_ERROR, remark ?? status)
  }
}

/** A topic as Java prints it. */
export function describeTopic(config: TopicConfig): string {
  const { topicName, readQueueNums, writeQueueNums, perm, topicFilterType, topicSysFlag, order, attributes } = config
  const list = Object.entries(attributes)
    .map(([name, value]) => `${name}=${value}`)
    .join(', ')
  return `TopicConfig [topicName=${topicName}, readQueueNums=${readQueueNums}, writeQueueNums=${writeQueueNums}, perm=${describePerm(perm)}, topicFilterType=${topicFilterType}, topicSysFlag=${topicSysFlag}, order=${order}, attributes={${list}}]`
}

function describePerm(perm: number): string {
  return `${perm & Permission.READ ? 'R' : '-'}${perm & Permission.WRITE ? 'W' : '-'}${perm & Permission.INHERIT ? 'X' : '-'}`
}
