/**
 * The frame blaster: sends pre-built SEND_MESSAGE_V2 frames over some connections, each with a fixed number in flight,
 * and reads nothing of the answers but their code. Cheap on purpose, so that the broker is what is measured; works
 * against any RocketMQ broker.
 *
 *   node bench/blaster.ts --address HOST:PORT --topic T [--connections 8] [--in-flight 32] [--size 1024] [--seconds 10]
 *                         [--rate N]  at most N sends a second, all connections together
 *
 * Prints one JSON line: sent, refused, seconds, latency percentiles in ms.
 */
import { createConnection, type Socket } from 'node:net'
import { parseArgs } from 'node:util'

const FIRST_OPAQUE = 1_000_000
const OPAQUE_DIGITS = 7

export interface BlastOptions {
  host: string
  port: number
  topic: string
  connections: number
  inFlight: number
  sizeBytes: number
  seconds: number
  queues: number
  /** Sends a second at most; 0 without bound. */
  rate: number
}

export interface BlastResult {
  sent: number
  refused: number
  firstRefusal: string
  seconds: number
  p50Ms: number
  p99Ms: number
  p999Ms: number
  maxMs: number
}

/** One frame whose opaque is always seven digits, so that it can be patched in place. */
function buildFrame(options: BlastOptions, queueId: number): { frame: Buffer; opaqueAt: number } {
  const id = '7F0000012F7B4E0E2F2A76015B450000'
  const fields = {
    a: 'bench-producer',
    b: options.topic,
    c: 'TBW102',
    d: String(options.queues),
    e: String(queueId),
    f: '0',
    g: String(Date.now()),
    h: '0',
    i: `UNIQ_KEY\u0001${id}\u0002WAIT\u0001true\u0002TAGS\u0001TagA\u0002`,
    j: '0',
    k: 'false',
    m: 'false',
    n: 'broker-a',
  }
  const header = `{"code":310,"extFields":${JSON.stringify(fields)},"flag":0,"language":"JAVA","opaque":${FIRST_OPAQUE},"serializeTypeCurrentRPC":"JSON","version":513}`
  const headerBytes = Buffer.from(header)
  const frame = Buffer.alloc(8 + headerBytes.length + options.sizeBytes, 0x61)
  frame.writeInt32BE(frame.length - 4, 0)
  frame.writeInt32BE(headerBytes.length, 4)
  headerBytes.copy(frame, 8)
  return { frame, opaqueAt: 8 + headerBytes.indexOf(String(FIRST_OPAQUE)) }
}

export async function blast(options: BlastOptions): Promise<BlastResult> {
  const latencies: number[] = []
  let sent = 0
  let refused = 0
  let firstRefusal = ''
  const started = performance.now()
  const until = started + options.seconds * 1000
  let allowance = options.rate > 0 ? 0 : Number.POSITIVE_INFINITY
  const refills: (() => void)[] = []
  const pace =
    options.rate === 0
      ? undefined
      : setInterval(() => {
          const due = ((performance.now() - started) / 1000) * options.rate - (sent + refused + inFlightOfAll)
          allowance = Math.max(0, Math.min(due, options.rate / 10))
          for (const refill of refills) refill()
        }, 2)
  let inFlightOfAll = 0

  const one = (index: number): Promise<void> =>
    new Promise((resolve, reject) => {
      const { frame, opaqueAt } = buildFrame(options, index % options.queues)
      const sentAt = new Map<number, number>()
      let opaque = FIRST_OPAQUE
      let pending: Buffer | undefined
      let inFlight = 0
      const socket: Socket = createConnection({ host: options.host, port: options.port, noDelay: true })
      const send = (wanted: number): void => {
        const many = Math.min(wanted, Math.floor(allowance))
        if (many <= 0) return
        allowance -= many
        inFlightOfAll += many
        const batch = Buffer.allocUnsafe(frame.length * many)
        for (let at = 0; at < many; at++) {
          frame.copy(batch, at * frame.length)
          opaque++
          batch.latin1Write(String(opaque).padStart(OPAQUE_DIGITS, '1'), at * frame.length + opaqueAt)
          // One in 16 is timed: a clock and a map entry per message would be the load.
          if ((opaque & 15) === 0) sentAt.set(opaque, performance.now())
        }
        inFlight += many
        socket.write(batch)
      }
      const onFrame = (bytes: Buffer, at: number, end: number): void => {
        inFlight--
        inFlightOfAll--
        // {"code":0, as both brokers write it
        if (bytes[at + 8 + 8] === 0x30) sent++
        else {
          refused++
          if (firstRefusal === '') firstRefusal = bytes.toString('utf8', at + 8, Math.min(end, at + 300))
        }
        const where = bytes.indexOf('"opaque":', at + 8)
        const answered = Number.parseInt(bytes.latin1Slice(where + 9, where + 9 + OPAQUE_DIGITS), 10)
        if ((answered & 15) === 0) {
          const begun = sentAt.get(answered)
          if (begun !== undefined) latencies.push(performance.now() - begun)
          sentAt.delete(answered)
        }
      }
      const refill = (): void => {
        if (performance.now() < until && inFlight < options.inFlight) send(options.inFlight - inFlight)
        else if (performance.now() >= until && inFlight === 0) socket.end()
      }
      socket.on('connect', () => {
        refills.push(refill)
        refill()
      })
      socket.on('data', (chunk) => {
        const bytes = pending === undefined ? chunk : Buffer.concat([pending, chunk])
        let at = 0
        let answered = 0
        while (bytes.length - at >= 4) {
          const end = at + 4 + bytes.readInt32BE(at)
          if (end > bytes.length) break
          onFrame(bytes, at, end)
          answered++
          at = end
        }
        pending = at === bytes.length ? undefined : bytes.subarray(at)
        if (performance.now() >= until) {
          if (inFlight === 0) socket.end()
        } else if (answered > 0) send(answered)
      })
      socket.on('close', () => resolve())
      socket.on('error', reject)
    })

  await Promise.all(Array.from({ length: options.connections }, (_, index) => one(index)))
  clearInterval(pace)
  const seconds = (performance.now() - started) / 1000
  latencies.sort((a, b) => a - b)
  const at = (share: number): number => Number((latencies[Math.floor(latencies.length * share)] ?? 0).toFixed(3))
  return {
    sent,
    refused,
    firstRefusal,
    seconds,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    p999Ms: at(0.999),
    maxMs: at(0.999999),
  }
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      address: { type: 'string' },
      topic: { type: 'string' },
      connections: { type: 'string', default: '8' },
      'in-flight': { type: 'string', default: '32' },
      size: { type: 'string', default: '1024' },
      seconds: { type: 'string', default: '10' },
      queues: { type: 'string', default: '8' },
      rate: { type: 'string', default: '0' },
    },
  })
  const [host, port] = (values.address ?? '127.0.0.1:10911').split(':')
  const result = await blast({
    host: host!,
    port: Number(port),
    topic: values.topic ?? 'BenchmarkTest',
    connections: Number(values.connections),
    inFlight: Number(values['in-flight']),
    sizeBytes: Number(values.size),
    seconds: Number(values.seconds),
    queues: Number(values.queues),
    rate: Number(values.rate),
  })
  process.stdout.write(`${JSON.stringify(result)}\n`)
}
