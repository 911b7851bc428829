import { JavaJsonError, type JsonObject, parseJavaObject } from '../../protocol/java-json.ts'
import { Refusal } from '../../protocol/refusal.ts'
import { ResponseCode } from '../../protocol/response-code.ts'

/**
 * The body of a request as an object, empty when it is none.
 *
 * @throws Refusal saying what is not understood
 */
export function readBody(body: Buffer, what: string): JsonObject {
  try {
    return parseJavaObject(body.toString('utf8'))
  } catch (error) {
    if (!(error instanceof JavaJsonError)) throw error
    throw new Refusal(ResponseCode.SYSTEM_ERROR, `the ${what} is not understood: ${error.message}`)
  }
}
