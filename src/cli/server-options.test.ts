import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, describe, test } from 'node:test'
import { memoryLog } from '../base/console-log.ts'
import { SettingsError } from '../base/settings.ts'
import type { BrokerSettings } from '../broker/settings.ts'
import type { NameServerSettings } from '../nameserver/settings.ts'
import { Failure } from './failure.ts'
import { readServerOptions, type ServerOptions } from './server-options.ts'
import { brokerSettingsOf, nameServerSettingsOf, nameServersWith, requireWritable, warnOfOpenDoor } from './servers.ts'

const folder = mkdtempSync(join(tmpdir(), 'cometmq-options-'))
after(() => rmSync(folder, { recursive: true, force: true }))

function file(name: string, text: string): string {
  const path = join(folder, name)
  writeFileSync(path, text)
  return path
}

function read(...args: string[]): ServerOptions {
  const options = readServerOptions(args, 'start')
  assert.ok(options !== undefined)
  return options
}

/** What `cometmq start ARGS` makes of its options. */
async function settle(
  ...args: string[]
): Promise<{ nameServer: NameServerSettings; broker: BrokerSettings; warnings: string[] }> {
  const options = read(...args)
  const log = memoryLog()
  const nameServer = await nameServerSettingsOf(options, log, true)
  const broker = await brokerSettingsOf(options, log, true)
  return { nameServer, broker, warnings: log.lines.map(({ message }) => message) }
}

describe('options of servers', () => {
  test('every one is read', () => {
    const words =
      '--data d --host h --namesrv-port 1 --broker-port 2 -n a:1;b:2 --set k=v --set l=w=x --set m= --verbose'.split(
        ' ',
      )
    assert.deepEqual(read(...words), {
      dataFolder: 'd',
      host: 'h',
      namesrvPort: 1,
      brokerPort: 2,
      namesrv: 'a:1;b:2',
      file: {},
      hasFile: false,
      set: Object.assign(Object.create(null), {
        k: { value: 'v', origin: '--set' },
        l: { value: 'w=x', origin: '--set' },
        m: { value: '', origin: '--set' },
      }),
      verbose: true,
    })
  })

  test('help comes before everything that could be wrong', () => {
    assert.equal(readServerOptions(['--help', '-c', 'missing.conf', '--broker-port', '99999'], 'start'), undefined)
    assert.equal(readServerOptions(['-h'], 'broker'), undefined)
  })

  test('what cannot be is refused in one sentence', () => {
    const cases: [args: string[], message: RegExp][] = [
      [['extra'], /^start takes options only, not 'extra'; see cometmq start --help$/],
      [['--broker-port', 'x'], /^--broker-port takes a whole number from 0 up, not 'x'$/],
      [['--namesrv-port', '65536'], /^--namesrv-port takes a port from 0 to 65535, not '65536'$/],
      [['-c', join(folder, 'missing.conf')], /^there is no configuration file .*missing\.conf$/],
      [['-c', folder], /is a folder; -c takes a file$/],
      [['--set', 'novalue'], /^--set takes key=value, not 'novalue'$/],
      [['--set', '=v'], /^--set takes key=value, not '=v'$/],
    ]
    for (const [args, message] of cases) {
      assert.throws(
        () => read(...args),
        (error) => {
          assert.ok(error instanceof Failure || error instanceof SettingsError, String(error))
          assert.match(error.message, message)
          return true
        },
      )
    }
  })
})

describe('settings of servers', () => {
  test('without a file they listen on loopback and keep everything beside us', async () => {
    const { nameServer, broker, warnings } = await settle()
    assert.equal(nameServer.bindAddress, '127.0.0.1')
    assert.equal(broker.bindAddress, '127.0.0.1')
    assert.equal(nameServer.listenPort, 9_876)
    assert.equal(broker.listenPort, 10_911)
    assert.equal(broker.storePathRootDir, resolve('.cometmq/store'))
    assert.equal(nameServer.kvConfigPath, resolve('.cometmq/namesrv/kvConfig.json'))
    assert.deepEqual(warnings, [])
  })

  test('options go to the role they name', async () => {
    const { nameServer, broker } = await settle(
      ...['--data', '/d', '--host', '0.0.0.0', '--namesrv-port', '1', '--broker-port', '2', '-n', 'other:9876'],
    )
    assert.deepEqual([nameServer.listenPort, broker.listenPort], [1, 2])
    assert.deepEqual([nameServer.bindAddress, broker.bindAddress], ['0.0.0.0', '0.0.0.0'])
    assert.equal(broker.storePathRootDir, '/d/store')
    assert.equal(broker.namesrvAddr, 'other:9876')
  })

  test("Java's broker.conf is taken as it is: everywhere, where it says, its ports the broker's", async () => {
    const conf = file(
      'broker.conf',
      `# as Apache's
brokerClusterName = DefaultCluster
brokerName = broker-x
brokerId = 0
deleteWhen = 04
fileReservedTime = 48
brokerRole = ASYNC_MASTER
flushDiskType = SYNC_FLUSH
listenPort = 20911
storePathRootDir = ${folder}/java-store
namesrvAddr = 10.0.0.1:9876;10.0.0.2:9876
autoCreateTopicEnable=false
`,
    )
    const { nameServer, broker, warnings } = await settle('-c', conf)
    assert.equal(broker.brokerName, 'broker-x')
    assert.equal(broker.flushDiskType, 'SYNC_FLUSH')
    assert.equal(broker.listenPort, 20_911)
    assert.equal(nameServer.listenPort, 9_876, 'listenPort of a broker.conf is the broker')
    assert.equal(broker.bindAddress, '0.0.0.0')
    assert.equal(nameServer.bindAddress, '0.0.0.0')
    assert.equal(broker.storePathRootDir, `${folder}/java-store`)
    assert.equal(broker.namesrvAddr, '10.0.0.1:9876;10.0.0.2:9876')
    assert.equal(broker.autoCreateTopicEnable, false)
    assert.ok(
      warnings.every((warning) => !warning.includes('unknown')),
      warnings.join('\n'),
    )
  })

  test('--set is stronger than an option, an option than the file, the file than what we would do', async () => {
    const conf = file('strength.conf', 'listenPort=1\nbrokerName=file\nstorePathRootDir=/file\nbindAddress=10.1.1.1\n')
    const only = await settle('-c', conf)
    assert.deepEqual([only.broker.listenPort, only.broker.storePathRootDir], [1, '/file'])
    assert.equal(only.broker.bindAddress, '10.1.1.1')
    assert.equal(only.nameServer.bindAddress, '10.1.1.1')
    const option = await settle('-c', conf, '--broker-port', '2', '--data', '/option', '--host', '10.2.2.2')
    assert.deepEqual([option.broker.listenPort, option.broker.storePathRootDir], [2, '/option/store'])
    assert.equal(option.broker.bindAddress, '10.2.2.2')
    const set = await settle('-c', conf, '--broker-port', '2', '--set', 'listenPort=3', '--set', 'brokerName=set')
    assert.deepEqual([set.broker.listenPort, set.broker.brokerName], [3, 'set'])
  })

  test('a key of the name server goes to the name server', async () => {
    const { nameServer, warnings } = await settle('--set', 'scanNotActiveBrokerInterval=1234')
    assert.equal(nameServer.scanNotActiveBrokerInterval, 1_234)
    assert.deepEqual(warnings, [])
  })

  test('an unknown key is warned of once, with where it stands and the nearest of either role', async () => {
    const conf = file('slip.conf', 'brokerName=b\nflushDiskTyp=SYNC_FLUSH\n')
    const { warnings } = await settle('-c', conf, '--set', 'scanNotActiveBrokerIntervl=1', '--set', 'xyzzy=1')
    assert.deepEqual(warnings, [
      `unknown setting flushDiskTyp (${conf}:2); did you mean flushDiskType?`,
      'unknown setting scanNotActiveBrokerIntervl (--set); did you mean scanNotActiveBrokerInterval?',
      'unknown setting xyzzy (--set)',
    ])
  })

  test('a wrong value is refused by name, with where it stands and what is allowed', async () => {
    const conf = file('wrong.conf', '\nflushDiskType=SOMETIMES\n')
    await assert.rejects(settle('-c', conf), {
      name: 'SettingsError',
      message: `flushDiskType=SOMETIMES (${conf}:2): takes one of ASYNC_FLUSH, SYNC_FLUSH`,
    })
    await assert.rejects(settle('--set', 'autoCreateTopicEnable=yes'), {
      message: 'autoCreateTopicEnable=yes (--set): takes true or false',
    })
    await assert.rejects(settle('--set', 'scanNotActiveBrokerInterval=soon'), {
      message: /^scanNotActiveBrokerInterval=soon \(--set\): takes a whole number/,
    })
  })

  test('a broker alone reads the whole file as its own', async () => {
    const log = memoryLog()
    const { listenPort } = await brokerSettingsOf(read('-c', file('alone.conf', 'listenPort=7\n')), log, false)
    assert.equal(listenPort, 7)
    const other = await nameServerSettingsOf(read('-c', file('alone.conf', 'listenPort=8\n')), log, false)
    assert.equal(other.listenPort, 8)
    await nameServerSettingsOf(read('--set', 'listnPort=8'), log, false)
    assert.deepEqual(
      log.lines.map(({ message }) => message),
      ['unknown setting listnPort (--set); did you mean listenPort?'],
    )
  })

  test('the name server of the process is registered with first, others beside it, none twice', () => {
    assert.equal(nameServersWith('127.0.0.1:9876', ''), '127.0.0.1:9876')
    assert.equal(nameServersWith('127.0.0.1:9876', 'a:1; 127.0.0.1:9876,b:2'), '127.0.0.1:9876;a:1;b:2')
  })

  test('listening beyond loopback is warned of with the switch that ends it', () => {
    for (const host of ['127.0.0.1', '127.8.8.8', 'localhost', '::1']) {
      const log = memoryLog()
      warnOfOpenDoor(log, 'broker', host)
      assert.deepEqual(log.lines, [], host)
    }
    for (const host of ['0.0.0.0', '::', '', '10.0.0.1']) {
      const log = memoryLog()
      warnOfOpenDoor(log, 'broker', host)
      assert.equal(log.lines[0]?.level, 'warn', host)
      assert.equal(log.lines[0]?.fields['fix'], '--host 127.0.0.1')
    }
  })

  test('a folder that cannot be made is one sentence, and one that can is left as it was', () => {
    const taken = file('taken', '')
    for (const path of [taken, join(taken, 'below')]) {
      assert.throws(
        () => requireWritable(path),
        (error) =>
          error instanceof Failure &&
          error.message ===
            `${path} cannot be written: a file stands where a folder should; choose another folder with --data`,
      )
    }
    requireWritable(join(folder, 'new', 'deep'))
    requireWritable(join(folder, 'new', 'deep'))
  })
})
