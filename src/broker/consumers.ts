import type { Log } from '../base/log.ts'
import type { Scheduler, Timer } from '../base/scheduler.ts'
import type { ConsumerData, SubscriptionData } from '../protocol/bodies.ts'
import { NotifyConsumerIdsChanged } from '../protocol/commands/client.ts'
import type { Connection } from '../remoting/connection.ts'
import { SparingLog } from './sparing-log.ts'
import { describeDifference, viewOf } from './subscription-views.ts'

const SCAN_MS = 10_000
/** Warnings between two scans; of more only the number is said. */
const MOST_WARNINGS = 50
/**
 * So many notifications go out at once in a step of time; beyond, a group hears of all its changes together, later.
 * Thousands of members that come back after a restart would otherwise tell each other millions of times.
 */
const NOTIFIED_AT_ONCE = 500
const NOTIFY_STEP_MS = 100

/** What one heartbeat says of the client, beside its groups. */
export interface HeartbeatOf {
  readonly connection: Connection
  readonly clientId: string
  readonly language: number
  readonly version: number
  /** Of all its subscriptions; 0 from clients that speak heartbeat v1. */
  readonly fingerprint: number
  /** Heartbeat v2: the subscriptions are those of before. */
  readonly withoutSub: boolean
}

export interface GroupMember {
  readonly connection: Connection
  readonly clientId: string
  readonly language: number
  readonly version: number
  /** Greater for who joined later. */
  readonly joined: number
  lastSeenMs: number
  /** What this member asked for: topic → expression; undefined until it said so. */
  view: ReadonlyMap<string, string> | undefined
  /** The same as one text, equal for members that ask for the same. */
  viewKey: string
  /** Somebody else uses its client id; said once. */
  sharesClientId: boolean
}

export interface ConsumerGroup {
  readonly name: string
  consumeType: string
  messageModel: string
  consumeFromWhere: string
  readonly members: Map<Connection, GroupMember>
  /** By topic; those of the last full heartbeat. */
  readonly subscriptions: Map<string, SubscriptionData>
  /** Heartbeat v2: of the last full heartbeat. */
  fingerprint: number
  /** The views that were last said to disagree, or empty. */
  disagreement: string
}

export interface ConsumersProbe {
  /** Groups whose members disagree in their subscriptions now. */
  disagreeingGroups: number
  /** Pairs of clients seen so far that use one client id at the same time. */
  sharedClientIds: number
  /** Times that a member was told of a change. */
  notifications: number
}

export interface ConsumerRegistryOptions {
  scheduler: Scheduler
  log: Log
  probe: ConsumersProbe
  /** A member without a heartbeat for longer than this is gone. */
  expiryMs: number
  /** Whether members of this group are told when somebody joins or leaves. */
  mayNotify: (group: string) => boolean
}

/** Who is in which consumer group, over which connection, and what they subscribed to. */
export class ConsumerRegistry {
  readonly #scheduler: Scheduler
  readonly #log: Log
  readonly #warnings: SparingLog
  readonly #probe: ConsumersProbe
  readonly #expiryMs: number
  readonly #mayNotify: (group: string) => boolean
  readonly #groups = new Map<string, ConsumerGroup>()
  /** The groups of each connection, so that one that closes is found at once. */
  readonly #groupsOf = new Map<Connection, Set<ConsumerGroup>>()
  readonly #timer: Timer
  #joins = 0
  #memberCount = 0
  /** Groups whose members are to be told in a later step. */
  readonly #untold = new Set<ConsumerGroup>()
  #notifiedInStep = 0
  #notifyTimer: Timer | undefined

  constructor({ scheduler, log, probe, expiryMs, mayNotify }: ConsumerRegistryOptions) {
    this.#scheduler = scheduler
    this.#log = log
    this.#warnings = new SparingLog(log, MOST_WARNINGS)
    this.#probe = probe
    this.#expiryMs = expiryMs
    this.#mayNotify = mayNotify
    this.#timer = scheduler.every(SCAN_MS, () => this.#expire())
  }

  get(group: string): ConsumerGroup | undefined {
    return this.#groups.get(group)
  }

  get size(): number {
    return this.#groups.size
  }

  get memberCount(): number {
    return this.#memberCount
  }

  /** Online groups that subscribed to a topic. */
  groupsOf(topic: string): string[] {
    const found: string[] = []
    for (const { name, subscriptions } of this.#groups.values()) if (subscriptions.has(topic)) found.push(name)
    return found
  }

  /** @returns whether the client must send its subscriptions (again): the group does not have what it thinks */
  register(heartbeat: HeartbeatOf, data: ConsumerData): boolean {
    const group = this.#group(data)
    const { fingerprint, withoutSub } = heartbeat
    let changed = this.#join(group, heartbeat)
    const mustSend = withoutSub
      ? group.fingerprint !== fingerprint
      : group.fingerprint !== 0 && group.fingerprint !== fingerprint
    if (!withoutSub) {
      group.fingerprint = fingerprint
      if (this.#subscribe(group, data.subscriptionDataSet)) changed = true
      this.#look(group, heartbeat.connection, data)
    }
    if (changed) this.#notify(group)
    return mustSend
  }

  /** A member asked who else there is: it is alive, and so is not the old connection of a client that came back. */
  askedForMembers(connection: Connection, groupName: string): void {
    const group = this.#groups.get(groupName)
    const member = group?.members.get(connection)
    if (group !== undefined && member !== undefined) this.#seekSharedClientId(group, member)
  }

  unregister(connection: Connection, clientId: string, groupName: string): void {
    const group = this.#groups.get(groupName)
    if (group?.members.get(connection)?.clientId === clientId) this.#leave(group, connection)
  }

  connectionLost(connection: Connection): void {
    for (const group of [...(this.#groupsOf.get(connection) ?? [])]) this.#leave(group, connection)
  }

  close(): void {
    this.#timer.cancel()
    this.#notifyTimer?.cancel()
  }

  #group(data: ConsumerData): ConsumerGroup {
    const { groupName, consumeType, messageModel, consumeFromWhere } = data
    let group = this.#groups.get(groupName)
    if (group === undefined) {
      group = {
        name: groupName,
        consumeType,
        messageModel,
        consumeFromWhere,
        members: new Map(),
        subscriptions: new Map(),
        fingerprint: 0,
        disagreement: '',
      }
      this.#groups.set(groupName, group)
    }
    group.consumeType = consumeType
    group.messageModel = messageModel
    group.consumeFromWhere = consumeFromWhere
    return group
  }

  /** @returns whether the member is new */
  #join(group: ConsumerGroup, { connection, clientId, language, version }: HeartbeatOf): boolean {
    const lastSeenMs = this.#scheduler.monotonic()
    const known = group.members.get(connection)
    if (known !== undefined && known.clientId === clientId) {
      known.lastSeenMs = lastSeenMs
      this.#seekSharedClientId(group, known)
      return false
    }
    group.members.set(connection, {
      connection,
      clientId,
      language,
      version,
      joined: ++this.#joins,
      lastSeenMs,
      view: undefined,
      viewKey: '',
      sharesClientId: false,
    })
    if (known !== undefined) return true
    this.#memberCount++
    const groups = this.#groupsOf.get(connection)
    if (groups === undefined) this.#groupsOf.set(connection, new Set([group]))
    else groups.add(group)
    return true
  }

  /**
   * A client that lost its connection comes back on a new one, and the old one stays for a while: no fault. Two clients
   * share an id when the earlier one shows life after the later one joined.
   */
  #seekSharedClientId(group: ConsumerGroup, alive: GroupMember): void {
    if (alive.sharesClientId || group.members.size === 1) return
    for (const other of group.members.values()) {
      if (other.clientId !== alive.clientId || other.joined <= alive.joined || !other.connection.isOpen) continue
      alive.sharesClientId = true
      this.#probe.sharedClientIds++
      this.#warnings.warn('two clients share one client id: each takes the queues of both for its own', {
        group: group.name,
        clientId: alive.clientId,
        peers: `${alive.connection.peer} ${other.connection.peer}`,
        fix: 'give each client an instance name of its own',
      })
      return
    }
  }

  /** The group's subscriptions become those reported; a newer version wins. @returns whether topics came or went */
  #subscribe(group: ConsumerGroup, reported: readonly SubscriptionData[]): boolean {
    const { subscriptions } = group
    let changed = false
    const topics = new Set<string>()
    for (const subscription of reported) {
      topics.add(subscription.topic)
      const known = subscriptions.get(subscription.topic)
      if (known === undefined) changed = true
      if (known === undefined || subscription.subVersion > known.subVersion)
        subscriptions.set(subscription.topic, subscription)
    }
    if (subscriptions.size === topics.size) return changed
    for (const topic of subscriptions.keys()) if (!topics.has(topic)) subscriptions.delete(topic)
    return true
  }

  /** Remembers what a member asks for; members that ask for different things take each other's messages away. */
  #look(group: ConsumerGroup, connection: Connection, data: ConsumerData): void {
    const member = group.members.get(connection)!
    const { view, key } = viewOf(data)
    if (member.view !== undefined && member.viewKey === key) return
    member.view = view
    member.viewKey = key
    this.#compare(group)
  }

  /** Said once for each change of who asks for what. */
  #compare(group: ConsumerGroup): void {
    const views = new Map<string, GroupMember>()
    for (const member of group.members.values()) {
      if (member.view !== undefined && !views.has(member.viewKey)) views.set(member.viewKey, member)
    }
    const disagreement = views.size > 1 ? [...views.keys()].sort().join('\n') : ''
    if (disagreement === group.disagreement) return
    const before = group.disagreement
    group.disagreement = disagreement
    if (before === '') this.#probe.disagreeingGroups++
    if (disagreement === '') {
      this.#probe.disagreeingGroups--
      this.#log.info('members of the group agree in their subscriptions again', { group: group.name })
      return
    }
    const [one, other] = [...views.values()]
    this.#warnings.warn('members of one group disagree in their subscriptions: messages go missing for some of them', {
      group: group.name,
      oneClient: one!.clientId,
      otherClient: other!.clientId,
      difference: describeDifference(one!.view!, other!.view!),
      subscriptionsInAll: views.size,
      fix: 'subscribe alike, or use a group each',
    })
  }

  #leave(group: ConsumerGroup, connection: Connection): void {
    if (!group.members.delete(connection)) return
    this.#memberCount--
    const groups = this.#groupsOf.get(connection)
    groups?.delete(group)
    if (groups?.size === 0) this.#groupsOf.delete(connection)
    if (group.members.size === 0) {
      if (group.disagreement !== '') this.#probe.disagreeingGroups--
      this.#groups.delete(group.name)
      return
    }
    this.#compare(group)
    this.#notify(group)
  }

  #notify(group: ConsumerGroup): void {
    if (group.messageModel === 'BROADCASTING' || !this.#mayNotify(group.name)) return
    if (this.#notifiedInStep < NOTIFIED_AT_ONCE) this.#notifyNow(group)
    else this.#untold.add(group)
  }

  #notifyNow(group: ConsumerGroup): void {
    this.#untold.delete(group)
    this.#notifiedInStep += group.members.size
    this.#notifyTimer ??= this.#scheduler.after(NOTIFY_STEP_MS, this.#notifyLater)
    for (const { connection } of group.members.values()) {
      this.#probe.notifications++
      connection.oneWay(NotifyConsumerIdsChanged, { consumerGroup: group.name })
    }
  }

  readonly #notifyLater = (): void => {
    this.#notifyTimer = undefined
    this.#notifiedInStep = 0
    for (const group of this.#untold) {
      if (this.#notifiedInStep >= NOTIFIED_AT_ONCE) break
      this.#notifyNow(group)
    }
  }

  #expire(): void {
    this.#warnings.settle()
    const oldest = this.#scheduler.monotonic() - this.#expiryMs
    for (const group of [...this.#groups.values()]) {
      for (const { connection, clientId, lastSeenMs } of [...group.members.values()]) {
        if (lastSeenMs >= oldest) continue
        this.#warnings.warn('consumer gone: no heartbeat', { group: group.name, clientId, peer: connection.peer })
        this.#leave(group, connection)
        connection.close('no heartbeat')
      }
    }
  }
}
