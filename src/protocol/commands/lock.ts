import { command } from '../command.ts'

export const LockBatchMq = command({
  name: 'LOCK_BATCH_MQ',
  code: 41,
  about: 'Locks queues for ordered consumption; the answer names those that were.',
  source: 'LockBatchRequestBody.java',
})

export const UnlockBatchMq = command({
  name: 'UNLOCK_BATCH_MQ',
  code: 42,
  about: 'Gives locked queues up.',
  source: 'UnlockBatchRequestBody.java',
})
