import {
  bool,
  bytes,
  int,
  millis,
  oneOf,
  type Setting,
  type SettingOptions,
  type Settings,
  settings,
  text,
} from '../base/settings.ts'

/** Hours of the day as Java takes them: `04`, or `04;16`. */
function hours(fallback: string, about: string, options: SettingOptions): Setting<string> {
  return {
    ...text(fallback, about, options),
    type: 'hours',
    parse(word) {
      const valid = word.split(';').every((hour) => /^\s*\d{1,2}\s*$/.test(hour) && Number(hour) < 24)
      if (!valid) throw new Error('takes hours from 0 to 23, joined by semicolons')
      return word
    },
  }
}

/** A share of the disk. Values that are out of range count as the nearest that is in it, as Java takes them. */
function percent(fallback: number, about: string, min: number, max: number): Setting<number> {
  const whole = int(fallback, about, { updatable: true })
  const clamped = (text: string): number => Math.min(max, Math.max(min, whole.parse(text)))
  return { ...whole, type: `% from ${min} to ${max}`, parse: clamped }
}

/** Keys of MessageStoreConfig that nothing here obeys: known, so that a file of Java's is not full of warnings. */
const LATER = `
readOnlyCommitLogStorePaths storePathEpochFile storePathBrokerIdentity enableConsumeQueueExt
mappedFileSizeConsumeQueueExt mappedFileSizeTimerLog
mapperFileSizeBatchConsumeQueue commitIntervalCommitLog flushCommitLogTimed
flushCommitLogLeastPages commitCommitLogLeastPages flushLeastPagesWhenWarmMapedFile
flushCommitLogThoroughInterval commitCommitLogThoroughInterval flushConsumeQueueLeastPages
transientStorePoolEnable transientStorePoolSize fastFailIfNoBufferInStorePool warmMapedFileEnable
maxConsumeQueueScan sampleCountThreshold forceVerifyPropCRC flushDelayOffsetInterval
enableScheduleAsyncDeliver timerWheelEnable timerPrecisionMs timerRollWindowSlot timerMaxDelaySec
timerFlushIntervalMs timerGetMessageThreadNum timerPutMessageThreadNum timerInterceptDelayLevel
timerSkipUnknownError timerStopEnqueue timerStopDequeue timerCongestNumEachSlot timerCheckMetricsWhen
disappearTimeAfterStart brokerRole haListenPort haMasterAddress haSendHeartbeatInterval haHousekeepingInterval
haTransferBatchSize haMaxGapNotInSync slaveTimeout totalReplicas inSyncReplicas minInSyncReplicas
allAckInSyncStateSet enableAutoInSyncReplicas haMaxTimeSlaveNotCatchup maxHaTransferByteInSecond
haFlowControlEnable syncMasterFlushOffsetWhenStartup duplicationEnable enableLmq enableMultiDispatch
maxLmqConsumeQueueNum enableCompaction compactionScheduleInternal compactionMappedFileSize dLegerGroup
dLegerPeers dLegerSelfId coldDataFlowControlEnable coldDataScanEnable useReentrantLockWhenPutMessage
useABSLock topicQueueLockNum offsetCheckInSlave enableControllerMode enableBuildConsumeQueueConcurrently
commitLogRecoverMaxNum enableAcceleratedRecovery rocksdbCQDoubleWriteEnable indexRocksDBEnable
timerRocksDBEnable transRocksDBEnable putMessageTimeout maxRecoveryCommitlogFiles dispatchFromSenderThread
dispatchCqThreads enableAsyncReput
`
  .trim()
  .split(/\s+/)

/**
 * The store's settings, spelled and defaulted as Java's MessageStoreConfig. Only keys that something obeys are here.
 */
export const storeSettings = settings(
  {
    storePathRootDir: text('./data', 'Folder of the store: commit log, consume queues, configuration.'),
    storePathCommitLog: text('', 'Folder of the commit log; by default commitlog in storePathRootDir.'),
    mappedFileSizeCommitLog: bytes(1_073_741_824, 'Size of one commit log segment.', { min: 16_384 }),
    mappedFileSizeConsumeQueue: bytes(6_000_000, 'Size of one consume queue file; rounded up to whole entries of 20.', {
      min: 20,
    }),
    flushDiskType: oneOf(['ASYNC_FLUSH', 'SYNC_FLUSH'], 'ASYNC_FLUSH', 'Answer before or after fdatasync.'),
    flushIntervalCommitLog: millis(500, 'ASYNC_FLUSH: longest time between a write and the fdatasync that covers it.'),
    syncFlushTimeout: millis(5_000, 'SYNC_FLUSH: after this time the answer is FLUSH_DISK_TIMEOUT.'),
    flushIntervalConsumeQueue: millis(1_000, 'Longest time that consume queue entries wait in memory to be written.'),
    flushConsumeQueueThoroughInterval: millis(60_000, 'Period in which all consume queues are synced.'),
    maxMessageSize: bytes(4_194_304, 'Largest body of a message, or of a batch as it arrives.', { min: 1 }),
    autoMessageVersionOnTopicLen: bool(true, 'Store topics longer than 127 bytes as message version 2.'),
    enabledAppendPropCRC: bool(
      false,
      'Each record carries a checksum of all of it, as its last property, which reads verify: any flipped bit is noticed.',
    ),
    checkCRCOnRecover: bool(true, 'Verify body checksums when the log is scanned at start.'),
    maxTransferBytesOnMessageInMemory: bytes(262_144, 'Bytes that one read returns of recent messages.'),
    maxTransferCountOnMessageInMemory: int(32, 'Messages that one read returns of recent messages.', { min: 1 }),
    maxTransferBytesOnMessageInDisk: bytes(65_536, 'Bytes that one read returns of messages far back.'),
    maxTransferCountOnMessageInDisk: int(8, 'Messages that one read returns of messages far back.', { min: 1 }),
    accessMessageInMemoryMaxRatio: int(
      40,
      'Messages within this share of the memory (%) behind the end count as recent.',
      {
        min: 1,
        max: 100,
      },
    ),
    maxFilterMessageSize: int(16_000, 'Bytes of consume queue entries (20 each) that one read examines.', { min: 20 }),
    messageDelayLevel: text('1s 5s 10s 30s 1m 2m 3m 4m 5m 6m 7m 8m 9m 10m 20m 30m 1h 2h', 'Delay levels, from 1.'),
    osPageCacheBusyTimeOutMills: millis(1_000, 'A write that takes longer makes sends answer SYSTEM_BUSY.'),
    deleteWhen: hours('04', 'Hours of the day, joined by semicolons, in which expired segments are deleted.', {
      updatable: true,
    }),
    fileReservedTime: int(72, 'Hours after which a segment that is full has expired.', { min: 0, updatable: true }),
    diskMaxUsedSpaceRatio: percent(75, 'Above this use of the disk, expired segments are deleted at any hour.', 10, 95),
    diskSpaceCleanForciblyRatio: percent(85, 'Above it, the oldest segments are deleted though not expired.', 30, 85),
    diskSpaceWarningLevelRatio: percent(90, 'Above it, sends are refused; reads go on.', 35, 90),
    cleanFileForciblyEnable: bool(true, 'Segments that have not expired may be deleted when the disk fills up.', {
      updatable: true,
    }),
    deleteFileBatchMax: int(10, 'Segments deleted in one round at most.', { min: 1, updatable: true }),
    cleanResourceInterval: millis(10_000, 'Pause between two rounds of deletion.', { min: 100 }),
    deleteCommitLogFilesInterval: millis(100, 'Pause after each segment deleted.', { updatable: true }),
    deleteConsumeQueueFilesInterval: millis(100, 'Pause after each consume queue file deleted.', { updatable: true }),
    destroyMapedFileIntervalForcibly: millis(120_000, 'How long the deletion of a segment waits for reads under way.'),
    redeleteHangedFileInterval: millis(120_000, 'A file that could not be deleted is tried again after this time.'),
    messageIndexEnable: bool(true, 'Index messages by key, unique key and tag; without it, queries find nothing.'),
    messageIndexSafe: bool(false, 'The start waits until the index is whole, however much of it must be built again.'),
    maxHashSlotNum: int(5_000_000, 'Hash slots of an index file: part of its format.', { min: 1, max: 500_000_000 }),
    maxIndexNum: int(20_000_000, 'Units of an index file: part of its format.', { min: 2, max: 100_000_000 }),
    defaultQueryMaxNum: int(32, 'Messages that a query by unique key returns at most.', { min: 1, updatable: true }),
    maxMsgsNumBatch: int(64, 'Messages that any query by key returns at most.', { min: 1, updatable: true }),
    storeType: oneOf(['default', 'defaultRocksDB'], 'default', 'Only default, plain files, is served.'),
    enableDLegerCommitLog: bool(false, 'DLedger stores are not served: true is refused.'),
  },
  LATER,
)
export type StoreSettings = Settings<typeof storeSettings>
