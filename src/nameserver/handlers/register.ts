import { crc32 } from 'node:zlib'
import { numberOf, readDataVersion, sameVersion } from '../../protocol/bodies.ts'
import type {
  BrokerHeartbeat,
  GetBrokerMemberGroup,
  QueryDataVersion,
  RegisterBroker,
  UnregisterBroker,
} from '../../protocol/commands/nameserver.ts'
import { NumberKeyMap, stringifyJavaJson } from '../../protocol/java-json.ts'
import { ORDER_TOPIC_NAMESPACE } from '../../protocol/names.ts'
import { Refusal } from '../../protocol/refusal.ts'
import { ResponseCode } from '../../protocol/response-code.ts'
import { type Answer, withBody, withCode } from '../../remoting/router.ts'
import type { NameServer } from '../name-server.ts'
import { readBody } from './json-body.ts'
import { readRegisterBody } from './register-body.ts'

/** Names of sets and clusters become keys of every answer; what no broker can be called is refused. */
const NAME = /^[^\s\u0000-\u001f"\\{}]{1,255}$/

export const registerBroker =
  (server: NameServer): Answer<typeof RegisterBroker> =>
  (request, { body, connection, frame }) => {
    const { routes, settings, scheduler, probe, kv } = server
    const { clusterName, brokerName, brokerAddr, brokerId, haServerAddr, zoneName, bodyCrc32 } = request
    if (bodyCrc32 !== 0 && (crc32(body) & 0x7fff_ffff) !== bodyCrc32)
      throw new Refusal(ResponseCode.SYSTEM_ERROR, 'crc32 not match')
    if (!NAME.test(brokerName) || !NAME.test(clusterName) || !NAME.test(brokerAddr) || brokerId < 0) {
      throw new Refusal(
        ResponseCode.SYSTEM_ERROR,
        'register broker failed: broker name, cluster, address and id are needed, without blanks',
      )
    }
    const content = readRegisterBody(body, request.compressed, frame.version)
    const registered = routes.register(
      {
        clusterName,
        brokerName,
        brokerAddr,
        brokerId,
        haServerAddr,
        zoneName,
        timeoutMs: request.heartbeatTimeoutMillis,
        enableActingMaster: request.enableActingMaster,
        dataVersion: content.dataVersion,
        topics: content.topics,
        mappings: content.mappings,
        filterServers: content.filterServers,
        connectionId: connection.id,
      },
      scheduler.monotonic(),
      settings.deleteTopicWithBrokerRegistration,
    )
    if (registered === undefined) {
      probe.refusedRegistrations++
      throw new Refusal(ResponseCode.SYSTEM_ERROR, 'register broker failed')
    }
    probe.registrations++
    server.holds(connection)
    if (registered.minBrokerIdChanged) server.minBrokerIdChanged(clusterName, brokerName, undefined)
    const header = { haServerAddr: registered.haServerAddr, masterAddr: registered.masterAddr }
    const orders = settings.returnOrderTopicConfigToBroker ? kv.namespace(ORDER_TOPIC_NAMESPACE) : undefined
    return orders === undefined ? header : withBody(header, stringifyJavaJson({ table: orders }))
  }

export const unregisterBroker =
  (server: NameServer): Answer<typeof UnregisterBroker> =>
  ({ clusterName, brokerName, brokerAddr }) => {
    server.leave(clusterName, brokerName, brokerAddr)
    return undefined
  }

export const queryDataVersion =
  ({ routes, scheduler }: NameServer): Answer<typeof QueryDataVersion> =>
  ({ clusterName, brokerAddr }, { body }) => {
    const asked = readDataVersion(readBody(body, 'data version'))
    const known = routes.dataVersionOf(clusterName, brokerAddr)
    const changed = known === undefined || !sameVersion(known, asked)
    if (!changed) routes.touch(clusterName, brokerAddr, scheduler.monotonic())
    return known === undefined ? { changed } : withBody({ changed }, stringifyJavaJson(known))
  }

export const brokerHeartbeat =
  ({ routes, scheduler }: NameServer): Answer<typeof BrokerHeartbeat> =>
  ({ clusterName, brokerAddr }) => {
    routes.touch(clusterName, brokerAddr, scheduler.monotonic())
    return undefined
  }

export const getBrokerMemberGroup =
  ({ routes }: NameServer): Answer<typeof GetBrokerMemberGroup> =>
  ({ clusterName, brokerName }) => {
    const brokerAddrs = new NumberKeyMap<string>()
    for (const [id, address] of routes.addressesOf(brokerName) ?? []) brokerAddrs.set(numberOf(id, 0), address)
    const body = stringifyJavaJson({ brokerMemberGroup: { brokerAddrs, brokerName, cluster: clusterName } })
    // Java sets no remark here, and its default goes out with the success.
    return withCode(ResponseCode.SUCCESS, 'not set any response code', undefined, Buffer.from(body, 'utf8'))
  }
