import assert from 'node:assert/strict'
import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { connect, createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { silentLog } from '../src/base/console-log.ts'
import { Probes } from '../src/base/probe.ts'
import { systemScheduler } from '../src/base/system-scheduler.ts'
import { GetRouteInfoByTopic } from '../src/protocol/commands/nameserver.ts'
import { RemotingClient } from '../src/remoting/client.ts'
import { tcpTransport } from '../src/remoting/tcp-transport.ts'
import { assertFailedClearly, type Running, Workshop } from './processes.ts'

const workshop = new Workshop()
after(() => workshop.close())

const FREE_PORTS = ['--namesrv-port', '0', '--broker-port', '0']
const portOf = (address: string): number => Number(address.slice(address.lastIndexOf(':') + 1))
const lines = (text: string): string[] => text.split('\n').filter((line) => line !== '')

describe('a server of the command line', { concurrency: 2 }, () => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    test(`says ready in one line, and ${signal} ends it with exit code 0 and the store unlocked`, async () => {
      const data = workshop.newFolder()
      const { server } = await workshop.start('--data', data)
      assert.ok(existsSync(join(data, 'store/cometmq.owner')))
      const { code, stdout, stderr } = await server.stop(signal)
      assert.equal(code, 0)
      assert.match(stdout, /^ready {2}name server 127\.0\.0\.1:\d+ {2}broker 127\.0\.0\.1:\d+\n$/)
      assert.equal(stderr, '')
      assert.ok(!existsSync(join(data, 'store/cometmq.owner')))
      assert.ok(!existsSync(join(data, 'store/abort')), 'a clean stop')
    })
  }

  test('a second signal ends it at once, whatever it waits for', async () => {
    const data = workshop.newFolder()
    const { server, broker } = await workshop.start('--data', data)
    // Somebody who neither speaks nor hangs up: the stop waits for him a while.
    const guest = connect({ port: portOf(broker), host: '127.0.0.1', allowHalfOpen: true })
    await new Promise((resolve) => guest.once('connect', resolve))
    guest.on('error', () => {})
    guest.resume()
    const hungUp = new Promise((resolve) => guest.once('end', resolve))
    server.child.kill('SIGTERM')
    await hungUp
    assert.equal(server.isOver, false, 'it is still stopping')
    const { code } = await server.stop('SIGTERM')
    guest.destroy()
    assert.equal(code, 143)
    assert.ok(existsSync(join(data, 'store/abort')), 'not a clean stop')

    const again = await workshop.start('--data', data)
    assert.equal((await again.server.stop()).code, 0)
  })

  test('serves on when nobody reads what it prints', async () => {
    const { server, nameServer } = await workshop.start('--data', workshop.newFolder(), '--verbose')
    server.child.stdout.destroy()
    server.child.stderr.destroy()
    // With --verbose each connection that closes is a line.
    for (const value of ['a', 'b']) {
      assert.equal((await workshop.run(['produce', 'unread', '-n', nameServer], value)).code, 0)
    }
    assert.equal((await server.stop()).code, 0)
  })

  test('a name server and a broker start apart', async () => {
    const nameServer = workshop.cometmq('namesrv', '--data', workshop.newFolder(), '--namesrv-port', '0')
    const at = (await nameServer.until(/^ready {2}name server (127\.0\.0\.1:\d+)\n/))[1]!
    const broker = workshop.cometmq('broker', '-n', at, '--data', workshop.newFolder(), '--broker-port', '0')
    await broker.until(/^ready {2}broker 127\.0\.0\.1:\d+\n$/)
    assert.equal((await workshop.run(['produce', 'apart', '-n', at], 'hello')).stdout, 'sent 1 message to apart\n')
    const read = await workshop.run(['consume', 'apart', '-n', at, '--count', '1'])
    assert.deepEqual([read.stdout, read.stderr, read.code], ['hello\n', '', 0])
    assert.equal((await broker.stop()).code, 0)
    assert.equal((await nameServer.stop()).code, 0)
    assert.equal(broker.stderr + nameServer.stderr, '')
  })

  test('a broker that nobody will find says so', async () => {
    const broker = workshop.cometmq('broker', '--data', workshop.newFolder(), '--broker-port', '0')
    await broker.until(/^ready/)
    await broker.until(/WARN no name server is named, .*-n HOST:PORT/, 'stderr')
    assert.equal((await broker.stop()).code, 0)
  })

  test('an option that the role has no use for is warned of', async () => {
    const server = workshop.cometmq('namesrv', '--data', workshop.newFolder(), ...FREE_PORTS)
    await server.until(/^ready/)
    await server.until(/WARN --broker-port has no effect on namesrv\n/, 'stderr')
    await server.stop()
  })

  test('an unknown key is a warning with the nearest known one', async () => {
    const { server } = await workshop.start('--data', workshop.newFolder(), '--set', 'flushDiskTyp=SYNC_FLUSH')
    await server.until(/WARN unknown setting flushDiskTyp \(--set\); did you mean flushDiskType\?\n/, 'stderr')
    assert.equal((await server.stop()).code, 0)
  })

  test("starts on Java's broker.conf as it is, its store where the file says, with a warning and the switch", async () => {
    const store = workshop.newFolder()
    const conf = join(workshop.folder, 'broker.conf')
    writeFileSync(
      conf,
      `brokerClusterName = DefaultCluster
brokerName = broker-java
brokerId = 0
deleteWhen = 04
fileReservedTime = 48
brokerRole = ASYNC_MASTER
flushDiskType = ASYNC_FLUSH
storePathRootDir = ${store}
brokerIP1 = 127.0.0.1
`,
    )
    const { server, nameServer } = await workshop.start('-c', conf)
    assert.match(nameServer, /^0\.0\.0\.0:/)
    await server.until(/WARN listening beyond this machine without authentication.*fix="--host 127\.0\.0\.1"/, 'stderr')
    const at = `127.0.0.1:${portOf(nameServer)}`
    const sent = await workshop.run(['produce', 'from-file', '-n', at, '--json'], 'x')
    assert.equal(JSON.parse(sent.stdout).brokerName, 'broker-java', sent.stderr)
    assert.ok(existsSync(join(store, 'commitlog')))
    assert.equal((await server.stop()).code, 0)
  })

  test('the route names the broker by the address at which the client reached us', async () => {
    const hosts = process.platform === 'linux' ? ['127.0.0.1', '127.0.0.2'] : ['127.0.0.1']
    const told = async (address: string): Promise<string> => {
      const parts = { transport: tcpTransport, scheduler: systemScheduler, log: silentLog, probes: new Probes() }
      await using client = new RemotingClient(parts)
      const { body } = await client.request(address, GetRouteInfoByTopic, {
        topic: 'TBW102',
        acceptStandardJsonOnly: true,
      })
      return /\{"?0"?:"([^"]+)"\}/.exec(body.toString())![1]!
    }
    const everywhere = await workshop.start('--data', workshop.newFolder(), '--host', '0.0.0.0')
    for (const host of hosts) {
      const address = await told(`${host}:${portOf(everywhere.nameServer)}`)
      assert.equal(address, `${host}:${portOf(everywhere.broker)}`)
    }
    await everywhere.server.stop()

    const args = ['--data', workshop.newFolder(), '--host', '0.0.0.0', '--set', 'brokerIP1=10.1.2.3']
    const named = await workshop.start(...args)
    for (const host of hosts) {
      const address = await told(`${host}:${portOf(named.nameServer)}`)
      assert.equal(address, `10.1.2.3:${portOf(named.broker)}`, 'with brokerIP1 that is told')
    }
    await named.server.stop()
  })
})

describe('a server that cannot start says why in one sentence', { concurrency: 2 }, () => {
  let taken: Server
  let port: string
  before(async () => {
    taken = createServer()
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve))
    port = String((taken.address() as { port: number }).port)
  })
  after(() => taken.close())

  test('a port in use', async () => {
    const data = workshop.newFolder()
    const inUse = new RegExp(`port ${port} on 127\\.0\\.0\\.1 is in use`)
    const args = ['start', '--data', data]
    assertFailedClearly(await workshop.run([...args, '--namesrv-port', port, '--broker-port', '0']), inUse)
    assertFailedClearly(await workshop.run([...args, '--namesrv-port', '0', '--broker-port', port]), inUse)
    assert.ok(!existsSync(join(data, 'store/cometmq.owner')), 'the store is not left locked')
    assertFailedClearly(await workshop.run(['namesrv', '--data', data, '--namesrv-port', port]), inUse)
  })

  test('a file where the folder should be', async () => {
    const file = join(workshop.folder, 'a-file')
    writeFileSync(file, '')
    const said = /a-file\S* cannot be written: a file stands where a folder should; choose another folder with --data/
    assertFailedClearly(await workshop.run(['start', '--data', file, ...FREE_PORTS]), said)
    assertFailedClearly(await workshop.run(['namesrv', '--data', file, '--namesrv-port', '0']), said)
    assertFailedClearly(
      await workshop.run(['broker', '-n', 'a:1', '--data', join(file, 'x'), '--broker-port', '0']),
      said,
    )
  })

  test('a folder without the right to write', {
    skip: process.getuid?.() === 0 && 'root may write everywhere',
  }, async () => {
    const folder = workshop.newFolder()
    mkdirSync(folder)
    chmodSync(folder, 0o500)
    const ended = await workshop.run(['start', '--data', folder, ...FREE_PORTS])
    assertFailedClearly(ended, /cannot be written: EACCES/)
  })

  test('a store that another process holds', async () => {
    const data = workshop.newFolder()
    const { server } = await workshop.start('--data', data)
    const ended = await workshop.run(['start', '--data', data, ...FREE_PORTS])
    assertFailedClearly(ended, new RegExp(`is in use by process ${server.child.pid}: stop it first, or choose another`))
    assert.equal((await server.stop()).code, 0, 'who holds it was not disturbed')
  })

  test('what is wrong in the words of the command', async () => {
    const cases: [args: string[], sentence: RegExp][] = [
      [['strat'], /no command 'strat'; did you mean start\?/],
      [['toString'], /no command 'toString'; see cometmq --help/],
      [['start', '--broker-prt', '0'], /start has no option --broker-prt; did you mean --broker-port\?/],
      [['start', ...FREE_PORTS, '--set', 'flushDiskType=NEVER'], /flushDiskType=NEVER \(--set\): takes one of ASYNC_/],
      [['broker', '-c', 'missing.conf'], /there is no configuration file missing\.conf/],
      [['consume'], /consume takes one topic/],
      [['produce', 'orders', '--tga', 'x'], /produce has no option --tga; did you mean --tag\?/],
    ]
    for (const [args, sentence] of cases) assertFailedClearly(await workshop.run(args), sentence)
  })
})

test('help and version are answered', async () => {
  const wanted: Record<string, string[]> = {
    '': ['start', 'namesrv', 'broker', 'produce', 'consume'],
    start: ['--data', '--host', '--namesrv-port', '--broker-port', '-n,', '-c,', '--set', '--help'],
    namesrv: ['--data', '--namesrv-port'],
    broker: ['--data', '--broker-port', '-n,', '-c,', '--set'],
    produce: ['--tag', '--key', '--json', '-n,'],
    consume: ['--tag', '--group', '--from', '--count', '--json', '-n,'],
  }
  for (const [verb, words] of Object.entries(wanted)) {
    const { code, stdout, stderr } = await workshop.run(verb === '' ? ['--help'] : [verb, '--help'])
    assert.deepEqual([code, stderr], [0, ''])
    for (const word of words) assert.ok(stdout.includes(word), `${verb} --help tells of ${word}`)
  }
  assert.match((await workshop.run(['--version'])).stdout, /^cometmq \d+\.\d+\.\d+\n$/)
})

describe('produce and consume', { concurrency: 2 }, () => {
  let nameServer: string
  before(async () => {
    nameServer = (await workshop.start('--data', workshop.newFolder())).nameServer
  })
  const produce = (topic: string, input: string | Buffer, ...args: string[]): ReturnType<Workshop['run']> =>
    workshop.run(['produce', topic, '-n', nameServer, ...args], input)
  const consume = (topic: string, ...args: string[]): ReturnType<Workshop['run']> =>
    workshop.run(['consume', topic, '-n', nameServer, ...args])
  const consuming = (topic: string, ...args: string[]): Running =>
    workshop.cometmq('consume', topic, '-n', nameServer, ...args)

  test('lines go in and come out, byte for byte; empty ones are passed over', async () => {
    const sent = await produce('lines', 'one\ntwo\r\n\nthr\u2028ee\nlast')
    assert.deepEqual([sent.stdout, sent.stderr, sent.code], ['sent 4 messages to lines\n', '', 0])
    const read = await consume('lines', '--count', '4')
    assert.deepEqual(lines(read.stdout).sort(), ['last', 'one', 'thr\u2028ee', 'two'])
    assert.deepEqual([read.stderr, read.code], ['', 0])
  })

  test('--json tells of each message where it lies, its tag and its keys', async () => {
    const sent = await produce('told', 'a "body"\n', '--json', '--tag', 'paid', '--key', 'k1', '--key', 'k2')
    const receipt = JSON.parse(sent.stdout)
    const read = await consume('told', '--json', '--count', '1', '--group', 'tells')
    const message = JSON.parse(read.stdout)
    for (const name of ['topic', 'brokerName', 'queueId', 'queueOffset', 'id', 'offsetId']) {
      assert.equal(message[name], receipt[name], name)
    }
    assert.equal(receipt.status, 'OK')
    assert.equal(message.body, 'a "body"')
    assert.equal(message.tag, 'paid')
    assert.deepEqual(message.keys, ['k1', 'k2'])
    assert.equal(message.attempt, 1)
    assert.ok(message.storedAt >= message.bornAt)
  })

  test('--tag reads those alone, and each group reads for itself', async () => {
    for (const tag of ['paid', 'refunded', 'open']) await produce('tags', tag, '--tag', tag)
    const some = await consume('tags', '--group', 'some', '--tag', 'paid || refunded', '--count', '2')
    assert.deepEqual(lines(some.stdout).sort(), ['paid', 'refunded'])
    const all = await consume('tags', '--group', 'all', '--count', '3')
    assert.equal(lines(all.stdout).length, 3)
  })

  test('--count stops there, and the group goes on behind', async () => {
    await produce('counted', '1\n2\n3\n4\n5')
    const first = await consume('counted', '--count', '2')
    const rest = await consume('counted', '--count', '3')
    assert.deepEqual(lines(first.stdout + rest.stdout).sort(), ['1', '2', '3', '4', '5'])
    assert.equal(lines(first.stdout).length, 2)
  })

  test('--from last passes over what was there', async () => {
    await produce('late', 'old\nold\nold\nold')
    const reader = consuming('late', '--from', 'last', '--group', 'late', '--count', '1')
    // Until it has joined, whatever is sent is old.
    while (!reader.isOver) await produce('late', 'new')
    assert.equal((await reader.end()).stdout, 'new\n')
  })

  test('ctrl-C ends consume with exit code 0 and what was printed committed', async () => {
    await produce('stopped', '1\n2\n3')
    const reader = consuming('stopped', '--group', 'stops')
    await reader.until(/(\d\n){3}/)
    const { code, stderr } = await reader.stop('SIGINT')
    assert.deepEqual([code, stderr], [0, ''])
    await produce('stopped', '4')
    const next = await consume('stopped', '--group', 'stops', '--count', '1')
    assert.equal(next.stdout, '4\n')
  })

  test('a reader who leaves ends consume quietly, and what he did not read is not acknowledged', async () => {
    await produce('piped', '0')
    const reader = consuming('piped', '--group', 'pipes')
    await reader.until(/^0\n/)
    reader.child.stdout.destroy()
    await produce('piped', 'unread')
    const { code, stderr } = await reader.end()
    assert.deepEqual([code, stderr], [0, ''])
    const next = await consume('piped', '--group', 'pipes', '--count', '1')
    assert.equal(next.stdout, 'unread\n')
  })

  test('ctrl-C ends produce when what was read is sent', async () => {
    const writer = workshop.cometmq('produce', 'typed', '-n', nameServer, '--json')
    writer.child.stdin.write('1\n2\n')
    await writer.until(/(\{.*\}\n){2}/)
    const { code, stderr } = await writer.stop('SIGINT')
    assert.deepEqual([code, stderr], [0, ''])
  })

  test('many lines are each sent once', async () => {
    const input = Array.from({ length: 3_000 }, (_, at) => String(at))
    assert.equal((await produce('many', input.join('\n'))).stdout, 'sent 3000 messages to many\n')
    const read = await consume('many', '--count', '3000')
    assert.deepEqual(
      lines(read.stdout)
        .map(Number)
        .sort((a, b) => a - b),
      input.map(Number),
    )
  })

  test('a topic that does not exist, and a name server that is not there, are one sentence', async () => {
    assertFailedClearly(await consume('nothing'), /topic 'nothing' does not exist; asked 127\.0\.0\.1:\d+/)
    const absent = ['-n', '127.0.0.1:1']
    assertFailedClearly(
      await workshop.run(['consume', 'a', ...absent]),
      /no name server could be reached: 127\.0\.0\.1:1 /,
    )
    const unsent = await workshop.run(['produce', 'a', ...absent], 'x')
    assert.match(unsent.stderr, /^cometmq: no name server could be reached: 127\.0\.0\.1:1 [^\n]+\n$/)
    assert.deepEqual([unsent.code, unsent.stdout], [1, 'sent 0 messages to a\n'])
  })
})
