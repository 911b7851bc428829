import type { Log } from '../../src/base/log.ts'
import { Probes } from '../../src/base/probe.ts'
import { SeededRandom } from '../../src/base/random.ts'
import { SimulatedDisk } from '../../src/base/simulated-disk.ts'
import type { SimulatedScheduler } from '../../src/base/simulated-scheduler.ts'
import { brokerSettings } from '../../src/broker/settings.ts'
import { type RunningBroker, startBroker } from '../../src/broker/start.ts'
import { nameServerSettings } from '../../src/nameserver/settings.ts'
import { type RunningNameServer, startNameServer } from '../../src/nameserver/start.ts'
import type { MemoryTransport } from '../../src/remoting/memory-transport.ts'
import { AliveScheduler } from './alive-scheduler.ts'
import { CrashingDisk, type FaultPlan } from './crashing-disk.ts'
import { type Farewell, MortalTransport } from './mortal-transport.ts'

export const NAME_SERVER = '127.0.0.1:9876'
export const BROKER = '127.0.0.1:10911'
const ROOT = '/store'
const BOOT_ID = '/proc/sys/kernel/random/boot_id'

/** One life of a server: what it runs on, until it is down. */
interface Life {
  disk: CrashingDisk
  scheduler: AliveScheduler
  transport: MortalTransport
  probes: Probes
}

export interface MachineOptions {
  scheduler: SimulatedScheduler
  transport: MemoryTransport
  random: SeededRandom
  settings: Record<string, string>
  /** What servers say. */
  log: Log
  latencyMs?: number
  mutant?: Partial<FaultPlan>
  /** The broker's; by default an empty one. */
  disk?: SimulatedDisk
}

/** A machine with a broker, and one with a name server, whose processes and power come and go. */
export class SimulatedMachine {
  readonly root: string = ROOT
  readonly disk: SimulatedDisk
  broker: RunningBroker | undefined
  nameServer: RunningNameServer | undefined
  readonly #options: MachineOptions
  readonly #nameServerDisk: SimulatedDisk
  #brokerLife: Life | undefined
  #nameServerLife: Life | undefined
  #boots = 0

  constructor(options: MachineOptions) {
    this.#options = options
    const { scheduler, random, latencyMs = 2 } = options
    const chance = new SeededRandom(random.below(1 << 30))
    this.disk = options.disk ?? new SimulatedDisk(chance, { scheduler, latencyMs })
    this.#nameServerDisk = new SimulatedDisk(new SeededRandom(random.below(1 << 30)), { scheduler })
  }

  /** Of the broker that runs, or ran last. */
  get crashing(): CrashingDisk {
    return this.#brokerLife!.disk
  }

  get probes(): Probes {
    return this.#brokerLife!.probes
  }

  get isDown(): boolean {
    return this.#brokerLife?.disk.isDown !== false
  }

  async startNameServer(): Promise<void> {
    const { scheduler, log } = this.#options
    this.#nameServerLife?.transport.resetPeers()
    const life = this.#newLife(this.#nameServerDisk, {})
    this.#nameServerLife = life
    const { settings } = nameServerSettings.parse({ bindAddress: '127.0.0.1', kvConfigPath: '/namesrv/kvConfig.json' })
    this.nameServer = await whileTimePasses(scheduler, startNameServer({ ...life, settings, log }), () => false)
  }

  /** Loses power, or is killed; what it held in memory is gone. */
  async stopNameServer(farewell: Farewell): Promise<void> {
    const life = this.#nameServerLife!
    life.disk.isDown = true
    if (farewell === 'silence') this.#nameServerDisk.crash()
    this.nameServer = undefined
    await life.transport.bury(farewell)
  }

  /** @returns false when the machine went down on the way */
  async startBroker(plan: Partial<FaultPlan> = {}): Promise<boolean> {
    const { scheduler, random, log, settings: wanted } = this.#options
    this.#writeBootId()
    this.#brokerLife?.transport.resetPeers()
    const life = this.#newLife(this.disk, plan)
    this.#brokerLife = life
    const { settings } = brokerSettings.parse({
      storePathRootDir: ROOT,
      brokerIP1: '127.0.0.1',
      listenPort: BROKER.slice(BROKER.indexOf(':') + 1),
      namesrvAddr: NAME_SERVER,
      ...wanted,
    })
    const starting = startBroker({
      ...life,
      settings,
      random: new SeededRandom(random.below(1 << 30)),
      log,
      processId: 1,
      memoryBytes: random.below(4) === 0 ? 200_000 : 1_073_741_824,
    })
    try {
      this.broker = await whileTimePasses(scheduler, starting, () => life.disk.isDown)
    } catch (error) {
      if (!life.disk.isDown) throw error
    }
    if (!life.disk.isDown) return true
    this.broker = undefined
    return false
  }

  /** In order. @returns false when the machine went down on the way */
  async stopBroker(): Promise<boolean> {
    const { scheduler } = this.#options
    const life = this.#brokerLife!
    const closing = this.broker!.close()
    try {
      await whileTimePasses(scheduler, closing, () => life.disk.isDown)
    } catch (error) {
      if (!life.disk.isDown) throw error
    }
    if (life.disk.isDown) return false
    this.broker = undefined
    life.disk.isDown = true
    await life.transport.bury('reset')
    return true
  }

  /** The broker's machine loses power, or its process is killed. */
  async crash(kind: 'power' | 'kill', farewell: Farewell = kind === 'kill' ? 'reset' : 'silence'): Promise<void> {
    const life = this.#brokerLife!
    life.disk.isDown = true
    this.broker = undefined
    await life.transport.bury(farewell)
    if (kind === 'kill') return
    this.#boots++
    this.disk.crash()
  }

  #newLife(disk: SimulatedDisk, plan: Partial<FaultPlan>): Life {
    const { scheduler, transport, random, mutant } = this.#options
    const faults = disk === this.disk ? mutant : {}
    const crashing = new CrashingDisk(
      disk,
      { downAt: Number.POSITIVE_INFINITY, failAt: new Set(), ...faults, ...plan },
      random,
    )
    const isDown = (): boolean => crashing.isDown
    return {
      disk: crashing,
      scheduler: new AliveScheduler(scheduler, isDown),
      transport: new MortalTransport(transport, isDown),
      probes: new Probes(),
    }
  }

  /** As Linux tells which boot this is: a loss of power changes it, a kill does not. */
  #writeBootId(): void {
    const directory = BOOT_ID.slice(0, BOOT_ID.lastIndexOf('/'))
    if (this.disk.statSync(directory) === undefined) this.disk.makeDirectorySync(directory)
    const file = this.disk.openSync(BOOT_ID, 'write')
    file.writeSync(Buffer.from(`boot-${String(this.#boots).padStart(6, '0')}`), 0)
    file.datasyncSync()
    file.closeSync()
    this.disk.syncDirectorySync(directory)
  }
}

/** Lets time pass until the promise is settled, or the process that should settle it is gone. */
async function whileTimePasses<T>(
  scheduler: SimulatedScheduler,
  result: Promise<T>,
  isGone: () => boolean,
): Promise<T | undefined> {
  let isSettled = false
  const settled = (): void => {
    isSettled = true
  }
  result.then(settled, settled)
  await scheduler.settle()
  for (let waitedMs = 0; !isSettled && !isGone(); waitedMs += 5) {
    if (waitedMs > 600_000) throw new Error('nothing settles it')
    await scheduler.advance(5)
  }
  return isSettled ? result : undefined
}
