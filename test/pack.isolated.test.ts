import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve, sep } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { type Ended, Workshop } from './processes.ts'

const root = resolve(import.meta.dirname, '..')
const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm'

interface Manifest {
  name: string
  version: string
  license: string
  exports: Record<string, { types: string; default: string }>
  bin?: Record<string, string>
  [key: string]: unknown
}

interface Installed {
  /** The folder of its user. */
  home: string
  /** The package in it. */
  path: string
  manifest: Manifest
  /** Relative to the package, with slashes. */
  files: string[]
}

/** What a user does with a published package: install it in an empty folder, start it, pass a message. */
describe('the packages', () => {
  const workshop = new Workshop()
  let cometmq: Installed
  let client: Installed
  after(() => workshop.close())

  async function succeed(file: string, args: string[], cwd: string): Promise<Ended> {
    const ended = await workshop.spawn(file, args, { cwd }).end()
    assert.equal(ended.code, 0, `${file} ${args.join(' ')} failed:\n${ended.stdout}${ended.stderr}`)
    return ended
  }

  async function install(which: 'all' | 'client', name: string): Promise<Installed> {
    const home = join(workshop.folder, which)
    mkdirSync(home)
    writeFileSync(join(home, 'package.json'), '{"type":"module"}')
    const packed = await succeed(process.execPath, [join(root, 'scripts/pack.ts'), which, '--out', home], home)
    const tarball = packed.stdout.trim()
    assert.ok(existsSync(tarball), 'it tells where the tarball lies')
    // Without a network, so whatever it needed beside itself would fail.
    await succeed(npm, ['install', '--offline', '--no-audit', '--no-fund', '--loglevel=error', tarball], home)
    const path = join(home, 'node_modules', name)
    const files = readdirSync(path, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(path.length + 1))
      .map((file) => file.split(sep).join('/'))
      .sort()
    return { home, path, manifest: JSON.parse(readFileSync(join(path, 'package.json'), 'utf8')) as Manifest, files }
  }

  before(async () => {
    ;[cometmq, client] = await Promise.all([install('all', 'cometmq'), install('client', 'cometmq-client')])
  })

  test('bring nothing along: no dependency, no install script', () => {
    for (const { home, manifest } of [cometmq, client]) {
      const there = readdirSync(join(home, 'node_modules')).filter((entry) => !entry.startsWith('.'))
      assert.deepEqual(there, [manifest.name])
      for (const key of ['dependencies', 'peerDependencies', 'optionalDependencies', 'bundleDependencies', 'scripts']) {
        assert.equal(manifest[key], undefined, `${manifest.name} has ${key}`)
      }
    }
  })

  test('carry license, notice, README and one version', () => {
    const own = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }
    for (const { path, manifest } of [cometmq, client]) {
      for (const name of ['LICENSE', 'NOTICE', 'README.md']) {
        assert.equal(readFileSync(join(path, name), 'utf8'), readFileSync(join(root, name), 'utf8'), name)
      }
      assert.equal(manifest.license, 'Apache-2.0')
      assert.equal(manifest.version, own.version)
    }
  })

  test('hold compiled code and types, no sources and no tests', () => {
    for (const { files, manifest } of [cometmq, client]) {
      const beside = files.filter((file) => !file.startsWith('dist/'))
      assert.deepEqual(beside, ['LICENSE', 'NOTICE', 'README.md', 'package.json'])
      const odd = files.filter((file) => file.startsWith('dist/') && !/\.(js|d\.ts)$/.test(file))
      assert.deepEqual(odd, [], manifest.name)
      const tests = files.filter((file) => /\.(test|contract)\.|simulated|\/vectors\//.test(file))
      assert.deepEqual(tests, [], manifest.name)
      for (const file of files.filter((name) => name.endsWith('.js'))) {
        assert.ok(files.includes(file.replace(/\.js$/, '.d.ts')), `types of ${file}`)
      }
    }
  })

  test('the client holds the rooms it stands on and no other', () => {
    const rooms = new Set(client.files.filter((file) => file.startsWith('dist/')).map((file) => file.split('/')[1]))
    assert.deepEqual([...rooms].sort(), ['base', 'client', 'protocol', 'remoting'])
  })

  test('every entry that is promised is there and loads', async () => {
    for (const { home, path, manifest } of [cometmq, client]) {
      const names: string[] = []
      for (const [name, { types, default: code }] of Object.entries(manifest.exports)) {
        assert.ok(existsSync(join(path, types)), `${manifest.name} ${name}: ${types}`)
        assert.ok(existsSync(join(path, code)), `${manifest.name} ${name}: ${code}`)
        names.push(manifest.name + name.slice(1))
      }
      const imports = names.map((name) => `await import('${name}')`).join('\n')
      await succeed(process.execPath, ['--input-type=module', '-e', imports], home)
    }
  })

  test('their types resolve for who uses them', async () => {
    await Promise.all(
      [cometmq, client].map(async ({ home, manifest }) => {
        const others = Object.keys(manifest.exports).map(
          (name, at) => `import * as entry${at} from '${manifest.name}${name.slice(1)}'`,
        )
        const program = `${others.join('\n')}
          void [${others.map((_, at) => `entry${at}`).join(', ')}]
          import { CometMQ, json, type Receipt } from '${manifest.name}'
          const mq = new CometMQ({ endpoints: 'rmq://127.0.0.1:9876' })
          const orders = mq.topic('orders', { codec: json<{ total: number }>() })
          const receipt: Receipt = await mq.producer().send(orders, { total: 9 }, { tag: 'paid' })
          for await (const message of mq.consumer({ group: 'g', subscribe: orders }).messages()) {
            const total: number = message.value.total
            // @ts-expect-error: the codec says what a value is
            message.value.nothing
            void [receipt, total]
          }
          export {}`
        writeFileSync(join(home, 'typed.ts'), program)
        const compilerOptions = {
          strict: true,
          noEmit: true,
          target: 'esnext',
          module: 'nodenext',
          types: ['node'],
          typeRoots: [join(root, 'node_modules/@types')],
        }
        writeFileSync(join(home, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['typed.ts'] }))
        await succeed(join(root, 'node_modules/.bin/tsc'), ['-p', home], home)
      }),
    )
  })

  test('cometmq tells its version and starts, and both clients pass a message through it', async () => {
    const command = join(cometmq.home, 'node_modules/.bin', process.platform === 'win32' ? 'cometmq.cmd' : 'cometmq')
    assert.ok(existsSync(command), 'npm linked the command')
    const main = join(cometmq.path, cometmq.manifest.bin!['cometmq']!)
    const version = await succeed(process.execPath, [main, '--version'], cometmq.home)
    assert.equal(version.stdout, `cometmq ${cometmq.manifest.version}\n`)

    const args = ['start', '--data', join(workshop.folder, 'data'), '--namesrv-port', '0', '--broker-port', '0']
    const server = workshop.spawn(process.execPath, [main, ...args], { cwd: cometmq.home })
    const nameServer = (await server.until(/^ready {2}name server (\S+) /))[1]!
    await Promise.all(
      [cometmq, client].map(async ({ home, manifest: { name } }) => {
        const program = `
          import { CometMQ, text } from '${name}'
          await using mq = new CometMQ({ endpoints: '${nameServer}' })
          const topic = mq.topic('of-${name}', { codec: text })
          await mq.producer().send(topic, 'hello from ${name}')
          for await (const message of mq.consumer({ group: 'g-${name}', subscribe: topic, from: 'first' }).messages()) {
            console.log(message.value)
            message.ack()
            break
          }`
        writeFileSync(join(home, 'program.mjs'), program)
        const { stdout } = await succeed(process.execPath, ['program.mjs'], home)
        assert.equal(stdout, `hello from ${name}\n`)
      }),
    )
    assert.equal((await server.stop()).code, 0)
  })
})
