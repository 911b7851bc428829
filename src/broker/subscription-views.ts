import type { ConsumerData } from '../protocol/bodies.ts'
import { RETRY_PREFIX } from '../protocol/names.ts'

const MESSAGE_MODEL = '(message model)'

/** What one member of a group asks for, topic → expression, and a text that is the same for members that agree. */
export function viewOf({ groupName, messageModel, subscriptionDataSet }: ConsumerData): {
  view: ReadonlyMap<string, string>
  key: string
} {
  const view = new Map([[MESSAGE_MODEL, messageModel]])
  for (const { topic, subString, expressionType } of subscriptionDataSet) {
    // Clients add and drop the POP retry topics of the group by themselves, as assignments come.
    if (topic.startsWith(RETRY_PREFIX + groupName) && topic.length > RETRY_PREFIX.length + groupName.length) continue
    view.set(topic, `${expressionType === 'TAG' ? '' : `${expressionType} `}${subString === '' ? '*' : subString}`)
  }
  const key = [...view]
    .map(([topic, expression]) => `${topic}: ${expression}`)
    .sort()
    .join(', ')
  return { view, key }
}

/** `orders: TagA against TagB, returns: * against nothing` */
export function describeDifference(one: ReadonlyMap<string, string>, other: ReadonlyMap<string, string>): string {
  return [...new Set([...one.keys(), ...other.keys()])]
    .filter((topic) => one.get(topic) !== other.get(topic))
    .sort()
    .map((topic) => `${topic}: ${one.get(topic) ?? 'nothing'} against ${other.get(topic) ?? 'nothing'}`)
    .join(', ')
}
