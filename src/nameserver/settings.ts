import { bool, int, millis, port, type Settings, settings, text } from '../base/settings.ts'

/** The name server's settings, spelled and defaulted as Java's NamesrvConfig. */
export const nameServerSettings = settings(
  {
    listenPort: port(9_876, 'TCP port for clients and brokers.'),
    bindAddress: text('0.0.0.0', 'Address to listen on.'),
    kvConfigPath: text('./namesrv/kvConfig.json', 'File of the key-value configuration.'),
    configStorePath: text('./namesrv/namesrv.properties', 'File that remote changes of settings are kept in.'),
    productEnvName: text('center', 'Name of the environment; informative.'),
    clusterTest: bool(false, 'Has no effect; accepted.'),
    orderMessageEnable: bool(false, 'Routes tell the order configuration of their topic.', { updatable: true }),
    returnOrderTopicConfigToBroker: bool(true, 'Registrations are answered with the order configuration.', {
      updatable: true,
    }),
    scanNotActiveBrokerInterval: millis(5_000, 'Period in which brokers that fell silent are looked for.', {
      min: 10,
      updatable: true,
    }),
    unRegisterBrokerQueueCapacity: int(3_000, 'Has no effect: brokers leave at once; accepted.', { min: 1 }),
    supportActingMaster: bool(false, 'A replica may be shown as master where none is left.', { updatable: true }),
    notifyMinBrokerIdChanged: bool(false, 'Tells the brokers of a set when its least id changed.', { updatable: true }),
    enableAllTopicList: bool(true, 'Answers GET_ALL_TOPIC_LIST_FROM_NAMESERVER.', { updatable: true }),
    enableTopicList: bool(true, 'Answers GET_TOPICS_BY_CLUSTER and the unit topic lists.', { updatable: true }),
    deleteTopicWithBrokerRegistration: bool(false, 'A registration removes topics that it does not name.', {
      updatable: true,
    }),
    needWaitForService: bool(false, 'Refuses routes for a while after the start.', { updatable: true }),
    waitSecondsForService: int(45, 'That while, in seconds.', { min: 0, updatable: true }),
    serverChannelMaxIdleTimeSeconds: int(120, 'Connections silent for so long are closed.', { min: 1 }),
  },
  [
    'rocketmqHome',
    'configBlackList',
    'clientRequestThreadPoolNums',
    'defaultThreadPoolNums',
    'clientRequestThreadPoolQueueCapacity',
    'defaultThreadPoolQueueCapacity',
    'enableControllerInNamesrv',
    'useEpollNativeSelector',
    'serverWorkerThreads',
    'serverCallbackExecutorThreads',
    'serverSelectorThreads',
    'serverOnewaySemaphoreValue',
    'serverAsyncSemaphoreValue',
    'serverSocketSndBufSize',
    'serverSocketRcvBufSize',
    'serverPooledByteBufAllocatorEnable',
    'writeBufferHighWaterMark',
    'writeBufferLowWaterMark',
    'serverSocketBacklog',
    'enableShutdownGracefully',
    'shutdownWaitTimeSeconds',
  ],
)

export type NameServerSettings = Settings<typeof nameServerSettings>
