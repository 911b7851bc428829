import type { SubscriptionData } from '../../protocol/bodies.ts'
import { javaHashCode } from '../../protocol/java-hash.ts'
import type { MessageFilter } from '../../store/message-store.ts'

const ALL = '*'
/** Expressions of pulls that bring their own, remembered at once; a group uses one. */
const REMEMBERED = 1_024
/** Longer ones are compiled for each pull: whoever sends them pays, and nobody keeps them. */
const REMEMBERED_LENGTH = 4_096
/** A pull that waits keeps its expression; thousands of tags fit into this. */
const MAX_LENGTH = 65_536

/** Matches hashes of tags, as consume queue entries carry them; clients compare the tags themselves. */
export class TagFilter implements MessageFilter {
  readonly matchesRecord = undefined
  readonly #hashes: ReadonlySet<number>

  constructor(hashes: Iterable<number>) {
    this.#hashes = new Set(hashes)
  }

  matchesTagsCode(low: number, _high: number): boolean {
    return this.#hashes.has(low)
  }
}

/** The filters of subscriptions, made once for each and not once for each pull. */
export class TagFilters {
  readonly #bySubscription = new WeakMap<SubscriptionData, TagFilter>()
  readonly #byExpression = new Map<string, TagFilter>()

  /** undefined: everything matches. */
  of(subscription: SubscriptionData): MessageFilter | undefined {
    const { subString, codeSet } = subscription
    if (subString === ALL || subString === '') return undefined
    let filter = this.#bySubscription.get(subscription)
    if (filter === undefined) {
      // Clients send the hashes; one that does not is helped.
      filter = new TagFilter(codeSet.length > 0 ? codeSet : tagsOf(subString).map(javaHashCode))
      this.#bySubscription.set(subscription, filter)
    }
    return filter
  }

  /** @returns `none` when the expression names no tag, or is far too long; undefined: everything matches */
  ofExpression(expression: string | undefined): MessageFilter | undefined | 'none' {
    if (expression === undefined || expression === '' || expression === ALL) return undefined
    let filter = this.#byExpression.get(expression)
    if (filter === undefined) {
      const tags = expression.length > MAX_LENGTH ? [] : tagsOf(expression)
      if (tags.length === 0) return 'none'
      filter = new TagFilter(tags.map(javaHashCode))
      if (expression.length > REMEMBERED_LENGTH) return filter
      if (this.#byExpression.size >= REMEMBERED) this.#byExpression.clear()
      this.#byExpression.set(expression, filter)
    }
    return filter
  }
}

/** A subscription from its expression. @returns undefined when the expression names no tag */
export function parseSubscription(
  topic: string,
  expression: string | undefined,
  subVersion: number,
): SubscriptionData | undefined {
  const subString = expression === undefined || expression === '' ? ALL : expression
  const tagsSet = subString === ALL ? [] : tagsOf(subString)
  if (subString !== ALL && tagsSet.length === 0) return undefined
  const codeSet = tagsSet.map(javaHashCode)
  return { classFilterMode: false, topic, subString, tagsSet, codeSet, subVersion, expressionType: 'TAG' }
}

/** TAG, in whatever way a client leaves it out. */
export function isTagType(expressionType: string | undefined): boolean {
  return expressionType === undefined || expressionType === '' || expressionType === 'TAG'
}

/** `a || b` */
function tagsOf(expression: string): string[] {
  const tags = expression.split('||').map((tag) => tag.trim())
  return [...new Set(tags)].filter((tag) => tag !== '')
}
