import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { SeededRandom } from '../base/random.ts'
import type { Answered } from './client.ts'
import type { AnswerListener } from './connection.ts'
import { Echo, echoFrame, Hold, type House, house, jsonFrame, Nobody, Slow, until } from './harness.contract.ts'
import { answer, handle, type Reply, withBody } from './router.ts'

type Echoed = Answered<typeof Echo>

const echo = (h: House, body: string, timeoutMs?: number): Promise<Echoed> =>
  h.client.request(h.address, Echo, { word: body }, { body: Buffer.from(body), ...(timeoutMs && { timeoutMs }) })

describe('asking', () => {
  test('a request is answered with header and body', async () => {
    const h = await house()
    const { code, header, body } = await until(h.scheduler, echo(h, 'hello'))
    assert.equal(code, 0)
    assert.equal(header?.word, 'hello')
    assert.equal(body.toString(), 'hello')
  })

  test('many requests are under way at once, and answers come in any order', async () => {
    const h = await house()
    const first = h.client.request(h.address, Hold, {})
    const second = h.client.request(h.address, Hold, {})
    const third = echo(h, 'third')
    assert.equal((await until(h.scheduler, third)).body.toString(), 'third')
    h.held[1]!.ok({}, Buffer.from('second'))
    assert.equal((await until(h.scheduler, second)).body.toString(), 'second')
    h.held[0]!.ok({}, Buffer.from('first'))
    assert.equal((await until(h.scheduler, first)).body.toString(), 'first')
  })

  test('an answer keeps its body when later frames overwrite the chunk that it came in', async () => {
    const h = await house({ transport: { coalesce: true } })
    const bodies = ['one', 'two', 'three', 'four']
    const answers = await until(h.scheduler, Promise.all(bodies.map((body) => echo(h, body))))
    assert.deepEqual(
      answers.map(({ body }) => body.toString()),
      bodies,
    )
  })

  test('a code that is not SUCCESS rejects, unless any code is wanted', async () => {
    const h = await house()
    await assert.rejects(until(h.scheduler, h.client.request(h.address, Nobody, {})), {
      name: 'Refused',
      responseCode: 3,
      message: '127.0.0.1:10911 refused NOBODY: REQUEST_CODE_NOT_SUPPORTED,  request type 9999 not supported',
    })
    const { code, remark } = await until(h.scheduler, h.client.request(h.address, Nobody, {}, { anyCode: true }))
    assert.deepEqual([code, remark], [3, ' request type 9999 not supported'])
  })

  test('a request without an answer is given up in time, not earlier', async () => {
    const h = await house()
    const failures: string[] = []
    h.client.request(h.address, Hold, {}, { timeoutMs: 500 }).catch((error: Error) => failures.push(error.name))
    await h.scheduler.advance(499)
    assert.deepEqual(failures, [])
    await h.scheduler.advance(1)
    assert.deepEqual(failures, ['RequestTimeout'])
  })

  test('one timer serves all deadlines of a connection, each on time', async () => {
    const h = await house()
    const connection = await until(h.scheduler, h.client.connection(h.address))
    const gone: string[] = []
    const before = h.scheduler.pending
    for (const [name, timeoutMs] of [
      ['c', 300],
      ['a', 100],
      ['d', 400],
      ['b', 200],
    ] as const) {
      connection.ask(Hold, { park: undefined }, undefined, timeoutMs, () =>
        gone.push(`${name}@${h.scheduler.monotonic()}`),
      )
    }
    assert.equal(h.scheduler.pending, before + 1)
    const start = h.scheduler.monotonic()
    await h.scheduler.advance(400)
    assert.deepEqual(gone, [`a@${start + 100}`, `b@${start + 200}`, `c@${start + 300}`, `d@${start + 400}`])
    assert.equal(connection.waiting, 0)
    assert.equal(h.scheduler.pending, before)
  })

  test('a late answer is dropped, and the connection goes on', async () => {
    const h = await house()
    await assert.rejects(until(h.scheduler, h.client.request(h.address, Hold, {}, { timeoutMs: 10 })), {
      code: 'REQUEST_TIMEOUT',
    })
    h.held[0]!.ok({}, Buffer.from('too late'))
    await h.scheduler.settle()
    assert.equal(h.count('remoting.client.lateAnswers'), 1)
    assert.equal((await until(h.scheduler, echo(h, 'next'))).body.toString(), 'next')
  })

  test('an answer that comes twice is taken once', async () => {
    const h = await house()
    const connection = await until(h.scheduler, h.client.connection(h.address))
    let answers = 0
    connection.ask(Hold, { park: undefined }, undefined, 1_000, () => answers++)
    await h.scheduler.settle()
    const [serverEnd] = [...h.server.connections]
    for (let copy = 0; copy < 3; copy++)
      serverEnd!.respond(undefined, 0, 1, 0, undefined, undefined, undefined, undefined)
    await h.scheduler.settle()
    assert.equal(answers, 1)
    assert.equal(h.count('remoting.client.lateAnswers'), 2)
  })

  test('requests that wait reject when the connection closes', async () => {
    const h = await house()
    const waiting = h.client.request(h.address, Hold, {})
    waiting.catch(() => {})
    await h.scheduler.settle()
    h.transport.cutAll()
    await assert.rejects(waiting, { name: 'ConnectionClosed', code: 'CONNECTION_CLOSED' })
  })

  test('asking on a closed connection fails at once', async () => {
    const h = await house()
    const connection = await until(h.scheduler, h.client.connection(h.address))
    connection.close('test')
    await assert.rejects(connection.request(Echo, {} as never), { code: 'CONNECTION_CLOSED' })
    connection.oneWay(Echo, {} as never)
    connection.close('again')
  })

  test('a listener that throws takes no other answer with it', async () => {
    const h = await house()
    const connection = await until(h.scheduler, h.client.connection(h.address))
    const got: string[] = []
    const header = { word: undefined, times: undefined }
    connection.ask(Echo, header, Buffer.from('a'), 1_000, () => {
      throw new Error('my fault')
    })
    const taken: AnswerListener = (_, frame) => got.push(frame!.body.toString())
    connection.ask(Echo, header, Buffer.from('b'), 1_000, taken)
    await h.scheduler.settle()
    assert.deepEqual(got, ['b'])
    assert.equal(h.log.lines.filter(({ message }) => message === 'an answer could not be taken').length, 1)
  })

  test('a request larger than a frame is not sent, and the stream stays whole', async () => {
    const h = await house({ clientLimits: { maxFrameBytes: 1_000 } })
    await assert.rejects(until(h.scheduler, echo(h, 'x'.repeat(1_000))), { code: 'FRAME_TOO_LARGE' })
    assert.equal((await until(h.scheduler, echo(h, 'small'))).body.toString(), 'small')
  })

  test('opaques of one side differ; each side counts for itself', async () => {
    const asked: string[] = []
    const h = await house({
      clientRoutes: [
        answer(Echo, (_, { frame, body }) => {
          asked.push(`client hears ${frame.opaque}`)
          return withBody({}, Buffer.from(body))
        }),
      ],
    })
    const connection = await until(h.scheduler, h.client.connection(h.address))
    const [serverEnd] = [...h.server.connections]
    const header = { word: undefined, times: undefined }
    const [ours, theirs] = await until(
      h.scheduler,
      Promise.all([
        connection.request(Echo, header, { body: Buffer.from('from the client') }),
        serverEnd!.request(Echo, header, { body: Buffer.from('from the server') }),
      ]),
    )
    assert.equal(ours.body.toString(), 'from the client')
    assert.equal(theirs.body.toString(), 'from the server')
    assert.deepEqual(asked, ['client hears 1'])
    assert.deepEqual(h.seen, [`${Echo.code}/1`])
  })
})

describe('one-way requests', () => {
  test('are handled and never answered', async () => {
    const h = await house()
    const peer = await h.raw()
    peer.wire.write(echoFrame(1, 'quiet', 2))
    peer.wire.write(jsonFrame({ code: Nobody.code, flag: 2, opaque: 2 }))
    peer.wire.write(jsonFrame({ code: 9_004, flag: 2, opaque: 3 }))
    peer.wire.write(echoFrame(4, 'aloud'))
    await h.scheduler.settle()
    assert.deepEqual(
      peer.answers.map(({ opaque }) => opaque),
      [4],
    )
    assert.equal(h.count('remoting.router.inFlight'), 0)
  })

  test('of the client arrive', async () => {
    const h = await house()
    h.client.oneWay(h.address, Echo, { word: 'x', times: undefined })
    await h.scheduler.settle()
    h.client.oneWay(h.address, Echo, { word: 'y', times: undefined })
    await h.scheduler.settle()
    assert.deepEqual(h.seen, [`${Echo.code}/1`, `${Echo.code}/2`])
  })

  test('that cannot be sent are logged, and nothing throws', async () => {
    const h = await house()
    h.client.oneWay('127.0.0.1:1', Echo, { word: 'x', times: undefined })
    await h.scheduler.settle()
    assert.deepEqual(
      h.log.lines.map(({ message, fields }) => [message, (fields['cause'] as Error).message]),
      [['not sent', 'nothing listens on 127.0.0.1:1']],
    )
  })
})

describe('writing', () => {
  test('answers of one turn go out as one write, in the order of their requests', async () => {
    const h = await house()
    const peer = await h.raw()
    peer.wire.write(Buffer.concat([echoFrame(1), echoFrame(2), echoFrame(3)]))
    await h.scheduler.settle()
    assert.equal(peer.received.length, 1)
    assert.deepEqual(
      peer.answers.map(({ opaque }) => opaque),
      [1, 2, 3],
    )
  })

  test('a large body is not copied, and goes between what was corked before and after it', async () => {
    const large = Buffer.alloc(100_000, 'L')
    const h = await house({
      routes: [
        handle(Echo, (_, reply) => {
          const { opaque } = reply.frame!
          if (opaque % 2 === 0) reply.ok({ word: 'large' }, [Buffer.from('<'), large, large, Buffer.from('>')])
          else reply.ok({ word: 'small' }, Buffer.from('small'))
        }),
      ],
    })
    const peer = await h.raw()
    peer.wire.write(Buffer.concat([1, 2, 3, 4, 5].map((opaque) => echoFrame(opaque))))
    await h.scheduler.settle()
    const big = `<${'L'.repeat(200_000)}>`
    assert.deepEqual(
      peer.answers.map(({ opaque, body }) => [opaque, body]),
      [
        [1, 'small'],
        [2, big],
        [3, 'small'],
        [4, big],
        [5, 'small'],
      ],
    )
    // Four times the same bytes, never joined to others: a read brings 65,536 at most.
    const rest = large.length - 65_536
    assert.equal(peer.received.filter(({ length }) => length === rest).length, 4)
    assert.equal(h.count('remoting.server.bytesOut'), peer.bytes.length)
  })

  test('bytes that wait to be written are not overwritten by later answers', async () => {
    const h = await house({ transport: { delayMs: 5 } })
    const peer = await h.raw()
    for (let opaque = 1; opaque <= 50; opaque++) {
      peer.wire.write(echoFrame(opaque, `body ${opaque}`))
      await h.scheduler.advance(1)
    }
    await h.scheduler.advance(20)
    assert.deepEqual(
      peer.answers.map(({ opaque, body }) => `${opaque} ${body}`),
      Array.from({ length: 50 }, (_, at) => `${at + 1} body ${at + 1}`),
    )
  })

  test('any slicing of the same bytes gives the same answers, either way', async () => {
    const run = async (seed: number): Promise<string[]> => {
      const random = new SeededRandom(seed)
      const sliceBytes = seed === 0 ? Number.POSITIVE_INFINITY : 1 + random.below(60)
      const h = await house({ transport: seed === 0 ? {} : { sliceBytes, random } })
      const peer = await h.raw()
      const frames: Buffer[] = []
      const chance = new SeededRandom(99)
      for (let opaque = 1; opaque <= 40; opaque++) {
        frames.push(echoFrame(opaque, 'b'.repeat(chance.below(300))))
        if (opaque % 7 === 0) frames.push(jsonFrame({ code: Nobody.code, opaque: -opaque }))
      }
      peer.wire.write(Buffer.concat(frames))
      await h.scheduler.settle()
      return peer.answers.map(({ opaque, code, body }) => `${opaque} ${code} ${body.length}`)
    }
    const whole = await run(0)
    assert.equal(whole.length, 45)
    for (let seed = 1; seed <= 25; seed++) assert.deepEqual(await run(seed), whole, `seed ${seed}`)
  })
})

describe('back-pressure', () => {
  const limits = { highWaterBytes: 100_000, maxQueuedBytes: 2_000_000 }

  test('a server reads nothing more from a peer that does not read its answers, and goes on when it does', async () => {
    const h = await house({ limits })
    const peer = await h.raw()
    peer.wire.pause()
    for (let opaque = 1; opaque <= 100; opaque++) {
      peer.wire.write(echoFrame(opaque, 'x'.repeat(10_000)))
      await h.scheduler.settle()
    }
    assert.ok(h.seen.length >= 10 && h.seen.length < 20, `handled ${h.seen.length}`)
    const [connection] = [...h.server.connections]
    assert.ok(connection!.queuedBytes < 200_000)
    peer.wire.resume()
    await h.scheduler.settle()
    assert.equal(h.seen.length, 100)
    assert.equal(peer.answers.length, 100)
  })

  test('requests that came in one piece are not all worked on for a peer that reads no answers', async () => {
    const h = await house({ limits: { ...limits, busyBytes: 100_000 } })
    const peer = await h.raw()
    peer.wire.pause()
    const frames = Array.from({ length: 100 }, (_, at) => echoFrame(at + 1, 'x'.repeat(17_000)))
    peer.wire.write(Buffer.concat(frames))
    await h.scheduler.settle()
    assert.equal(h.seen.length, 6, 'until the answers fill what may be queued')
    peer.wire.resume()
    await h.scheduler.settle()
    assert.deepEqual(
      peer.answers.map(({ code }) => code),
      [...new Array<number>(6).fill(0), ...new Array<number>(94).fill(2)],
    )
    peer.wire.write(echoFrame(200))
    await h.scheduler.settle()
    assert.equal(h.seen.length, 7)
  })

  test('other connections go on meanwhile', async () => {
    const h = await house({ limits })
    const peer = await h.raw()
    peer.wire.pause()
    for (let opaque = 1; opaque <= 50; opaque++) peer.wire.write(echoFrame(opaque, 'x'.repeat(10_000)))
    await h.scheduler.settle()
    assert.equal((await until(h.scheduler, echo(h, 'well'))).body.toString(), 'well')
  })

  test('a peer that asks for more than may wait for it is let go', async () => {
    const h = await house({ limits: { ...limits, maxFrameBytes: 16_777_216 } })
    const peer = await h.raw()
    peer.wire.pause()
    const request = jsonFrame({ code: Echo.code, extFields: { times: '100' }, opaque: 1 }, 'x'.repeat(15_000))
    peer.wire.write(Buffer.concat([request, request]))
    await h.scheduler.settle()
    assert.equal(h.server.connections.size, 0)
    assert.equal(h.count('remoting.server.slowPeers'), 1)
    assert.deepEqual(h.warnings(), ['connection closed: the peer does not read its answers: '])
  })

  test('two sides that both write much do not wait for each other for ever', async () => {
    const clientLimits = { highWaterBytes: 100_000 }
    const h = await house({ limits: { ...limits, maxQueuedBytes: 100_000_000 }, clientLimits })
    const sent = Array.from({ length: 150 }, (_, at) => echo(h, `${at % 10}`.repeat(12_000)))
    const answers = await until(h.scheduler, Promise.all(sent))
    assert.equal(answers.length, 150)
    assert.ok(answers.every(({ body }) => body.length === 12_000))
  })

  test('a client queues only so much for a server that does not read', async () => {
    const h = await house({ clientLimits: limits })
    const connection = await until(h.scheduler, h.client.connection(h.address))
    for (const end of h.transport.ends) end.freeze()
    const header = { word: undefined, times: undefined }
    const failures: string[] = []
    for (let at = 0; at < 300; at++) {
      connection.ask(Echo, header, Buffer.alloc(10_000), 1_000, (error) => failures.push(error!.name))
      await h.scheduler.settle()
    }
    connection.oneWay(Echo, header, Buffer.alloc(10_000))
    assert.ok(connection.queuedBytes < 2_100_000)
    assert.ok(failures.length > 80)
    assert.deepEqual([...new Set(failures)], ['ConnectionFull'])
    assert.equal(h.count('remoting.client.droppedOneWays'), 1)
    assert.ok(connection.isOpen)
    await h.scheduler.advance(1_000)
    assert.equal(failures.length, 300)
  })
})

describe('requests in flight', () => {
  const overloaded = { code: 2, remark: '[OVERLOAD]system busy, start flow control for a while' }

  test('are bounded per connection', async () => {
    const h = await house({ limits: { maxInFlightPerConnection: 3 } })
    const peer = await h.raw()
    const other = await h.raw()
    for (let opaque = 1; opaque <= 5; opaque++) peer.wire.write(jsonFrame({ code: Hold.code, opaque }))
    other.wire.write(echoFrame(9))
    await h.scheduler.settle()
    assert.equal(h.held.length, 3)
    assert.deepEqual(
      peer.answers.map(({ code, opaque, remark }) => ({ code, opaque, remark })),
      [
        { ...overloaded, opaque: 4 },
        { ...overloaded, opaque: 5 },
      ],
    )
    assert.equal(other.answers[0]!.code, 0)
    h.held[0]!.ok({})
    peer.wire.write(jsonFrame({ code: Hold.code, opaque: 6 }))
    await h.scheduler.settle()
    assert.equal(h.held.length, 4)
    assert.equal(h.count('remoting.router.overloaded'), 2)
  })

  test('are bounded in all', async () => {
    const h = await house({ limits: { maxInFlight: 3 } })
    const peers = [await h.raw(), await h.raw(), await h.raw(), await h.raw()]
    for (const peer of peers) {
      peer.wire.write(jsonFrame({ code: Hold.code, opaque: 1 }))
      await h.scheduler.settle()
    }
    assert.deepEqual(
      peers.map(({ answers }) => answers.map(({ code }) => code)),
      [[], [], [], [2]],
    )
  })

  test('beyond, one-way requests are dropped and counted', async () => {
    const h = await house({ limits: { maxInFlightPerConnection: 1 } })
    const peer = await h.raw()
    peer.wire.write(jsonFrame({ code: Hold.code, opaque: 1 }))
    peer.wire.write(echoFrame(2, 'x', 2))
    await h.scheduler.settle()
    assert.deepEqual(h.seen, [])
    assert.deepEqual(peer.answers, [])
    assert.equal(h.count('remoting.router.droppedOneWays'), 1)
  })

  test('parked ones do not count, and end with their connection', async () => {
    const h = await house({ limits: { maxInFlightPerConnection: 2, maxInFlight: 2 } })
    const peer = await h.raw()
    for (let opaque = 1; opaque <= 1_000; opaque++) {
      peer.wire.write(jsonFrame({ code: Hold.code, extFields: { park: 'true' }, opaque }))
    }
    peer.wire.write(echoFrame(2_000))
    await h.scheduler.settle()
    assert.equal(h.held.length, 1_000)
    assert.deepEqual(
      peer.answers.map(({ opaque }) => opaque),
      [2_000],
    )
    assert.equal(h.count('remoting.router.parked'), 1_000)
    assert.equal(h.count('remoting.router.inFlight'), 0)
    h.held[999]!.ok({})
    await h.scheduler.settle()
    assert.equal(peer.answers.length, 2)
    assert.equal(h.count('remoting.router.parked'), 999)
    peer.wire.destroy()
    await h.scheduler.settle()
    assert.equal(h.count('remoting.router.parked'), 0)
    for (const reply of h.held) reply.ok({})
    assert.equal(h.count('remoting.router.parked'), 0)
    assert.equal(h.count('remoting.router.inFlight'), 0)
  })

  test('of a closed connection count until their handlers end', async () => {
    const h = await house()
    const peer = await h.raw()
    peer.wire.write(jsonFrame({ code: Hold.code, opaque: 1 }))
    await h.scheduler.settle()
    peer.wire.destroy()
    await h.scheduler.settle()
    assert.equal(h.count('remoting.router.inFlight'), 1)
    h.held[0]!.ok({})
    h.held[0]!.fail(1, 'twice')
    assert.equal(h.count('remoting.router.inFlight'), 0)
  })
})

describe('idle connections', () => {
  test('are closed after 120 s without reading and writing, on both sides', async () => {
    const h = await house()
    await until(h.scheduler, echo(h, 'hello'))
    await h.scheduler.advance(119_000)
    assert.equal(h.server.connections.size, 1)
    await h.scheduler.advance(12_000)
    assert.equal(h.server.connections.size, 0)
    assert.equal(h.count('remoting.server.idleClosed') + h.count('remoting.client.idleClosed'), 1)
    assert.equal((await until(h.scheduler, echo(h, 'again'))).body.toString(), 'again')
  })

  test('a request now and then keeps one open', async () => {
    const h = await house()
    for (let minute = 0; minute < 10; minute++) {
      await until(h.scheduler, echo(h, 'alive'))
      await h.scheduler.advance(60_000)
    }
    assert.equal(h.count('remoting.server.accepted'), 1)
    assert.equal(h.server.connections.size, 1)
  })

  test('a peer that vanished without a word is closed, though we write to it', async () => {
    const h = await house()
    const peer = await h.raw()
    peer.wire.write(echoFrame(1))
    await h.scheduler.settle()
    for (const end of h.transport.ends) end.freeze()
    const [connection] = [...h.server.connections]
    for (let minute = 0; minute < 3; minute++) {
      connection!.oneWay(Echo, { word: 'anybody', times: undefined })
      await h.scheduler.advance(60_000)
    }
    assert.equal(h.server.connections.size, 0)
    assert.equal(h.transport.ends.length, 1)
  })

  test('one timer sweeps all of them', async () => {
    const h = await house()
    const before = h.scheduler.pending
    for (let count = 0; count < 50; count++) await h.raw()
    assert.equal(h.server.connections.size, 50)
    assert.equal(h.scheduler.pending, before)
    await h.scheduler.advance(131_000)
    assert.equal(h.server.connections.size, 0)
    assert.equal(h.count('remoting.server.idleClosed'), 50)
  })
})

describe('closing', () => {
  test('what was answered before is still read by the peer', async () => {
    const h = await house({ transport: { delayMs: 10 } })
    const peer = await h.raw()
    peer.wire.write(jsonFrame({ code: Hold.code, opaque: 1 }))
    await h.scheduler.advance(10)
    const [connection] = [...h.server.connections]
    h.held[0]!.ok({}, Buffer.alloc(50_000, 'z'))
    connection!.close('test')
    assert.equal(connection!.isOpen, false)
    await h.scheduler.advance(100)
    assert.equal(peer.answers[0]?.body.length, 50_000)
    assert.equal(peer.isClosed, true)
    assert.equal(h.transport.ends.length, 0)
  })

  test('a peer that does not close too is cut off after a second', async () => {
    const h = await house()
    await h.raw()
    const [connection] = [...h.server.connections]
    for (const end of h.transport.ends) end.freeze()
    connection!.close('test')
    await h.scheduler.advance(999)
    assert.equal(h.transport.ends.length, 2)
    await h.scheduler.advance(1)
    assert.equal(h.transport.ends.length, 1)
  })

  test('listeners hear of it once, also when another throws; those taken off do not', async () => {
    const h = await house()
    const peer = await h.raw()
    const [connection] = [...h.server.connections]
    const heard: string[] = []
    connection!.onClose(() => heard.push('first'))
    connection!.onClose(() => {
      throw new Error('my fault')
    })
    connection!.onClose(() => heard.push('second'))
    connection!.onClose(() => heard.push('never'))()
    peer.wire.destroy()
    await h.scheduler.settle()
    connection!.close('again')
    assert.deepEqual(heard, ['first', 'second'])
    assert.equal(h.log.lines.filter(({ message }) => message === 'a close was not taken').length, 1)
  })

  test('replies after it do nothing', async () => {
    const h = await house()
    const peer = await h.raw()
    peer.wire.write(jsonFrame({ code: Hold.code, opaque: 1 }))
    peer.wire.write(jsonFrame({ code: Slow.code, opaque: 2 }))
    await h.scheduler.settle()
    const reply = h.held[0] as Reply<typeof Hold>
    peer.wire.destroy()
    await h.scheduler.advance(100)
    reply.ok({}, Buffer.alloc(100_000))
    reply.park()
    await h.scheduler.settle()
    assert.equal(h.count('remoting.router.inFlight'), 0)
    assert.deepEqual(h.warnings(), [])
  })

  test('every end of a connection is counted by its reason', async () => {
    const h = await house({ limits: { idleMs: 5_000 } })
    const byPeer = await h.raw()
    byPeer.wire.end()
    await h.scheduler.settle()
    const bad = await h.raw()
    bad.wire.write(Buffer.from('GET / HTTP/1.1\r\n\r\n'))
    await h.raw()
    h.transport.cutAll()
    await h.raw()
    await h.scheduler.advance(6_000)
    await h.raw()
    ;[...h.server.connections][0]!.close('test')
    await h.scheduler.settle()
    const counted = ['closedByPeer', 'badFrames', 'closedByFault', 'idleClosed', 'closedHere', 'open', 'accepted']
    assert.deepEqual(
      counted.map((name) => h.count(`remoting.server.${name}`)),
      [1, 1, 1, 1, 1, 0, 5],
    )
  })
})
