import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { pack } from '../scripts/pack.ts'

/** What a user does with a published package: install it in an empty folder, start it, pass a message. */
describe('the packages', () => {
  let folder: string
  let server: ChildProcess | undefined
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm'

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'cometmq-installed-'))
  })
  after(() => {
    server?.kill('SIGKILL')
    rmSync(folder, { recursive: true, force: true })
  })

  function install(name: string, which: 'all' | 'client'): string {
    const home = join(folder, name)
    mkdirSync(home)
    const tarball = pack(which, folder)
    writeFileSync(join(home, 'package.json'), '{"type":"module"}')
    const args = ['install', '--offline', '--no-audit', '--no-fund', '--loglevel=error', tarball]
    const installed = spawnSync(npm, args, { cwd: home, encoding: 'utf8' })
    assert.equal(installed.status, 0, installed.stderr)
    assert.deepEqual(
      readdirSync(join(home, 'node_modules')).filter((entry) => !entry.startsWith('.')),
      [which === 'all' ? 'cometmq' : 'cometmq-client'],
      'it brings nothing along',
    )
    return home
  }

  test('cometmq installs, tells its version, starts, and passes a message; so does cometmq-client', async () => {
    const home = install('all', 'all')
    const main = join(home, 'node_modules/cometmq/dist/cli/main.js')
    const version = spawnSync(process.execPath, [main, '--version'], { encoding: 'utf8' })
    assert.match(version.stdout, /^cometmq \d+\.\d+\.\d+/)

    server = spawn(
      process.execPath,
      [main, 'start', '--data', join(folder, 'data'), '--namesrv-port', '0', '--broker-port', '0'],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    )
    const ready = await firstLine(server)
    assert.match(ready, /^ready/)
    const namesrv = /name server (\S+)/.exec(ready)![1]!

    for (const [name, which] of [
      ['all', 'all'],
      ['client', 'client'],
    ] as const) {
      const where = which === 'all' ? home : install(name, which)
      const program = `
        import { CometMQ, text } from '${which === 'all' ? 'cometmq' : 'cometmq-client'}'
        await using mq = new CometMQ({ endpoints: '${namesrv}' })
        const topic = mq.topic('pack-${which}', { codec: text })
        await mq.producer().send(topic, 'hello from ${which}')
        for await (const message of mq.consumer({ group: 'g-${which}', subscribe: topic, from: 'first' }).messages()) {
          console.log(message.value)
          message.ack()
          break
        }`
      writeFileSync(join(where, 'program.mjs'), program)
      const run = spawnSync(process.execPath, ['program.mjs'], { cwd: where, encoding: 'utf8', timeout: 30_000 })
      assert.equal(run.stdout.trim(), `hello from ${which}`, run.stderr)
    }

    const exited = new Promise<number | null>((resolve) => server!.once('exit', resolve))
    server.kill('SIGTERM')
    assert.equal(await exited, 0)
    server = undefined
  })
})

function firstLine(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    child.stdout!.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
      if (text.includes('\n')) resolve(text.slice(0, text.indexOf('\n')))
    })
    child.once('exit', (code) => reject(new Error(`exited with ${code} before it was ready`)))
  })
}
