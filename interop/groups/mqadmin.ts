import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import type { Run } from '../runner/context.ts'
import { type Driver, javaDriver } from '../runner/driver.ts'
import type { Pair } from '../runner/servers.ts'
import { root } from '../runner/toolchain.ts'
import { querySteps } from './mqadmin-queries.ts'
import { difference, normalise, type Places } from './mqadmin-text.ts'

const orders = 'AdminOrders'
const letters = 'AdminLetters'
const parcels = 'AdminParcels'
const workers = 'admin_workers'
const watchers = 'admin_watchers'
const idlers = 'admin_idlers'

/** A command whose output is compared, or something that happens between two commands. */
export type Step =
  | readonly [name: string, command: string]
  | ((driver: Driver, ns: string, words: Map<string, string>) => Promise<unknown>)

/** `BROKER` and `NAMESERVER` are their addresses, other words what a step before put in their place. Each step stands on those before it. */
export const steps: readonly Step[] = [
  // The tool's first use of its logger prints how that was set up: before the first command.
  awaitRoute('TBW102', 8),
  ['topicList-first', 'topicList'],
  ['updateTopic', `updateTopic -b BROKER -t ${orders} -r 4 -w 4`],
  ['updateTopic-cluster', `updateTopic -c DefaultCluster -t ${letters} -r 8 -w 6 -p 4 -o true`],
  ['updateTopic-attributes', `updateTopic -b BROKER -t ${parcels} -r 2 -w 2 -u true -s true -a +message.type=FIFO`],
  ['updateTopic-changed', `updateTopic -c DefaultCluster -t ${parcels} -r 3 -w 3 -p 2`],
  ['updateSubGroup', `updateSubGroup -b BROKER -g ${workers} -r 3`],
  ['updateSubGroup-cluster', `updateSubGroup -c DefaultCluster -g ${idlers} -s false -m true -d true -q 2 -o true`],
  awaitRoute(orders, 4),
  awaitRoute(letters, 8),
  awaitRoute(parcels, 3),
  (driver, ns) => driver.must('fill', { ns, topic: orders, each: 5 }),
  (driver, ns) => driver.must('consume', { ns, topic: orders, group: workers, count: 50 }),
  (driver, ns) => driver.must('fill', { ns, topic: orders, each: 1, from: 50 }),
  (driver, ns) => driver.must('consume', { ns, topic: orders, group: watchers, count: 60 }),
  awaitRoute(`%RETRY%${workers}`, 1),
  awaitRoute(`%RETRY%${watchers}`, 1),

  ['topicList', 'topicList'],
  ['topicList-cluster', 'topicList -c'],
  ['topicRoute', `topicRoute -t ${orders}`],
  ['topicRoute-order', `topicRoute -t ${letters}`],
  ['topicRoute-changed', `topicRoute -t ${parcels}`],
  ['topicRoute-list', `topicRoute -t ${letters} -l`],
  ['topicStatus', `topicStatus -t ${orders}`],
  ['topicStatus-empty', `topicStatus -t ${letters}`],
  ['clusterList', 'clusterList'],
  ['clusterList-more', 'clusterList -m'],
  ['clusterList-unknown', 'clusterList -c NoCluster'],
  ['brokerStatus', 'brokerStatus -b BROKER'],
  ['brokerStatus-cluster', 'brokerStatus -c DefaultCluster'],
  ['consumerProgress', 'consumerProgress'],
  ['consumerProgress-group', `consumerProgress -g ${workers}`],
  ['consumerProgress-topic', `consumerProgress -g ${workers} -t ${orders}`],

  startWatching,
  ['consumerProgress-online', 'consumerProgress'],
  (driver) => driver.must('leave', { group: watchers }),

  ['refused-topicRoute-unknown', 'topicRoute -t AdminUnknown'],
  ['refused-topicStatus-unknown', 'topicStatus -t AdminUnknown'],
  ['refused-updateTopic-perm', `updateTopic -b BROKER -t ${orders} -r 4 -w 4 -p 9`],
  ['refused-updateTopic-name', 'updateTopic -b BROKER -t Admin*Orders'],
  ['refused-updateTopic-long', `updateTopic -b BROKER -t ${'AdminOrders'.repeat(12)}`],
  ['refused-updateTopic-long-retry', `updateTopic -b BROKER -t %RETRY%${'AdminOrders'.repeat(23)}`],
  ['refused-updateTopic-system', 'updateTopic -b BROKER -t SCHEDULE_TOPIC_XXXX'],
  ['refused-updateTopic-type', 'updateTopic -b BROKER -t AdminOther -a +message.type=ODD'],
  ['refused-updateTopic-cluster', 'updateTopic -c NoCluster -t AdminOther'],
  ['refused-deleteTopic-system', 'deleteTopic -c DefaultCluster -t TBW102'],
  ['refused-updateSubGroup-name', 'updateSubGroup -b BROKER -g admin*workers'],
  ['refused-updateSubGroup-long', `updateSubGroup -b BROKER -g ${'admin_group'.repeat(11)}`],
  ['refused-consumerProgress-unknown', 'consumerProgress -g admin_unknown'],
  ['refused-consumerProgress-idle', `consumerProgress -g ${idlers}`],
  ['refused-brokerStatus-nameserver', 'brokerStatus -b NAMESERVER'],
  ['refused-command', 'topicDance'],

  ['deleteTopic-unknown', 'deleteTopic -c DefaultCluster -t AdminUnknown'],
  ['deleteSubGroup-unknown', 'deleteSubGroup -b BROKER -g admin_unknown'],
  ['deleteSubGroup', `deleteSubGroup -b BROKER -g ${watchers}`],
  ['deleteSubGroup-offsets', `deleteSubGroup -c DefaultCluster -g ${workers} -r true`],
  ['deleteTopic', `deleteTopic -c DefaultCluster -t ${letters}`],
  ['deleted-topicList', 'topicList'],
  ['deleted-topicRoute', `topicRoute -t ${letters}`],
  ['deleted-consumerProgress', 'consumerProgress'],
  ['deleted-consumerProgress-group', `consumerProgress -g ${workers}`],
  ['deleted-consumerProgress-kept', `consumerProgress -g ${watchers}`],

  ['cleanExpiredCQ', 'cleanExpiredCQ -b BROKER'],
  ['cleanExpiredCQ-cluster', 'cleanExpiredCQ -c DefaultCluster'],
  ['cleanExpiredCQ-unknown', 'cleanExpiredCQ -c NoCluster'],
  ['cleanUnusedTopic', 'cleanUnusedTopic -b BROKER'],
  ['cleanUnusedTopic-cluster', 'cleanUnusedTopic -c DefaultCluster'],
  ['cleanUnusedTopic-unknown', 'cleanUnusedTopic -c NoCluster'],
  ['deleteExpiredCommitLog', 'deleteExpiredCommitLog -b BROKER'],
  ['deleteExpiredCommitLog-cluster', 'deleteExpiredCommitLog -c DefaultCluster'],
  ['deleteExpiredCommitLog-unknown', 'deleteExpiredCommitLog -c NoCluster'],
  ['deleteExpiredCommitLog-nameserver', 'deleteExpiredCommitLog -b NAMESERVER'],
  ['cleaned-topicStatus', `topicStatus -t ${orders}`],

  ...querySteps,
]

export const expectedFolder: string = path.join(root, 'interop/expected/mqadmin')

/** What the unmodified mqadmin 5.5.0 prints of this product against what it printed of Java. */
export async function mqadmin(run: Run): Promise<void> {
  if (run.record && run.product.name !== 'java')
    throw new Error('--record is for --server java: it records what Java does')
  const { report } = run
  const store = path.join(run.work, 'mqadmin', 'store')
  const server = await report.need(run.product.name, 'start', () => run.product.startPair(run.work, store))
  if (server === undefined) return
  const driver = await report.need('mqadmin', 'open', () => opened(run))
  if (driver !== undefined) {
    if (run.record) forgetOthers()
    await follow(run, server, driver, placesOf(server, path.dirname(store)))
    await driver.close()
  }
  await report.need(run.product.name, 'stop', () => server.stop())
}

async function opened(run: Run): Promise<Driver> {
  const driver = javaDriver('5.5.0', run.work)
  await driver.ready
  return driver
}

async function follow(run: Run, server: Pair, driver: Driver, places: Places): Promise<void> {
  for (const step of steps) {
    if (typeof step === 'function') {
      const done = await attempt(() => step(driver, server.nameServer, places.words))
      if (done === undefined) continue
      await run.report.need('mqadmin', 'between two commands', () => Promise.reject(done), server.tail)
      return
    }
    const [name, command] = step
    const printed = async (): Promise<string> => {
      let line = command.replaceAll('BROKER', server.broker).replaceAll('NAMESERVER', server.nameServer)
      for (const [word, text] of places.words) line = line.replaceAll(word, text)
      const args = { arguments: `${line} -n ${server.nameServer}` }
      const { out, err } = await driver.must('mqadmin', args, { timeoutMs: 60_000 })
      return normalise({ command: line, out: String(out), err: String(err) }, places)
    }
    // Later steps stand on this one even when nobody asked for its comparison.
    if (!run.report.wants(name)) await printed()
    else await run.report.scenario('mqadmin', name, async () => compare(run, name, await printed()), server.tail)
  }
}

function compare(run: Run, name: string, got: string): string | undefined {
  const file = path.join(expectedFolder, `${name}.txt`)
  if (run.record) {
    writeFileSync(file, got)
    return 'recorded'
  }
  if (!existsSync(file))
    throw new Error(`${path.relative(root, file)} is missing: record it with --server java --record`)
  const words = difference(readFileSync(file, 'utf8'), got)
  if (words !== undefined) throw new Error(words)
  return undefined
}

/** Recorded steps, by the names of their files. */
export function recordedSteps(): string[] {
  return readdirSync(expectedFolder).map((file) => path.basename(file, '.txt'))
}

/** Texts of steps that are no more. */
function forgetOthers(): void {
  mkdirSync(expectedFolder, { recursive: true })
  const names = new Set(steps.flatMap((step) => (typeof step === 'function' ? [] : [step[0]])))
  for (const name of recordedSteps()) if (!names.has(name)) rmSync(path.join(expectedFolder, `${name}.txt`))
}

function placesOf({ nameServer, broker }: Pair, work: string): Places {
  return { nameServer, broker, work, words: new Map() }
}

function awaitRoute(topic: string, queues: number): Step {
  return (driver, ns) => driver.must('await-route', { ns, topic, queues })
}

async function startWatching(driver: Driver, ns: string): Promise<void> {
  const args = { ns, topic: orders, group: watchers, queues: 4 }
  await new Promise<void>((resolve, reject) => {
    const ended = driver.must('stay', args, { timeoutMs: 300_000, onProgress: () => resolve() })
    ended.then(() => reject(new Error('the consumer did not stay')), reject)
  })
}

async function attempt(body: () => Promise<unknown>): Promise<unknown> {
  try {
    await body()
    return undefined
  } catch (error) {
    return error
  }
}
