/**
 * Pulls a topic from its beginning, one connection a queue, 32 messages at a time, until nothing is left or the time is
 * up; works against any RocketMQ broker.
 *
 *   node bench/drainer.ts --address HOST:PORT --topic T [--queues 8] [--seconds 10]
 *
 * Prints one JSON line: messages, bytes, seconds.
 */
import { createConnection } from 'node:net'
import { parseArgs } from 'node:util'

export interface DrainResult {
  messages: number
  bytes: number
  seconds: number
}

const FOUND = 0

function pullFrame(topic: string, queueId: number, offset: number): Buffer {
  const extFields = {
    consumerGroup: 'bench-drainer',
    topic,
    queueId: String(queueId),
    queueOffset: String(offset),
    maxMsgNums: '32',
    sysFlag: '4',
    commitOffset: '0',
    suspendTimeoutMillis: '0',
    subscription: '*',
    subVersion: '0',
    expressionType: 'TAG',
  }
  const header = Buffer.from(
    JSON.stringify({ code: 11, extFields, flag: 0, language: 'JAVA', opaque: 1, version: 513 }),
  )
  const frame = Buffer.concat([Buffer.alloc(8), header])
  frame.writeInt32BE(frame.length - 4, 0)
  frame.writeInt32BE(header.length, 4)
  return frame
}

export async function drain(
  host: string,
  port: number,
  topic: string,
  queues: number,
  seconds: number,
): Promise<DrainResult> {
  const started = performance.now()
  const until = started + seconds * 1000
  const result = { messages: 0, bytes: 0, seconds: 0 }
  const one = (queueId: number): Promise<void> =>
    new Promise((resolve, reject) => {
      let offset = 0
      let pending: Buffer = Buffer.alloc(0)
      const socket = createConnection({ host, port, noDelay: true }, () =>
        socket.write(pullFrame(topic, queueId, offset)),
      )
      const onAnswer = (frame: Buffer): void => {
        const headerBytes = frame.readInt32BE(4) & 0xffffff
        const { code, extFields } = JSON.parse(frame.toString('utf8', 8, 8 + headerBytes))
        const next = Number(extFields?.nextBeginOffset)
        if (performance.now() > until || code !== FOUND || !(next > offset)) {
          socket.end()
          return
        }
        result.messages += next - offset
        result.bytes += frame.length
        offset = next
        socket.write(pullFrame(topic, queueId, offset))
      }
      socket.on('data', (chunk) => {
        pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk])
        while (pending.length >= 8) {
          const end = 4 + pending.readInt32BE(0)
          if (pending.length < end) break
          const frame = pending.subarray(0, end)
          pending = pending.subarray(end)
          onAnswer(frame)
        }
      })
      socket.on('close', () => resolve())
      socket.on('error', reject)
    })
  await Promise.all(Array.from({ length: queues }, (_, queueId) => one(queueId)))
  return { ...result, seconds: (performance.now() - started) / 1000 }
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      address: { type: 'string', default: '127.0.0.1:10911' },
      topic: { type: 'string', default: 'Bench' },
      queues: { type: 'string', default: '8' },
      seconds: { type: 'string', default: '10' },
    },
  })
  const [host, port] = values.address.split(':')
  const drained = await drain(host!, Number(port), values.topic, Number(values.queues), Number(values.seconds))
  process.stdout.write(`${JSON.stringify(drained)}\n`)
}
