import { command, long, optional, text } from '../command.ts'

export const UpdateBrokerConfig = command({
  name: 'UPDATE_BROKER_CONFIG',
  code: 25,
  about: 'Changes settings that may change while running.',
  source: 'AdminBrokerProcessor.java',
})

export const GetBrokerConfig = command({
  name: 'GET_BROKER_CONFIG',
  code: 26,
  about: 'All settings, as properties text.',
  source: 'GetBrokerConfigResponseHeader.java',
  response: { version: text('Data version, as JSON.') },
})

export const GetBrokerRuntimeInfo = command({
  name: 'GET_BROKER_RUNTIME_INFO',
  code: 28,
  about: 'Counters and states, as a table of texts.',
  source: 'AdminBrokerProcessor.java',
})

export const ViewBrokerStatsData = command({
  name: 'VIEW_BROKER_STATS_DATA',
  code: 315,
  about: 'One statistic over a minute, an hour and a day.',
  source: 'ViewBrokerStatsDataRequestHeader.java',
  inherits: 'rpc',
  request: { statsName: text('Name of the statistic.'), statsKey: text('Its key.') },
})

export const CleanExpiredConsumeQueue = command({
  name: 'CLEAN_EXPIRED_CONSUMEQUEUE',
  code: 306,
  about: 'Forgets consume queues of which the log holds no message any more.',
  source: 'AdminBrokerProcessor.java',
})

export const DeleteExpiredCommitLog = command({
  name: 'DELETE_EXPIRED_COMMITLOG',
  code: 329,
  about: 'Deletes expired segments of the log, whatever the hour.',
  source: 'AdminBrokerProcessor.java',
})

export const CleanUnusedTopic = command({
  name: 'CLEAN_UNUSED_TOPIC',
  code: 316,
  about: 'Removes the queues of topics that the broker does not know.',
  source: 'AdminBrokerProcessor.java',
})

export const GetAllDelayOffset = command({
  name: 'GET_ALL_DELAY_OFFSET',
  code: 45,
  about: 'Progress of the delay levels, for a replica.',
  source: 'DelayOffsetSerializeWrapper.java',
})

export const GetBrokerHaStatus = command({
  name: 'GET_BROKER_HA_STATUS',
  code: 907,
  about: 'State of replication.',
  source: 'HARuntimeInfo.java',
})

export const ExchangeBrokerHaInfo = command({
  name: 'EXCHANGE_BROKER_HA_INFO',
  code: 906,
  about: 'Tells and asks addresses of replication.',
  source: 'ExchangeHAInfoRequestHeader.java, ExchangeHAInfoResponseHeader.java',
  inherits: 'rpc',
  request: {
    masterHaAddress: optional(text('Address for replicas.')),
    masterFlushOffset: optional(long('Flushed position of the master.')),
    masterAddress: optional(text('Address of the master.')),
  },
  response: {
    masterHaAddress: optional(text('Address for replicas.')),
    masterFlushOffset: optional(long('Flushed position of the master.')),
    masterAddress: optional(text('Address of the master.')),
  },
})
