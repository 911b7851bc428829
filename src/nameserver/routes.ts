import * as commands from '../protocol/commands/nameserver.ts'
import { answer, handle, type Route } from '../remoting/router.ts'
import { getConfig, updateConfig } from './handlers/config.ts'
import { deleteKvConfig, getKvConfig, getKvListByNamespace, putKvConfig } from './handlers/kv.ts'
import {
  brokerHeartbeat,
  getBrokerMemberGroup,
  queryDataVersion,
  registerBroker,
  unregisterBroker,
} from './handlers/register.ts'
import { getBrokerClusterInfo, getRouteInfo } from './handlers/route.ts'
import * as topic from './handlers/topic.ts'
import type { NameServer } from './name-server.ts'

/** All this room answers. */
export const routes = (server: NameServer): Route[] => [
  handle(commands.GetRouteInfoByTopic, getRouteInfo(server)),
  answer(commands.GetBrokerClusterInfo, getBrokerClusterInfo(server)),
  answer(commands.RegisterBroker, registerBroker(server)),
  answer(commands.UnregisterBroker, unregisterBroker(server)),
  answer(commands.QueryDataVersion, queryDataVersion(server)),
  answer(commands.BrokerHeartbeat, brokerHeartbeat(server)),
  answer(commands.GetBrokerMemberGroup, getBrokerMemberGroup(server)),
  answer(commands.GetAllTopicListFromNameServer, topic.getAllTopicList(server)),
  answer(commands.GetTopicsByCluster, topic.getTopicsByCluster(server)),
  answer(commands.GetSystemTopicListFromNameServer, topic.getSystemTopicList(server)),
  answer(commands.GetUnitTopicList, topic.getUnitTopicList(server)),
  answer(commands.GetHasUnitSubTopicList, topic.getHasUnitSubTopicList(server)),
  answer(commands.GetHasUnitSubUnunitTopicList, topic.getHasUnitSubUnunitTopicList(server)),
  answer(commands.RegisterTopicInNameServer, topic.registerTopic(server)),
  answer(commands.DeleteTopicInNameServer, topic.deleteTopic(server)),
  answer(commands.WipeWritePermOfBroker, topic.wipeWritePermission(server)),
  answer(commands.AddWritePermOfBroker, topic.addWritePermission(server)),
  answer(commands.PutKvConfig, putKvConfig(server)),
  answer(commands.GetKvConfig, getKvConfig(server)),
  answer(commands.DeleteKvConfig, deleteKvConfig(server)),
  answer(commands.GetKvListByNamespace, getKvListByNamespace(server)),
  answer(commands.UpdateNameServerConfig, updateConfig(server)),
  answer(commands.GetNameServerConfig, getConfig(server)),
]
