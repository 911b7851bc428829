import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { RingQueue } from './ring-queue.ts'

test('a ring queue does what an array does', () => {
  const steps = fc.array(
    fc.oneof({ weight: 3, arbitrary: fc.constant('push') }, fc.constant('shift'), fc.constant('drain')),
    {
      maxLength: 200,
    },
  )
  fc.assert(
    fc.property(fc.constantFrom(1, 2, 16), steps, (capacity, words) => {
      const queue = new RingQueue<number>(capacity)
      const model: number[] = []
      for (const [at, word] of words.entries()) {
        if (word === 'push') {
          queue.push(at)
          model.push(at)
        } else if (word === 'shift') assert.equal(queue.shift(), model.shift())
        else while (model.length > 0) assert.equal(queue.shift(), model.shift())
        assert.equal(queue.length, model.length)
        assert.equal(queue.first, model[0])
      }
      for (const item of model) assert.equal(queue.shift(), item)
      assert.equal(queue.shift(), undefined)
    }),
  )
})

test('undefined is an item like any other', () => {
  const queue = new RingQueue<number | undefined>()
  queue.push(undefined)
  queue.push(1)
  assert.equal(queue.length, 2)
  assert.equal(queue.shift(), undefined)
  assert.deepEqual([queue.length, queue.shift()], [1, 1])
})
