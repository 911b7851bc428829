import type { GetBrokerClusterInfo, GetRouteInfoByTopic } from '../../protocol/commands/nameserver.ts'
import { stringifyJavaJson } from '../../protocol/java-json.ts'
import { Version } from '../../protocol/names.ts'
import { ResponseCode } from '../../protocol/response-code.ts'
import { type Answer, type Handler, withBody } from '../../remoting/router.ts'
import type { NameServer } from '../name-server.ts'
import type { TopicRoute } from '../route-table.ts'

/** Clients tell a missing topic by the code, and then ask for the template that topics are made from. */
export const getRouteInfo =
  (server: NameServer): Handler<typeof GetRouteInfoByTopic> =>
  ({ topic, acceptStandardJsonOnly, zoneMode, zoneName }, reply) => {
    const { settings, scheduler, answers, probe, startedMs } = server
    probe.routeQueries++
    if (settings.needWaitForService && scheduler.monotonic() - startedMs < settings.waitSecondsForService * 1_000) {
      return reply.fail(ResponseCode.SYSTEM_ERROR, 'name server not ready')
    }
    const reachedAt = reply.connection.local.host
    const standard = acceptStandardJsonOnly || reply.version >= Version.V4_9_4
    const body =
      zoneMode?.toLowerCase() === 'true' && zoneName !== undefined && zoneName !== ''
        ? zoneAnswer(server, topic, zoneName, reachedAt)
        : answers.answer(topic, standard, reachedAt)
    if (body === undefined) {
      return reply.fail(
        ResponseCode.TOPIC_NOT_EXIST,
        `No topic route info in name server for the topic: ${topic}\nSee https://rocketmq.apache.org/docs/bestPractice/06FAQ for further details.`,
      )
    }
    reply.ok(undefined, body)
  }

/** Only brokers of the zone, and sets whose master is gone; such answers are rare and not kept. */
function zoneAnswer(
  { routes, settings, answers }: NameServer,
  topic: string,
  zoneName: string,
  reachedAt: string,
): Buffer | undefined {
  const route = routes.route(topic, settings.supportActingMaster)
  if (route === undefined) return undefined
  const brokerDatas = route.brokerDatas.filter(
    (broker) => broker.zoneName?.toLowerCase() === zoneName.toLowerCase() || !Object.hasOwn(broker.brokerAddrs, '0'),
  )
  const kept = new Set(brokerDatas.map(({ brokerName }) => brokerName))
  const zoned: TopicRoute = {
    ...route,
    brokerDatas,
    queueDatas: route.queueDatas.filter(({ brokerName }) => kept.has(brokerName)),
  }
  return answers.encode(topic, zoned, false, reachedAt)
}

export const getBrokerClusterInfo =
  ({ routes, answers }: NameServer): Answer<typeof GetBrokerClusterInfo> =>
  (_, { connection }) => {
    const brokerAddrTable = new Map(
      routes
        .brokers()
        .map((broker) => [
          broker.brokerName,
          { ...broker, brokerAddrs: answers.addresses(broker, connection.local.host) },
        ]),
    )
    return withBody(undefined, stringifyJavaJson({ brokerAddrTable, clusterAddrTable: routes.clusters() }))
  }
