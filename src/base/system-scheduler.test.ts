import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemScheduler } from './system-scheduler.ts'

test('the clocks are those of the machine', () => {
  const before = Date.now()
  const now = systemScheduler.now()
  assert.ok(before <= now && now <= Date.now())
  const start = systemScheduler.monotonic()
  assert.ok(systemScheduler.monotonic() >= start)
})

test('what is soon comes before what is deferred, and that after the turn', async () => {
  const seen: string[] = []
  await new Promise<void>((resolve) => {
    systemScheduler.defer(() => {
      seen.push('deferred')
      resolve()
    })
    systemScheduler.soon(() => seen.push('soon'))
    seen.push('now')
  })
  assert.deepEqual(seen, ['now', 'soon', 'deferred'])
})

test('a timer fires once, and not when it was cancelled', async () => {
  const seen: string[] = []
  systemScheduler.after(0, () => seen.push('cancelled')).cancel()
  const repeated = systemScheduler.every(1, () => {
    seen.push('every')
    if (seen.length === 2) repeated.cancel()
  })
  await new Promise<void>((resolve) => void systemScheduler.after(20, resolve))
  assert.deepEqual(seen, ['every', 'every'])
})

test('a delay longer than the runtime can hold does not fire at once', async () => {
  const warnings: string[] = []
  const listen = (warning: Error): void => void warnings.push(warning.name)
  process.on('warning', listen)
  let fired = false
  const fire = (): void => {
    fired = true
  }
  const timers = [systemScheduler.after(2 ** 40, fire), systemScheduler.every(2 ** 40, fire)]
  await systemScheduler.sleep(5)
  for (const timer of timers) timer.cancel()
  process.off('warning', listen)
  assert.equal(fired, false)
  assert.deepEqual(warnings, [])
})

test('a sleep is broken off with the reason of its signal, before it begins too', async () => {
  const control = new AbortController()
  const sleeping = systemScheduler.sleep(60_000, control.signal)
  const reason = new Error('stop')
  control.abort(reason)
  await assert.rejects(sleeping, reason)
  await assert.rejects(systemScheduler.sleep(60_000, control.signal), reason)
  assert.equal(await systemScheduler.sleep(0, new AbortController().signal), undefined)
})
