import type { SubscriptionData } from '../protocol/bodies.ts'
import { javaHashCode } from '../protocol/java-hash.ts'
import type { MessageFilter } from '../store/message-store.ts'

/** Matches hashes of tags, as consume queue entries carry them; clients compare the tags themselves. */
export class TagFilter implements MessageFilter {
  readonly matchesRecord = undefined
  readonly #hashes: ReadonlySet<number>

  constructor(hashes: Iterable<number>) {
    this.#hashes = new Set(hashes)
  }

  matchesTagsCode(low: number, _high: number): boolean {
    return this.#hashes.has(low | 0)
  }
}

/** undefined: everything matches. */
export function filterOf(subscription: Pick<SubscriptionData, 'subString' | 'codeSet'>): MessageFilter | undefined {
  if (subscription.subString === '*' || subscription.codeSet.length === 0) return undefined
  return new TagFilter(subscription.codeSet)
}

/** A subscription from its expression. @returns undefined when the expression is none */
export function parseSubscription(
  topic: string,
  expression: string | undefined,
  subVersion: number,
): SubscriptionData | undefined {
  const subString = expression === undefined || expression === '' ? '*' : expression
  const data: SubscriptionData = {
    classFilterMode: false,
    topic,
    subString,
    tagsSet: [],
    codeSet: [],
    subVersion,
    expressionType: 'TAG',
  }
  if (subString === '*') return data
  const tags = new Set(
    subString
      .split('||')
      .map((tag) => tag.trim())
      .filter((tag) => tag !== ''),
  )
  if (tags.size === 0) return undefined
  data.tagsSet = [...tags]
  data.codeSet = data.tagsSet.map(javaHashCode)
  return data
}

/** TAG, in whatever way a client leaves it out. */
export function isTagType(expressionType: string | undefined): boolean {
  return expressionType === undefined || expressionType === '' || expressionType === 'TAG'
}
