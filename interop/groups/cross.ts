import { mkdirSync } from 'node:fs'
import path from 'node:path'
import type { Run } from '../runner/context.ts'
import { type Driver, javaDriver } from '../runner/driver.ts'
import { cometmq, java, type One, type Product, stopCleanly } from '../runner/servers.ts'

/** A broker of one product at the name server of the other, and both brokers at each. */
export async function cross(run: Run): Promise<void> {
  const work = path.join(run.work, 'cross')
  mkdirSync(work, { recursive: true })
  const names = ['alone', 'kill-9', 'both'].flatMap((name) => [`java ${name}`, `cometmq ${name}`])
  if (!names.some((name) => run.report.wants(name))) return
  const drivers: Driver[] = []
  for (const version of ['5.5.0', '4.9.8'] as const) {
    const driver = await run.report.need(`java-${version}`, 'open', async () => {
      const opened = javaDriver(version, work)
      await opened.ready
      return opened
    })
    if (driver !== undefined) drivers.push(driver)
  }
  if (drivers.length === 2) {
    await Promise.all([pairing(run, work, cometmq, java, drivers), pairing(run, work, java, cometmq, drivers)])
  }
  for (const driver of drivers) await driver.close()
}

async function pairing(
  run: Run,
  work: string,
  nameServerOf: Product,
  brokerOf: Product,
  clients: readonly Driver[],
): Promise<void> {
  const who = `ns ${nameServerOf.name}`
  const nameServer = await run.report.need(who, 'start', () => nameServerOf.startNameServer(work))
  if (nameServer === undefined) return
  const ns = nameServer.address
  const here = { work: path.join(work, `at-${nameServerOf.name}`), ns, run, clients }
  mkdirSync(here.work, { recursive: true })
  const tail = (): string => nameServer.child.tail()
  await run.report.scenario(who, `${brokerOf.name} alone`, () => alone(here, brokerOf), tail)
  await run.report.scenario(who, `${brokerOf.name} kill-9`, () => killed(here, brokerOf), tail)
  await run.report.scenario(who, `${brokerOf.name} both`, () => both(here), tail)
  await run.report.need(who, 'stop', () => stopCleanly(nameServer))
}

interface Here {
  work: string
  ns: string
  run: Run
  clients: readonly Driver[]
}

/** Each client sends what the other consumes; the route goes when the broker stops and is there when it comes back. */
async function alone({ work, ns, run, clients }: Here, product: Product): Promise<string> {
  const store = path.join(work, `alone-${product.name}`, 'store')
  const facts: Record<string, unknown> = {}
  const topics: string[] = []
  const sent: Sent[] = []
  const first = await product.startBroker(work, ns, store)
  try {
    for (const [index, from] of clients.entries()) {
      const to = clients[(index + 1) % clients.length]!
      const topic = `Alone${index}_${run.id}`
      topics.push(topic)
      sent.push(await flow(from, to, { ns, run: run.id, topic }, 500))
    }
  } catch (error) {
    await first.child.kill()
    throw error
  }
  facts['goneMs'] = await goneAfterStop(first, clients, { ns, run: run.id }, topics)
  // The same directory at another port: the topics come back with the registration.
  const second = await product.startBroker(work, ns, store)
  try {
    for (const client of clients)
      for (const topic of topics) await client.must('route', { ns, run: run.id, topic, brokers: 1, timeoutMs: 10_000 })
    await flow(clients[0]!, clients[1]!, { ns, run: run.id, topic: topics[0]! }, 300, sent[0])
  } catch (error) {
    await second.child.kill()
    throw error
  }
  await goneAfterStop(second, clients, { ns, run: run.id }, topics)
  return JSON.stringify(facts)
}

async function goneAfterStop(
  broker: One,
  clients: readonly Driver[],
  args: { ns: string; run: string },
  topics: readonly string[],
): Promise<unknown[]> {
  await stopCleanly(broker)
  const times: unknown[] = []
  for (const client of clients)
    for (const topic of topics) times.push((await client.must('route', { ...args, topic, brokers: 0 }))['ms'])
  return times
}

/** A broker that dies closes its connection, and the name server forgets it at once. */
async function killed({ work, ns, run, clients }: Here, product: Product): Promise<string> {
  const store = path.join(work, `killed-${product.name}`, 'store')
  const topic = `Killed_${run.id}`
  const broker = await product.startBroker(work, ns, store)
  try {
    await clients[0]!.must('produce', { ns, run: run.id, topic, count: 50 })
    await clients[0]!.must('route', { ns, run: run.id, topic, brokers: 1 })
  } finally {
    await broker.child.kill()
  }
  const { ms } = await clients[0]!.must('route', { ns, run: run.id, topic, brokers: 0 })
  return `route gone after ${ms} ms`
}

/** Brokers of both products at one name server: one topic over both. */
async function both({ work, ns, run, clients }: Here): Promise<string> {
  const brokers: One[] = []
  const topic = `Both_${run.id}`
  const args = { ns, run: run.id, topic }
  try {
    for (const [product, brokerName] of [
      [cometmq, 'broker-ours'],
      [java, 'broker-java'],
    ] as const) {
      const store = path.join(work, `both-${product.name}`, 'store')
      brokers.push(await product.startBroker(work, ns, store, { brokerName }))
    }
    // The topic from which automatic ones are made must be there at both before the first send.
    await clients[0]!.must('route', { ...args, topic: 'TBW102', brokers: 2, timeoutMs: 40_000 })
    const { count } = await flow(clients[0]!, clients[1]!, args, 800)
    for (const client of clients) await client.must('route', { ...args, brokers: 2, timeoutMs: 10_000 })
    // One leaves: the other's half of the topic stays.
    await stopCleanly(brokers.shift()!)
    for (const client of clients) {
      const { route } = await client.must('route', { ...args, brokers: 1 })
      if (route !== 'it goes to [broker-java]') throw new Error(`broker-ours stopped, and the route says: ${route}`)
    }
    return `${count} messages over both`
  } finally {
    for (const broker of brokers) await broker.child.stop()
  }
}

/** What one sends, the other gets, each message once; `before`: what the topic holds already. */
async function flow(
  from: Driver,
  to: Driver,
  args: { ns: string; run: string; topic: string },
  count: number,
  before: Sent = { count: 0, sum: 0n },
): Promise<Sent> {
  const all = before.count + count
  const sent = await from.must('produce', { ...args, count, from: before.count })
  const sum = before.sum ^ BigInt(`0x${sent['sum']}`)
  // A new group reads from 0 on: what was sent before must still be there.
  const read = await to.must('consume', { ...args, group: `${args.topic}_group${before.count}`, count: all })
  if (read['distinct'] !== all || BigInt(`0x${read['sum']}`) !== sum || read['duplicates'] !== 0)
    throw new Error(`sent ${JSON.stringify(sent)}, read ${JSON.stringify(read)}`)
  return { count: all, sum }
}

interface Sent {
  count: number
  /** XOR over the bodies' digests. */
  sum: bigint
}
