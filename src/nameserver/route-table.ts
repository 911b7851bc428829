import { type BrokerData, type DataVersion, type QueueData, sameVersion, type TopicConfig } from '../protocol/bodies.ts'
import { Permission } from '../protocol/names.ts'

/** Silence after which a broker is gone, where it does not say itself, ms. */
const DEFAULT_TIMEOUT_MS = 120_000
const MASTER = 0

/** One set of brokers: a master and its replicas share a name. */
interface BrokerSet {
  cluster: string
  brokerName: string
  /** Broker id → `host:port`. */
  addresses: Map<number, string>
  zoneName: string | undefined
  enableActingMaster: boolean
}

interface LiveBroker {
  lastUpdateMs: number
  timeoutMs: number
  dataVersion: DataVersion
  haServerAddr: string
  /** Connection that registered it; its loss is the broker's. */
  connectionId: number
}

export interface Registration {
  clusterName: string
  brokerName: string
  brokerAddr: string
  brokerId: number
  haServerAddr: string
  zoneName: string | undefined
  timeoutMs: number | undefined
  /** undefined: a broker that is too old to know. */
  enableActingMaster: boolean | undefined
  dataVersion: DataVersion
  topics: ReadonlyMap<string, TopicConfig>
  /** Static topics: topic → mapping of this broker. */
  mappings: ReadonlyMap<string, object>
  filterServers: readonly string[]
  connectionId: number
}

export interface Registered {
  /** Of the master, told to replicas. */
  masterAddr: string | undefined
  haServerAddr: string | undefined
  minBrokerIdChanged: boolean
}

export interface TopicRoute {
  queueDatas: QueueData[]
  brokerDatas: BrokerData[]
  filterServerTable: Record<string, readonly string[]>
  topicQueueMappingByBroker: Record<string, object> | undefined
}

/** Told of changes, so that encoded answers can be dropped. */
export interface RouteListener {
  topicChanged(topic: string): void
  brokersChanged(): void
}

/** Which topics lie on which brokers, and which brokers are alive. No I/O; time is an argument. */
export class RouteTable {
  readonly #topics = new Map<string, Map<string, QueueData>>()
  readonly #sets = new Map<string, BrokerSet>()
  readonly #clusters = new Map<string, Set<string>>()
  /** `cluster@address` → state. */
  readonly #live = new Map<string, LiveBroker>()
  readonly #filterServers = new Map<string, readonly string[]>()
  readonly #mappings = new Map<string, Map<string, object>>()
  readonly #listener: RouteListener

  constructor(listener: RouteListener) {
    this.#listener = listener
  }

  get topicCount(): number {
    return this.#topics.size
  }

  get liveBrokerCount(): number {
    return this.#live.size
  }

  /**
   * @param deleteMissing remove topics of this broker that the registration does not name
   * @returns undefined when it is refused: an older state of the same id, or a one-topic registration of a broker that
   *   is not known; a refusal leaves nothing behind
   */
  register(registration: Registration, nowMs: number, deleteMissing: boolean): Registered | undefined {
    const { clusterName, brokerName, brokerAddr, brokerId, dataVersion, topics } = registration
    const known = this.#sets.get(brokerName)
    const formerAddr = known?.addresses.get(brokerId)
    if (formerAddr !== undefined && formerAddr !== brokerAddr) {
      const former = this.#live.get(liveKey(clusterName, formerAddr))
      if (former !== undefined && former.dataVersion.stateVersion > dataVersion.stateVersion) return undefined
    }
    if (formerAddr === undefined && topics.size === 1) return undefined
    const formerMinId = known === undefined ? undefined : minId(known)
    const formerLook = known === undefined ? undefined : lookOf(known, this.#filterServers.get(brokerAddr))

    // A process has one name: what runs at this address now is not what ran there before.
    const formerOwner = this.#ownerOf(clusterName, brokerAddr)
    if (formerOwner !== '' && formerOwner !== brokerName) this.unregister(clusterName, formerOwner, brokerAddr)
    if (known !== undefined && known.cluster !== clusterName) this.#moveToCluster(known, clusterName)

    const set = known ?? {
      cluster: clusterName,
      brokerName,
      addresses: new Map(),
      zoneName: undefined,
      enableActingMaster: false,
    }
    if (known === undefined) this.#sets.set(brokerName, set)
    this.#memberOf(clusterName).add(brokerName)
    set.enableActingMaster = registration.enableActingMaster ?? false
    set.zoneName = registration.zoneName
    // A replica that became master, or the reverse, keeps its address and changes its id.
    for (const [id, address] of set.addresses) {
      if (address === brokerAddr && id !== brokerId) set.addresses.delete(id)
    }
    if (formerAddr !== undefined && formerAddr !== brokerAddr) this.#live.delete(liveKey(clusterName, formerAddr))
    set.addresses.set(brokerId, brokerAddr)

    const key = liveKey(clusterName, brokerAddr)
    const before = this.#live.get(key)
    const isPrimeReplica =
      registration.enableActingMaster !== undefined && brokerId !== MASTER && brokerId === minId(set)
    if (brokerId === MASTER || isPrimeReplica) {
      if (deleteMissing) this.#deleteMissing(brokerName, topics)
      const changed = before === undefined || !sameVersion(before.dataVersion, dataVersion)
      for (const [topic, config] of topics) {
        if (!changed && this.#topics.get(topic)?.has(brokerName) === true) continue
        const perm = isPrimeReplica && set.enableActingMaster ? config.perm & ~Permission.WRITE : config.perm
        this.#putQueues(topic, brokerName, { ...config, perm })
      }
      for (const [topic, mapping] of registration.mappings) {
        this.#mappingsOf(topic).set(brokerName, mapping)
        this.#listener.topicChanged(topic)
      }
    }
    this.#live.set(key, {
      lastUpdateMs: nowMs,
      timeoutMs: registration.timeoutMs ?? DEFAULT_TIMEOUT_MS,
      dataVersion,
      haServerAddr: registration.haServerAddr,
      connectionId: registration.connectionId,
    })
    if (registration.filterServers.length > 0) this.#filterServers.set(brokerAddr, registration.filterServers)
    else this.#filterServers.delete(brokerAddr)
    const look = lookOf(set, registration.filterServers)
    if (formerAddr !== brokerAddr || before === undefined || formerLook !== look) this.#listener.brokersChanged()

    const masterAddr = brokerId === MASTER ? undefined : set.addresses.get(MASTER)
    const master = masterAddr === undefined ? undefined : this.#live.get(liveKey(clusterName, masterAddr))
    return {
      masterAddr: master === undefined ? undefined : masterAddr,
      haServerAddr: master?.haServerAddr,
      minBrokerIdChanged: formerMinId !== undefined && formerMinId !== minId(set),
    }
  }

  /** Takes a broker out; the last of its set takes the set's queues along. Goes by address, since ids are taken over. */
  unregister(clusterName: string, brokerName: string, brokerAddr: string): { minBrokerIdChanged: boolean } {
    const owner = this.#ownerOf(clusterName, brokerAddr)
    if (owner !== '' && owner !== brokerName) return { minBrokerIdChanged: false } // another's
    this.#live.delete(liveKey(clusterName, brokerAddr))
    this.#filterServers.delete(brokerAddr)
    const set = this.#sets.get(brokerName)
    if (set === undefined || owner === '') return { minBrokerIdChanged: false }
    const formerMinId = minId(set)
    for (const [id, address] of set.addresses) if (address === brokerAddr) set.addresses.delete(id)
    this.#listener.brokersChanged()
    if (set.addresses.size > 0) {
      if (set.enableActingMaster && !set.addresses.has(MASTER))
        this.#changePermissions(brokerName, (perm) => perm & ~Permission.WRITE)
      return { minBrokerIdChanged: formerMinId !== minId(set) }
    }
    this.#sets.delete(brokerName)
    this.#leaveCluster(set)
    for (const [topic, queues] of this.#topics) {
      if (!queues.delete(brokerName)) continue
      if (queues.size === 0) this.#topics.delete(topic)
      this.#listener.topicChanged(topic)
    }
    for (const [topic, byBroker] of this.#mappings) {
      byBroker.delete(brokerName)
      if (byBroker.size === 0) this.#mappings.delete(topic)
    }
    return { minBrokerIdChanged: false }
  }

  /** Brokers that fell silent. */
  expired(nowMs: number): { clusterName: string; brokerName: string; brokerAddr: string; silentMs: number }[] {
    const found = []
    for (const [key, { lastUpdateMs, timeoutMs }] of this.#live) {
      if (nowMs - lastUpdateMs <= timeoutMs) continue
      const { clusterName, brokerAddr } = splitLiveKey(key)
      const brokerName = this.#ownerOf(clusterName, brokerAddr)
      found.push({ clusterName, brokerName, brokerAddr, silentMs: nowMs - lastUpdateMs })
    }
    return found
  }

  /** The broker that registered on this connection. */
  registeredOn(connectionId: number): { clusterName: string; brokerName: string; brokerAddr: string } | undefined {
    for (const [key, live] of this.#live) {
      if (live.connectionId !== connectionId) continue
      const { clusterName, brokerAddr } = splitLiveKey(key)
      return { clusterName, brokerAddr, brokerName: this.#ownerOf(clusterName, brokerAddr) }
    }
    return undefined
  }

  /** A sign of life. @returns false when the broker is not known */
  touch(clusterName: string, brokerAddr: string, nowMs: number): boolean {
    const live = this.#live.get(liveKey(clusterName, brokerAddr))
    if (live !== undefined) live.lastUpdateMs = nowMs
    return live !== undefined
  }

  dataVersionOf(clusterName: string, brokerAddr: string): DataVersion | undefined {
    return this.#live.get(liveKey(clusterName, brokerAddr))?.dataVersion
  }

  /** One topic on known brokers. @returns false when a broker is not known, and nothing changed */
  registerTopic(topic: string, queueDatas: readonly QueueData[]): boolean {
    if (queueDatas.length === 0 || queueDatas.some(({ brokerName }) => !this.#sets.has(brokerName))) return false
    for (const queueData of queueDatas) this.#setQueues(topic, queueData)
    return true
  }

  deleteTopic(topic: string, clusterName: string | undefined): void {
    const queues = this.#topics.get(topic)
    if (queues === undefined) return
    if (clusterName === undefined) this.#topics.delete(topic)
    else {
      for (const brokerName of this.#clusters.get(clusterName) ?? []) queues.delete(brokerName)
      if (queues.size === 0) this.#topics.delete(topic)
    }
    this.#listener.topicChanged(topic)
  }

  /** Takes the write permission off every topic of a broker set. @returns topics changed */
  wipeWritePermission(brokerName: string): number {
    return this.#changePermissions(brokerName, (perm) => perm & ~Permission.WRITE)
  }

  addWritePermission(brokerName: string): number {
    return this.#changePermissions(brokerName, () => Permission.READ | Permission.WRITE)
  }

  /** Whether the topic is known at all, and where its living brokers are. */
  route(topic: string, supportActingMaster: boolean): TopicRoute | undefined {
    const queues = this.#topics.get(topic)
    if (queues === undefined || queues.size === 0) return undefined
    const queueDatas = [...queues.values()]
    const brokerDatas: BrokerData[] = []
    const filterServerTable: Record<string, readonly string[]> = {}
    for (const { brokerName, perm } of queueDatas) {
      const set = this.#sets.get(brokerName)
      if (set === undefined) continue
      const addresses = new Map(set.addresses)
      const least = minId(set)
      const mayAct =
        supportActingMaster && set.enableActingMaster && !addresses.has(MASTER) && (perm & Permission.WRITE) === 0
      if (mayAct && least !== undefined && !topic.startsWith('rmq_sys_SYNC_BROKER_MEMBER_')) {
        addresses.set(MASTER, addresses.get(least)!)
        addresses.delete(least)
      }
      brokerDatas.push(brokerData(set, addresses))
      for (const address of addresses.values()) {
        const filterServers = this.#filterServers.get(address)
        if (filterServers !== undefined) filterServerTable[address] = filterServers
      }
    }
    if (brokerDatas.length === 0) return undefined
    const mappings = this.#mappings.get(topic)
    return {
      queueDatas,
      brokerDatas,
      filterServerTable,
      topicQueueMappingByBroker: mappings === undefined ? undefined : Object.fromEntries(mappings),
    }
  }

  topics(): string[] {
    return [...this.#topics.keys()]
  }

  topicsOfCluster(clusterName: string): string[] {
    const members = this.#clusters.get(clusterName)
    if (members === undefined) return []
    const found: string[] = []
    for (const [topic, queues] of this.#topics) {
      for (const brokerName of queues.keys()) {
        if (!members.has(brokerName)) continue
        found.push(topic)
        break
      }
    }
    return found
  }

  /** Topics whose flag satisfies the test. */
  topicsByFlag(test: (topicSysFlag: number) => boolean): string[] {
    const found: string[] = []
    for (const [topic, queues] of this.#topics) {
      for (const { topicSysFlag } of queues.values()) {
        if (test(topicSysFlag)) found.push(topic)
        break
      }
    }
    return found
  }

  clusters(): Map<string, string[]> {
    return new Map([...this.#clusters].map(([cluster, members]) => [cluster, [...members]]))
  }

  brokers(): BrokerData[] {
    return [...this.#sets.values()].map((set) => brokerData(set, set.addresses))
  }

  /** Addresses of a set, by id; undefined when it is not known. */
  addressesOf(brokerName: string): ReadonlyMap<number, string> | undefined {
    return this.#sets.get(brokerName)?.addresses
  }

  haServerAddrOf(clusterName: string, brokerAddr: string): string | undefined {
    return this.#live.get(liveKey(clusterName, brokerAddr))?.haServerAddr
  }

  /** Connection of a registered broker. */
  connectionOf(clusterName: string, brokerAddr: string): number | undefined {
    return this.#live.get(liveKey(clusterName, brokerAddr))?.connectionId
  }

  actingMasterEnabled(brokerName: string): boolean {
    return this.#sets.get(brokerName)?.enableActingMaster ?? false
  }

  #memberOf(clusterName: string): Set<string> {
    let members = this.#clusters.get(clusterName)
    if (members === undefined) this.#clusters.set(clusterName, (members = new Set()))
    return members
  }

  #leaveCluster({ cluster, brokerName }: BrokerSet): void {
    const members = this.#clusters.get(cluster)
    members?.delete(brokerName)
    if (members?.size === 0) this.#clusters.delete(cluster)
  }

  /** A set is in one cluster, with all its brokers. */
  #moveToCluster(set: BrokerSet, clusterName: string): void {
    for (const address of set.addresses.values()) {
      const live = this.#live.get(liveKey(set.cluster, address))
      this.#live.delete(liveKey(set.cluster, address))
      if (live !== undefined) this.#live.set(liveKey(clusterName, address), live)
    }
    this.#leaveCluster(set)
    set.cluster = clusterName
  }

  #mappingsOf(topic: string): Map<string, object> {
    let mappings = this.#mappings.get(topic)
    if (mappings === undefined) this.#mappings.set(topic, (mappings = new Map()))
    return mappings
  }

  /** The set in which an address is; nameless when it is in none. */
  #ownerOf(clusterName: string, brokerAddr: string): string {
    for (const brokerName of this.#clusters.get(clusterName) ?? []) {
      for (const address of this.#sets.get(brokerName)?.addresses.values() ?? []) {
        if (address === brokerAddr) return brokerName
      }
    }
    return ''
  }

  #putQueues(topic: string, brokerName: string, config: TopicConfig): void {
    this.#setQueues(topic, {
      brokerName,
      readQueueNums: config.readQueueNums,
      writeQueueNums: config.writeQueueNums,
      perm: config.perm,
      topicSysFlag: config.topicSysFlag,
    })
  }

  #setQueues(topic: string, queueData: QueueData): void {
    let queues = this.#topics.get(topic)
    if (queues === undefined) this.#topics.set(topic, (queues = new Map()))
    const former = queues.get(queueData.brokerName)
    if (former !== undefined && sameQueues(former, queueData)) return
    queues.set(queueData.brokerName, queueData)
    this.#listener.topicChanged(topic)
  }

  #deleteMissing(brokerName: string, named: ReadonlyMap<string, TopicConfig>): void {
    for (const [topic, queues] of this.#topics) {
      if (named.has(topic) || !queues.delete(brokerName)) continue
      if (queues.size === 0) this.#topics.delete(topic)
      this.#listener.topicChanged(topic)
    }
  }

  #changePermissions(brokerName: string, change: (perm: number) => number): number {
    let changed = 0
    for (const [topic, queues] of this.#topics) {
      const queueData = queues.get(brokerName)
      if (queueData === undefined) continue
      queueData.perm = change(queueData.perm)
      changed++
      this.#listener.topicChanged(topic)
    }
    return changed
  }
}

function brokerData(set: BrokerSet, addresses: ReadonlyMap<number, string>): BrokerData {
  const brokerAddrs: Record<string, string> = {}
  for (const [id, address] of addresses) brokerAddrs[id] = address
  const { cluster, brokerName, enableActingMaster, zoneName } = set
  return { cluster, brokerName, brokerAddrs, enableActingMaster, ...(zoneName === undefined ? {} : { zoneName }) }
}

/** What routes tell of a set and one of its brokers, beside addresses. */
function lookOf({ cluster, zoneName, enableActingMaster }: BrokerSet, filterServers: readonly string[] = []): string {
  return JSON.stringify([cluster, zoneName, enableActingMaster, filterServers])
}

const liveKey = (clusterName: string, brokerAddr: string): string => `${clusterName}\u0000${brokerAddr}`

function splitLiveKey(key: string): { clusterName: string; brokerAddr: string } {
  const at = key.indexOf('\u0000')
  return { clusterName: key.slice(0, at), brokerAddr: key.slice(at + 1) }
}

function minId(set: BrokerSet): number | undefined {
  let least: number | undefined
  for (const id of set.addresses.keys()) if (least === undefined || id < least) least = id
  return least
}

function sameQueues(a: QueueData, b: QueueData): boolean {
  return (
    a.readQueueNums === b.readQueueNums &&
    a.writeQueueNums === b.writeQueueNums &&
    a.perm === b.perm &&
    a.topicSysFlag === b.topicSysFlag
  )
}
