import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { createLog, type LogOptions, memoryLog, silentLog } from './console-log.ts'
import type { LogLevel } from './log.ts'
import { SimulatedScheduler } from './simulated-scheduler.ts'

const at = Date.UTC(2026, 10, 25, 17, 0, 0, 7)
function logOf(options: Partial<LogOptions> = {}) {
  const lines: string[] = []
  const log = createLog({ scheduler: new SimulatedScheduler(at), write: (line) => lines.push(line), ...options })
  return { log, lines, last: () => lines.at(-1)!.slice('2026-11-25T17:00:00.007Z WARN '.length, -1) }
}
const shown = (value: unknown): string => {
  const { log, last } = logOf()
  log.warn('m', { f: value })
  return last().slice('m'.length)
}

describe('a line of the log', () => {
  test('is time, level, message and fields', () => {
    const { log, lines } = logOf()
    log.warn('replica lost', { role: 'broker', replica: '10.0.0.2:10912', behindBytes: 4_096 })
    assert.deepEqual(lines, [
      '2026-11-25T17:00:00.007Z WARN replica lost role=broker replica=10.0.0.2:10912 behindBytes=4096\n',
    ])
  })
  test('is not as long as a peer’s name may be', () => {
    assert.equal(shown('x'.repeat(4_000)), ` f=${'x'.repeat(4_000)}`)
    assert.equal(shown('x'.repeat(16_000_000)), ` f="${'x'.repeat(4_000)}… and 15996000 characters more"`)
  })
  test('has the fields of its log first, which a line may say anew', () => {
    const { log, last } = logOf({ fields: { a: 1 } })
    const inner = log.with({ b: 2 }).with({ c: 3 })
    inner.warn('m', { d: 4, a: 9 })
    assert.equal(last(), 'm a=9 b=2 c=3 d=4')
    log.warn('m')
    assert.equal(last(), 'm a=1')
  })
  for (const [value, text] of [
    [1, ' f=1'],
    [-0.5, ' f=-0.5'],
    [10n, ' f=10'],
    [true, ' f=true'],
    [null, ' f=null'],
    [undefined, ''],
    ['word', ' f=word'],
    ['/a/b-c_d.e:1@x%+', ' f=/a/b-c_d.e:1@x%+'],
    ['', ' f=""'],
    ['two words', ' f="two words"'],
    ['a="b"', ' f="a=\\"b\\""'],
    ['日本', ' f="日本"'],
    [['a', 1], ' f="[\\"a\\",1]"'],
    [{ a: 1 }, ' f="{\\"a\\":1}"'],
    [new Map(), ' f="{}"'],
    [Symbol('s'), ' f="Symbol(s)"'],
  ] as const) {
    test(`shows ${String(value === '' ? "''" : typeof value === 'object' ? JSON.stringify(value) : String(value))}`, () =>
      assert.equal(shown(value), text))
  }
  test('shows what cannot be put into JSON all the same', () => {
    const loop: Record<string, unknown> = {}
    loop['self'] = loop
    assert.equal(shown(loop), ' f="[object Object]"')
    assert.equal(shown(() => 1).startsWith(' f='), true)
  })
  test('shows an error by its message and its causes, and the stack of what is a bug', () => {
    const cause = new Error('disk full', { cause: new Error('ENOSPC') })
    assert.equal(shown(new Error('not saved', { cause })), ' f="not saved: disk full: ENOSPC"')
    assert.equal(shown(new AggregateError([new Error('one'), 'two'], 'both')), ' f="both: one: two"')
    assert.match(
      shown(new TypeError('x is not a function')),
      /^ f="TypeError: x is not a function\\n {4}at .*console-log\.test\.ts/,
    )
    const loop = new Error('loop')
    loop.cause = loop
    assert.match(shown(loop), /^ f="?loop/)
  })
})

describe('a peer', () => {
  const injected = 'x\n2026-11-25T17:00:00.000Z ERROR forged\r\u001b[2J\u0000\u007f\u2028\u0085'
  test('writes no line of its own, by a field, a message, a name or an error', () => {
    const { log, lines } = logOf()
    log.warn('m', { f: injected })
    log.warn(injected)
    log.warn('m', { f: new Error(injected) })
    log.warn('m', { f: { [injected]: injected } })
    log.warn('m', { [injected]: 1 })
    log.with({ [injected]: injected }).warn('m')
    assert.equal(lines.length, 6)
    for (const line of lines) {
      assert.doesNotMatch(line.slice(0, -1), /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/, JSON.stringify(line))
      assert.ok(line.endsWith('\n'))
    }
  })
})

describe('levels', () => {
  const levels: LogLevel[] = ['debug', 'info', 'warn', 'error']
  const written = (options: Partial<LogOptions>): string[] => {
    const { log, lines } = logOf(options)
    for (const level of levels) log[level]('m')
    for (const level of levels) log.with({ a: 1 })[level]('m')
    return lines.map((line) => line.split(' ')[1]!)
  }
  for (const [at, level] of levels.entries()) {
    test(`from ${level} up are written`, () => {
      const kept = levels.slice(at).map((each) => each.toUpperCase())
      assert.deepEqual(written({ level }), [...kept, ...kept])
    })
  }
  test('begin with info where nothing is said', () => {
    assert.deepEqual(written({}).slice(0, 3), ['INFO', 'WARN', 'ERROR'])
  })
})

test('the log of a test keeps its lines, with the fields of all logs made from it', () => {
  const log = memoryLog()
  log.with({ a: 1 }).with({ b: 2 }).error('m', { c: 3 })
  log.debug('n')
  assert.deepEqual(log.lines, [
    { level: 'error', message: 'm', fields: { a: 1, b: 2, c: 3 } },
    { level: 'debug', message: 'n', fields: {} },
  ])
})

test('the silent log is silent, and so is every log made from it', () => {
  assert.equal(silentLog.with({ a: 1 }), silentLog)
  for (const level of ['debug', 'info', 'warn', 'error'] as const) assert.equal(silentLog[level]('m'), undefined)
})
