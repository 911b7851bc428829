import { isObject, JavaJsonError, type JsonObject, parseJavaJson } from '../../protocol/java-json.ts'
import { Refusal } from '../../protocol/refusal.ts'
import { requestCodeName } from '../../protocol/request-code.ts'
import { ResponseCode } from '../../protocol/response-code.ts'
import type { Exchange } from '../../remoting/router.ts'

/** The JSON object in a request's body. @throws Refusal when there is none: the peer's fault, not ours */
export function jsonBody({ body, frame }: Exchange): JsonObject {
  const request = requestCodeName(frame.code)
  if (body.length === 0) throw new Refusal(ResponseCode.SYSTEM_ERROR, `${request} needs a body`)
  return objectIn(body.toString('utf8'), `the body of ${request}`)
}

/** @param what that is read, for the refusal */
export function objectIn(text: string, what: string): JsonObject {
  let value: unknown
  try {
    value = parseJavaJson(text)
  } catch (error) {
    if (!(error instanceof JavaJsonError)) throw error
    throw new Refusal(ResponseCode.SYSTEM_ERROR, `${what} is not JSON: ${error.message}`)
  }
  if (!isObject(value)) throw new Refusal(ResponseCode.SYSTEM_ERROR, `${what} is not a JSON object`)
  return value
}
