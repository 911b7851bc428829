import path from 'node:path'
import type { Run } from '../runner/context.ts'
import { type Driver, goClient, javaDriver } from '../runner/driver.ts'
import type { Pair } from '../runner/servers.ts'

const javaScenarios = [
  'routes',
  'send-sync',
  'send-async',
  'send-oneway',
  'send-batch',
  'send-queue',
  'send-compressed',
  'send-properties',
  'tags',
  'push-concurrent',
  'push-waiting',
  'push-resume',
  'push-from-time',
  'broadcast',
  'cluster-share',
  'cluster-rebalance',
  'push-orderly',
  'lite-pull-subscribe',
  'lite-pull-assign',
  'pull',
  'offsets',
  'refusals',
  'bulk-10000',
]

const goScenarios = [
  'routes',
  'send-sync',
  'send-async',
  'send-oneway',
  'send-batch',
  'send-queue',
  'send-compressed',
  'send-properties',
  'tags',
  'push-concurrent',
  'push-waiting',
  'push-resume',
  'broadcast',
  'cluster-share',
  'cluster-rebalance',
  'push-orderly',
  'pull',
  'refusals',
  'bulk-10000',
]

/** Each client alone against one server that all of them share. */
export async function clients(run: Run, wanted: ReadonlySet<'java-5.5.0' | 'java-4.9.8' | 'go-v2'>): Promise<void> {
  const server = await run.report.need(run.product.name, 'start', () =>
    run.product.startPair(run.work, path.join(run.work, 'clients', 'store')),
  )
  if (server === undefined) return
  for (const version of ['5.5.0', '4.9.8'] as const) {
    const name = `java-${version}` as const
    if (wanted.has(name)) await withClient(run, server, name, javaScenarios, () => javaDriver(version, run.work))
  }
  if (wanted.has('go-v2')) await withClient(run, server, 'go-v2', goScenarios, () => goClient(run.work))
  if (wanted.has('go-v2') && wanted.has('java-5.5.0')) await mixed(run, server)
  await run.report.need(run.product.name, 'stop', () => server.stop())
}

async function withClient(
  run: Run,
  server: Pair,
  name: string,
  scenarios: readonly string[],
  open: () => Driver,
): Promise<void> {
  const chosen = scenarios.filter((scenario) => run.report.wants(scenario))
  if (chosen.length === 0) return
  const client = await run.report.need(name, 'open', () => opened(open))
  if (client === undefined) return
  await inParallel(run.width, chosen, async (scenario) => {
    const body = async (): Promise<string | undefined> => {
      // Both Java clients make the same names; each has topics of its own.
      const args = { ns: server.nameServer, run: `${run.id}${name.replace(/\W/g, '')}` }
      const { ok: _ok, ...facts } = await client.must(scenario, args, { timeoutMs: 240_000 })
      return Object.keys(facts).length === 0 ? undefined : JSON.stringify(facts)
    }
    await run.report.scenario(name, scenario, body, server.tail)
  })
  await client.close()
}

/** What one client sends, the other reads: names, compression and properties mean the same to both. */
async function mixed(run: Run, server: Pair): Promise<void> {
  if (!run.report.wants('mixed')) return
  const java = await run.report.need('java-5.5.0', 'open', () => opened(() => javaDriver('5.5.0', run.work)))
  const go = await run.report.need('go-v2', 'open', () => opened(() => goClient(run.work)))
  const flow = async (from: Driver, to: Driver, topic: string): Promise<string> => {
    const ns = server.nameServer
    const sent = await from.must('produce', { ns, run: run.id, topic, count: 500, queues: 4 })
    const read = await to.must('consume', { ns, run: run.id, topic, group: `${topic}_group`, count: 500 })
    if (sent['sum'] !== read['sum'] || read['duplicates'] !== 0)
      throw new Error(`sent ${JSON.stringify(sent)}, read ${JSON.stringify(read)}`)
    return String(read['sum'])
  }
  if (java !== undefined && go !== undefined) {
    await run.report.scenario('java to go', 'mixed', () => flow(java, go, `MixedJavaGo_${run.id}`), server.tail)
    await run.report.scenario('go to java', 'mixed', () => flow(go, java, `MixedGoJava_${run.id}`), server.tail)
  }
  await java?.close()
  await go?.close()
}

async function opened(open: () => Driver): Promise<Driver> {
  const driver = open()
  await driver.ready
  return driver
}

export async function inParallel<T>(
  width: number,
  items: readonly T[],
  work: (item: T) => Promise<void>,
): Promise<void> {
  const left = [...items]
  const worker = async (): Promise<void> => {
    for (let item = left.shift(); item !== undefined; item = left.shift()) await work(item)
  }
  await Promise.all(Array.from({ length: width }, worker))
}
