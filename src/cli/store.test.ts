import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SimulatedScheduler } from '../base/simulated-scheduler.ts'
import { Failure } from './failure.ts'
import { bytesText, Progress, progressText } from './progress.ts'
import { readStoreOptions } from './store.ts'

const said = (...args: string[]): string => {
  try {
    readStoreOptions(args)
  } catch (error) {
    assert.ok(error instanceof Failure)
    return error.message
  }
  return ''
}

test('a verb and a folder are taken, and places are offsets or times', () => {
  const options = readStoreOptions(['export', '/data/store', '--topic', 'orders', '--queue', '3', '--from', '100'])
  assert.deepEqual(options?.filter, {
    topic: 'orders',
    queueId: 3,
    fromOffset: 100,
    toOffset: undefined,
    fromMs: undefined,
    toMs: undefined,
  })
  const { filter } = readStoreOptions(['export', '/s', '--from', '2026-01-31', '--to', '2026-01-31T12:00:00Z'])!
  assert.deepEqual([filter.fromMs, filter.toMs], [Date.UTC(2026, 0, 31), Date.UTC(2026, 0, 31, 12)])
  assert.equal(readStoreOptions(['repair', '/s', '--dry-run'])?.dryRun, true)
  assert.equal(readStoreOptions(['--help']), undefined)
})

test('what is not understood is said in one sentence', () => {
  assert.equal(said(), 'store takes a verb, one of check, inspect, repair, export')
  assert.equal(said('mend', '/s'), "store takes a verb, one of check, inspect, repair, export, not 'mend'")
  assert.equal(said('check'), 'store check takes one folder: cometmq store check DIR')
  assert.match(said('export', '/s', '--from', 'yesterday'), /--from takes a queue offset such as 100, or a time/)
  assert.match(said('check', '/s', '--segment-bytes', 'big'), /--segment-bytes takes a whole number/)
})

test('progress is a bar on a terminal, which goes, and else a line every five seconds', async () => {
  const scheduler = new SimulatedScheduler()
  for (const isTTY of [true, false]) {
    let text = ''
    const progress = new Progress(scheduler, { isTTY, write: (more) => (text += more) })
    for (let done = 0; done < 100; done++) {
      progress.show({ step: 'reading the log', doneBytes: done * 1_048_576, totalBytes: 104_857_600, messages: done })
      await scheduler.advance(110)
    }
    progress.clear()
    if (isTTY) {
      assert.match(text, /\r\u001b\[K\[#{12}\.{12}\] reading the log: 50 %, 50 messages, 9\.1 MiB\/s, 6 s left/)
      assert.ok(text.endsWith('\r\u001b[K'))
    } else assert.match(text, /^reading the log: 46 %, 46 messages, 9\.1 MiB\/s, 6 s left\nreading the log: 92 %.*\n$/)
  }
  assert.equal(progressText({ step: 'x', doneBytes: 0, totalBytes: 0, messages: 0 }, 0), 'x: 0 %, 0 messages, 0 B/s')
  assert.deepEqual([bytesText(12), bytesText(1_536), bytesText(1_610_612_736)], ['12 B', '1.5 KiB', '1.5 GiB'])
})
