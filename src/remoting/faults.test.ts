import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { SeededRandom } from '../base/random.ts'
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

const word = { word: 'w', times: undefined }

const isHealthy = async (h: House): Promise<void> => {
  const { body } = await until(h.scheduler, h.client.request(h.address, Echo, word, { body: Buffer.from('healthy') }))
  assert.equal(body.toString(), 'healthy')
}

describe('a stream that breaks', () => {
  const frame = echoFrame(1, 'the body')

  test('at every byte of a request: nothing is handled, nothing is logged', async () => {
    for (let at = 0; at < frame.length; at++) {
      const h = await house()
      const peer = await h.raw()
      peer.wire.write(frame.subarray(0, at))
      peer.wire.end()
      await h.scheduler.settle()
      assert.deepEqual([h.seen, h.warnings(), h.server.connections.size], [[], [], 0], `byte ${at}`)
    }
  })

  test('at every byte of an answer: who waits hears of it, and the next request connects again', async () => {
    const whole = await house()
    await isHealthy(whole)
    const answerBytes = whole.count('remoting.server.bytesOut')
    assert.ok(answerBytes > 100)
    for (let at = 1; at < answerBytes; at++) {
      const h = await house({ transport: at % 2 === 0 ? { sliceBytes: 3 } : {} })
      await until(h.scheduler, h.client.connection(h.address))
      h.transport.ends[0]!.cutAfter(at)
      const asked = h.client.request(h.address, Echo, word, { body: Buffer.from('healthy') })
      await assert.rejects(until(h.scheduler, asked), { code: 'CONNECTION_CLOSED' }, `byte ${at}`)
      await isHealthy(h)
      assert.equal(h.count('remoting.router.inFlight'), 0)
    }
  })

  test('while requests are under way in both directions: each ends once', async () => {
    for (let seed = 1; seed <= 60; seed++) {
      const random = new SeededRandom(seed)
      const h = await house({ transport: { sliceBytes: 50, random, delayMs: random.below(3) } })
      await until(h.scheduler, h.client.connection(h.address))
      const end = h.transport.ends[random.below(2)]!
      if (random.below(4) > 0) end.cutAfter(1 + random.below(2_000))
      else end.freeze()
      const ends = new Array<number>(30).fill(0)
      const all = ends.map((_, at) =>
        h.client
          .request(h.address, at % 5 === 0 ? Slow : Echo, word as never, {
            timeoutMs: 1_000,
            body: Buffer.alloc(at * 10),
          })
          .then(
            () => ends[at]!++,
            () => ends[at]!++,
          ),
      )
      await until(h.scheduler, Promise.all(all))
      await h.scheduler.advance(5_000)
      assert.deepEqual(
        ends,
        ends.map(() => 1),
        `seed ${seed}`,
      )
      assert.equal(h.count('remoting.router.inFlight'), 0, `seed ${seed}`)
      assert.equal(h.log.lines.filter(({ level }) => level === 'error').length, 0, `seed ${seed}`)
    }
  })

  test('half open: requests end by their timeout, and the connection when it was silent too long', async () => {
    const h = await house()
    await isHealthy(h)
    for (const end of h.transport.ends) end.freeze()
    const asked = h.client.request(h.address, Echo, word, { timeoutMs: 3_000 })
    await assert.rejects(until(h.scheduler, asked, 100), { code: 'REQUEST_TIMEOUT' })
    await h.scheduler.advance(135_000)
    assert.equal(h.count('remoting.client.idleClosed'), 1)
    assert.equal(h.count('remoting.server.idleClosed'), 1)
    await isHealthy(h)
  })
})

describe('a hostile peer', () => {
  test('with 1,000 garbage frames in one go makes one log line', async () => {
    const h = await house()
    const peer = await h.raw()
    const garbage = frameOf(7, Buffer.from('garbage'), Buffer.from('more'))
    peer.wire.write(Buffer.concat(new Array<Buffer>(1_000).fill(garbage)))
    await h.scheduler.settle()
    assert.deepEqual(h.warnings(), ['connection closed: not a frame: serialize type 7; 0 and 1 are known'])
    assert.equal(peer.isClosed, true)
    await isHealthy(h)
  })

  test('with a good frame, then garbage, is answered what was right', async () => {
    const h = await house()
    const peer = await h.raw()
    peer.wire.write(Buffer.concat([echoFrame(1, 'right'), Buffer.alloc(50, 0xee), echoFrame(2, 'behind')]))
    await h.scheduler.settle()
    assert.deepEqual(
      peer.answers.map(({ body }) => body),
      ['right'],
    )
    assert.deepEqual(h.seen, [`${Echo.code}/1`])
    assert.equal(h.warnings().length, 1)
  })

  test('with 10,000 responses that nobody asked for is heard and forgotten', async () => {
    const h = await house()
    const peer = await h.raw()
    for (let opaque = 0; opaque < 10_000; opaque++) peer.wire.write(jsonFrame({ code: 0, flag: 1, opaque }))
    peer.wire.write(echoFrame(1))
    await h.scheduler.settle()
    assert.equal(h.count('remoting.server.lateAnswers'), 10_000)
    assert.equal(peer.answers.length, 1)
    assert.deepEqual(h.log.lines, [])
  })

  test('with one-way requests of every code up to 1,000 hears nothing', async () => {
    const h = await house()
    const peer = await h.raw()
    for (let code = -500; code <= 1_000; code++) peer.wire.write(jsonFrame({ code, flag: 2, opaque: code }))
    await h.scheduler.settle()
    assert.equal(peer.bytes.length, 0)
    assert.equal(h.count('remoting.router.unknownCodes'), 1_501)
    assert.equal(peer.isClosed, false)
  })

  test('that sends a byte a second is served in the end, and so are the others meanwhile', async () => {
    const h = await house()
    const slow = await h.raw()
    for (const byte of echoFrame(3, 'slow')) {
      slow.wire.write(Buffer.of(byte))
      await h.scheduler.advance(1_000)
    }
    await isHealthy(h)
    assert.deepEqual(
      slow.answers.map(({ body }) => body),
      ['slow'],
    )
    assert.equal(h.count('remoting.server.idleClosed'), 0)
  })

  test('1,000 of them with half a frame each are closed when they stay silent', async () => {
    const h = await house()
    for (let count = 0; count < 1_000; count++) {
      const peer = await h.raw()
      peer.wire.write(echoFrame(1).subarray(0, 20))
    }
    await h.scheduler.settle()
    assert.equal(h.server.connections.size, 1_000)
    await h.scheduler.advance(131_000)
    assert.equal(h.server.connections.size, 0)
    await isHealthy(h)
  })

  test('that opens and closes at once leaves nothing', async () => {
    const h = await house()
    for (let count = 0; count < 500; count++) {
      const peer = await h.raw()
      if (count % 2 === 0) peer.wire.write(jsonFrame({ code: Hold.code, opaque: 1 }))
      if (count % 3 === 0) peer.wire.end()
      else peer.wire.destroy()
    }
    await h.scheduler.settle()
    assert.equal(h.server.connections.size, 0)
    assert.equal(h.transport.ends.length, 0)
    for (const reply of h.held) reply.ok({})
    assert.equal(h.count('remoting.router.inFlight'), 0)
  })

  test('whose requests make handlers throw is answered, each logged once', async () => {
    const h = await house()
    const peer = await h.raw()
    for (let opaque = 1; opaque <= 20; opaque++) peer.wire.write(jsonFrame({ code: Fail.code, opaque }))
    await h.scheduler.settle()
    assert.deepEqual([...new Set(peer.answers.map(({ code, remark }) => `${code} ${remark}`))], ['1 TypeError: a bug'])
    assert.equal(peer.answers.length, 20)
    assert.equal(h.log.lines.filter(({ level }) => level === 'error').length, 20)
  })

  test('who mutates good frames 3,000 times breaks nobody but himself', async () => {
    const random = new SeededRandom(20_261_125)
    const originals = [
      echoFrame(1, 'body'),
      jsonFrame(
        { code: 9_001, extFields: { word: 'a\\"b', times: '2' }, language: 'GO', opaque: 2, version: 317 },
        'x',
      ),
      frameOf(
        1,
        binaryHeader({ fields: Buffer.concat([binaryField('word', 'w'), binaryField('times', '2')]) }),
        Buffer.from('y'),
      ),
      jsonFrame({ code: 9_003, opaque: 3 }),
      jsonFrame({ code: 9_002, opaque: 4, flag: 2 }),
    ]
    let h = await house()
    let closed = 0
    for (let round = 0; round < 3_000; round++) {
      const peer = await h.raw()
      const bytes = Buffer.concat([originals[random.below(5)]!, originals[random.below(5)]!])
      const changes = 1 + random.below(4)
      for (let change = 0; change < changes; change++) {
        const at = random.below(random.below(3) === 0 ? 8 : bytes.length)
        bytes[at] = random.below(2) === 0 ? random.below(256) : bytes[at]! ^ (1 << random.below(8))
      }
      peer.wire.write(bytes.subarray(0, random.below(5) === 0 ? random.below(bytes.length) : bytes.length))
      await h.scheduler.settle()
      if (peer.isClosed) closed++
      else peer.wire.destroy()
      if (round % 500 === 499) {
        await h.scheduler.advance(100)
        for (const reply of h.held) reply.ok({})
        await isHealthy(h)
        assert.equal(h.warnings().length, closed, `by round ${round}`)
        assert.equal(h.count('remoting.router.inFlight'), 0)
        h = await house()
        closed = 0
      }
    }
  })
})
