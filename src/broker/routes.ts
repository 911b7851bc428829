import * as config from '../protocol/commands/broker-config.ts'
import * as client from '../protocol/commands/client.ts'
import * as group from '../protocol/commands/group.ts'
import * as lock from '../protocol/commands/lock.ts'
import * as offset from '../protocol/commands/offset.ts'
import * as pull from '../protocol/commands/pull.ts'
import * as query from '../protocol/commands/query.ts'
import * as send from '../protocol/commands/send.ts'
import * as topic from '../protocol/commands/topic.ts'
import { answer, handle, type Route } from '../remoting/router.ts'
import type { Broker } from './broker.ts'
import * as clients from './handlers/client.ts'
import * as configs from './handlers/config.ts'
import * as groups from './handlers/group.ts'
import { lockQueues, unlockQueues } from './handlers/lock.ts'
import { getAllOffsets, queryOffset, updateOffset } from './handlers/offset.ts'
import { litePullMessage, pullMessage } from './handlers/pull.ts'
import * as queries from './handlers/query.ts'
import * as retention from './handlers/retention.ts'
import { sendMessage } from './handlers/send.ts'
import * as stats from './handlers/stats.ts'
import * as topics from './handlers/topic.ts'

/** All this room answers at its main port. */
export const routes = (broker: Broker): Route[] => [
  handle(pull.PullMessage, pullMessage(broker)),
  handle(pull.LitePullMessage, litePullMessage(broker)),
  ...fastRoutes(broker),
]

/** The fast port serves everything but pulls, so that nothing waits behind them. */
export const fastRoutes = (broker: Broker): Route[] => [
  handle(send.SendMessage, sendMessage(broker)),
  handle(send.SendMessageV2, sendMessage(broker)),
  handle(send.SendBatchMessage, sendMessage(broker)),
  answer(offset.QueryConsumerOffset, queryOffset(broker)),
  answer(offset.UpdateConsumerOffset, updateOffset(broker)),
  answer(offset.GetAllConsumerOffset, getAllOffsets(broker)),
  answer(query.SearchOffsetByTimestamp, queries.searchOffset(broker)),
  answer(query.GetMaxOffset, queries.getMaxOffset(broker)),
  answer(query.GetMinOffset, queries.getMinOffset(broker)),
  answer(query.GetEarliestMsgStoretime, queries.getEarliestStoreTime(broker)),
  answer(query.QueryMessage, queries.queryMessage(broker)),
  answer(query.ViewMessageById, queries.viewMessageById(broker)),
  answer(query.QueryConsumeQueue, queries.queryConsumeQueue(broker)),
  answer(client.HeartBeat, clients.heartBeat(broker)),
  answer(client.UnregisterClient, clients.unregisterClient(broker)),
  answer(client.CheckClientConfig, clients.checkClientConfig(broker)),
  answer(client.GetConsumerListByGroup, clients.getConsumerList(broker)),
  answer(client.GetConsumerConnectionList, clients.getConsumerConnections(broker)),
  answer(client.GetProducerConnectionList, clients.getProducerConnections(broker)),
  answer(client.GetAllProducerInfo, clients.getAllProducers(broker)),
  answer(lock.LockBatchMq, lockQueues(broker)),
  answer(lock.UnlockBatchMq, unlockQueues(broker)),
  answer(topic.UpdateAndCreateTopic, topics.updateTopic(broker)),
  answer(topic.UpdateAndCreateTopicList, topics.updateTopicList(broker)),
  answer(topic.DeleteTopicInBroker, topics.deleteTopic(broker)),
  answer(topic.GetTopicConfig, topics.getTopicConfig(broker)),
  answer(topic.GetAllTopicConfig, topics.getAllTopicConfig(broker)),
  answer(topic.GetSystemTopicListFromBroker, topics.getSystemTopicList(broker)),
  answer(topic.GetTopicStatsInfo, topics.getTopicStats(broker)),
  answer(group.UpdateAndCreateSubscriptionGroup, groups.updateGroup(broker)),
  answer(group.UpdateAndCreateSubscriptionGroupList, groups.updateGroupList(broker)),
  answer(group.DeleteSubscriptionGroup, groups.deleteGroup(broker)),
  answer(group.GetAllSubscriptionGroupConfig, groups.getAllGroups(broker)),
  answer(group.GetSubscriptionGroupConfig, groups.getGroup(broker)),
  answer(group.UpdateAndGetGroupForbidden, groups.updateForbidden(broker)),
  answer(group.QueryTopicConsumeByWho, groups.queryTopicConsumeByWho(broker)),
  answer(group.QueryTopicsByConsumer, groups.queryTopicsByConsumer(broker)),
  answer(group.QuerySubscriptionByConsumer, groups.querySubscription(broker)),
  answer(group.QueryConsumeTimeSpan, stats.queryConsumeTimeSpan(broker)),
  answer(group.GetConsumeStats, stats.getConsumeStats(broker)),
  answer(group.GetBrokerConsumeStats, stats.getBrokerConsumeStats(broker)),
  answer(config.ViewBrokerStatsData, stats.viewStats(broker)),
  answer(config.GetBrokerConfig, configs.getConfig(broker)),
  answer(config.UpdateBrokerConfig, configs.updateConfig(broker)),
  answer(config.GetBrokerRuntimeInfo, configs.getRuntimeInfo(broker)),
  answer(config.GetAllDelayOffset, configs.getAllDelayOffsets(broker)),
  answer(config.GetBrokerHaStatus, configs.getHaStatus(broker)),
  answer(config.ExchangeBrokerHaInfo, configs.exchangeHaInfo(broker)),
  answer(config.CleanExpiredConsumeQueue, retention.cleanExpiredConsumeQueue(broker)),
  answer(config.DeleteExpiredCommitLog, retention.deleteExpiredCommitLog(broker)),
  answer(config.CleanUnusedTopic, retention.cleanUnusedTopic(broker)),
]
