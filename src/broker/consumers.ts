import type { Log } from '../base/log.ts'
import type { Scheduler, Timer } from '../base/scheduler.ts'
import type { ConsumerData, SubscriptionData } from '../protocol/bodies.ts'
import { NotifyConsumerIdsChanged } from '../protocol/commands/client.ts'
import type { Connection } from '../remoting/connection.ts'

const SCAN_MS = 10_000

export interface GroupMember {
  readonly connection: Connection
  readonly clientId: string
  readonly language: number
  readonly version: number
  lastSeenMs: number
  /** What this member asked for, to be compared with the others. */
  subscriptions: string
}

export interface ConsumerGroup {
  readonly name: string
  consumeType: string
  messageModel: string
  consumeFromWhere: string
  /** By connection id. */
  readonly members: Map<number, GroupMember>
  /** By topic. */
  readonly subscriptions: Map<string, SubscriptionData>
  /** Heartbeat v2: fingerprint that the group reported last. */
  fingerprint: number
  disagrees: boolean
}

export interface ConsumersProbe {
  disagreeingGroups: number
  sharedClientIds: number
  notifications: number
}

export interface ConsumerRegistryOptions {
  scheduler: Scheduler
  log: Log
  probe: ConsumersProbe
  /** A member without a heartbeat for so long is gone. */
  expiryMs: number
  /** Whether members of this group are told when somebody joins or leaves. */
  mayNotify: (group: string) => boolean
}

/** Who is in which consumer group, over which connection, and what they subscribed to. */
export class ConsumerRegistry {
  readonly #scheduler: Scheduler
  readonly #log: Log
  readonly #probe: ConsumersProbe
  readonly #expiryMs: number
  readonly #mayNotify: (group: string) => boolean
  readonly #groups = new Map<string, ConsumerGroup>()
  readonly #timer: Timer

  constructor({ scheduler, log, probe, expiryMs, mayNotify }: ConsumerRegistryOptions) {
    this.#scheduler = scheduler
    this.#log = log
    this.#probe = probe
    this.#expiryMs = expiryMs
    this.#mayNotify = mayNotify
    this.#timer = scheduler.every(SCAN_MS, () => this.#expire())
  }

  get(group: string): ConsumerGroup | undefined {
    return this.#groups.get(group)
  }

  groups(): IterableIterator<ConsumerGroup> {
    return this.#groups.values()
  }

  get size(): number {
    return this.#groups.size
  }

  get memberCount(): number {
    let count = 0
    for (const { members } of this.#groups.values()) count += members.size
    return count
  }

  /** Online groups that subscribed to a topic. */
  groupsOf(topic: string): string[] {
    const found: string[] = []
    for (const { name, subscriptions } of this.#groups.values()) if (subscriptions.has(topic)) found.push(name)
    return found
  }

  /**
   * A heartbeat of one member.
   *
   * @param withoutSub heartbeat v2: the subscriptions are those of before
   */
  register(connection: Connection, clientId: string, language: number, version: number, data: ConsumerData, withoutSub: boolean): void {
    let group = this.#groups.get(data.groupName)
    if (group === undefined) {
      group = {
        name: data.groupName,
        consumeType: data.consumeType,
        messageModel: data.messageModel,
        consumeFromWhere: data.consumeFromWhere,
        members: new Map(),
        subscriptions: new Map(),
        fingerprint: 0,
        disagrees: false,
      }
      this.#groups.set(data.groupName, group)
    }
    group.consumeType = data.consumeType
    group.messageModel = data.messageModel
    group.consumeFromWhere = data.consumeFromWhere
    let changed = this.#registerMember(group, connection, clientId, language, version)
    if (!withoutSub) {
      if (this.#subscribe(group, data.subscriptionDataSet)) changed = true
      this.#compare(group, connection, data.subscriptionDataSet)
    }
    if (changed) this.#notify(group)
  }

  unregister(connection: Connection, clientId: string, groupName: string): void {
    const group = this.#groups.get(groupName)
    if (group?.members.get(connection.id)?.clientId === clientId) this.#remove(group, connection.id)
  }

  connectionLost(connection: Connection): void {
    for (const group of [...this.#groups.values()]) this.#remove(group, connection.id)
  }

  close(): void {
    this.#timer.cancel()
  }

  #registerMember(group: ConsumerGroup, connection: Connection, clientId: string, language: number, version: number): boolean {
    const now = this.#scheduler.monotonic()
    const known = group.members.get(connection.id)
    if (known !== undefined && known.clientId === clientId) {
      known.lastSeenMs = now
      return false
    }
    for (const member of group.members.values()) {
      if (member.clientId !== clientId || member.connection === connection) continue
      this.#probe.sharedClientIds++
      this.#log.warn('two clients share one client id: each believes the queues of both are its own', {
        group: group.name,
        clientId,
        peers: `${member.connection.peer} ${connection.peer}`,
        fix: 'give each client an instance name of its own',
      })
      break
    }
    group.members.set(connection.id, { connection, clientId, language, version, lastSeenMs: now, subscriptions: '' })
    return true
  }

  /** The group's subscriptions become those reported; a newer version wins. @returns whether topics came or went */
  #subscribe(group: ConsumerGroup, reported: readonly SubscriptionData[]): boolean {
    let changed = false
    for (const subscription of reported) {
      const known = group.subscriptions.get(subscription.topic)
      if (known === undefined) changed = true
      if (known === undefined || subscription.subVersion > known.subVersion) group.subscriptions.set(subscription.topic, subscription)
    }
    for (const topic of group.subscriptions.keys()) {
      if (reported.some((subscription) => subscription.topic === topic)) continue
      group.subscriptions.delete(topic)
      changed = true
    }
    return changed
  }

  /** Members that ask for different things take each other's messages away: said once, when it begins and when it ends. */
  #compare(group: ConsumerGroup, connection: Connection, reported: readonly SubscriptionData[]): void {
    const member = group.members.get(connection.id)
    if (member === undefined) return
    member.subscriptions = describe(reported)
    this.#compareMembers(group)
  }

  #compareMembers(group: ConsumerGroup): void {
    let first: GroupMember | undefined
    let other: GroupMember | undefined
    for (const member of group.members.values()) {
      if (member.subscriptions === '') continue
      if (first === undefined) first = member
      else if (member.subscriptions !== first.subscriptions) other = member
    }
    const disagrees = first !== undefined && other !== undefined
    if (disagrees === group.disagrees) return
    group.disagrees = disagrees
    this.#probe.disagreeingGroups += disagrees ? 1 : -1
    if (disagrees) {
      this.#log.warn('members of one group disagree in their subscriptions: messages go missing for some of them', {
        group: group.name,
        oneClient: first!.clientId,
        oneAsksFor: first!.subscriptions,
        otherClient: other!.clientId,
        otherAsksFor: other!.subscriptions,
        fix: 'subscribe alike, or use a group each',
      })
    } else this.#log.info('members of the group agree again', { group: group.name })
  }

  #remove(group: ConsumerGroup, connectionId: number): void {
    if (!group.members.delete(connectionId)) return
    if (group.members.size === 0) {
      if (group.disagrees) this.#probe.disagreeingGroups--
      this.#groups.delete(group.name)
      return
    }
    this.#compareMembers(group)
    this.#notify(group)
  }

  #notify(group: ConsumerGroup): void {
    if (group.messageModel === 'BROADCASTING' || !this.#mayNotify(group.name)) return
    for (const { connection } of group.members.values()) {
      this.#probe.notifications++
      connection.oneWay(NotifyConsumerIdsChanged, { consumerGroup: group.name })
    }
  }

  #expire(): void {
    const oldest = this.#scheduler.monotonic() - this.#expiryMs
    for (const group of [...this.#groups.values()]) {
      for (const member of [...group.members.values()]) {
        if (member.lastSeenMs >= oldest) continue
        this.#log.warn('consumer gone: no heartbeat', { group: group.name, clientId: member.clientId, peer: member.connection.peer })
        this.#remove(group, member.connection.id)
        member.connection.close('no heartbeat')
      }
    }
  }
}

/** One line that is the same for members that ask for the same. */
function describe(subscriptions: readonly SubscriptionData[]): string {
  return subscriptions
    .map(({ topic, subString, expressionType }) => `${topic}: ${expressionType === 'TAG' ? '' : `${expressionType} `}${subString}`)
    .sort()
    .join(', ')
}
