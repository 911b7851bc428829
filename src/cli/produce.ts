import { bytes, CometMQ } from '../client/index.ts'
import { readArguments } from './arguments.ts'
import { clientOptions, DEFAULT_NAMESRV } from './client-options.ts'
import { Failure } from './failure.ts'
import { linesOf } from './lines.ts'
import { Output } from './output.ts'

const usage = `cometmq produce TOPIC [OPTIONS]      sends each line of standard input as a message; empty lines are skipped

  -n, --namesrv ADDR   name server, host:port; several joined by ; (default ${DEFAULT_NAMESRV})
      --group NAME     producer group
      --tag TAG        tag of every message
      --key KEY        key of every message; repeatable
      --json           print a receipt per message as JSON
  -h, --help
`

/** Sends in flight at once: enough to keep a broker busy, few enough to stop soon after a failure. */
const IN_FLIGHT = 64

const options = {
  ...clientOptions,
  group: { type: 'string' },
  tag: { type: 'string' },
  key: { type: 'string', multiple: true },
  json: { type: 'boolean' },
} as const

export interface ProduceOptions {
  topic: string
  namesrv: string
  group: string | undefined
  tag: string | undefined
  keys: string[] | undefined
  json: boolean
}

/** @returns undefined when help is asked for. @throws Failure */
export function readProduceOptions(args: string[]): ProduceOptions | undefined {
  const { values, positionals } = readArguments('produce', args, options)
  if (values.help === true) return undefined
  const [topic] = positionals
  if (topic === undefined || positionals.length > 1) throw new Failure('produce takes one topic: cometmq produce TOPIC')
  return {
    topic,
    namesrv: values.namesrv ?? DEFAULT_NAMESRV,
    group: values.group,
    tag: values.tag,
    keys: values.key,
    json: values.json ?? false,
  }
}

export async function run(args: string[]): Promise<number> {
  const output = new Output(process.stdout)
  const wanted = readProduceOptions(args)
  if (wanted === undefined) {
    await output.write(usage)
    return 0
  }
  await using mq = new CometMQ({ endpoints: wanted.namesrv })
  const topic = mq.topic(wanted.topic, { codec: bytes })
  const producer = mq.producer({ group: wanted.group })
  const { tag, keys } = wanted
  const flying = new Set<Promise<void>>()
  let sent = 0
  let failure: unknown
  // The first signal ends the input; what was read is still sent. The next one kills.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.stdin.destroy())
  for await (const line of linesOf(untilDestroyed(process.stdin))) {
    if (line.length === 0) continue
    const flight = producer
      .send(topic, line, { tag, keys })
      .then(async (receipt) => {
        sent++
        if (wanted.json) await output.write(`${JSON.stringify(receipt)}\n`)
      })
      .catch((error: unknown) => {
        failure ??= error
      })
    flying.add(flight)
    void flight.finally(() => flying.delete(flight))
    // The first message makes the topic where that is allowed; the others then know its queues.
    if (sent === 0 || flying.size >= IN_FLIGHT) await Promise.race(flying)
    if (failure !== undefined) break
  }
  await Promise.all(flying)
  if (!wanted.json) await output.write(`sent ${sent} ${sent === 1 ? 'message' : 'messages'} to ${wanted.topic}\n`)
  if (failure !== undefined) throw failure
  return 0
}

/** Being destroyed is an end like any other. */
async function* untilDestroyed(input: typeof process.stdin): AsyncGenerator<Buffer, void, undefined> {
  try {
    for await (const chunk of input) yield chunk as Buffer
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_STREAM_PREMATURE_CLOSE') throw error
  }
}
