import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Probes } from './probe.ts'

test('probes are read as they stand: numbers, and functions when they are asked', () => {
  const probes = new Probes()
  let open = 1
  const counts = probes.register('store', { appendedBytes: 0, open: () => open })
  counts.appendedBytes += 5
  open = 2
  assert.deepEqual(probes.read(), [
    { name: 'store.appendedBytes', labels: {}, value: 5 },
    { name: 'store.open', labels: {}, value: 2 },
  ])
  counts.appendedBytes += 1
  assert.equal(probes.read()[0]!.value, 6)
})

test('components of one name are told apart by labels', () => {
  const probes = new Probes()
  probes.register('requests', { count: 1 }, { code: 'A' })
  probes.register('requests', { count: 2 }, { code: 'B' })
  assert.deepEqual(
    probes.read().map(({ labels, value }) => [labels['code'], value]),
    [
      ['A', 1],
      ['B', 2],
    ],
  )
})

test('two sets of probes share nothing', () => {
  const [one, two] = [new Probes(), new Probes()]
  one.register('a', { count: 1 })
  assert.deepEqual(two.read(), [])
})
