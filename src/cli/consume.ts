import { bytes, CometMQ, type ConsumerOptions, type Delivery } from '../client/index.ts'
import { count, readArguments } from './arguments.ts'
import { clientOptions, DEFAULT_NAMESRV } from './client-options.ts'
import { Failure } from './failure.ts'
import { Output } from './output.ts'

const usage = `cometmq consume TOPIC [OPTIONS]      prints messages of a topic as they come, a line each

  -n, --namesrv ADDR   name server, host:port; several joined by ; (default ${DEFAULT_NAMESRV})
      --group NAME     consumer group (default cometmq-cli)
      --tag EXPRESSION tags to read: 'paid || refunded' (default *)
      --from WHERE     where a group begins that is new: first, last, or a time such as 2026-01-31T12:00:00Z (default first)
      --count N        stop after N messages
      --json           a JSON object per message, with its place, tag, keys and properties
  -h, --help
`

const options = {
  ...clientOptions,
  group: { type: 'string' },
  tag: { type: 'string' },
  from: { type: 'string' },
  count: { type: 'string' },
  json: { type: 'boolean' },
} as const

type From = NonNullable<ConsumerOptions<unknown>['from']>

export interface ConsumeOptions {
  topic: string
  namesrv: string
  group: string
  tag: string
  from: From
  /** Infinity without `--count`. */
  count: number
  json: boolean
}

/** @returns undefined when help is asked for. @throws Failure */
export function readConsumeOptions(args: string[]): ConsumeOptions | undefined {
  const { values, positionals } = readArguments('consume', args, options)
  if (values.help === true) return undefined
  const [topic] = positionals
  if (topic === undefined || positionals.length > 1) throw new Failure('consume takes one topic: cometmq consume TOPIC')
  return {
    topic,
    namesrv: values.namesrv ?? DEFAULT_NAMESRV,
    group: values.group ?? 'cometmq-cli',
    tag: values.tag ?? '*',
    from: readFrom(values.from ?? 'first'),
    count: count('count', values.count, 1) ?? Number.POSITIVE_INFINITY,
    json: values.json ?? false,
  }
}

export async function run(args: string[]): Promise<number> {
  const output = new Output(process.stdout)
  const wanted = readConsumeOptions(args)
  if (wanted === undefined) {
    await output.write(usage)
    return 0
  }
  const stop = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort())
  output.gone.addEventListener('abort', () => stop.abort(), { once: true })
  await using mq = new CometMQ({ endpoints: wanted.namesrv })
  const { group, tag, from } = wanted
  const consumer = mq.consumer({ group, subscribe: { [wanted.topic]: tag }, codec: bytes, from })
  let printed = 0
  for await (const message of consumer.messages({ signal: stop.signal })) {
    const line = wanted.json ? Buffer.from(`${asJson(message)}\n`) : Buffer.concat([message.body, Buffer.from('\n')])
    // What nobody read is not acknowledged: the group sees it again.
    if (!(await output.write(line, stop.signal))) break
    message.ack()
    if (++printed >= wanted.count) break
  }
  return 0
}

function readFrom(word: string): From {
  if (word === 'first' || word === 'last') return word
  const time = /^\d{10,}$/.test(word) ? Number(word) : /^\d{4}-\d\d/.test(word) ? Date.parse(word) : Number.NaN
  if (!Number.isSafeInteger(time))
    throw new Failure(`--from takes first, last, or a time such as 2026-01-31T12:00:00Z, not '${word}'`)
  return { time }
}

function asJson(message: Delivery<unknown>): string {
  const { brokerName, queueId, queueOffset, id, offsetId, tag, keys, bornAt, storedAt, attempt } = message
  const properties = Object.fromEntries(message.properties)
  const body = message.text()
  return JSON.stringify({
    topic: message.topic,
    brokerName,
    queueId,
    queueOffset,
    id,
    offsetId,
    tag,
    keys,
    bornAt,
    storedAt,
    attempt,
    properties,
    body,
  })
}
