import type { Random } from '../../src/base/random.ts'
import type { Transport, Wire } from '../../src/remoting/transport.ts'
import { parseAddress } from '../../src/remoting/transport.ts'

/** Somebody who means no good: half frames, false lengths, headers that are none, or nothing at all. */
export class GarbageClient {
  readonly #transport: Transport
  readonly #random: Random
  readonly #wires: Wire[] = []

  constructor(transport: Transport, random: Random) {
    this.#transport = transport
    this.#random = random
  }

  async disturb(address: string): Promise<void> {
    let wire: Wire
    try {
      wire = await this.#transport.connect(parseAddress(address))
    } catch {
      return
    }
    this.#wires.push(wire)
    wire.onData(() => {})
    wire.onDrain(() => {})
    wire.onClose(() => {})
    wire.write(this.#bytes())
    if (this.#random.below(3) === 0) wire.end()
  }

  leave(): void {
    for (const wire of this.#wires.splice(0)) wire.destroy()
  }

  #bytes(): Buffer {
    const random = this.#random
    const noise = random.bytes(1 + random.below(64))
    switch (random.below(6)) {
      case 0:
        return noise
      case 1:
        return Buffer.from('GET / HTTP/1.1\r\nHost: broker\r\n\r\n')
      case 2: // a length beyond all limits
        return framed(0x7fff_ffff, noise)
      case 3: // a frame that never ends
        return framed(1_000, noise)
      case 4: // a header longer than its frame
        return framed(noise.length + 4, Buffer.concat([Buffer.from([0, 0xff, 0xff, 0xff]), noise]))
      default: {
        const header = Buffer.from('{"code":310,"extFields":{"b":"\u0000../../x","__proto__":"1"},"opaque":-1}')
        const head = Buffer.alloc(4)
        head.writeInt32BE(header.length)
        return framed(4 + header.length, Buffer.concat([head, header]))
      }
    }
  }
}

function framed(length: number, rest: Buffer): Buffer {
  const head = Buffer.alloc(4)
  head.writeInt32BE(length)
  return Buffer.concat([head, rest])
}
