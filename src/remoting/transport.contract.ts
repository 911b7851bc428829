import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type Transport, TransportError, type Wire } from './transport.ts'

export interface TransportUnderTest {
  transport: Transport
  /** Lets time pass until the promise is settled. */
  settled<T>(promise: Promise<T>): Promise<T>
}

/** A stream's end with all that happened to it. */
class Recorded {
  readonly wire: Wire
  readonly chunks: Buffer[] = []
  readonly closed: Promise<Error | undefined>
  drains = 0
  #wanted: { bytes: number; resolve: () => void } | undefined

  constructor(wire: Wire) {
    this.wire = wire
    wire.onData((chunk) => {
      // Views are valid until the callback returns.
      this.chunks.push(Buffer.from(chunk))
      if (this.#wanted !== undefined && this.byteCount >= this.#wanted.bytes) this.#wanted.resolve()
    })
    wire.onDrain(() => this.drains++)
    this.closed = new Promise((resolve) => wire.onClose(resolve))
  }

  get byteCount(): number {
    return this.chunks.reduce((sum, { length }) => sum + length, 0)
  }

  received(bytes: number): Promise<void> {
    if (this.byteCount >= bytes) return Promise.resolve()
    return new Promise((resolve) => {
      this.#wanted = { bytes, resolve }
    })
  }

  text(): string {
    return Buffer.concat(this.chunks).toString('latin1')
  }
}

/** What holds for every transport, real or not. */
export function transportContract(name: string, make: () => TransportUnderTest): void {
  describe(`transport: ${name}`, () => {
    const pair = async (): Promise<{
      near: Recorded
      far: Recorded
      settled: TransportUnderTest['settled']
      close: () => Promise<void>
    }> => {
      const { transport, settled } = make()
      let accepted: (wire: Wire) => void
      const accepting = new Promise<Wire>((resolve) => {
        accepted = resolve
      })
      const listener = await transport.listen({ host: '127.0.0.1', port: 0 }, (wire) => accepted(wire))
      const near = new Recorded(await settled(transport.connect(listener.address)))
      const far = new Recorded(await settled(accepting))
      const close = async (): Promise<void> => {
        near.wire.destroy()
        far.wire.destroy()
        await settled(Promise.all([near.closed, far.closed]))
        await listener.close()
      }
      return { near, far, settled, close }
    }

    test('both ends name each other', async () => {
      const { near, far, close } = await pair()
      assert.deepEqual(near.wire.remote, far.wire.local)
      assert.deepEqual(near.wire.local, far.wire.remote)
      assert.equal(far.wire.remote.host, '127.0.0.1')
      assert.notEqual(near.wire.remote.port, 0)
      await close()
    })

    test('bytes arrive whole and in order, both ways', async () => {
      const { near, far, settled, close } = await pair()
      const sent: string[] = []
      for (let at = 0; at < 200; at++) {
        const text = `${at}:${'x'.repeat((at * 37) % 300)};`
        sent.push(text)
        near.wire.write(Buffer.from(text))
        far.wire.write(Buffer.from(text.toUpperCase()))
      }
      const all = sent.join('')
      await settled(Promise.all([far.received(all.length), near.received(all.length)]))
      assert.equal(far.text(), all)
      assert.equal(near.text(), all.toUpperCase())
      assert.equal(near.wire.bufferedBytes, 0)
      await close()
    })

    test('corked writes keep their order', async () => {
      const { near, far, settled, close } = await pair()
      near.wire.cork()
      near.wire.write(Buffer.from('one '))
      near.wire.write(Buffer.alloc(100_000, 'b'))
      near.wire.write(Buffer.from(' three'))
      near.wire.uncork()
      await settled(far.received(100_010))
      assert.equal(far.text(), `one ${'b'.repeat(100_000)} three`)
      await close()
    })

    test('nothing is heard while paused, and nothing is lost', async () => {
      const { near, far, settled, close } = await pair()
      far.wire.pause()
      near.wire.write(Buffer.from('later'))
      near.wire.write(Buffer.from(' on'))
      far.wire.write(Buffer.from('now'))
      await settled(near.received(3))
      assert.equal(far.text(), '')
      far.wire.resume()
      await settled(far.received(8))
      assert.equal(far.text(), 'later on')
      await close()
    })

    test('a writer who is faster than the reader is told, and told again when all is written', async () => {
      const { near, far, settled, close } = await pair()
      far.wire.pause()
      const block = Buffer.alloc(1_048_576, 1)
      let blocks = 0
      let accepting = true
      while (accepting && blocks < 64) {
        accepting = near.wire.write(block)
        blocks++
      }
      assert.equal(accepting, false)
      assert.ok(near.wire.bufferedBytes > 0)
      assert.equal(near.drains, 0)
      far.wire.resume()
      await settled(far.received(blocks * block.length))
      near.wire.write(Buffer.from('!'))
      await settled(far.received(blocks * block.length + 1))
      assert.equal(near.drains, 1)
      await close()
    })

    test('an end comes after everything that was written, and closes both sides', async () => {
      const { near, far, settled, close } = await pair()
      near.wire.write(Buffer.alloc(300_000, 'a'))
      near.wire.end()
      assert.equal(await settled(far.closed), undefined)
      assert.equal(await settled(near.closed), undefined)
      assert.equal(far.byteCount, 300_000)
      await close()
    })

    test('what the peer wrote before it saw the end still arrives', async () => {
      const { near, far, settled, close } = await pair()
      far.wire.write(Buffer.from('last words'))
      near.wire.end()
      await settled(near.closed)
      assert.equal(near.text(), 'last words')
      await settled(far.closed)
      await close()
    })

    test('destroying one side closes the other', async () => {
      const { near, far, settled, close } = await pair()
      near.wire.destroy()
      await settled(Promise.all([near.closed, far.closed]))
      await close()
    })

    test('writing to what is closed is no error', async () => {
      const { near, far, settled, close } = await pair()
      near.wire.destroy()
      await settled(Promise.all([near.closed, far.closed]))
      assert.equal(near.wire.write(Buffer.from('x')), true)
      assert.equal(far.wire.write(Buffer.from('x')), true)
      near.wire.end()
      near.wire.pause()
      near.wire.resume()
      near.wire.destroy()
      await close()
    })

    test('who asks late whether it is closed, is told', async () => {
      const { near, far, settled, close } = await pair()
      far.wire.destroy()
      await settled(Promise.all([near.closed, far.closed]))
      assert.equal(await settled(new Promise((resolve) => near.wire.onClose(resolve))), undefined)
      await close()
    })

    test('a port in use says so in one sentence', async () => {
      const { transport } = make()
      const listener = await transport.listen({ host: '127.0.0.1', port: 0 }, (wire) => wire.destroy())
      await assert.rejects(
        transport.listen(listener.address, (wire) => wire.destroy()),
        (error: TransportError) => {
          assert.ok(error instanceof TransportError)
          assert.equal(error.code, 'EADDRINUSE')
          const { port } = listener.address
          const told = `port ${port} on 127.0.0.1 is in use by another process; stop it or choose another port`
          assert.equal(error.message, told)
          return true
        },
      )
      await listener.close()
    })

    test('a port where nobody listens says so, also after a listener closed', async () => {
      const { transport, settled } = make()
      const listener = await transport.listen({ host: '127.0.0.1', port: 0 }, (wire) => wire.destroy())
      const { address } = listener
      await listener.close()
      await assert.rejects(settled(transport.connect(address)), {
        name: 'TransportError',
        code: 'ECONNREFUSED',
        message: `nothing listens on 127.0.0.1:${address.port}`,
      })
      const again = await transport.listen(address, (wire) => wire.destroy())
      await again.close()
    })

    test('closing a listener leaves open streams alone', async () => {
      const { transport, settled } = make()
      const accepted: Recorded[] = []
      const listener = await transport.listen({ host: '127.0.0.1', port: 0 }, (wire) => {
        accepted.push(new Recorded(wire))
      })
      const near = new Recorded(await settled(transport.connect(listener.address)))
      near.wire.write(Buffer.from('a'))
      while (accepted.length === 0) await settled(new Promise((resolve) => setImmediate(resolve)))
      await settled(accepted[0]!.received(1))
      await listener.close()
      near.wire.write(Buffer.from('b'))
      await settled(accepted[0]!.received(2))
      assert.equal(accepted[0]!.text(), 'ab')
      near.wire.destroy()
      await settled(accepted[0]!.closed)
    })
  })
}
