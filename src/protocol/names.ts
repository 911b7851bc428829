/** Names, bits and limits of the protocol. */

export const AUTO_CREATE_TOPIC = 'TBW102'
export const SCHEDULE_TOPIC = 'SCHEDULE_TOPIC_XXXX'
export const TIMER_TOPIC = 'rmq_sys_wheel_timer'
export const HALF_TOPIC = 'RMQ_SYS_TRANS_HALF_TOPIC'
export const OP_HALF_TOPIC = 'RMQ_SYS_TRANS_OP_HALF_TOPIC'
export const TRACE_TOPIC = 'RMQ_SYS_TRACE_TOPIC'
export const CHECK_MAX_TIME_TOPIC = 'TRANS_CHECK_MAX_TIME_TOPIC'
export const SELF_TEST_TOPIC = 'SELF_TEST_TOPIC'
export const BENCHMARK_TOPIC = 'BenchmarkTest'
export const OFFSET_MOVED_TOPIC = 'OFFSET_MOVED_EVENT'
export const ORDER_TOPIC_NAMESPACE = 'ORDER_TOPIC_CONFIG'

export const RETRY_PREFIX = '%RETRY%'
export const DLQ_PREFIX = '%DLQ%'
export const LMQ_PREFIX = '%LMQ%'
export const SYSTEM_TOPIC_PREFIX = 'rmq_sys_'
export const SYNC_MEMBER_PREFIX = 'rmq_sys_SYNC_BROKER_MEMBER_'
export const SYSTEM_GROUP_PREFIX = 'CID_RMQ_SYS_'
export const REPLY_SUFFIX = '_REPLY_TOPIC'
export const REVIVE_PREFIX = 'rmq_sys_REVIVE_LOG_'

/** Topics that are always system topics, whatever a broker calls itself. */
export const SYSTEM_TOPICS: readonly string[] = [
  AUTO_CREATE_TOPIC,
  SCHEDULE_TOPIC,
  BENCHMARK_TOPIC,
  HALF_TOPIC,
  TRACE_TOPIC,
  OP_HALF_TOPIC,
  CHECK_MAX_TIME_TOPIC,
  SELF_TEST_TOPIC,
  OFFSET_MOVED_TOPIC,
  'CHECKPOINT_TOPIC',
]

/** Topics that no client may send to. */
export const NOT_SENDABLE_TOPICS: ReadonlySet<string> = new Set([
  SCHEDULE_TOPIC,
  HALF_TOPIC,
  OP_HALF_TOPIC,
  CHECK_MAX_TIME_TOPIC,
  SELF_TEST_TOPIC,
  OFFSET_MOVED_TOPIC,
])

/** Groups that exist on every broker from the start. */
export const PREDEFINED_GROUPS: readonly string[] = [
  'TOOLS_CONSUMER',
  'FILTERSRV_CONSUMER',
  'SELF_TEST_C_GROUP',
  'CID_ONS-HTTP-PROXY',
  'CID_ONSAPI_PULL',
  'CID_ONSAPI_PERMISSION',
  'CID_ONSAPI_OWNER',
  'CID_RMQ_SYS_TRANS',
]

const SYSTEM_GROUPS: ReadonlySet<string> = new Set([
  ...PREDEFINED_GROUPS,
  'DEFAULT_CONSUMER',
  'DEFAULT_PRODUCER',
  'SCHEDULE_CONSUMER',
  '__MONITOR_CONSUMER',
  'CLIENT_INNER_PRODUCER',
  'SELF_TEST_P_GROUP',
])

export function isSystemGroup(group: string): boolean {
  return SYSTEM_GROUPS.has(group) || group.startsWith(SYSTEM_GROUP_PREFIX)
}

/** Bits of a topic's `perm`. */
export const Permission = { PRIORITY: 8, READ: 4, WRITE: 2, INHERIT: 1 } as const

/** Bits of a topic's `topicSysFlag`: its producers work in a unit; its readers do. */
export const TopicSysFlag = { UNIT: 1, UNIT_SUB: 2 } as const

/** Bits of a message's sysFlag. */
export const MessageSysFlag = {
  COMPRESSED: 0x1,
  MULTI_TAGS: 0x2,
  TRANSACTION_MASK: 0xc,
  TRANSACTION_PREPARED: 0x4,
  TRANSACTION_COMMIT: 0x8,
  TRANSACTION_ROLLBACK: 0xc,
  BORN_HOST_V6: 0x10,
  STORE_HOST_V6: 0x20,
  NEED_UNWRAP: 0x40,
  INNER_BATCH: 0x80,
  COMPRESSION_TYPE_MASK: 0x700,
  COMPRESSION_LZ4: 0x100,
  COMPRESSION_ZSTD: 0x200,
  COMPRESSION_ZLIB: 0x300,
} as const

/** Bits of a pull's sysFlag. */
export const PullSysFlag = {
  COMMIT_OFFSET: 0x1,
  SUSPEND: 0x2,
  SUBSCRIPTION: 0x4,
  CLASS_FILTER: 0x8,
  LITE_PULL: 0x10,
} as const

/** What a pull that is refused says of the reason, beside NO_PERMISSION. */
export const ForbiddenType = { BROKER: 1, GROUP: 2, TOPIC: 3, BROADCASTING_DISABLE: 4, SUBSCRIPTION: 5 } as const

/** Version ordinals of RocketMQ releases that matter. */
export const Version = { V3_0_11: 37, V3_4_9: 121, V4_9_4: 401, V5_0_0: 413, V5_5_0: 513 } as const
/** What we announce. */
export const CURRENT_VERSION: number = Version.V5_5_0

export const MAX_TOPIC_LENGTH = 127
export const MAX_RETRY_TOPIC_LENGTH = 255
export const MAX_GROUP_LENGTH = 120
/** Queues of a topic at most, each way. */
export const MAX_QUEUES = 65_536
export const MAX_PROPERTIES_BYTES = 32_767

const NAME = /^[%|a-zA-Z0-9_-]+$/

/** Why a topic's name is refused, in Java's words, or undefined. */
export function topicNameFault(topic: string): string | undefined {
  if (topic.trim() === '') return 'The specified topic is blank.'
  if (!NAME.test(topic))
    return `The specified topic: ${topic}, contains illegal characters, allowing only ^[%|a-zA-Z0-9_-]+$`
  const long = topic.startsWith(RETRY_PREFIX) || topic.startsWith(DLQ_PREFIX)
  if (long && topic.length > MAX_RETRY_TOPIC_LENGTH) {
    const words = `it's longer than topic max length: ${MAX_RETRY_TOPIC_LENGTH}`
    return `The specified topic is DLQ or Retry topic: ${topic}, and ${words}`
  }
  if (!long && topic.length > MAX_TOPIC_LENGTH)
    return `The specified topic: ${topic}, is longer than topic max length: ${MAX_TOPIC_LENGTH}`
  return undefined
}

/** Why a group's name is refused, in Java's words, or undefined. */
export function groupNameFault(group: string): string | undefined {
  if (group.trim() === '') return 'The specified group is blank.'
  if (!NAME.test(group))
    return `The specified group: ${group}, contains illegal characters, allowing only ^[%|a-zA-Z0-9_-]+$`
  if (group.length > MAX_GROUP_LENGTH)
    return `The specified group: ${group}, is longer than group max length: ${MAX_GROUP_LENGTH}`
  return undefined
}
