import { type Address, type Listener, type Transport, TransportError, type Wire } from '../../src/remoting/transport.ts'

/** How peers learn that a process is gone: its kernel resets the streams, or nobody says a word any more. */
export type Farewell = 'reset' | 'silence'

/** As those of a MemoryTransport are. */
interface FaultyWire extends Wire {
  freeze(): void
  cut(): void
}

/** The network as one process has it: with its end its listeners and streams end, and nothing is sent or heard. */
export class MortalTransport implements Transport {
  readonly #transport: Transport
  readonly #isDown: () => boolean
  readonly #listeners: Listener[] = []
  readonly #wires = new Set<Wire>()

  constructor(transport: Transport, isDown: () => boolean) {
    this.#transport = transport
    this.#isDown = isDown
  }

  async listen(address: Address, onWire: (wire: Wire) => void): Promise<Listener> {
    const listener = await this.#transport.listen(address, (wire) => onWire(this.#mortal(wire)))
    this.#listeners.push(listener)
    return listener
  }

  async connect(address: Address, signal?: AbortSignal): Promise<Wire> {
    const wire = await this.#transport.connect(address, signal)
    if (!this.#isDown()) return this.#mortal(wire)
    wire.destroy()
    throw new TransportError('the process is gone', 'EDOWN')
  }

  /** Of a process that is down. */
  async bury(farewell: Farewell): Promise<void> {
    for (const listener of this.#listeners) await listener.close()
    for (const wire of this.#wires) {
      if (farewell === 'silence') (wire as FaultyWire).freeze()
      wire.destroy()
    }
  }

  /** The machine is there again, and knows nothing of the streams that it had: who still writes to them is told so. */
  resetPeers(): void {
    for (const wire of this.#wires) (wire as FaultyWire).cut()
    this.#wires.clear()
  }

  #mortal(wire: Wire): Wire {
    this.#wires.add(wire)
    const isDown = this.#isDown
    const whileAlive =
      <A extends unknown[]>(listener: (...args: A) => void) =>
      (...args: A): void => {
        if (isDown()) return
        try {
          listener(...args)
        } catch (error) {
          if (!isDown()) throw error
        }
      }
    return {
      remote: wire.remote,
      local: wire.local,
      write: (bytes) => isDown() || wire.write(bytes),
      cork: () => wire.cork(),
      uncork: () => wire.uncork(),
      get bufferedBytes() {
        return wire.bufferedBytes
      },
      onData: (listener) => wire.onData(whileAlive(listener)),
      onDrain: (listener) => wire.onDrain(whileAlive(listener)),
      onClose: (listener) =>
        wire.onClose((error) => {
          if (!isDown()) this.#wires.delete(wire)
          whileAlive(listener)(error)
        }),
      pause: () => wire.pause(),
      resume: () => wire.resume(),
      end: () => {
        if (!isDown()) wire.end()
      },
      destroy: () => {
        if (!isDown()) wire.destroy()
      },
    }
  }
}
