import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { parseProperties } from '../base/properties-file.ts'
import {
  GetAllTopicListFromNameServer,
  GetHasUnitSubTopicList,
  GetHasUnitSubUnunitTopicList,
  GetNameServerConfig,
  GetTopicsByCluster,
  GetUnitTopicList,
  UpdateNameServerConfig,
} from '../protocol/commands/nameserver.ts'
import { nameServerSettings } from './settings.ts'
import { type SimulatedNameServer, type SimulatedPeer, startSimulatedNameServer } from './simulated-name-server.ts'

let server: SimulatedNameServer
let peer: SimulatedPeer
beforeEach(async () => {
  server = await startSimulatedNameServer()
  peer = await server.connect()
})
afterEach(() => server.close())

const update = (text: string) => peer.ask(UpdateNameServerConfig, {}, text)
const shown = async (): Promise<Record<string, string>> =>
  parseProperties((await peer.ask(GetNameServerConfig, {})).body.toString())
const kept = (): Record<string, string> | undefined => {
  const path = '/data/namesrv.properties'
  if (server.disk.statSync(path) === undefined) return undefined
  const file = server.disk.openSync(path, 'read')
  const bytes = Buffer.alloc(file.sizeSync())
  file.readSync(bytes, 0)
  file.closeSync()
  return parseProperties(bytes.toString())
}

/** What a stranger who reaches the port may change; a new setting stands here only after somebody thought of that. */
const ALLOWED = [
  'deleteTopicWithBrokerRegistration',
  'enableAllTopicList',
  'enableTopicList',
  'needWaitForService',
  'notifyMinBrokerIdChanged',
  'orderMessageEnable',
  'returnOrderTopicConfigToBroker',
  'scanNotActiveBrokerInterval',
  'supportActingMaster',
  'waitSecondsForService',
]
const described = nameServerSettings.describe()

describe('an update of the settings', () => {
  test('is allowed for these, and no text is among them: a path, a command or an address', () => {
    const updatable = described.filter((each) => each.updatable)
    assert.deepEqual(updatable.map(({ key }) => key).sort(), ALLOWED)
    assert.deepEqual([...new Set(updatable.map(({ type }) => type))].sort(), ['bool', 'int', 'ms'])
  })
  for (const { key, type } of described) {
    if (ALLOWED.includes(key)) {
      test(`changes ${key}, shows it, and keeps it over a crash`, async () => {
        const before = (await shown())[key]!
        const value = type === 'bool' ? String(before !== 'true') : '77'
        assert.notEqual(value, before)
        assert.equal((await update(`${key}=${value}`)).code, 0)
        assert.equal((await shown())[key], value)
        server.disk.crash()
        assert.equal(kept()![key], value)
      })
    } else {
      test(`is refused for ${key}, even with the value that it has`, async () => {
        const value = (await shown())[key]!
        const { code, remark } = await update(`enableTopicList=false\n${key}=${value}`)
        assert.equal(code, 16)
        const byJava = ['kvConfigPath', 'configStorePath'].includes(key)
        if (byJava) assert.equal(remark, 'Can not update config in black list.')
        else assert.match(remark!, new RegExp(`^${key} can not be changed while running`))
        assert.equal((await shown())['enableTopicList'], 'true', 'all or nothing')
        assert.equal(kept(), undefined)
      })
    }
  }
  for (const key of ['rocketmqHome', 'configBlackList']) {
    test(`is refused for ${key}, which is Java's`, async () => {
      assert.equal((await update(`${key}=/etc`)).remark, 'Can not update config in black list.')
    })
  }
  for (const [what, text] of [
    ['escaped', 'kvConfig\\u0050ath=/etc/passwd'],
    ['continued', 'kvConfig\\\n  Path=/etc/passwd'],
    ['after a blank', '   kvConfigPath   /etc/passwd'],
    ['after another', 'enableTopicList=true\nkvConfigPath:/etc/passwd'],
    ['after a byte order mark', '\uFEFFkvConfigPath=/etc/passwd'],
  ] as const) {
    test(`is refused for a path that is ${what}`, async () => {
      assert.equal((await update(text)).code, 16)
      assert.equal((await shown())['kvConfigPath'], '/data/kvConfig.json')
    })
  }
  for (const key of ['KVCONFIGPATH', 'noSuchKey', '__proto__', 'constructor', '', 'hasOwnProperty']) {
    test(`is refused for '${key}', which is no setting`, async () => {
      const { code, remark } = await update(`${key}=/etc/passwd`)
      assert.deepEqual([code, remark], [16, `${key} is not a setting of this server`])
    })
  }
  for (const [text, allowed] of [
    ['scanNotActiveBrokerInterval=9', /^scanNotActiveBrokerInterval=9: takes a whole number from 10 up/],
    ['scanNotActiveBrokerInterval=soon', /takes a whole number/],
    ['waitSecondsForService=-1', /takes a whole number from 0/],
    ['enableTopicList=yes', /^enableTopicList=yes: takes true or false$/],
  ] as const) {
    test(`is refused for ${text}`, async () => {
      const before = await shown()
      const { code, remark } = await update(text)
      assert.equal(code, 16)
      assert.match(remark!, allowed)
      assert.deepEqual(await shown(), before)
    })
  }
  test('that is no properties text is refused', async () => {
    const { code, remark } = await update('enableTopicList=\\u12')
    assert.equal(code, 1)
    assert.match(remark!, /^string2Properties error: line 1/)
  })
  test('of nothing changes nothing', async () => {
    assert.equal((await update('')).code, 0)
    assert.equal(kept(), undefined)
  })
  test('that cannot be kept is refused, and changes nothing', async () => {
    server.disk.fault = (call) =>
      call === 'write' ? Object.assign(new Error('no room'), { code: 'ENOSPC' }) : undefined
    const { code, remark } = await update('enableTopicList=false')
    assert.equal(code, 1)
    assert.match(remark!, /no room/)
    assert.equal((await shown())['enableTopicList'], 'true')
    server.disk.fault = undefined
  })
  test('is logged with who asked for it', async () => {
    await update('enableTopicList=false')
    const { level, fields } = server.log.lines.find(({ message }) => message === 'settings changed')!
    assert.equal(level, 'info')
    assert.equal(fields['enableTopicList'], 'false')
    assert.match(String(fields['peer']), /^127\.0\.0\.1:\d+$/)
  })
})

describe('topic lists', () => {
  const lists = [
    [GetAllTopicListFromNameServer, 'enableAllTopicList'],
    [GetTopicsByCluster, 'enableTopicList'],
    [GetUnitTopicList, 'enableTopicList'],
    [GetHasUnitSubTopicList, 'enableTopicList'],
    [GetHasUnitSubUnunitTopicList, 'enableTopicList'],
  ] as const
  for (const [command, key] of lists) {
    test(`${command.name} is switched off and on by ${key}, while running`, async () => {
      const ask = () => peer.askLoosely(command, { cluster: 'c' })
      assert.equal((await ask()).code, 0)
      await update(`${key}=false`)
      const { code, remark } = await ask()
      assert.deepEqual([code, remark], [1, 'disable'])
      await update(`${key}=true`)
      assert.equal((await ask()).code, 0)
    })
  }
})
