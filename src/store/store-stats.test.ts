import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { SimulatedScheduler } from '../base/simulated-scheduler.ts'
import { sizeText, usedRatio } from './space-text.ts'
import { StoreStats } from './store-stats.ts'

const classes = (counts: Record<string, number>): string =>
  ['<=0ms', '0~10ms', '10~50ms', '50~100ms', '100~200ms', '200~500ms', '500ms~1s']
    .concat(['1~2s', '2~3s', '3~4s', '4~5s', '5~10s', '10s~'])
    .map((name) => `[${name}]:${counts[name] ?? 0} `)
    .join('')

describe('what runtime information tells of traffic', () => {
  test('an average is told once its time has passed, and of the total 0.0 until then', async () => {
    const scheduler = new SimulatedScheduler()
    const stats = new StoreStats(scheduler)
    const told = (): string[] => [stats.describe()['putTps']!, stats.describe()['getTotalTps']!]
    stats.written(30, 0)
    stats.read(1)
    stats.read(0)
    await scheduler.advance(10_000)
    assert.deepEqual(told(), ['  ', '0.0 0.0 0.0'])
    await scheduler.advance(1_000)
    assert.deepEqual(told(), ['0.0  ', '0.0 0.0 0.0'])
    stats.written(5, 0)
    stats.read(1)
    await scheduler.advance(1_000)
    assert.deepEqual(told(), ['0.5  ', '0.1 0.0 0.0'])
    await scheduler.advance(49_000)
    assert.deepEqual(told(), ['0.0 0.08333333333333333 ', `0.0 ${1 / 60} 0.0`])
    await scheduler.advance(540_000)
    stats.written(6000, 0)
    await scheduler.advance(1_000)
    assert.deepEqual(told(), [`600.0 100.0 ${6005 / 600}`, '0.0 0.0 0.0016666666666666668'])
    // Numbers as Java writes them.
    stats.read(0)
    await scheduler.advance(599_000)
    assert.equal(stats.describe()['getMissTps'], `0.0 0.0 0.0016666666666666668`)
    assert.equal(stats.describe()['getTransferredTps'], '0.0 0.0 0.0')
  })

  test('a rate below a thousandth is written as Java writes it', async () => {
    const scheduler = new SimulatedScheduler()
    const stats = new StoreStats(scheduler)
    await scheduler.advance(601_000)
    stats.written(0.3, 0)
    await scheduler.advance(1_000)
    assert.equal(stats.describe()['putTps'], '0.03 0.005 5.0E-4')
  })

  test('latencies are those of the last whole minute, null before there was one', async () => {
    const scheduler = new SimulatedScheduler()
    const stats = new StoreStats(scheduler)
    const told = (): (string | undefined)[] => {
      const { putMessageDistributeTime, putLatency99, putLatency999, putMessageEntireTimeMax } = stats.describe()
      return [putMessageDistributeTime, putLatency99, putLatency999, putMessageEntireTimeMax]
    }
    stats.written(98, 0)
    stats.written(2, 60)
    await scheduler.advance(59_000)
    assert.deepEqual(told(), ['null', '0.00', '0.00', '60'])
    await scheduler.advance(1_000)
    const first = classes({ '<=0ms': 98, '50~100ms': 2 })
    assert.deepEqual(told(), [first, '100.00', '100.00', '60'])
    stats.written(7, 5)
    assert.deepEqual(told(), [first, '100.00', '100.00', '60'])
    await scheduler.advance(60_000)
    assert.deepEqual(told(), [classes({ '0~10ms': 7 }), '10.00', '10.00', '60'])
    await scheduler.advance(60_000)
    assert.deepEqual(told(), [classes({}), '0.00', '0.00', '60'])
    // Two minutes later the last whole one was empty, whatever came before.
    stats.written(1, 0)
    await scheduler.advance(120_000)
    assert.deepEqual(told(), [classes({}), '0.00', '0.00', '60'])
  })

  test('space is told in binary units, and what is in use as df tells it', () => {
    assert.deepEqual([0, 1023, 1024, 5000, 1_048_576, 257_404_887_040, 1_099_511_627_776].map(sizeText), [
      '0 B',
      '1023 B',
      '1.0 KiB',
      '4.9 KiB',
      '1.0 MiB',
      '239.7 GiB',
      '1.0 TiB',
    ])
    // A file system that keeps a part for the superuser: 14 % of what can be used is in use.
    const space = { totalBytes: 270_553_153_536, freeBytes: 257_421_230_080, availableBytes: 84_661_370_880 }
    assert.equal(usedRatio(space), '0.14')
    assert.equal(usedRatio({ totalBytes: 100, freeBytes: 0, availableBytes: 0 }), '1.0')
    assert.equal(usedRatio({ totalBytes: 100, freeBytes: 100, availableBytes: 100 }), '0.0')
    assert.equal(usedRatio({ totalBytes: 0, freeBytes: 0, availableBytes: 0 }), '-1.0')
  })
})
