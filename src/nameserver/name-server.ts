import type { Disk } from '../base/disk.ts'
import type { Log } from '../base/log.ts'
import type { Scheduler } from '../base/scheduler.ts'
import { NotifyMinBrokerIdChange } from '../protocol/commands/nameserver.ts'
import type { Connection } from '../remoting/connection.ts'
import { KvConfig } from './kv-config.ts'
import { RouteAnswers } from './route-answers.ts'
import { RouteTable } from './route-table.ts'
import { type NameServerSettings, nameServerSettings } from './settings.ts'
import type { SettingsFileStore } from './settings-file.ts'

export interface NameServerProbe {
  routeQueries: number
  routeCacheHits: number
  registrations: number
  refusedRegistrations: number
  expiredBrokers: number
  lostBrokers: number
}

export interface NameServerParts {
  settings: NameServerSettings
  scheduler: Scheduler
  disk: Disk
  log: Log
  probe: NameServerProbe
  settingsFile: SettingsFileStore
  /** Whether an address is that of a broker in this process that has no advertised address of its own. */
  isLocalBroker: (address: string) => boolean
}

/** What the handlers share: the tables, and what happens when a broker leaves. */
export class NameServer {
  settings: NameServerSettings
  readonly scheduler: Scheduler
  readonly log: Log
  readonly probe: NameServerProbe
  readonly kv: KvConfig
  readonly routes: RouteTable
  readonly answers: RouteAnswers
  readonly settingsFile: SettingsFileStore
  readonly isLocalBroker: (address: string) => boolean
  readonly startedMs: number
  readonly #connections = new Map<number, Connection>()
  #isStopping = false

  constructor({ settings, scheduler, disk, log, probe, settingsFile, isLocalBroker }: NameServerParts) {
    this.settings = settings
    this.scheduler = scheduler
    this.log = log
    this.probe = probe
    this.settingsFile = settingsFile
    this.isLocalBroker = isLocalBroker
    this.startedMs = scheduler.monotonic()
    this.kv = new KvConfig(disk, settings.kvConfigPath, log)
    this.routes = new RouteTable({
      topicChanged: (topic) => this.answers.drop(topic),
      brokersChanged: () => this.answers.dropAll(),
    })
    this.answers = new RouteAnswers(this)
  }

  /** Java's properties text of all settings. */
  describeSettings(): string {
    return nameServerSettings.format(this.settings)
  }

  /**
   * Changes what the allow-list permits, and keeps it in a file.
   *
   * @throws SettingsError naming what may not be changed, or a value that cannot be used
   * @throws DiskError when it cannot be kept, and nothing changed
   */
  updateSettings(changes: Readonly<Record<string, string>>): void {
    const updated = nameServerSettings.update(this.settings, changes)
    this.settingsFile.save(changes)
    this.settings = updated
    this.answers.dropAll()
  }

  /** A broker registered over this connection: its loss is the broker's. */
  holds(connection: Connection): void {
    this.#connections.set(connection.id, connection)
  }

  /** Connections end from now on because we go, and say nothing of their brokers. */
  stop(): void {
    this.#isStopping = true
  }

  connectionLost(connection: Connection): void {
    if (this.#isStopping) return
    this.#connections.delete(connection.id)
    for (;;) {
      const broker = this.routes.registeredOn(connection.id)
      if (broker === undefined) return
      this.probe.lostBrokers++
      this.log.warn('broker lost: its connection closed', {
        brokerName: broker.brokerName,
        brokerAddr: broker.brokerAddr,
      })
      this.leave(broker.clusterName, broker.brokerName, broker.brokerAddr)
    }
  }

  /** Takes out whoever fell silent. */
  expire(): void {
    for (const { clusterName, brokerName, brokerAddr, silentMs } of this.routes.expired(this.scheduler.monotonic())) {
      this.probe.expiredBrokers++
      this.log.warn('broker lost: no sign of life', { brokerName, brokerAddr, silentMs: Math.round(silentMs) })
      this.leave(clusterName, brokerName, brokerAddr)
    }
  }

  leave(clusterName: string, brokerName: string, brokerAddr: string): void {
    const { minBrokerIdChanged } = this.routes.unregister(clusterName, brokerName, brokerAddr)
    if (minBrokerIdChanged) this.minBrokerIdChanged(clusterName, brokerName, brokerAddr)
  }

  /** Tells the members of a set that the least id changed, when that is asked for. */
  minBrokerIdChanged(clusterName: string, brokerName: string, offlineBrokerAddr: string | undefined): void {
    if (!this.settings.notifyMinBrokerIdChanged || !this.routes.actingMasterEnabled(brokerName)) return
    const addresses = this.routes.addressesOf(brokerName)
    if (addresses === undefined || addresses.size === 0) return
    const minBrokerId = Math.min(...addresses.keys())
    const minBrokerAddr = addresses.get(minBrokerId)!
    const haBrokerAddr = this.routes.haServerAddrOf(clusterName, minBrokerAddr)
    for (const [brokerId, address] of addresses) {
      // The new least one learns it too when somebody left; when it came itself, it knows.
      if (offlineBrokerAddr === undefined && brokerId === minBrokerId) continue
      const connection = this.#connections.get(this.routes.connectionOf(clusterName, address) ?? -1)
      connection?.oneWay(NotifyMinBrokerIdChange, {
        minBrokerId,
        brokerName,
        minBrokerAddr,
        offlineBrokerAddr,
        haBrokerAddr,
      })
    }
  }
}
