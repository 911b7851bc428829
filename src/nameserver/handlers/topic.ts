import { listOf, numberOf, objectOf, textOf } from '../../protocol/bodies.ts'
import type {
  AddWritePermOfBroker,
  DeleteTopicInNameServer,
  GetAllTopicListFromNameServer,
  GetHasUnitSubTopicList,
  GetHasUnitSubUnunitTopicList,
  GetSystemTopicListFromNameServer,
  GetTopicsByCluster,
  GetUnitTopicList,
  RegisterTopicInNameServer,
  WipeWritePermOfBroker,
} from '../../protocol/commands/nameserver.ts'
import { stringifyJavaJson } from '../../protocol/java-json.ts'
import { Refusal } from '../../protocol/refusal.ts'
import { ResponseCode } from '../../protocol/response-code.ts'
import { type Answer, type Outcome, withBody } from '../../remoting/router.ts'
import type { NameServer } from '../name-server.ts'
import { readBody } from './json-body.ts'

/** Bits of a topic's flag. */
const UNIT = 1
const UNIT_SUB = 2

const topicList = (topics: readonly string[], brokerAddr?: string): Outcome =>
  withBody(undefined, stringifyJavaJson({ brokerAddr, topicList: topics }))

export const getAllTopicList =
  (server: NameServer): Answer<typeof GetAllTopicListFromNameServer> =>
  () => {
    if (!server.settings.enableAllTopicList) throw new Refusal(ResponseCode.SYSTEM_ERROR, 'disable')
    return topicList(server.routes.topics())
  }

export const getTopicsByCluster =
  (server: NameServer): Answer<typeof GetTopicsByCluster> =>
  ({ cluster }) => {
    requireTopicLists(server)
    return topicList(server.routes.topicsOfCluster(cluster))
  }

/** Names of clusters and brokers are topics too, and a client asks any one broker for the rest. */
export const getSystemTopicList =
  ({ routes, answers }: NameServer): Answer<typeof GetSystemTopicListFromNameServer> =>
  (_, { connection }) => {
    const names = new Set<string>()
    for (const [cluster, brokerNames] of routes.clusters()) {
      names.add(cluster)
      for (const brokerName of brokerNames) names.add(brokerName)
    }
    const any = routes.brokers()[0]
    const address = any === undefined ? undefined : [...answers.addresses(any, connection.local.host).values()][0]
    return topicList([...names], address)
  }

export const getUnitTopicList =
  (server: NameServer): Answer<typeof GetUnitTopicList> =>
  () => {
    requireTopicLists(server)
    return topicList(server.routes.topicsByFlag((flag) => (flag & UNIT) !== 0))
  }

export const getHasUnitSubTopicList =
  (server: NameServer): Answer<typeof GetHasUnitSubTopicList> =>
  () => {
    requireTopicLists(server)
    return topicList(server.routes.topicsByFlag((flag) => (flag & UNIT_SUB) !== 0))
  }

export const getHasUnitSubUnunitTopicList =
  (server: NameServer): Answer<typeof GetHasUnitSubUnunitTopicList> =>
  () => {
    requireTopicLists(server)
    return topicList(server.routes.topicsByFlag((flag) => (flag & UNIT_SUB) !== 0 && (flag & UNIT) === 0))
  }

export const registerTopic =
  ({ routes, log }: NameServer): Answer<typeof RegisterTopicInNameServer> =>
  ({ topic }, { body }) => {
    const queueDatas = listOf(readBody(body, 'route')['queueDatas'])
      .map(objectOf)
      .map((each) => ({
        brokerName: textOf(each['brokerName']),
        readQueueNums: numberOf(each['readQueueNums'], 0),
        writeQueueNums: numberOf(each['writeQueueNums'], 0),
        perm: numberOf(each['perm'], 0),
        topicSysFlag: numberOf(each['topicSysFlag'], 0),
      }))
    if (!routes.registerTopic(topic, queueDatas))
      log.warn('topic not registered: a broker of it is not known', { topic })
    return undefined
  }

export const deleteTopic =
  ({ routes }: NameServer): Answer<typeof DeleteTopicInNameServer> =>
  ({ topic, clusterName }) => {
    routes.deleteTopic(topic, clusterName === undefined || clusterName === '' ? undefined : clusterName)
    return undefined
  }

export const wipeWritePermission =
  ({ routes, log }: NameServer): Answer<typeof WipeWritePermOfBroker> =>
  ({ brokerName }, { connection }) => {
    const wipeTopicCount = routes.wipeWritePermission(brokerName)
    log.info('write permission wiped', { brokerName, topics: wipeTopicCount, peer: connection.peer })
    return { wipeTopicCount }
  }

export const addWritePermission =
  ({ routes, log }: NameServer): Answer<typeof AddWritePermOfBroker> =>
  ({ brokerName }, { connection }) => {
    const addTopicCount = routes.addWritePermission(brokerName)
    log.info('write permission added', { brokerName, topics: addTopicCount, peer: connection.peer })
    return { addTopicCount }
  }

function requireTopicLists({ settings }: NameServer): void {
  if (!settings.enableTopicList) throw new Refusal(ResponseCode.SYSTEM_ERROR, 'disable')
}
