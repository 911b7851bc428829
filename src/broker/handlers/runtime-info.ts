import type { Broker } from '../broker.ts'

/** Keys of GET_BROKER_RUNTIME_INFO: the broker's own, and those of the store. Tools break on a key that is missing. */
export function runtimeInfo(broker: Broker): Record<string, string> {
  const { settings, store, counts } = broker
  const { probe, midnights } = counts
  return {
    ...store.runtimeInfo(),
    brokerActive: String(store.writable),
    brokerVersionDesc: 'V5_5_0',
    msgPutTotalYesterdayMorning: String(midnights.putYesterday),
    msgPutTotalTodayMorning: String(midnights.putToday),
    msgPutTotalTodayNow: String(probe.putMessages),
    msgGetTotalYesterdayMorning: String(midnights.getYesterday),
    msgGetTotalTodayMorning: String(midnights.getToday),
    msgGetTotalTodayNow: String(probe.getMessages),
    startAcceptSendRequestTimeStamp: String(settings.startAcceptSendRequestTimeStamp),
    timerReadBehind: '0',
    timerOffsetBehind: '0',
    timerCongestNum: '0',
    timerEnqueueTps: '0.0',
    timerDequeueTps: '0.0',
    EndTransactionQueueSize: '0',
    EndTransactionThreadPoolQueueCapacity: '100000',
    // The value of a broker without a pool of buffers.
    remainTransientStoreBufferNumbs: '2147483647',
    ...poolsOf(broker),
  }
}

/** Java's thread pools. Here one loop does their work; what waits for it beside this request is counted once. */
function poolsOf({ settings, inFlight }: Broker): Record<string, string> {
  const { sendThreadPoolQueueCapacity: send, pullThreadPoolQueueCapacity: pull } = settings
  const capacities = { send, pull, query: 20_000, litePull: pull, ack: 100_000 }
  const pools: Record<string, string> = {}
  for (const [pool, capacity] of Object.entries(capacities)) {
    pools[`${pool}ThreadPoolQueueSize`] = pool === 'send' ? String(Math.max(0, inFlight - 1)) : '0'
    pools[`${pool}ThreadPoolQueueCapacity`] = String(capacity)
    pools[`${pool}ThreadPoolQueueHeadWaitTimeMills`] = '0'
  }
  return pools
}
