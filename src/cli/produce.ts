import { createInterface } from 'node:readline'
import { CometMQ, text } from '../client/index.ts'
import { clientOptions, DEFAULT_NAMESRV, parse } from './client-options.ts'
import { Failure } from './failure.ts'

const usage = `cometmq produce TOPIC [OPTIONS]      sends each line of standard input as a message

  -n, --namesrv ADDR   name server, host:port; several joined by ; (default ${DEFAULT_NAMESRV})
      --group NAME     producer group
      --tag TAG        tag of every message
      --key KEY        key of every message; repeatable
      --json           print a receipt per message as JSON
  -h, --help
`

/** Sends in flight at once: enough to keep a broker busy, few enough to stop soon after a failure. */
const IN_FLIGHT = 64

export async function run(args: string[]): Promise<number> {
  const { values, positionals } = parse(args, {
    ...clientOptions,
    group: { type: 'string' },
    tag: { type: 'string' },
    key: { type: 'string', multiple: true },
    json: { type: 'boolean' },
  })
  if (values.help === true) {
    process.stdout.write(usage)
    return 0
  }
  const name = positionals[0]
  if (name === undefined || positionals.length > 1) throw new Failure('produce takes one topic: cometmq produce TOPIC')

  await using mq = new CometMQ({ endpoints: values.namesrv ?? DEFAULT_NAMESRV })
  const topic = mq.topic(name, { codec: text })
  const producer = mq.producer({ group: values.group })
  const options = { tag: values.tag, keys: values.key }
  const flying = new Set<Promise<void>>()
  let sent = 0
  let failure: unknown
  for await (const line of createInterface({ input: process.stdin, crlfDelay: Number.POSITIVE_INFINITY })) {
    if (line === '') continue
    const flight = producer.send(topic, line, options).then(
      (receipt) => {
        sent++
        if (values.json === true) process.stdout.write(`${JSON.stringify(receipt)}\n`)
      },
      (error: unknown) => {
        failure ??= error
      },
    )
    flying.add(flight)
    void flight.finally(() => flying.delete(flight))
    // The first message makes the topic where that is allowed; the others then know its queues.
    if (sent === 0 || flying.size >= IN_FLIGHT) await Promise.race(flying)
    if (failure !== undefined) break
  }
  await Promise.all(flying)
  if (values.json !== true) process.stdout.write(`sent ${sent} ${sent === 1 ? 'message' : 'messages'} to ${name}\n`)
  if (failure !== undefined) throw failure
  return 0
}
