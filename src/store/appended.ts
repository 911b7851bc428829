/** How an append ended, by Java's names. */
export const PutStatus = {
  PUT_OK: 'PUT_OK',
  FLUSH_DISK_TIMEOUT: 'FLUSH_DISK_TIMEOUT',
  FLUSH_SLAVE_TIMEOUT: 'FLUSH_SLAVE_TIMEOUT',
  SLAVE_NOT_AVAILABLE: 'SLAVE_NOT_AVAILABLE',
  SERVICE_NOT_AVAILABLE: 'SERVICE_NOT_AVAILABLE',
  CREATE_MAPPED_FILE_FAILED: 'CREATE_MAPPED_FILE_FAILED',
  MESSAGE_ILLEGAL: 'MESSAGE_ILLEGAL',
  PROPERTIES_SIZE_EXCEEDED: 'PROPERTIES_SIZE_EXCEEDED',
  OS_PAGE_CACHE_BUSY: 'OS_PAGE_CACHE_BUSY',
  IN_SYNC_REPLICAS_NOT_ENOUGH: 'IN_SYNC_REPLICAS_NOT_ENOUGH',
  UNKNOWN_ERROR: 'UNKNOWN_ERROR',
} as const
export type PutStatus = (typeof PutStatus)[keyof typeof PutStatus]

/** Where an appended message will stand. One object per store, reused by the next append: read it at once. */
export interface Appended {
  status: PutStatus
  /** Why not, when the status is not PUT_OK. */
  remark: string | undefined
  /** Of the first record. */
  position: number
  /** Wait until the durable position reaches this. */
  endPosition: number
  sizeBytes: number
  /** Of the first record; 0 for transaction halves and rollbacks, which have none. */
  queueOffset: number
  storeTimestamp: number
  /** Records: 1, or the elements of a batch. */
  count: number
  /** Of each record of a batch. */
  positions: number[] | undefined
}
