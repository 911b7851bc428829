/** What every error of the client carries beside its message. */
export interface ErrorDetails {
  /** Stable, for programs: `TOPIC_NOT_FOUND`, `SEND_TIMEOUT`, … */
  code: string
  /** RocketMQ's response code, when a server answered. */
  responseCode?: number
  /** True when the same call may succeed later. */
  retriable?: boolean
  topic?: string
  brokerAddr?: string
  /** What to do about it. */
  hint?: string
  cause?: unknown
}

/** The one base class of the client's errors. */
export class CometError extends Error {
  readonly code: string
  readonly responseCode: number | undefined
  readonly retriable: boolean
  readonly topic: string | undefined
  readonly brokerAddr: string | undefined
  readonly hint: string | undefined

  constructor(message: string, details: ErrorDetails) {
    super(details.hint === undefined ? message : `${message} (${details.hint})`, { cause: details.cause })
    this.name = 'CometError'
    this.code = details.code
    this.responseCode = details.responseCode
    this.retriable = details.retriable ?? false
    this.topic = details.topic
    this.brokerAddr = details.brokerAddr
    this.hint = details.hint
  }
}
