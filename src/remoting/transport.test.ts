import assert from 'node:assert/strict'
import { type AddressInfo, createServer } from 'node:net'
import { describe, test } from 'node:test'
import { SeededRandom } from '../base/random.ts'
import { SimulatedScheduler } from '../base/simulated-scheduler.ts'
import { until } from './harness.contract.ts'
import { MemoryTransport, type MemoryTransportOptions } from './memory-transport.ts'
import { readShared } from './shared-read.ts'
import { createTcpTransport, plainHost, tcpTransport } from './tcp-transport.ts'
import { transportContract } from './transport.contract.ts'
import { formatAddress, parseAddress, type Wire } from './transport.ts'

const memory = (options: MemoryTransportOptions) => () => {
  const scheduler = new SimulatedScheduler()
  return {
    transport: new MemoryTransport(scheduler, options),
    settled: <T>(promise: Promise<T>) => until(scheduler, promise),
  }
}

transportContract('tcp', () => ({ transport: tcpTransport, settled: (promise) => promise }))
transportContract('tcp, reads of their own', () => ({
  transport: createTcpTransport({ sharedReads: false }),
  settled: (promise) => promise,
}))
transportContract('memory', memory({}))
transportContract('memory, coalescing', memory({ coalesce: true }))
transportContract('memory, slow', memory({ delayMs: 7 }))
transportContract('memory, sliced by chance', memory({ sliceBytes: 40_000, random: new SeededRandom(7) }))
transportContract(
  'memory, sliced by chance and slow',
  memory({ sliceBytes: 9_999, random: new SeededRandom(8), delayMs: 3 }),
)

describe('memory transport', () => {
  interface Pair {
    scheduler: SimulatedScheduler
    transport: MemoryTransport
    near: Wire
    heard: { near: string[]; far: string[] }
    closed: { near: unknown[]; far: unknown[] }
    far: Wire
  }
  const pair = async (options: MemoryTransportOptions): Promise<Pair> => {
    const scheduler = new SimulatedScheduler()
    const transport = new MemoryTransport(scheduler, options)
    const heard = { near: [] as string[], far: [] as string[] }
    const closed = { near: [] as unknown[], far: [] as unknown[] }
    let far: Wire | undefined
    await transport.listen({ host: '127.0.0.1', port: 1 }, (wire) => {
      far = wire
      wire.onData((chunk) => heard.far.push(chunk.toString()))
      wire.onClose((error) => closed.far.push(error))
    })
    const near = await until(scheduler, transport.connect({ host: '127.0.0.1', port: 1 }))
    near.onData((chunk) => heard.near.push(chunk.toString()))
    near.onClose((error) => closed.near.push(error))
    return { scheduler, transport, near, far: far!, heard, closed }
  }

  test('cuts at every byte', async () => {
    const { scheduler, near, heard } = await pair({ sliceBytes: 1 })
    near.write(Buffer.from('abc'))
    near.write(Buffer.from('de'))
    await scheduler.settle()
    assert.deepEqual(heard.far, ['a', 'b', 'c', 'd', 'e'])
  })

  test('coalesces what is there', async () => {
    const { scheduler, near, heard } = await pair({ coalesce: true })
    near.write(Buffer.from('abc'))
    near.write(Buffer.from('de'))
    await scheduler.settle()
    assert.deepEqual(heard.far, ['abcde'])
  })

  test('bytes under way take their time', async () => {
    const { scheduler, near, heard } = await pair({ delayMs: 20 })
    near.write(Buffer.from('abc'))
    await scheduler.advance(19)
    assert.deepEqual(heard.far, [])
    await scheduler.advance(1)
    assert.deepEqual(heard.far, ['abc'])
  })

  test('a stream is cut after so many bytes, and both sides hear of a reset', async () => {
    const { scheduler, transport, near, heard, closed } = await pair({})
    transport.ends[1]!.cutAfter(4)
    near.write(Buffer.from('abcdef'))
    await scheduler.settle()
    assert.deepEqual(heard.far, ['abcd'])
    assert.equal((closed.near[0] as NodeJS.ErrnoException).code, 'ECONNRESET')
    assert.equal((closed.far[0] as NodeJS.ErrnoException).code, 'ECONNRESET')
    assert.equal(transport.ends.length, 0)
  })

  test('a peer that vanished is neither heard nor closed', async () => {
    const { scheduler, transport, near, far, heard, closed } = await pair({})
    transport.ends[0]!.freeze()
    near.write(Buffer.from('lost'))
    near.destroy()
    far.write(Buffer.from('anybody?'))
    await scheduler.advance(1_000)
    assert.deepEqual(heard.far, [])
    assert.deepEqual(closed.far, [])
    assert.equal(far.bufferedBytes, 8)
  })

  test('the same history twice', async () => {
    const run = async (): Promise<string[]> => {
      const { scheduler, near, heard } = await pair({ sliceBytes: 5, random: new SeededRandom(3), delayMs: 1 })
      for (let at = 0; at < 50; at++) near.write(Buffer.from(`word${at}`))
      await scheduler.advance(10)
      return heard.far
    }
    assert.deepEqual(await run(), await run())
  })

  test('who cannot be reached is waited for until the signal', async () => {
    const scheduler = new SimulatedScheduler()
    const transport = new MemoryTransport(scheduler)
    transport.makeUnreachable(9)
    const patience = new AbortController()
    scheduler.after(3_000, () => patience.abort())
    const connecting = transport.connect({ host: '127.0.0.1', port: 9 }, patience.signal)
    const gaveUp = { code: 'ETIMEDOUT', message: '127.0.0.1:9 does not answer' }
    await assert.rejects(until(scheduler, connecting, 100), gaveUp)
    assert.equal(scheduler.monotonic(), 3_000)
  })
})

describe('tcp transport', () => {
  test('this Node has the handles that shared reads need', async () => {
    let isShared: boolean | undefined
    const server = createServer({ pauseOnConnect: true }, (socket) => {
      const moved = readShared(socket, Buffer.alloc(1_024), () => {})
      isShared = moved !== undefined
      ;(moved ?? socket).destroy()
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const wire = await tcpTransport.connect({ host: '127.0.0.1', port: (server.address() as AddressInfo).port })
    await new Promise((resolve) => wire.onClose(resolve))
    assert.equal(isShared, true)
    server.close()
  })

  test('an unknown host and an address of another machine are named', async () => {
    await assert.rejects(
      tcpTransport.listen({ host: '203.0.113.77', port: 0 }, () => {}),
      { code: 'EADDRNOTAVAIL', message: '203.0.113.77 is no address of this machine' },
    )
    await assert.rejects(tcpTransport.connect({ host: 'no-such-host.invalid', port: 1 }), {
      message: 'no-such-host.invalid is no known host',
    })
  })

  test('gives up when the signal says so, also before it began', async () => {
    const patience = new AbortController()
    // Documentation addresses (RFC 5737) are routed nowhere.
    const connecting = tcpTransport.connect({ host: '192.0.2.1', port: 9 }, patience.signal)
    patience.abort()
    await assert.rejects(connecting, { code: 'ETIMEDOUT', message: '192.0.2.1:9 does not answer' })
    const late = tcpTransport.connect({ host: '127.0.0.1', port: 9 }, patience.signal)
    await assert.rejects(late, { code: 'ETIMEDOUT' })
  })

  test('IPv4 mapped into IPv6 is IPv4 again', () => {
    assert.equal(plainHost('::ffff:10.0.0.7'), '10.0.0.7')
    assert.equal(plainHost('::FFFF:10.0.0.7'), '10.0.0.7')
    assert.equal(plainHost('::1'), '::1')
    assert.equal(plainHost('fe80::1'), 'fe80::1')
    assert.equal(plainHost(undefined), '')
  })

  test('a listener on :: sees an IPv4 client under its own address', async (context) => {
    let seen: Wire | undefined
    let listener: Awaited<ReturnType<typeof tcpTransport.listen>>
    try {
      listener = await tcpTransport.listen({ host: '::', port: 0 }, (wire) => {
        seen = wire
        wire.onClose(() => {})
      })
    } catch {
      return context.skip('this machine has no IPv6')
    }
    const near = await tcpTransport.connect({ host: '127.0.0.1', port: listener.address.port })
    while (seen === undefined) await new Promise((resolve) => setImmediate(resolve))
    assert.equal(seen.remote.host, '127.0.0.1')
    assert.equal(seen.local.host, '127.0.0.1')
    near.destroy()
    seen.destroy()
    await listener.close()
  })
})

describe('addresses', () => {
  test('are read and written alike', () => {
    for (const text of ['127.0.0.1:9876', 'broker-a.example:10911', '[::1]:10911', '[fe80::1%eth0]:1']) {
      assert.equal(formatAddress(parseAddress(text)), text)
    }
  })

  test('what is none is said', () => {
    for (const text of ['', 'host', 'host:', ':x', 'host:99999', '[::1]', 'a:b:c']) {
      assert.throws(() => parseAddress(text), { name: 'TransportError', code: 'EINVAL' }, text)
    }
  })
})
