import { memoryLog } from '../base/console-log.ts'
import { Probes } from '../base/probe.ts'
import { SeededRandom } from '../base/random.ts'
import { SimulatedDisk } from '../base/simulated-disk.ts'
import { SimulatedScheduler } from '../base/simulated-scheduler.ts'
import type { MessageDraft } from './message-draft.ts'
import type { MessageStore, StoreOptions } from './message-store.ts'
import { openStore } from './open-store.ts'
import { type StoreSettings, storeSettings } from './settings.ts'

/** A store in memory with its time and disk, for the tests of whoever stands on a store. */
export interface SimulatedStore {
  store: MessageStore
  disk: SimulatedDisk
  scheduler: SimulatedScheduler
  probes: Probes
  /** As the store reads them; what may change while it runs may be changed here. */
  settings: StoreSettings
  /** Closes while time goes on. */
  close(): Promise<void>
  /** The machine loses power, and the store is opened again on what the device holds. */
  crash(): Promise<SimulatedStore>
  /** Opens the same directory again, after {@link close}. */
  reopen(settings?: Record<string, string>): Promise<SimulatedStore>
}

export async function openSimulatedStore(
  settings: Record<string, string> = {},
  options: Partial<StoreOptions> & { disk?: SimulatedDisk; scheduler?: SimulatedScheduler } = {},
): Promise<SimulatedStore> {
  const scheduler = options.scheduler ?? new SimulatedScheduler()
  const disk = options.disk ?? new SimulatedDisk(new SeededRandom(1), { scheduler })
  const probes = new Probes()
  const wanted = {
    storePathRootDir: '/store',
    mappedFileSizeCommitLog: '1048576',
    mappedFileSizeConsumeQueue: '6000',
    maxHashSlotNum: '5000',
    maxIndexNum: '20000',
    ...settings,
  }
  const parsed = storeSettings.parse(wanted).settings
  const store = await openStore({
    settings: parsed,
    random: new SeededRandom(2),
    log: memoryLog(),
    probes,
    storeHost: { address: new Uint8Array([127, 0, 0, 1]), port: 10_911 },
    memoryBytes: 1_073_741_824,
    processId: 1,
    ...options,
    disk,
    scheduler,
  })
  const again = (more: Record<string, string> = {}): Promise<SimulatedStore> =>
    openSimulatedStore({ ...settings, ...more }, { ...options, disk, scheduler })
  return {
    store,
    disk,
    scheduler,
    probes,
    settings: parsed,
    async close() {
      let isClosed = false
      const closing = store.close().finally(() => {
        isClosed = true
      })
      while (!isClosed) await scheduler.advance(10)
      await closing
    },
    crash() {
      disk.crash()
      return again()
    },
    reopen: again,
  }
}

/** A draft of the given parts. */
export function draftOf(
  parts: Partial<Omit<MessageDraft, 'body' | 'properties'>> & { body?: Uint8Array | string; properties?: string } = {},
): MessageDraft {
  return {
    topic: 'orders',
    queueId: 0,
    flag: 0,
    sysFlag: 0,
    bornTimestamp: 1,
    bornHost: { address: new Uint8Array([10, 0, 0, 1]), port: 50_000 },
    reconsumeTimes: 0,
    preparedTransactionOffset: 0,
    batch: false,
    ...parts,
    properties: Buffer.from(parts.properties ?? ''),
    body: Buffer.from(parts.body ?? 'hello'),
  }
}
