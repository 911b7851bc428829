import { checkTarget } from './check-target.ts'
import { configTargets } from './config-targets.ts'
import type { FuzzTarget } from './fuzz-target.ts'
import { indexTarget } from './index-target.ts'
import { lockTarget } from './lock-target.ts'
import { recordTarget, scanTarget } from './log-targets.ts'
import { queueListTarget } from './queue-list-target.ts'
import { checkpointTarget, queueTarget, recoveryTarget } from './recovery-targets.ts'
import { storeTarget } from './store-target.ts'

/** All that is read from a disk. */
export const targets: readonly FuzzTarget[] = [
  recordTarget,
  scanTarget,
  recoveryTarget,
  queueTarget,
  queueListTarget,
  checkpointTarget,
  lockTarget,
  indexTarget,
  ...configTargets,
  checkTarget,
  storeTarget,
]
