import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import type { Run } from '../runner/context.ts'
import { type Driver, javaDriver } from '../runner/driver.ts'
import type { BrokerSettings, Pair } from '../runner/servers.ts'
import { Load, readLines } from './load.ts'

const cycles = 5
/** What must be acknowledged in each cycle before the server dies. */
const perCycle = 4000

const variants: Record<string, BrokerSettings> = {
  'kill-9': {},
  // Kills meet logs and consume queues that have just rolled or are about to.
  'kill-9 small files': { mappedFileSizeCommitLog: 1 << 20, mappedFileSizeConsumeQueue: 6000 },
}

/** `kill -9` under load: what was acknowledged is in the log once, and a consumer that lived through it all got it. */
export async function restart(run: Run): Promise<void> {
  const chosen = Object.keys(variants).filter((name) => run.report.wants(name))
  if (chosen.length === 0) return
  const base = path.join(run.work, 'restart')
  mkdirSync(base, { recursive: true })
  const client = await run.report.need('java-5.5.0', 'open', async () => {
    const driver = javaDriver('5.5.0', base)
    await driver.ready
    return driver
  })
  if (client === undefined) return
  const product = run.product
  for (const name of chosen) {
    const work = path.join(base, name.replaceAll(' ', '-'))
    mkdirSync(work, { recursive: true })
    const server = await run.report.need(product.name, 'start', () =>
      product.startPair(work, path.join(work, 'data', 'store'), variants[name]),
    )
    if (server === undefined) continue
    const topic = `Restart_${path.basename(work).replace(/\W/g, '_')}_${run.id}`
    await run.report.scenario(
      product.name,
      name,
      () => killUnderLoad(work, client, server, { ns: server.nameServer, run: run.id, topic }),
      server.tail,
    )
    await run.report.need(product.name, 'stop', () => server.stop())
  }
  await client.close()
}

async function killUnderLoad(
  work: string,
  client: Driver,
  server: Pair,
  args: { ns: string; run: string; topic: string },
): Promise<string> {
  const file = (name: string): string => path.join(work, name)
  const patience = { timeoutMs: 300_000 }
  const load = new Load(client, { ...args, file: file('load') })
  await load.acknowledges(perCycle)
  const group = `${args.topic}_group`
  const watching = client.run(
    'watch',
    { ...args, group, name: group, wanted: file('wanted'), file: file('seen') },
    patience,
  )
  const downMs: number[] = []
  for (let cycle = 0; cycle < cycles; cycle++) {
    // Not always at the same distance from the last flush.
    await load.acknowledges(perCycle + 700 * cycle)
    await server.killBroker()
    const killedAt = performance.now()
    await server.restartBroker()
    await load.acknowledges(1)
    downMs.push(Math.round(performance.now() - killedAt))
  }
  await load.acknowledges(perCycle)
  const { facts, fates } = await load.stop()
  writeFileSync(file('wanted'), [...fates.acknowledged.keys()].join('\n'))
  await client.must('watch-stop', { name: group })
  const watched = await watching
  await client.must('stored', { ...args, file: file('stored') }, patience)

  const stored = readLines(file('stored'))
  const { storedUncertain, problems } = fates.compareWith(stored)
  if (!watched.ok) problems.push(String(watched.error))
  else {
    const inLog = new Set(stored.map(([number]) => number))
    const phantoms = readLines(file('seen')).filter(([number]) => !inLog.has(number))
    if (phantoms.length > 0)
      problems.push(`${phantoms.length} messages were delivered but are not in the log, first ${phantoms[0]![0]}`)
  }
  if (fates.uncertain === 0) problems.push('no send failed: the kills did not meet the load')
  if (problems.length > 0) throw new Error(`${problems.join('\n')}\n${JSON.stringify({ facts, watched, downMs })}`)
  await client.must('committed', { ...args, group })
  return JSON.stringify({
    acknowledged: fates.acknowledged.size,
    uncertain: fates.uncertain,
    storedUncertain,
    deliveredTwice: watched['duplicates'],
    downMs,
  })
}
