import type { Request } from '../protocol/command.ts'
import type { PullMessage } from '../protocol/commands/pull.ts'
import type { SendMessage, SendMessageV2 } from '../protocol/commands/send.ts'

/** The header of a send, for tests of whoever stands on a broker. Properties are given as `name=value` words. */
export function sendOf(
  parts: Omit<Partial<Request<typeof SendMessage>>, 'properties'> & { properties?: string | Buffer } = {},
): Request<typeof SendMessage> & Request<typeof SendMessageV2> {
  const { properties = '', ...others } = parts
  return {
    producerGroup: 'producers',
    topic: 'orders',
    defaultTopic: 'TBW102',
    defaultTopicQueueNums: 4,
    queueId: 0,
    sysFlag: 0,
    bornTimestamp: 1_700_000_000_000,
    flag: 0,
    reconsumeTimes: 0,
    unitMode: false,
    batch: false,
    properties: typeof properties === 'string' ? propertiesOf(properties) : properties,
    ...others,
  }
}

/** `TAGS=a KEYS=k`, encoded. */
export function propertiesOf(words: string): Buffer {
  const pairs = words.split(' ').filter((word) => word !== '')
  return Buffer.from(pairs.map((pair) => `${pair.replace('=', '\u0001')}\u0002`).join(''))
}

/** The header of a pull that brings its own subscription and waits for nothing. */
export function pullOf(parts: Partial<Request<typeof PullMessage>> = {}): Request<typeof PullMessage> {
  return {
    consumerGroup: 'consumers',
    topic: 'orders',
    queueId: 0,
    queueOffset: 0,
    maxMsgNums: 32,
    sysFlag: 4,
    commitOffset: 0,
    suspendTimeoutMillis: 0,
    subscription: '*',
    subVersion: 0,
    expressionType: 'TAG',
    ...parts,
  }
}
