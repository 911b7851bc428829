import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { SimulatedScheduler } from './simulated-scheduler.ts'

describe('simulated time', () => {
  test('stands until it is told to move', async () => {
    const scheduler = new SimulatedScheduler(5_000)
    let fired = false
    scheduler.after(0, () => {
      fired = true
    })
    await scheduler.settle()
    assert.deepEqual([scheduler.now(), scheduler.monotonic(), fired, scheduler.pending], [5_000, 0, false, 1])
    await scheduler.advance(0)
    assert.deepEqual([scheduler.now(), fired, scheduler.pending], [5_000, true, 0])
  })
  test('is what it is when a callback fires, and arrives where it was told to', async () => {
    const scheduler = new SimulatedScheduler(1_000)
    const seen: number[] = []
    for (const delay of [30, 10, 20]) scheduler.after(delay, () => seen.push(scheduler.monotonic(), scheduler.now()))
    await scheduler.advance(25)
    assert.deepEqual(seen, [10, 1_010, 20, 1_020])
    assert.equal(scheduler.monotonic(), 25)
    await scheduler.advance(4.5)
    assert.equal(seen.length, 4)
    assert.deepEqual([scheduler.monotonic(), scheduler.now()], [29.5, 1_029])
    await scheduler.advance(0.5)
    assert.deepEqual(seen.slice(4), [30, 1_030])
  })
  test('a delay below 0 is none', async () => {
    const scheduler = new SimulatedScheduler()
    const seen: string[] = []
    scheduler.after(0, () => seen.push('first'))
    scheduler.after(-5, () => seen.push('second'))
    await scheduler.advance(0)
    assert.deepEqual(seen, ['first', 'second'])
    assert.equal(scheduler.monotonic(), 0)
  })
  test('the wall clock jumps, timers do not', async () => {
    const scheduler = new SimulatedScheduler(10_000)
    const seen: number[] = []
    scheduler.after(100, () => seen.push(scheduler.now()))
    scheduler.jumpWallClock(5_000)
    assert.deepEqual([scheduler.now(), scheduler.monotonic()], [15_000, 0])
    await scheduler.advance(99)
    assert.deepEqual(seen, [])
    scheduler.jumpWallClock(-14_000)
    await scheduler.advance(1)
    assert.deepEqual(seen, [1_100])
    assert.equal(scheduler.monotonic(), 100)
  })
})

describe('timers', () => {
  test('fire by their due time, then in the order in which they were asked for', () =>
    fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(fc.integer({ min: 0, max: 20 }), fc.boolean())), async (timers) => {
        const scheduler = new SimulatedScheduler()
        const fired: number[] = []
        for (const [at, [delay, cancelled]] of timers.entries()) {
          const timer = scheduler.after(delay, () => fired.push(at))
          if (cancelled) timer.cancel()
        }
        const kept = [...timers.keys()].filter((at) => !timers[at]![1])
        assert.equal(scheduler.pending, kept.length)
        const expected = kept.sort((a, b) => timers[a]![0] - timers[b]![0] || a - b)
        await scheduler.advance(9)
        assert.deepEqual(
          fired,
          expected.filter((at) => timers[at]![0] <= 9),
        )
        await scheduler.advance(11)
        assert.deepEqual(fired, expected)
        assert.equal(scheduler.pending, 0)
      }),
    ))
  test('that are set by a callback fire in the same advance when they fall due', async () => {
    const scheduler = new SimulatedScheduler()
    const seen: string[] = []
    scheduler.after(10, () => {
      seen.push('outer')
      scheduler.after(5, () => seen.push(`inner at ${scheduler.monotonic()}`))
      scheduler.after(50, () => seen.push('late'))
    })
    await scheduler.advance(20)
    assert.deepEqual(seen, ['outer', 'inner at 15'])
  })
  test('that are cancelled do not fire: before, by an earlier one, twice, or after they fired', async () => {
    const scheduler = new SimulatedScheduler()
    const seen: string[] = []
    const before = scheduler.after(10, () => seen.push('before'))
    before.cancel()
    before.cancel()
    const fired = scheduler.after(1, () => seen.push('fired'))
    scheduler.after(5, () => peer.cancel())
    const peer = scheduler.after(5, () => seen.push('peer'))
    await scheduler.advance(10)
    fired.cancel()
    assert.deepEqual(seen, ['fired'])
    assert.equal(scheduler.pending, 0)
  })
  test('promises and deferred callbacks run between any two of them', async () => {
    const scheduler = new SimulatedScheduler()
    const seen: string[] = []
    scheduler.after(1, async () => {
      seen.push('first')
      scheduler.defer(() => {
        seen.push('deferred')
        scheduler.defer(() => seen.push('deferred again'))
      })
      scheduler.soon(() => seen.push('soon'))
      await Promise.resolve()
      await Promise.resolve()
      seen.push('after its awaits')
    })
    scheduler.after(1, () => seen.push('second'))
    await scheduler.advance(1)
    assert.deepEqual(seen, ['first', 'soon', 'after its awaits', 'deferred', 'deferred again', 'second'])
  })
})

describe('an interval', () => {
  test('fires every period, first after one', async () => {
    const scheduler = new SimulatedScheduler()
    const seen: number[] = []
    const timer = scheduler.every(10, () => seen.push(scheduler.monotonic()))
    await scheduler.advance(35)
    assert.deepEqual(seen, [10, 20, 30])
    assert.equal(scheduler.pending, 1)
    timer.cancel()
    await scheduler.advance(100)
    assert.equal(seen.length, 3)
    assert.equal(scheduler.pending, 0)
  })
  test('may be cancelled by its own callback', async () => {
    const scheduler = new SimulatedScheduler()
    let count = 0
    const timer = scheduler.every(10, () => {
      if (++count === 2) timer.cancel()
    })
    await scheduler.advance(100)
    assert.deepEqual([count, scheduler.pending], [2, 0])
  })
  test('of no length does not stop time', async () => {
    const scheduler = new SimulatedScheduler()
    let count = 0
    scheduler.every(0, () => count++)
    await scheduler.advance(5)
    assert.equal(count, 5)
  })
})

describe('a sleep', () => {
  test('ends when its time is up', async () => {
    const scheduler = new SimulatedScheduler()
    let woken = false
    const sleeping = scheduler.sleep(10).then(() => {
      woken = true
    })
    await scheduler.advance(9)
    assert.equal(woken, false)
    await scheduler.advance(1)
    await sleeping
  })
  test('is broken off with the reason of its signal, and leaves no timer', async () => {
    const scheduler = new SimulatedScheduler()
    const control = new AbortController()
    const sleeping = scheduler.sleep(10, control.signal)
    const reason = new Error('stop')
    control.abort(reason)
    await assert.rejects(sleeping, reason)
    assert.equal(scheduler.pending, 0)
    await assert.rejects(scheduler.sleep(10, control.signal), reason)
    assert.equal(scheduler.pending, 0)
  })
  test('that has ended is not touched by a later abort', async () => {
    const scheduler = new SimulatedScheduler()
    const control = new AbortController()
    const sleeping = scheduler.sleep(1, control.signal)
    await scheduler.advance(1)
    control.abort(new Error('late'))
    assert.equal(await sleeping, undefined)
  })
})
