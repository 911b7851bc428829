import type { TopicConfig } from '../../protocol/bodies.ts'
import { Permission } from '../../protocol/names.ts'

/** A topic as Java prints it in remarks. */
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
