import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { SubscriptionData } from '../../protocol/bodies.ts'
import { javaHashCode } from '../../protocol/java-hash.ts'
import type { MessageFilter } from '../../store/message-store.ts'
import { parseSubscription, TagFilters } from './filter.ts'

function matches(filter: MessageFilter | undefined, tag: string): boolean {
  const hash = tag === '' ? 0 : javaHashCode(tag)
  return filter === undefined || filter.matchesTagsCode(hash, hash < 0 ? -1 : 0)
}

const subscription = (subString: string, codeSet: number[] = []): SubscriptionData => ({
  classFilterMode: false,
  topic: 'orders',
  subString,
  tagsSet: [],
  codeSet,
  subVersion: 1,
  expressionType: 'TAG',
})

describe('a tag expression', () => {
  test('names tags, joined by ||, or all of them', () => {
    const filters = new TagFilters()
    const wants = (expression: string | undefined, tag: string): boolean => {
      const filter = filters.ofExpression(expression)
      assert.notEqual(filter, 'none')
      return matches(filter as MessageFilter | undefined, tag)
    }
    for (const all of [undefined, '', '*']) assert.ok(wants(all, 'a') && wants(all, ''))
    assert.ok(wants('a', 'a') && !wants('a', 'b') && !wants('a', ''))
    assert.ok(wants(' a ||b|| ', 'a') && wants(' a ||b|| ', 'b') && !wants(' a ||b|| ', ' a '))
    assert.ok(wants('a|b', 'a|b') && !wants('a|b', 'a'), 'one bar is part of a tag')
    assert.ok(wants('polygenelubricants', 'polygenelubricants'), 'the hash is the smallest integer')
    assert.ok(wants('订单', '订单'))
  })

  test('that names none is none', () => {
    for (const expression of ['||', ' ', ' || ||']) {
      assert.equal(new TagFilters().ofExpression(expression), 'none')
      assert.equal(parseSubscription('orders', expression, 1), undefined)
    }
  })

  test('becomes a subscription as clients build it', () => {
    assert.deepEqual(parseSubscription('orders', 'TagA || TagB||TagA', 7), {
      ...subscription('TagA || TagB||TagA', [javaHashCode('TagA'), javaHashCode('TagB')]),
      tagsSet: ['TagA', 'TagB'],
      subVersion: 7,
    })
    assert.deepEqual(parseSubscription('orders', undefined, 7), { ...subscription('*'), subVersion: 7 })
  })

  test('of a heartbeat goes by the hashes it brings, or by its tags', () => {
    const filters = new TagFilters()
    assert.equal(filters.of(subscription('*', [1])), undefined)
    assert.equal(filters.of(subscription('')), undefined)
    const hashed = subscription('a', [javaHashCode('b')])
    assert.ok(matches(filters.of(hashed), 'b') && !matches(filters.of(hashed), 'a'))
    assert.ok(matches(filters.of(subscription('a || b')), 'b'))
    assert.ok(!matches(filters.of(subscription(' || ')), 'a'))
  })

  test('is compiled once for each subscription, and remembered for few expressions', () => {
    const filters = new TagFilters()
    const one = subscription('a')
    assert.equal(filters.of(one), filters.of(one))
    assert.equal(filters.ofExpression('a'), filters.ofExpression('a'))
    const first = filters.ofExpression('first')
    for (let index = 0; index < 2_000; index++) filters.ofExpression(`tag-${index}`)
    assert.notEqual(filters.ofExpression('first'), first)
  })

  test('that is long is not remembered, and one beyond all measure is none', () => {
    const filters = new TagFilters()
    const long = Array.from({ length: 1_000 }, (_, index) => `tag-${index}`).join('||')
    assert.ok(matches(filters.ofExpression(long) as MessageFilter, 'tag-999'))
    assert.notEqual(filters.ofExpression(long), filters.ofExpression(long), 'a thousand of them would be much')
    assert.equal(filters.ofExpression('a||'.repeat(5_000_000)), 'none')
  })
})
