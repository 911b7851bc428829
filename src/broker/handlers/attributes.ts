import { Refusal } from '../../protocol/refusal.ts'
import { ResponseCode } from '../../protocol/response-code.ts'

interface Attribute {
  changeable: boolean
  /** Why a value is refused, or undefined. */
  fault(value: string): string | undefined
}

const oneOf =
  (...allowed: string[]): Attribute['fault'] =>
  (value) =>
    allowed.includes(value) ? undefined : `value is not in set: [${allowed.join(', ')}]`
const wholeFrom =
  (least: number): Attribute['fault'] =>
  (value) =>
    /^-?\d+$/.test(value) && Number(value) >= least ? undefined : `value is not in range(${least}, 9223372036854775807)`

/** @source TopicAttributes.java */
export const topicAttributes: Readonly<Record<string, Attribute>> = {
  'queue.type': { changeable: false, fault: oneOf('BatchCQ', 'SimpleCQ') },
  'cleanup.policy': { changeable: false, fault: oneOf('DELETE', 'COMPACTION') },
  'message.type': {
    changeable: true,
    fault: oneOf('UNSPECIFIED', 'MIXED', 'TRANSACTION', 'PRIORITY', 'FIFO', 'DELAY', 'LITE', 'NORMAL'),
  },
  'reserve.time': { changeable: true, fault: wholeFrom(-1) },
  'lite.topic.expiration': { changeable: true, fault: wholeFrom(-1) },
}

const anyText: Attribute['fault'] = () => undefined
const trueOrFalse = oneOf('true', 'false')

/** @source SubscriptionGroupAttributes.java */
export const groupAttributes: Readonly<Record<string, Attribute>> = {
  'priority.factor': { changeable: true, fault: wholeFrom(0) },
  'lite.bind.topic': { changeable: true, fault: anyText },
  'lite.sub.model': { changeable: true, fault: oneOf('Shared', 'Exclusive') },
  'lite.sub.reset.offset.exclusive': { changeable: true, fault: trueOrFalse },
  'lite.sub.reset.offset.unsubscribe': { changeable: true, fault: trueOrFalse },
  'lite.sub.client.quota': { changeable: true, fault: wholeFrom(-1) },
  'lite.sub.client.max.event.cnt': { changeable: true, fault: wholeFrom(1) },
  'lite.sub.wildcard': { changeable: true, fault: trueOrFalse },
}

/** `+name=value,-name` as a table whose names keep their signs. @throws Refusal */
export function parseAttributeChanges(text: string): Record<string, string> {
  const changes: Record<string, string> = Object.create(null)
  for (const part of text.split(',')) {
    if (part === '') continue
    const [name = '', value = ''] = part.split(/=(.*)/s)
    if (Object.hasOwn(changes, name)) throw refusal(`key duplication: ${name}`)
    changes[name] = value
  }
  return changes
}

/**
 * Applies changes (`+name` sets, `-name` removes) to what is there.
 *
 * @param isNew on creation nothing can be removed, and what cannot be changed can still be set
 * @throws Refusal in Java's words
 */
export function alterAttributes(
  known: Readonly<Record<string, Attribute>>,
  current: Readonly<Record<string, string>>,
  changes: Readonly<Record<string, string>>,
  isNew: boolean,
): Record<string, string> {
  const result: Record<string, string> = { ...current }
  for (const [signed, value] of Object.entries(changes)) {
    const sign = signed[0]
    const name = signed.slice(1)
    if (name === '' || (sign !== '+' && sign !== '-')) throw refusal(`wrong format key: ${signed}`)
    const attribute = Object.hasOwn(known, name) ? known[name] : undefined
    if (attribute === undefined) throw refusal(`unsupported key: ${name}`)
    if (isNew && sign === '-') throw refusal(`only add attribute is supported while creating topic. key: ${signed}`)
    if (!isNew && !attribute.changeable && result[name] !== value) {
      throw refusal(`attempt to update an unchangeable attribute. key: ${name}`)
    }
    if (sign === '-') {
      if (!Object.hasOwn(result, name)) throw refusal(`attempt to delete a nonexistent key: ${name}`)
      delete result[name]
      continue
    }
    const fault = attribute.fault(value)
    if (fault !== undefined) throw refusal(fault)
    result[name] = value
  }
  return result
}

const refusal = (remark: string): Refusal => new Refusal(ResponseCode.SYSTEM_ERROR, remark)
