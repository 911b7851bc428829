import type {
  DeleteKvConfig,
  GetKvConfig,
  GetKvListByNamespace,
  PutKvConfig,
} from '../../protocol/commands/nameserver.ts'
import { stringifyJavaJson } from '../../protocol/java-json.ts'
import { ORDER_TOPIC_NAMESPACE } from '../../protocol/names.ts'
import { Refusal } from '../../protocol/refusal.ts'
import { ResponseCode } from '../../protocol/response-code.ts'
import { type Answer, withBody } from '../../remoting/router.ts'
import type { NameServer } from '../name-server.ts'

export const putKvConfig =
  ({ kv, answers }: NameServer): Answer<typeof PutKvConfig> =>
  ({ namespace, key, value }) => {
    if (namespace === undefined || key === undefined)
      throw new Refusal(ResponseCode.SYSTEM_ERROR, 'namespace or key is null')
    kv.put(namespace, key, value ?? '')
    if (namespace === ORDER_TOPIC_NAMESPACE) answers.drop(key)
    return undefined
  }

export const getKvConfig =
  ({ kv }: NameServer): Answer<typeof GetKvConfig> =>
  ({ namespace, key }) => {
    const value = kv.get(namespace, key)
    if (value !== undefined) return { value }
    throw new Refusal(ResponseCode.QUERY_NOT_FOUND, `No config item, Namespace: ${namespace} Key: ${key}`)
  }

export const deleteKvConfig =
  ({ kv, answers }: NameServer): Answer<typeof DeleteKvConfig> =>
  ({ namespace, key }) => {
    kv.delete(namespace, key)
    if (namespace === ORDER_TOPIC_NAMESPACE) answers.drop(key)
    return undefined
  }

export const getKvListByNamespace =
  ({ kv }: NameServer): Answer<typeof GetKvListByNamespace> =>
  ({ namespace }) => {
    const values = kv.namespace(namespace)
    if (values === undefined) throw new Refusal(ResponseCode.QUERY_NOT_FOUND, `No config item, Namespace: ${namespace}`)
    return withBody(undefined, stringifyJavaJson({ table: values }))
  }
