import { bool, command, int, long, name, optional, text, withDefault } from '../command.ts'

export const PutKvConfig = command({
  name: 'PUT_KV_CONFIG',
  code: 100,
  about: 'Stores a value.',
  source: 'PutKVConfigRequestHeader.java',
  request: {
    namespace: optional(text('Namespace.')),
    key: optional(text('Key.')),
    value: optional(text('Value; Java takes none too.')),
  },
})

export const GetKvConfig = command({
  name: 'GET_KV_CONFIG',
  code: 101,
  about: 'Reads a value.',
  source: 'GetKVConfigRequestHeader.java, GetKVConfigResponseHeader.java',
  request: { namespace: text('Namespace.'), key: text('Key.') },
  response: { value: optional(text('Value.')) },
})

export const DeleteKvConfig = command({
  name: 'DELETE_KV_CONFIG',
  code: 102,
  about: 'Removes a value.',
  source: 'DeleteKVConfigRequestHeader.java',
  request: { namespace: text('Namespace.'), key: text('Key.') },
})

export const RegisterBroker = command({
  name: 'REGISTER_BROKER',
  code: 103,
  about: 'A broker says what it serves.',
  source: 'RegisterBrokerRequestHeader.java, RegisterBrokerResponseHeader.java',
  request: {
    brokerName: text('Name of the broker set.'),
    brokerAddr: text('host:port for clients.'),
    clusterName: text('Cluster.'),
    haServerAddr: text('host:port for replicas.'),
    brokerId: long('0 is the master.'),
    heartbeatTimeoutMillis: optional(long('Silence after which it is gone, in ms.')),
    enableActingMaster: optional(bool('A replica may act for a missing master; absent for old brokers.')),
    compressed: withDefault(bool('The body is zlib.'), false),
    bodyCrc32: withDefault(int('CRC-32 of the body in 31 bits; 0: not told.'), 0),
    zoneName: optional(text('Zone of the broker.', { key: '__ZONE_NAME' })),
  },
  response: {
    haServerAddr: optional(text("The master's address for replicas.")),
    masterAddr: optional(text("The master's address.")),
  },
})

export const UnregisterBroker = command({
  name: 'UNREGISTER_BROKER',
  code: 104,
  about: 'A broker leaves.',
  source: 'UnRegisterBrokerRequestHeader.java',
  request: {
    brokerName: text('Name of the broker set.'),
    brokerAddr: text('host:port for clients.'),
    clusterName: text('Cluster.'),
    brokerId: long('0 is the master.'),
  },
})

export const GetRouteInfoByTopic = command({
  name: 'GET_ROUTEINFO_BY_TOPIC',
  code: 105,
  about: 'Brokers and queues of a topic.',
  source: 'GetRouteInfoRequestHeader.java, TopicRouteData.java',
  inherits: 'topic',
  request: {
    topic: name('Topic.'),
    acceptStandardJsonOnly: withDefault(bool('Only standard JSON can be read.'), false),
    zoneMode: optional(text('"true": only the zone.', { key: '__ZONE_MODE' })),
    zoneName: optional(text('Zone.', { key: '__ZONE_NAME' })),
  },
})

export const GetBrokerClusterInfo = command({
  name: 'GET_BROKER_CLUSTER_INFO',
  code: 106,
  about: 'All clusters and brokers.',
  source: 'ClusterInfo.java',
})

export const WipeWritePermOfBroker = command({
  name: 'WIPE_WRITE_PERM_OF_BROKER',
  code: 205,
  about: 'Takes the write permission of a broker off every topic.',
  source: 'WipeWritePermOfBrokerRequestHeader.java, WipeWritePermOfBrokerResponseHeader.java',
  request: { brokerName: text('Name of the broker set.') },
  response: { wipeTopicCount: int('Topics changed.') },
})

export const AddWritePermOfBroker = command({
  name: 'ADD_WRITE_PERM_OF_BROKER',
  code: 327,
  about: 'Gives a broker read and write permission on every topic.',
  source: 'AddWritePermOfBrokerRequestHeader.java, AddWritePermOfBrokerResponseHeader.java',
  request: { brokerName: text('Name of the broker set.') },
  response: { addTopicCount: int('Topics changed.') },
})

export const GetAllTopicListFromNameServer = command({
  name: 'GET_ALL_TOPIC_LIST_FROM_NAMESERVER',
  code: 206,
  about: 'All topics.',
  source: 'TopicList.java',
})

export const DeleteTopicInNameServer = command({
  name: 'DELETE_TOPIC_IN_NAMESRV',
  code: 216,
  about: 'Forgets a topic, of all clusters or of one.',
  source: 'DeleteTopicFromNamesrvRequestHeader.java',
  request: { topic: name('Topic.'), clusterName: optional(text('Only this cluster.')) },
})

export const RegisterTopicInNameServer = command({
  name: 'REGISTER_TOPIC_IN_NAMESRV',
  code: 217,
  about: 'Registers one topic.',
  source: 'RegisterTopicRequestHeader.java',
  inherits: 'topic',
  request: { topic: name('Topic.') },
})

export const GetKvListByNamespace = command({
  name: 'GET_KVLIST_BY_NAMESPACE',
  code: 219,
  about: 'All values of a namespace.',
  source: 'GetKVListByNamespaceRequestHeader.java',
  request: { namespace: text('Namespace.') },
})

export const GetTopicsByCluster = command({
  name: 'GET_TOPICS_BY_CLUSTER',
  code: 224,
  about: 'Topics of a cluster.',
  source: 'GetTopicsByClusterRequestHeader.java',
  request: { cluster: text('Cluster.') },
})

export const GetSystemTopicListFromNameServer = command({
  name: 'GET_SYSTEM_TOPIC_LIST_FROM_NS',
  code: 304,
  about: 'Names of clusters and brokers, which are topics too.',
  source: 'TopicList.java',
})

export const GetUnitTopicList = command({
  name: 'GET_UNIT_TOPIC_LIST',
  code: 311,
  about: 'Topics with the unit flag.',
  source: 'TopicList.java',
})

export const GetHasUnitSubTopicList = command({
  name: 'GET_HAS_UNIT_SUB_TOPIC_LIST',
  code: 312,
  about: 'Topics with the unit subscription flag.',
  source: 'TopicList.java',
})

export const GetHasUnitSubUnunitTopicList = command({
  name: 'GET_HAS_UNIT_SUB_UNUNIT_TOPIC_LIST',
  code: 313,
  about: 'Topics with the unit subscription flag and without the unit flag.',
  source: 'TopicList.java',
})

export const UpdateNameServerConfig = command({
  name: 'UPDATE_NAMESRV_CONFIG',
  code: 318,
  about: 'Changes settings that may change while running.',
  source: 'DefaultRequestProcessor.java',
})

export const GetNameServerConfig = command({
  name: 'GET_NAMESRV_CONFIG',
  code: 319,
  about: 'All settings, as properties text.',
  source: 'DefaultRequestProcessor.java',
})

export const QueryDataVersion = command({
  name: 'QUERY_DATA_VERSION',
  code: 322,
  about: 'A broker asks whether its topics are known; also a sign of life.',
  source: 'QueryDataVersionRequestHeader.java, QueryDataVersionResponseHeader.java',
  request: {
    brokerName: text('Name of the broker set.'),
    brokerAddr: text('host:port for clients.'),
    clusterName: text('Cluster.'),
    brokerId: long('0 is the master.'),
  },
  response: { changed: bool('The broker should register anew.') },
})

export const GetBrokerMemberGroup = command({
  name: 'GET_BROKER_MEMBER_GROUP',
  code: 901,
  about: 'Addresses of a broker set.',
  source: 'GetBrokerMemberGroupRequestHeader.java',
  request: { clusterName: text('Cluster.'), brokerName: text('Name of the broker set.') },
})

export const BrokerHeartbeat = command({
  name: 'BROKER_HEARTBEAT',
  code: 904,
  about: 'A sign of life.',
  source: 'BrokerHeartbeatRequestHeader.java',
  request: {
    clusterName: text('Cluster.'),
    brokerAddr: text('host:port for clients.'),
    brokerName: text('Name of the broker set.'),
    brokerId: optional(long('0 is the master.')),
    epoch: optional(int('Epoch of the master.')),
    maxOffset: optional(long('End of the log.')),
    confirmOffset: optional(long('Confirmed position.')),
    heartbeatTimeoutMills: optional(long('Silence after which it is gone (spelled so on the wire), in ms.')),
    electionPriority: optional(int('Lower is preferred.')),
  },
})

export const NotifyMinBrokerIdChange = command({
  name: 'NOTIFY_MIN_BROKER_ID_CHANGE',
  code: 905,
  about: 'Name server to broker, one-way: the least broker id of the set changed.',
  source: 'NotifyMinBrokerIdChangeRequestHeader.java',
  request: {
    minBrokerId: optional(long('Least broker id.')),
    brokerName: optional(text('Name of the broker set.')),
    minBrokerAddr: optional(text('Its address.')),
    offlineBrokerAddr: optional(text('Address that left.')),
    haBrokerAddr: optional(text('Address for replicas.')),
  },
})
