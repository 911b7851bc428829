import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { type WaitFailure, Watermark } from './watermark.ts'

/** Notes what becomes of each waiter, by its target. */
function waits(mark: Watermark) {
  const seen: string[] = []
  const wait = (target: number, then?: () => void, deadline = Number.POSITIVE_INFINITY): void =>
    mark.wait({
      target,
      deadline,
      wake() {
        seen.push(`${target}`)
        then?.()
      },
      fail(reason: WaitFailure) {
        seen.push(`${target} ${reason}`)
        then?.()
      },
    })
  const taken = (): string[] => seen.splice(0)
  return { wait, taken }
}

describe('a watermark', () => {
  test('wakes who waits for what is reached, at once or when it comes, in order', () => {
    const mark = new Watermark(10)
    const { wait, taken } = waits(mark)
    wait(9)
    wait(10)
    assert.deepEqual(taken(), ['9', '10'])
    for (const target of [11, 12, 12, 20]) wait(target)
    assert.deepEqual(taken(), [])
    assert.equal(mark.waiting, 4)
    mark.advance(11)
    assert.deepEqual(taken(), ['11'])
    mark.advance(19)
    assert.deepEqual(taken(), ['12', '12'])
    mark.advance(1_000)
    assert.deepEqual(taken(), ['20'])
    assert.deepEqual([mark.value, mark.waiting], [1_000, 0])
  })
  test('only grows', () => {
    const mark = new Watermark(10)
    mark.advance(5)
    assert.equal(mark.value, 10)
    mark.reset(3)
    assert.equal(mark.value, 3)
  })
  test('fails those whose deadline has come, and says when the next one does', () => {
    const mark = new Watermark()
    const { wait, taken } = waits(mark)
    assert.equal(mark.nextDeadline, undefined)
    for (const [target, deadline] of [
      [1, 10],
      [2, 10],
      [3, 20],
    ] as const)
      wait(target, undefined, deadline)
    assert.equal(mark.nextDeadline, 10)
    mark.expire(9.99)
    assert.deepEqual(taken(), [])
    mark.expire(10)
    assert.deepEqual(taken(), ['1 timeout', '2 timeout'])
    assert.equal(mark.nextDeadline, 20)
    mark.advance(3)
    mark.expire(1_000)
    assert.deepEqual(taken(), ['3'], 'once')
  })
  test('fails all, or those behind a position, with the reason', () => {
    const mark = new Watermark()
    const { wait, taken } = waits(mark)
    for (const target of [1, 5, 6]) wait(target)
    mark.failBehind(5, 'write failed')
    assert.deepEqual(taken(), ['6 write failed'])
    assert.equal(mark.waiting, 2)
    mark.advance(1)
    assert.deepEqual(taken(), ['1'])
    mark.failAll('closed')
    assert.deepEqual(taken(), ['5 closed'])
    wait(2)
    mark.reset(0)
    assert.deepEqual(taken(), ['2 truncated'])
  })
})

describe('a waiter that is called', () => {
  test('may advance the mark: the others are woken behind it, in order', () => {
    const mark = new Watermark()
    const { wait, taken } = waits(mark)
    wait(1, () => mark.advance(3))
    wait(2)
    wait(3)
    wait(4)
    mark.advance(1)
    assert.deepEqual(taken(), ['1', '2', '3'])
    assert.equal(mark.waiting, 1)
  })
  test('may advance the mark however many do so in turn', () => {
    const mark = new Watermark()
    const { wait, taken } = waits(mark)
    for (let target = 1; target <= 50_000; target++) wait(target, () => mark.advance(target + 1))
    mark.advance(1)
    assert.equal(taken().length, 50_000)
  })
  test('may wait for more, reached or not', () => {
    const mark = new Watermark()
    const { wait, taken } = waits(mark)
    wait(1, () => {
      wait(2)
      wait(5)
    })
    mark.advance(3)
    assert.deepEqual(taken(), ['1', '2'])
    mark.advance(5)
    assert.deepEqual(taken(), ['5'])
  })
  test('may wait anew when all are failed, and is not failed again by the same', () => {
    const mark = new Watermark()
    const { wait, taken } = waits(mark)
    let tries = 0
    const again = (): void => {
      if (++tries < 100) wait(1, again)
    }
    wait(1, again)
    wait(2)
    mark.failAll('sync failed')
    assert.deepEqual(taken(), ['1 sync failed', '2 sync failed'])
    assert.equal(mark.waiting, 1)
    mark.reset(0)
    mark.failBehind(0, 'write failed')
    assert.deepEqual(taken(), ['1 truncated', '1 write failed'])
    assert.equal(mark.waiting, 1)
  })
  test('may wait anew when its time is up, and is not timed out twice at once', () => {
    const mark = new Watermark()
    const { wait, taken } = waits(mark)
    let tries = 0
    const again = (): void => {
      if (++tries < 100) wait(1, again, 10)
    }
    wait(1, again, 10)
    wait(2, undefined, 10)
    mark.expire(10)
    assert.deepEqual(taken(), ['1 timeout', '2 timeout'])
  })
  test('may fail all the others', () => {
    const mark = new Watermark()
    const { wait, taken } = waits(mark)
    wait(1, () => mark.failAll('role changed'))
    wait(2)
    wait(3)
    mark.advance(3)
    assert.deepEqual(taken(), ['1', '2 role changed', '3 role changed'])
    wait(4, () => mark.failAll('closed'))
    wait(5)
    mark.failAll('closed')
    assert.deepEqual(taken(), ['4 closed', '5 closed'])
  })
})

test('every waiter is called once, whatever comes in whatever order', () => {
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.constant('wait' as const) },
    fc.constantFrom('advance', 'expire', 'failAll', 'failBehind' as const),
  )
  fc.assert(
    fc.property(fc.array(fc.tuple(step, fc.integer({ min: 0, max: 9 }))), (steps) => {
      const mark = new Watermark()
      const calls: number[] = []
      let target = 0
      let now = 0
      for (const [what, by] of steps) {
        if (what === 'wait') {
          const at = calls.push(0) - 1
          const called = (): void => void calls[at]!++
          target = Math.max(target, mark.value) + by
          mark.wait({ target, deadline: now + 50, wake: called, fail: called })
        } else if (what === 'advance') mark.advance(mark.value + by)
        else if (what === 'expire') mark.expire((now += by * 10))
        else if (what === 'failAll') mark.failAll('closed')
        else {
          mark.failBehind(mark.value + by, 'write failed')
          target = mark.value + by
        }
        assert.equal(calls.filter((count) => count === 0).length, mark.waiting)
        assert.ok(calls.every((count) => count <= 1))
      }
      mark.advance(Number.POSITIVE_INFINITY)
      assert.ok(calls.every((count) => count === 1))
    }),
  )
})
