import type { AnyCommand } from '../protocol/command.ts'
import { responseCodeName } from '../protocol/response-code.ts'

/** No answer came in time. It may still have been done. */
export class RequestTimeout extends Error {
  override readonly name = 'RequestTimeout'
  readonly code = 'REQUEST_TIMEOUT'
}

/** The connection closed before the answer came. It may still have been done. */
export class ConnectionClosed extends Error {
  override readonly name = 'ConnectionClosed'
  readonly code = 'CONNECTION_CLOSED'
}

/** The peer takes no more for now. Nothing was sent. */
export class ConnectionFull extends Error {
  override readonly name = 'ConnectionFull'
  readonly code = 'CONNECTION_FULL'
}

/** What was to be sent is larger than a frame may be. Nothing was sent. */
export class FrameTooLarge extends Error {
  override readonly name = 'FrameTooLarge'
  readonly code = 'FRAME_TOO_LARGE'
}

/** The peer answered with a code that is not SUCCESS. */
export class Refused extends Error {
  override readonly name = 'Refused'
  readonly code = 'REFUSED'
  readonly responseCode: number

  constructor(command: AnyCommand, peer: string, responseCode: number, remark: string | undefined) {
    super(
      `${peer} refused ${command.name}: ${responseCodeName(responseCode)}${remark === undefined ? '' : `, ${remark}`}`,
    )
    this.responseCode = responseCode
  }
}
