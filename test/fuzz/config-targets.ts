import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ConfigFile } from '../../src/base/config-file.ts'
import { silentLog } from '../../src/base/console-log.ts'
import type { Disk } from '../../src/base/disk.ts'
import { formatProperties } from '../../src/base/properties-file.ts'
import type { Random } from '../../src/base/random.ts'
import { SeededRandom } from '../../src/base/random.ts'
import { SimulatedDisk } from '../../src/base/simulated-disk.ts'
import { SimulatedScheduler } from '../../src/base/simulated-scheduler.ts'
import { GroupTable } from '../../src/broker/groups.ts'
import { OffsetTable } from '../../src/broker/offsets.ts'
import { brokerSettings } from '../../src/broker/settings.ts'
import { TopicTable } from '../../src/broker/topics.ts'
import { KvConfig } from '../../src/nameserver/kv-config.ts'
import { SettingsFileStore } from '../../src/nameserver/settings-file.ts'
import { objectOf } from '../../src/protocol/bodies.ts'
import { isObject, parseJavaJson, parseJavaObject, stringifyJavaJson } from '../../src/protocol/java-json.ts'
import { AUTO_CREATE_TOPIC } from '../../src/protocol/names.ts'
import { DeletedTopics } from '../../src/store/deleted-topics.ts'
import { vectorFiles, vectorsFolder } from '../../src/store/java-vectors.contract.ts'
import type { FuzzTarget } from './fuzz-target.ts'
import { mutateText, printDialect } from './json-grammar.ts'
import { mutate } from './mutation.ts'
import { readFile, writeFile } from './seed-store.ts'

const ROOT = '/store'
const settings = brokerSettings.parse({ brokerName: 'vec-a', brokerClusterName: 'VecCluster' }).settings

/** A file of the configuration: who reads it, and has it written again. */
interface ConfigTarget {
  name: string
  path: string
  texts: () => string[]
  /** Loads it, and saves it though nothing has changed. @throws Error when it cannot be understood */
  reload(disk: Disk, scheduler: SimulatedScheduler): void
  /** No JSON of Java's dialect. */
  isOurs?: boolean
}

/** The last entries of a table are enough: each execution reads all of the file, and more than once. */
function shortened(text: string, table: string): string {
  const value = parseJavaObject(text)
  value[table] = Object.fromEntries(Object.entries(objectOf(value[table])).slice(-5))
  return stringifyJavaJson(value, { pretty: true })
}

/** What changes with each save; and the topic that comes and goes. */
const UNSTEADY = /"dataVersion":\{[^}]*\}|,\n\t\t"fuzz":\{"attributes.*/g

const javaTexts = (name: string, table: string): string[] => {
  const oracle = JSON.parse(readFileSync(join(vectorsFolder, 'config.json'), 'utf8')) as {
    configFiles: Record<string, string>
  }
  const texts = [
    oracle.configFiles[name],
    ...['retry', 'filter'].map((each) => vectorFiles(each).get(`config/${name}`)?.toString()),
  ]
  return texts.filter((text) => text !== undefined).map((text) => shortened(text, table))
}

const targets: ConfigTarget[] = [
  {
    name: 'topics',
    path: `${ROOT}/config/topics.json`,
    texts: () => javaTexts('topics.json', 'topicConfigTable'),
    reload(disk, scheduler) {
      const table = new TopicTable({ settings, disk, root: ROOT, scheduler, log: silentLog })
      // Only a change is saved: one topic comes and goes.
      const isThere = table.get('fuzz') !== undefined
      if (isThere) table.delete('fuzz')
      else table.update([{ ...table.get('BenchmarkTest')!, topicName: 'fuzz' }])
      table.close()
    },
  },
  {
    name: 'subscriptionGroup',
    path: `${ROOT}/config/subscriptionGroup.json`,
    texts: () => javaTexts('subscriptionGroup.json', 'subscriptionGroupTable'),
    reload(disk, scheduler) {
      const table = new GroupTable({ settings, disk, root: ROOT, scheduler, log: silentLog })
      table.update([])
      table.close()
    },
  },
  {
    name: 'consumerOffset',
    path: `${ROOT}/config/consumerOffset.json`,
    texts: () => [
      ...javaTexts('consumerOffset.json', 'offsetTable'),
      '{"offsetTable":{"orders@g":{0:1,1:9223372036854775807},"%RETRY%g@g":{0:3}},"pullOffsetTable":{"orders@g":{0:2}}}',
    ],
    reload(disk, scheduler) {
      new OffsetTable({ settings, disk, root: ROOT, scheduler, log: silentLog }).close()
    },
  },
  {
    name: 'kvConfig',
    path: '/namesrv/kvConfig.json',
    texts: () => [
      '{\n\t"configTable":{\n\t\t"ORDER_TOPIC_CONFIG":{"orders":"vec-a:4;vec-b:4"},\n\t\t"ns":{"key":"value","k2":""}\n\t}\n}',
      '{"configTable":{}}',
    ],
    reload(disk) {
      new KvConfig(disk, this.path, silentLog).put('ns', 'fuzz', 'x')
    },
  },
  {
    name: 'namesrv',
    path: '/namesrv/namesrv.properties',
    texts: () => [
      formatProperties({
        needWaitForService: 'true',
        enableTopicList: 'false',
        rocketmqHome: '/opt/with space\\',
        'a:b': '=#!',
      }),
      '#Wed Nov 25 2026\nserverWorkerThreads=8\norderMessageEnable = true\nscanNotActiveBrokerInterval: 5000\\\n  0\nkey\\u0041 \\u00e9\n',
    ],
    reload(disk) {
      new SettingsFileStore(disk, this.path, silentLog).save({})
    },
    isOurs: true,
  },
  {
    name: 'deletedTopics',
    path: `${ROOT}/config/deletedTopics.json`,
    texts: () => ['{\n\t"deletedTopics": {\n\t\t"orders": 4711,\n\t\t"payments": 12\n\t}\n}'],
    isOurs: true,
    reload(disk) {
      const topics = new DeletedTopics(new ConfigFile(disk, this.path, silentLog))
      topics.load(0)
      topics.holds('orders', 5)
      topics.add('fuzz', 1, 0)
    },
  },
]

export const configTargets: FuzzTarget[] = targets.map((target) => ({
  name: target.name,
  about: `${target.path.slice(target.path.lastIndexOf('/') + 1)} and its backup: refused by name, or saved as it was read`,
  async prepare() {
    const texts = target.texts()
    const values = target.isOurs === true ? [] : texts.map((text) => parseJavaJson(text))
    return ({ random, input }) => {
      const scheduler = new SimulatedScheduler()
      const disk = new SimulatedDisk(new SeededRandom(1), { scheduler })
      const kind = random.below(4)
      const isOther = kind === 0 && values.length > 0
      const content = isOther ? printDialect(random, values[random.below(values.length)]) : damaged(random, texts)
      const bytes = typeof content === 'string' ? Buffer.from(content) : content
      input(target.path, content)
      writeFile(disk, target.path, bytes)
      const backup = random.below(3)
      if (backup === 1) writeFile(disk, `${target.path}.bak`, texts[0]!)
      if (backup === 2) {
        const other = damaged(random, texts)
        input(`${target.path}.bak`, other)
        writeFile(disk, `${target.path}.bak`, other)
      }
      try {
        target.reload(disk, scheduler)
      } catch (error) {
        assert.ok(error instanceof Error && error.message.startsWith(`${target.path} `), `refused by name: ${error}`)
        assert.ok(backup !== 1, 'a backup that can be read is read')
        assert.ok(!isOther, 'another way to write the same is understood')
        assert.ok(readFile(disk, target.path).equals(bytes), 'what is refused is left as it is')
        return 'refused'
      }
      const read = (): string => readFile(disk, target.path).toString().replace(UNSTEADY, '')
      const saved = read()
      if (isOther) holdsAll(readFile(disk, target.path).toString(), content as string, target)
      if (random.below(2) === 0) return 'loaded' // once in two is often enough
      target.reload(disk, scheduler)
      assert.equal(read(), saved, 'what was saved is loaded and saved the same')
      return isOther ? 'written otherwise' : 'loaded, and again'
    }
  },
}))

function damaged(random: Random, texts: readonly string[]): string | Buffer {
  const text = texts[random.below(texts.length)]!
  if (random.below(3) > 0) return mutateText(random, text)
  return mutate(random, Buffer.from(text), { others: texts.map((each) => Buffer.from(each)) })
}

/** Every topic, group or namespace that is in a file is still there, with its scalars. */
function holdsAll(saved: string, content: string, { name }: ConfigTarget): void {
  const tables = {
    topics: 'topicConfigTable',
    subscriptionGroup: 'subscriptionGroupTable',
    consumerOffset: 'offsetTable',
    kvConfig: 'configTable',
  }
  const table = tables[name as keyof typeof tables]
  const [before, after] = [content, saved].map((text) => (parseJavaJson(text) as Record<string, unknown>)[table])
  assert.ok(isObject(before) && isObject(after))
  for (const [key, value] of Object.entries(before)) {
    if (key === AUTO_CREATE_TOPIC) continue // follows the settings
    if (!isObject(value)) {
      assert.equal(after[key], value, key)
      continue
    }
    const kept: unknown = after[key]
    assert.ok(isObject(kept), `${key} is kept`)
    for (const [field, each] of Object.entries(value)) {
      if (typeof each !== 'object') assert.equal(kept[field], each, `${field} of ${key} is kept`)
    }
  }
}
