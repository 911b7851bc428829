/** How a read ended, by Java's names. */
export const GetStatus = {
  FOUND: 'FOUND',
  NO_MATCHED_MESSAGE: 'NO_MATCHED_MESSAGE',
  MESSAGE_WAS_REMOVING: 'MESSAGE_WAS_REMOVING',
  OFFSET_FOUND_NULL: 'OFFSET_FOUND_NULL',
  OFFSET_OVERFLOW_BADLY: 'OFFSET_OVERFLOW_BADLY',
  OFFSET_OVERFLOW_ONE: 'OFFSET_OVERFLOW_ONE',
  OFFSET_TOO_SMALL: 'OFFSET_TOO_SMALL',
  NO_MATCHED_LOGIC_QUEUE: 'NO_MATCHED_LOGIC_QUEUE',
  NO_MESSAGE_IN_QUEUE: 'NO_MESSAGE_IN_QUEUE',
} as const
export type GetStatus = (typeof GetStatus)[keyof typeof GetStatus]

export interface ReadRequest {
  topic: string
  queueId: number
  /** Queue offset to begin at. */
  offset: number
  maxCount: number
  maxBytes: number
  filter: MessageFilter | undefined
}

/** What a consumer wants of a queue; stage one sees the tag code, stage two the record. */
export interface MessageFilter {
  /** @param low and high: the two signed halves of the 64-bit tag code */
  matchesTagsCode(low: number, high: number): boolean
  matchesRecord: ((record: Buffer) => boolean) | undefined
}

export interface ReadResult {
  status: GetStatus
  /** Where to go on reading. */
  nextOffset: number
  minOffset: number
  maxOffset: number
  /** Whole records, several in each view. The bytes are never overwritten later. */
  records: Buffer[]
  count: number
  sizeBytes: number
  /** What was read lies so far back that a replica should serve it. */
  suggestReplica: boolean
}
