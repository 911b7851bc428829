import type { Random } from '../base/random.ts'
import type { Command, Request } from '../protocol/command.ts'
import type { Answered, RemotingClient } from '../remoting/client.ts'
import { CometError } from './errors.ts'

/**
 * The name servers of one client: one is used until it fails, then the next. They know nothing of each other, so any
 * answer is as good as another.
 */
export class NameServers {
  readonly addresses: readonly string[]
  readonly #client: RemotingClient
  #current: number

  /** @param endpoints `rmq://host:port`, `host:port`, several joined by `;` or as a list */
  constructor(endpoints: string | readonly string[], client: RemotingClient, random: Random) {
    this.addresses = parseEndpoints(endpoints)
    this.#client = client
    this.#current = random.below(this.addresses.length)
  }

  /** Asks one after another until one can be reached; what it answers, a refusal too, is the answer. */
  async request<C extends Command>(command: C, header: Request<C>, timeoutMs = 3_000): Promise<Answered<C>> {
    const failures: unknown[] = []
    for (let tried = 0; tried < this.addresses.length; tried++) {
      const address = this.addresses[this.#current]!
      try {
        return await this.#client.request(address, command, header, { timeoutMs, anyCode: true })
      } catch (error) {
        failures.push(error)
        this.#current = (this.#current + 1) % this.addresses.length
      }
    }
    throw new CometError(`no name server could be reached: ${this.addresses.join(', ')}`, {
      code: 'NAME_SERVER_UNREACHABLE',
      retriable: true,
      hint: 'start one with `cometmq start`, or name the right address',
      cause: failures.length === 1 ? failures[0] : new AggregateError(failures),
    })
  }
}

export function parseEndpoints(endpoints: string | readonly string[]): string[] {
  const list = (typeof endpoints === 'string' ? endpoints.split(/[;,]/) : endpoints)
    .map((endpoint) => endpoint.trim().replace(/^(rmq|rocketmq|http):\/\//, ''))
    .filter((endpoint) => endpoint !== '')
  if (list.length === 0) {
    throw new CometError('no name server is named', { code: 'NO_ENDPOINTS', hint: "endpoints: 'rmq://127.0.0.1:9876'" })
  }
  return list.map((endpoint) => (/:\d+$/.test(endpoint) ? endpoint : `${endpoint}:9876`))
}
