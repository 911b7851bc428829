import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { memoryLog } from '../base/console-log.ts'
import { Probes } from '../base/probe.ts'
import { SimulatedScheduler } from '../base/simulated-scheduler.ts'
import { systemScheduler } from '../base/system-scheduler.ts'
import { RemotingClient } from './client.ts'
import type { Connection } from './connection.ts'
import { Echo, echoFrame, Hold, house, jsonFrame, until } from './harness.contract.ts'
import { MemoryTransport } from './memory-transport.ts'
import { handle, Router } from './router.ts'
import { listen } from './server.ts'
import { tcpTransport } from './tcp-transport.ts'
import { formatAddress } from './transport.ts'

const word = (said: string): { word: string; times: undefined } => ({ word: said, times: undefined })

describe('a server that closes', () => {
  test('answers what it works on, takes nothing new, and then closes', async () => {
    const h = await house()
    const peer = await h.raw()
    peer.wire.write(jsonFrame({ code: Hold.code, opaque: 1 }))
    await h.scheduler.settle()
    const closing = h.server.close()
    peer.wire.write(echoFrame(2))
    await h.scheduler.advance(200)
    assert.equal(peer.isClosed, false)
    assert.deepEqual(h.seen, [])
    await assert.rejects(until(h.scheduler, h.client.connection(h.address)), { code: 'ECONNREFUSED' })
    h.held[0]!.ok({}, Buffer.from('done'))
    await until(h.scheduler, closing)
    assert.deepEqual(
      peer.answers.map(({ opaque, body }) => [opaque, body]),
      [[1, 'done']],
    )
    assert.equal(peer.isClosed, true)
    assert.deepEqual(h.seen, [])
  })

  test('waits no longer than its deadline', async () => {
    const h = await house({ server: { drainMs: 2_000 } })
    const peer = await h.raw()
    peer.wire.write(jsonFrame({ code: Hold.code, opaque: 1 }))
    await h.scheduler.settle()
    const started = h.scheduler.monotonic()
    await until(h.scheduler, h.server.close(), 5)
    const took = h.scheduler.monotonic() - started
    assert.ok(took >= 2_000 && took < 2_100, `${took} ms`)
    assert.equal(peer.isClosed, true)
    h.held[0]!.ok({})
  })

  test('does not wait for parked requests', async () => {
    const h = await house()
    const peer = await h.raw()
    peer.wire.write(jsonFrame({ code: Hold.code, opaque: 1, extFields: { park: 'true' } }))
    await h.scheduler.settle()
    const started = h.scheduler.monotonic()
    await until(h.scheduler, h.server.close())
    assert.ok(h.scheduler.monotonic() - started < 50)
    assert.equal(peer.isClosed, true)
  })

  test('with half-open peers ends too', async () => {
    const h = await house()
    await h.raw()
    for (const end of h.transport.ends) end.freeze()
    const started = h.scheduler.monotonic()
    await until(h.scheduler, h.server.close(), 5)
    assert.ok(h.scheduler.monotonic() - started <= 1_100)
    assert.equal(h.server.connections.size, 0)
  })

  test('may be closed twice, and its port be used again', async () => {
    const h = await house()
    const first = h.server.close()
    assert.equal(h.server.close(), first)
    await until(h.scheduler, first)
    const listener = await h.transport.listen({ host: '127.0.0.1', port: 10_911 }, (wire) => wire.destroy())
    await listener.close()
  })

  test('leaves no timer behind', async () => {
    const h = await house()
    await h.raw()
    await until(h.scheduler, h.client.request(h.address, Echo, word('x')))
    await until(h.scheduler, Promise.all([h.server.close(), h.client.close()]))
    assert.equal(h.scheduler.pending, 0)
    assert.equal(h.transport.ends.length, 0)
  })
})

describe('a server', () => {
  test('refuses more connections than it may have, and says so', async () => {
    const h = await house({ limits: { maxConnections: 2 } })
    const first = await h.raw()
    await h.raw()
    const third = await h.raw()
    await h.scheduler.settle()
    assert.deepEqual([first.isClosed, third.isClosed], [false, true])
    assert.deepEqual([h.count('remoting.server.accepted'), h.count('remoting.server.refused')], [2, 1])
    first.wire.destroy()
    await h.scheduler.settle()
    const fourth = await h.raw()
    fourth.wire.write(echoFrame(1))
    await h.scheduler.settle()
    assert.equal(fourth.answers.length, 1)
  })

  test('that refuses a thousand connections says so once, and again when it was otherwise in between', async () => {
    const h = await house({ limits: { maxConnections: 1 } })
    const first = await h.raw()
    for (let each = 0; each < 1_000; each++) await h.raw()
    await h.scheduler.settle()
    assert.equal(h.count('remoting.server.refused'), 1_000)
    const said = (): number => h.warnings().filter((line) => line.startsWith('connection refused')).length
    assert.equal(said(), 1)
    assert.ok(h.log.lines.find(({ message }) => message.startsWith('connection refused'))?.fields['fix'])
    first.wire.destroy()
    await h.scheduler.settle()
    for (let each = 0; each < 3; each++) await h.raw()
    await h.scheduler.settle()
    assert.equal(said(), 2)
  })

  test('tells of connections that open and close', async () => {
    const told: string[] = []
    const h = await house({
      server: {
        onOpen: (connection) => told.push(`open ${connection.peer}`),
        onClose: (connection) => told.push(`close ${connection.peer} ${connection.isOpen}`),
      },
    })
    const peer = await h.raw()
    const name = formatAddress(peer.wire.local)
    peer.wire.end()
    await h.scheduler.settle()
    assert.deepEqual(told, [`open ${name}`, `close ${name} false`])
  })

  test('at two ports gives no id twice', async () => {
    const scheduler = new SimulatedScheduler()
    const transport = new MemoryTransport(scheduler)
    const shared = { transport, scheduler, log: memoryLog(), probes: new Probes(), role: 'test' }
    const router = new Router([], shared)
    const opened: Connection[] = []
    for (const port of [10_911, 10_909]) {
      const address = { host: '127.0.0.1', port }
      await listen({ ...shared, address, router, onOpen: (connection) => opened.push(connection) })
      for (let count = 0; count < 3; count++) await until(scheduler, transport.connect(address))
    }
    assert.equal(new Set(opened.map(({ id }) => id)).size, 6)
  })
})

describe('a client', () => {
  test('has one connection to an address, however many ask at once', async () => {
    const h = await house()
    const words = Array.from({ length: 50 }, (_, at) => `w${at}`)
    const answers = await until(
      h.scheduler,
      Promise.all(words.map((said) => h.client.request(h.address, Echo, word(said)))),
    )
    assert.deepEqual(
      answers.map(({ header }) => header?.word),
      words,
    )
    assert.equal(h.count('remoting.server.accepted'), 1)
    assert.equal(await h.client.connection(h.address), await h.client.connection(h.address))
  })

  test('connects again when it is next needed', async () => {
    const h = await house()
    await until(h.scheduler, h.client.request(h.address, Echo, word('before')))
    h.transport.cutAll()
    await h.scheduler.settle()
    assert.equal(h.count('remoting.client.open'), 0)
    const { header } = await until(h.scheduler, h.client.request(h.address, Echo, word('after')))
    assert.equal(header?.word, 'after')
    assert.equal(h.count('remoting.server.accepted'), 2)
  })

  test('tries again after it could not connect', async () => {
    const h = await house()
    const address = '127.0.0.1:7'
    for (let attempt = 0; attempt < 2; attempt++) {
      const failed = until(h.scheduler, h.client.request(address, Echo, word('x')))
      await assert.rejects(failed, { name: 'TransportError', code: 'ECONNREFUSED' })
    }
    await assert.rejects(until(h.scheduler, h.client.request('no address', Echo, word('x'))), { code: 'EINVAL' })
  })

  test('gives up connecting after 3 s, for all who wait for it', async () => {
    const h = await house()
    h.transport.makeUnreachable(10_911)
    const started = h.scheduler.monotonic()
    const asked = [1, 2].map(() => h.client.request(h.address, Echo, word('x'), { timeoutMs: 10_000 }))
    const results = await until(h.scheduler, Promise.allSettled(asked), 100)
    for (const result of results) assert.equal(result.status === 'rejected' && result.reason.code, 'ETIMEDOUT')
    assert.equal(h.scheduler.monotonic() - started, 3_000)
    h.transport.makeReachable(10_911)
    assert.equal((await until(h.scheduler, h.client.request(h.address, Echo, word('y')))).header?.word, 'y')
  })

  test('counts the time to connect as time of the request', async () => {
    const h = await house({ transport: { delayMs: 40 } })
    const failed = until(h.scheduler, h.client.request(h.address, Echo, word('x'), { timeoutMs: 79 }))
    await assert.rejects(failed, { code: 'REQUEST_TIMEOUT' })
  })

  test('answers what the server asks it', async () => {
    const heard: string[] = []
    const h = await house({
      clientRoutes: [
        handle(Echo, ({ word: said }, reply) => {
          heard.push(said ?? '')
          reply.ok({ word: 'heard' })
        }),
      ],
    })
    await until(h.scheduler, h.client.connection(h.address))
    const [connection] = [...h.server.connections]
    const { header } = await until(h.scheduler, connection!.request(Echo, word('psst')))
    assert.equal(header?.word, 'heard')
    connection!.oneWay(Echo, word('and'))
    await h.scheduler.settle()
    assert.deepEqual(heard, ['psst', 'and'])
  })

  test('without routes says that it knows no request', async () => {
    const h = await house()
    await until(h.scheduler, h.client.connection(h.address))
    const [connection] = [...h.server.connections]
    const { code, remark } = await until(h.scheduler, connection!.request(Echo, word('x'), { anyCode: true }))
    assert.deepEqual([code, remark], [3, ` request type ${Echo.code} not supported`])
  })

  test('that is closed answers who waits, and connects no more', async () => {
    const h = await house()
    const waiting = h.client.request(h.address, Hold, { park: undefined })
    waiting.catch(() => {})
    await h.scheduler.settle()
    await until(h.scheduler, h.client.close())
    await assert.rejects(waiting, { code: 'CONNECTION_CLOSED' })
    await assert.rejects(h.client.request(h.address, Echo, word('x')), { code: 'CONNECTION_CLOSED' })
    await h.scheduler.settle()
    assert.equal(h.server.connections.size, 0)
  })

  test('closed while it connects, leaves nothing open', async () => {
    const h = await house()
    const asked = h.client.request(h.address, Echo, word('x'))
    asked.catch(() => {})
    await until(h.scheduler, h.client.close())
    await assert.rejects(asked, { code: 'CONNECTION_CLOSED' })
    await h.scheduler.settle()
    assert.equal(h.transport.ends.length, 0)
  })
})

describe('over real sockets', () => {
  test('requests, large bodies, a drain and a close', async () => {
    const probes = new Probes()
    const log = memoryLog()
    const scheduler = systemScheduler
    const routes = [
      handle(Echo, ({ word: said, times = 1 }, reply) =>
        reply.ok({ word: said }, new Array<Buffer>(times).fill(Buffer.from(reply.body))),
      ),
    ]
    const router = new Router(routes, { log, probes, scheduler })
    const address = { host: '127.0.0.1', port: 0 }
    const server = await listen({ transport: tcpTransport, address, router, scheduler, log, probes, role: 'test' })
    const client = new RemotingClient({ transport: tcpTransport, scheduler, log, probes })
    const to = formatAddress(server.address)
    const asked = Array.from({ length: 200 }, (_, at) =>
      client.request(to, Echo, { word: `${at}`, times: (at % 3) + 1 }, { body: Buffer.alloc(at * 500, at) }),
    )
    const answers = await Promise.all(asked)
    answers.forEach(({ header, body }, at) => {
      assert.equal(header?.word, `${at}`)
      assert.equal(body.length, at * 500 * ((at % 3) + 1))
      assert.ok(body.every((byte) => byte === at % 256))
    })
    const { body } = await client.request(to, Echo, { word: 'big', times: 7 }, { body: Buffer.alloc(2_000_000, 7) })
    assert.equal(body.length, 14_000_000)
    await server.close()
    assert.equal(server.connections.size, 0)
    await assert.rejects(client.request(to, Echo, word('x')), { code: 'ECONNREFUSED' })
    await client.close()
    assert.deepEqual(
      log.lines.filter(({ level }) => level !== 'debug'),
      [],
    )
  })
})
