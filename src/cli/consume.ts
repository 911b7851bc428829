import { CometMQ, type Delivery } from '../client/index.ts'
import { clientOptions, count, DEFAULT_NAMESRV, parse } from './client-options.ts'
import { Failure } from './failure.ts'

const usage = `cometmq consume TOPIC [OPTIONS]      prints messages of a topic as they come, a line each

  -n, --namesrv ADDR   name server, host:port; several joined by ; (default ${DEFAULT_NAMESRV})
      --group NAME     consumer group (default cometmq-cli)
      --tag EXPRESSION tags to read: 'paid || refunded' (default *)
      --from WHERE     where a group begins that is new: first, last, or a time such as 2026-01-31T12:00:00Z (default first)
      --count N        stop after N messages
      --json           a JSON object per message, with its place, tag, keys and properties
  -h, --help
`

export async function run(args: string[]): Promise<number> {
  const { values, positionals } = parse(args, {
    ...clientOptions,
    group: { type: 'string' },
    tag: { type: 'string' },
    from: { type: 'string' },
    count: { type: 'string' },
    json: { type: 'boolean' },
  })
  if (values.help === true) {
    process.stdout.write(usage)
    return 0
  }
  const topic = positionals[0]
  if (topic === undefined || positionals.length > 1) throw new Failure('consume takes one topic: cometmq consume TOPIC')
  const most = count('count', values.count, 1) ?? Number.POSITIVE_INFINITY
  const from = startOf(values.from ?? 'first')

  const stop = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort())
  await using mq = new CometMQ({ endpoints: values.namesrv ?? DEFAULT_NAMESRV })
  const consumer = mq.consumer({
    group: values.group ?? 'cometmq-cli',
    subscribe: { [topic]: values.tag ?? '*' },
    from,
  })
  let printed = 0
  for await (const message of consumer.messages({ signal: stop.signal })) {
    process.stdout.write(`${values.json === true ? asJson(message) : message.text()}\n`)
    message.ack()
    if (++printed >= most) break
  }
  return 0
}

function startOf(word: string): 'first' | 'last' | { time: number } {
  if (word === 'first' || word === 'last') return word
  const time = /^\d{10,}$/.test(word) ? Number(word) : Date.parse(word)
  if (Number.isNaN(time)) throw new Failure(`--from takes first, last or a time, not '${word}'`)
  return { time }
}

function asJson(message: Delivery<string>): string {
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
