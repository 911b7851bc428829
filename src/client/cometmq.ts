import { silentLog } from '../base/console-log.ts'
import { networkAddress, processId } from '../base/host.ts'
import type { Log } from '../base/log.ts'
import { type Random, systemRandom } from '../base/random.ts'
import type { Scheduler } from '../base/scheduler.ts'
import { systemScheduler } from '../base/system-scheduler.ts'
import { tcpTransport } from '../remoting/tcp-transport.ts'
import type { Transport } from '../remoting/transport.ts'
import { bytes, type Codec, type Topic } from './codec.ts'
import { Consumer, type ConsumerOptions } from './consumer.ts'
import { Instance } from './instance.ts'
import { Producer, type ProducerOptions } from './producer.ts'

export interface CometMQOptions {
  /** Name servers: `rmq://127.0.0.1:9876`, several joined by `;` or as a list. */
  endpoints: string | readonly string[]
  /** Unique by default: address, process and chance. */
  clientId?: string
  /** Silent by default. */
  log?: Log
  scheduler?: Scheduler
  random?: Random
  transport?: Transport
}

/** A client of RocketMQ or CometMQ: producers and consumers are made from it and share its connections. */
export class CometMQ implements AsyncDisposable {
  readonly #instance: Instance

  constructor(options: CometMQOptions) {
    const random = options.random ?? systemRandom
    const host = networkAddress()
    const pid = processId()
    this.#instance = new Instance({
      endpoints: options.endpoints,
      clientId: options.clientId ?? `${host}@${pid}#${random.bytes(6).toString('hex')}`,
      pid,
      address: /^[\d.]+$/.test(host) ? Uint8Array.from(host.split('.').map(Number)) : random.bytes(16),
      scheduler: options.scheduler ?? systemScheduler,
      random,
      transport: options.transport ?? tcpTransport,
      log: options.log ?? silentLog,
    })
  }

  get clientId(): string {
    return this.#instance.clientId
  }

  /** A topic with the codec of its values; bytes in and out unless one is given. */
  topic(name: string): Topic<Uint8Array>
  topic<T>(name: string, options: { codec: Codec<T> }): Topic<T>
  topic(name: string, options?: { codec: Codec<unknown> }): Topic<unknown> {
    return { name, codec: options?.codec ?? (bytes as Codec<unknown>) }
  }

  /** @throws CometError `CLIENT_CLOSED` */
  producer(options?: ProducerOptions): Producer {
    return this.#keep(new Producer(this.#instance, options))
  }

  /** @throws CometError `NO_SUBSCRIPTION`, `CLIENT_CLOSED` */
  consumer<T = string>(options: ConsumerOptions<T>): Consumer<T> {
    return this.#keep(new Consumer<T>(this.#instance, options))
  }

  /** Closes what was made from it, then its connections; the process can then end by itself. */
  async close(): Promise<void> {
    await this.#instance.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #keep<C extends AsyncDisposable>(child: C): C {
    this.#instance.adopt(child)
    return child
  }
}
