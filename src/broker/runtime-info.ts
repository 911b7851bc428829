import type { Broker } from './broker.ts'

/** The broker's and the store's keys of GET_BROKER_RUNTIME_INFO; tools break on a key that is missing. */
export function runtimeInfo(broker: Broker): Record<string, string> {
  const { settings, scheduler, store, counts, rates, day } = broker
  const { probe } = counts
  const now = scheduler.now()
  const { positions } = store
  const pools: Record<string, string> = {}
  const capacities = {
    send: settings.sendThreadPoolQueueCapacity,
    pull: settings.pullThreadPoolQueueCapacity,
    query: 20_000,
    litePull: settings.pullThreadPoolQueueCapacity,
    ack: 100_000,
  }
  for (const [pool, capacity] of Object.entries(capacities)) {
    pools[`${pool}ThreadPoolQueueSize`] = pool === 'send' ? String(broker.inFlight) : '0'
    pools[`${pool}ThreadPoolQueueCapacity`] = String(capacity)
    pools[`${pool}ThreadPoolQueueHeadWaitTimeMills`] = '0'
  }
  return {
    bootTimestamp: String(broker.startedAtMs),
    runtime: durationText(now - broker.startedAtMs),
    putMessageTimesTotal: String(probe.putMessages),
    putMessageSizeTotal: String(probe.putBytes),
    putMessageFailedTimes: String(probe.putFailures),
    putMessageAverageSize: String(probe.putMessages > 0 ? probe.putBytes / probe.putMessages : 0),
    putMessageEntireTimeMax: '0',
    putMessageDistributeTime: '',
    getMessageEntireTimeMax: '0',
    dispatchMaxBuffer: '0',
    putTps: rates.put.text(),
    getFoundTps: rates.found.text(),
    getMissTps: rates.missed.text(),
    getTotalTps: rates.total.text(),
    getTransferredTps: rates.transferred.text(),
    putLatency99: '0.00',
    putLatency999: '0.00',
    commitLogMinOffset: String(positions.min),
    commitLogMaxOffset: String(positions.written),
    brokerActive: String(store.writable),
    brokerVersionDesc: 'V5_5_0',
    brokerVersion: '513',
    msgPutTotalYesterdayMorning: String(day.putYesterday),
    msgPutTotalTodayMorning: String(day.putToday),
    msgPutTotalTodayNow: String(probe.putMessages),
    msgGetTotalYesterdayMorning: String(day.getYesterday),
    msgGetTotalTodayMorning: String(day.getToday),
    msgGetTotalTodayNow: String(probe.getMessages),
    dispatchBehindBytes: String(Math.max(0, positions.written - positions.readable)),
    pageCacheLockTimeMills: '0',
    earliestMessageTimeStamp: String(store.earliestStoreTimestamp()),
    startAcceptSendRequestTimeStamp: String(settings.startAcceptSendRequestTimeStamp),
    timerReadBehind: '0',
    timerOffsetBehind: '0',
    timerCongestNum: '0',
    timerEnqueueTps: '0.0',
    timerDequeueTps: '0.0',
    EndTransactionQueueSize: '0',
    EndTransactionThreadPoolQueueCapacity: '100000',
    remainTransientStoreBufferNumbs: '2147483647',
    remainHowManyDataToFlush: sizeText(positions.written - positions.flushed),
    ...pools,
    ...store.runtimeInfo(),
  }
}

/** `[ 0 days, 0 hours, 15 minutes, 7 seconds ]` */
function durationText(ms: number): string {
  const seconds = Math.floor(ms / 1_000)
  const days = Math.floor(seconds / 86_400)
  const hours = Math.floor((seconds % 86_400) / 3_600)
  return `[ ${days} days, ${hours} hours, ${Math.floor((seconds % 3_600) / 60)} minutes, ${seconds % 60} seconds ]`
}

function sizeText(bytes: number): string {
  if (bytes < 1_024) return `${bytes} B`
  const units = ['KiB', 'MiB', 'GiB', 'TiB']
  let value = bytes
  let unit = -1
  while (value >= 1_024 && unit < units.length - 1) {
    value /= 1_024
    unit++
  }
  return `${value.toFixed(1)} ${units[unit]}`
}
