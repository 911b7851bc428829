import { inflateSync } from 'node:zlib'
import {
  type DataVersion,
  listOf,
  objectOf,
  readDataVersion,
  readTopicConfig,
  type TopicConfig,
  textOf,
} from '../../protocol/bodies.ts'
import { parseJavaJson, parseJavaObject } from '../../protocol/java-json.ts'
import { Version } from '../../protocol/names.ts'
import { Refusal } from '../../protocol/refusal.ts'
import { ResponseCode } from '../../protocol/response-code.ts'

/** What a broker registers. */
export interface RegisterBody {
  dataVersion: DataVersion
  topics: Map<string, TopicConfig>
  mappings: Map<string, object>
  filterServers: string[]
}

/** A body inflates to no more than this: nobody has authenticated yet, and a megabyte can hold a gigabyte of zeros. */
const MAX_INFLATED_BYTES = 64 * 1024 * 1024

/**
 * @param version of the sender: before 3.0.11 the body is the topic table alone
 * @throws Refusal when the body is not understood
 */
export function readRegisterBody(body: Buffer, compressed: boolean, version: number): RegisterBody {
  if (body.length === 0) {
    return {
      dataVersion: { stateVersion: 0, timestamp: 0, counter: 0 },
      topics: new Map(),
      mappings: new Map(),
      filterServers: [],
    }
  }
  try {
    if (compressed) return readCompressed(body, version)
    const object = parseJavaObject(body.toString('utf8'))
    const wrapper = version >= Version.V3_0_11 ? objectOf(object['topicConfigSerializeWrapper']) : object
    return {
      dataVersion: readDataVersion(wrapper['dataVersion']),
      topics: readTopics(objectOf(wrapper['topicConfigTable'])),
      mappings: readMappings(objectOf(wrapper['topicQueueMappingInfoMap'])),
      filterServers: listOf(object['filterServerList']).map((each) => textOf(each)),
    }
  } catch (error) {
    if (error instanceof Refusal) throw error
    throw new Refusal(ResponseCode.SYSTEM_ERROR, `the registration is not understood: ${(error as Error).message}`)
  }
}

function readTopics(table: Record<string, unknown>): Map<string, TopicConfig> {
  const topics = new Map<string, TopicConfig>()
  for (const [topic, config] of Object.entries(table))
    topics.set(topic, { ...readTopicConfig(config), topicName: topic })
  return topics
}

function readMappings(table: Record<string, unknown>): Map<string, object> {
  return new Map(Object.entries(table).map(([topic, mapping]) => [topic, objectOf(mapping)]))
}

/** `length · data version JSON · count · (length · topic text)… · length · filter servers JSON · [count · (length · mapping JSON)…]` */
function readCompressed(body: Buffer, version: number): RegisterBody {
  const bytes = inflateSync(body, { maxOutputLength: MAX_INFLATED_BYTES })
  let at = 0
  const number = (): number => {
    if (at + 4 > bytes.length) throw new Error('it ends early')
    const value = bytes.readInt32BE(at)
    at += 4
    return value
  }
  const piece = (): string => {
    const length = number()
    if (length < 0 || length > bytes.length - at)
      throw new Error(`a piece of ${length} bytes, ${bytes.length - at} are left`)
    const text = bytes.toString('utf8', at, at + length)
    at += length
    return text
  }
  const dataVersion = readDataVersion(parseJavaJson(piece()))
  const topics = new Map<string, TopicConfig>()
  for (let left = count(number(), bytes.length); left > 0; left--) {
    const config = readTopicText(piece())
    topics.set(config.topicName, config)
  }
  const filterServers = listOf(parseJavaJson(piece())).map((each) => textOf(each))
  const mappings = new Map<string, object>()
  if (version >= Version.V5_0_0 && at < bytes.length) {
    for (let left = count(number(), bytes.length); left > 0; left--) {
      const mapping = parseJavaObject(piece())
      mappings.set(textOf(mapping['topic']), mapping)
    }
  }
  return { dataVersion, topics, mappings, filterServers }
}

/** A count cannot be believed beyond the bytes that would hold its pieces. */
function count(value: number, bytes: number): number {
  if (value < 0 || value > bytes / 4) throw new Error(`a count of ${value} in ${bytes} bytes`)
  return value
}

/** `name read write perm FILTERTYPE {attributes}`, separated by blanks. */
function readTopicText(text: string): TopicConfig {
  const [topicName = '', readQueueNums, writeQueueNums, perm, topicFilterType] = text.split(' ')
  const attributes = text.includes('{') ? parseJavaObject(text.slice(text.indexOf('{'))) : {}
  return readTopicConfig({ topicName, readQueueNums, writeQueueNums, perm, topicFilterType, attributes })
}
