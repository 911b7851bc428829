import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { memoryLog } from '../base/console-log.ts'
import { Probes } from '../base/probe.ts'
import { SimulatedScheduler } from '../base/simulated-scheduler.ts'
import { command, int, long, text } from '../protocol/command.ts'
import { Refusal } from '../protocol/refusal.ts'
import {
  binaryField,
  binaryHeader,
  Echo,
  echoFrame,
  Fail,
  frameOf,
  Hold,
  type House,
  house,
  jsonFrame,
  Slow,
  until,
} from './harness.contract.ts'
import { type Answer, answer, type Handler, handle, type Route, Router, withBody, withCode } from './router.ts'

const Add = command({
  name: 'ADD',
  code: 9_100,
  about: 'Adds.',
  source: 'ours',
  request: { left: int('A number.'), right: int('Another.'), note: text('Needed too.') },
  response: { sum: long('Both together.') },
})
const fields = { left: '1', right: '2', note: 'n' }

interface Asked {
  h: House
  code: number
  remark: string | undefined
  header: Map<string, string | null> | undefined
  body: string
}

/** What one request for ADD is answered. */
async function ask(route: Route, extFields: object | null = fields): Promise<Asked> {
  const h = await house({ routes: [route] })
  const connection = await until(h.scheduler, h.client.connection(h.address))
  const asked = await until(
    h.scheduler,
    new Promise<Omit<Asked, 'h'>>((resolve, reject) => {
      const extra = extFields === null ? undefined : (extFields as Record<string, string>)
      const nothing = { code: Add.code, name: 'BARE', about: '', source: '' }
      const bare = command(nothing)
      connection.ask(
        bare,
        {},
        undefined,
        1_000,
        (error, frame) => {
          if (frame === undefined) return reject(error)
          const { code, remark, body } = frame
          resolve({ code, remark, header: frame.extFields(), body: body.toString() })
        },
        extra,
      )
    }),
  )
  return { h, ...asked }
}

const cold = (respond: Answer<typeof Add>): Route => answer(Add, respond)
const hot = (handler: Handler<typeof Add>): Route => handle(Add, handler)

describe('a cold route', () => {
  test('returns the header of the response', async () => {
    const { code, header, remark } = await ask(cold(({ left, right }) => ({ sum: left + right })))
    assert.deepEqual([code, header?.get('sum'), remark], [0, '3', undefined])
  })

  test('may be async', async () => {
    const { code, header } = await ask(cold(async ({ left }) => ({ sum: left })))
    assert.deepEqual([code, header?.get('sum')], [0, '1'])
  })

  test('adds a body, as text or bytes', async () => {
    assert.equal((await ask(cold(() => withBody({ sum: 1 }, 'täxt')))).body, 'täxt')
    assert.equal((await ask(cold(() => withBody({ sum: 1 }, Buffer.from('bytes'))))).body, 'bytes')
  })

  test('answers any code, with remark, header and body', async () => {
    const { code, remark, header, body } = await ask(cold(() => withCode(17, 'no topic', { sum: 4 }, Buffer.from('b'))))
    assert.deepEqual([code, remark, header?.get('sum'), body], [17, 'no topic', '4', 'b'])
  })

  test('throws a Refusal: its code and remark are the answer, and nothing is logged', async () => {
    for (const route of [
      cold(() => {
        throw new Refusal(22, 'none')
      }),
      cold(async () => {
        throw new Refusal(22, 'none')
      }),
      hot(() => {
        throw new Refusal(22, 'none')
      }),
    ]) {
      const { h, code, remark } = await ask(route)
      assert.deepEqual([code, remark], [22, 'none'])
      assert.deepEqual(h.log.lines, [])
      assert.equal(h.count('remoting.requests.failures'), 1)
    }
  })

  test('throws anything else: SYSTEM_ERROR, logged once with its stack', async () => {
    for (const route of [
      cold(() => {
        throw new TypeError('a bug')
      }),
      cold(async () => {
        throw new TypeError('a bug')
      }),
      hot(() => {
        throw new TypeError('a bug')
      }),
    ]) {
      const { h, code, remark } = await ask(route)
      assert.deepEqual([code, remark], [1, 'TypeError: a bug'])
      const lines = h.log.lines.map(({ level, message, fields }) => [level, message, typeof fields['stack']])
      assert.deepEqual(lines, [['error', 'request failed', 'string']])
    }
  })

  test('a throw that is no Error is answered too', async () => {
    const { code, remark } = await ask(
      cold(() => {
        throw 'a string'
      }),
    )
    assert.deepEqual([code, remark], [1, 'a string'])
  })
})

describe('a hot route', () => {
  test('answers once; what comes after it does nothing', async () => {
    const { h, code, remark } = await ask(
      hot((_, reply) => {
        reply.fail(16, 'first')
        reply.ok({ sum: 1 })
        reply.fail(1, 'third')
        reply.park()
        throw new Error('after the answer')
      }),
    )
    assert.deepEqual([code, remark], [16, 'first'])
    assert.equal(h.count('remoting.requests.failures'), 1)
    assert.equal(h.count('remoting.router.inFlight'), 0)
    assert.equal(h.count('remoting.requests.inFlight'), 0)
  })

  test('sends extra fields and a remark with success', async () => {
    const { remark, header } = await ask(
      hot((_, reply) => reply.send(0, { sum: 5 }, undefined, 'FOUND', { more: 'x' })),
    )
    assert.equal(remark, 'FOUND')
    assert.deepEqual(Object.fromEntries(header!), { sum: '5', more: 'x' })
  })

  test('cannot read the body later', async () => {
    const h = await house()
    const peer = await h.raw()
    peer.wire.write(jsonFrame({ code: Hold.code, opaque: 1 }, 'body'))
    await h.scheduler.settle()
    assert.equal(h.held[0]!.frame, undefined)
    assert.throws(() => h.held[0]!.body, { message: 'the body of a request is gone once its handler has returned' })
  })
})

describe('a bad header', () => {
  const sum = cold(({ left, right }) => ({ sum: left + right }))
  for (const [what, extFields, told] of [
    ['without a field that is needed', { left: '1', right: '2' }, 'note'],
    ['without any fields', null, 'left'],
    ['with a word for a number', { ...fields, left: 'one' }, 'left'],
    ['with an empty number', { ...fields, right: '' }, 'right'],
    ['with a number beyond 32 bits', { ...fields, right: '2147483648' }, 'right'],
    ['with a fraction', { ...fields, right: '1.5' }, 'right'],
    ['with a hexadecimal number', { ...fields, right: '0x10' }, 'right'],
  ] as const) {
    test(`${what} is answered SYSTEM_ERROR, naming the field`, async () => {
      const { h, code, remark } = await ask(sum, extFields)
      assert.equal(code, 1)
      assert.match(remark!, new RegExp(`\\bADD\\b.*'${told}'|'${told}'.*\\bADD\\b`))
      assert.deepEqual(h.log.lines, [])
    })
  }

  test('with fields of which nobody knows is fine', async () => {
    const more = { ...fields, __proto__x: '1', constructor: 'c', toString: 't', AccessKey: 'k' }
    assert.equal((await ask(sum, more)).header?.get('sum'), '3')
  })
})

describe('an answer that cannot be sent', () => {
  test('because its header cannot be written, is SYSTEM_ERROR, and the stream stays whole', async () => {
    const hostile = {
      get sum(): number {
        throw new Error('no value')
      },
    }
    const h = await house({ routes: [hot((_, reply) => reply.ok(hostile))] })
    const peer = await h.raw()
    const frame = (opaque: number): Buffer => jsonFrame({ code: Add.code, opaque, extFields: fields })
    peer.wire.write(Buffer.concat([frame(1), frame(2)]))
    await h.scheduler.settle()
    const remark = 'the answer could not be sent: Error: no value'
    assert.deepEqual(
      peer.answers.map((each) => [each.opaque, each.code, each.remark]),
      [
        [1, 1, remark],
        [2, 1, remark],
      ],
    )
    assert.equal(h.log.lines.filter(({ level }) => level === 'error').length, 2)
  })

  test('because it is larger than a frame, is SYSTEM_ERROR and says how large', async () => {
    const h = await house({ limits: { maxFrameBytes: 2_000 } })
    const peer = await h.raw()
    peer.wire.write(jsonFrame({ code: Echo.code, opaque: 1, extFields: { times: '3' } }, 'x'.repeat(1_000)))
    peer.wire.write(echoFrame(2))
    await h.scheduler.settle()
    assert.deepEqual(
      peer.answers.map(({ opaque, code }) => [opaque, code]),
      [
        [1, 1],
        [2, 0],
      ],
    )
    assert.match(peer.answers[0]!.remark!, /FrameTooLarge: a frame of 3\d\d\d bytes; 2000 are allowed/)
  })
})

describe('serialisation', () => {
  test('the answer is written as the request was', async () => {
    const h = await house()
    const peer = await h.raw()
    peer.wire.write(frameOf(1, binaryHeader({ opaque: 7, fields: binaryField('word', 'w') }), Buffer.from('binary')))
    await h.scheduler.settle()
    assert.equal(peer.bytes[4], 1)
    peer.wire.write(echoFrame(8, 'json'))
    await h.scheduler.settle()
    assert.deepEqual(
      peer.answers.map(({ opaque, body }) => [opaque, body]),
      [
        [7, 'binary'],
        [8, 'json'],
      ],
    )
  })

  test('refusals too', async () => {
    const h = await house()
    const peer = await h.raw()
    peer.wire.write(frameOf(1, binaryHeader({ code: 9_999, opaque: 7 })))
    await h.scheduler.settle()
    assert.equal(peer.bytes[4], 1)
    const { code, remark } = peer.answers[0]!
    assert.deepEqual([code, remark], [3, ' request type 9999 not supported'])
  })
})

describe('counting', () => {
  test('requests, failures and times by code; unknown codes apart', async () => {
    const h = await house()
    const peer = await h.raw()
    for (const frame of [
      echoFrame(1),
      jsonFrame({ code: Slow.code, opaque: 2 }),
      jsonFrame({ code: Fail.code, opaque: 3 }),
      jsonFrame({ code: 9_999, opaque: 4 }),
    ]) {
      peer.wire.write(frame)
    }
    await h.scheduler.settle()
    const of = (code: string, field: string): number =>
      h.probes.read().find(({ name, labels }) => name === `remoting.requests.${field}` && labels['code'] === code)!
        .value
    assert.equal(of('SLOW', 'inFlight'), 1)
    await h.scheduler.advance(60)
    assert.deepEqual([of('ECHO', 'requests'), of('SLOW', 'requests'), of('FAIL', 'requests')], [1, 1, 1])
    assert.deepEqual([of('ECHO', 'failures'), of('SLOW', 'failures'), of('FAIL', 'failures')], [0, 0, 1])
    assert.deepEqual([of('SLOW', 'timedMs'), of('SLOW', 'slowestMs'), of('SLOW', 'inFlight')], [50, 50, 0])
    assert.equal(h.count('remoting.router.unknownCodes'), 1)
    for (let opaque = 0; opaque < 100; opaque++) peer.wire.write(echoFrame(opaque))
    await h.scheduler.settle()
    assert.equal(of('ECHO', 'requests'), 101)
    assert.equal(of('ECHO', 'timedRequests'), 6)
  })

  test('two routes for one code are a mistake of ours', () => {
    const route = cold(() => ({ sum: 1 }))
    const options = { log: memoryLog(), probes: new Probes(), scheduler: new SimulatedScheduler() }
    assert.throws(() => new Router([route, route], options), { message: 'two routes for ADD (9100)' })
  })
})
