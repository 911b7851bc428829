/**
 * Packs what is published, from the one source tree: `npm run pack:all -- --out DIR`, `npm run pack:client -- --out DIR`.
 *
 * `cometmq` is everything; `cometmq-client` is the client and what it stands on. Neither has a dependency.
 */
import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'

const root = resolve(import.meta.dirname, '..')
const own = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string; license: string }

interface Package {
  name: string
  description: string
  /** Files whose imports are followed: all that is reachable is compiled, nothing else. */
  entries: string[]
  exports: Record<string, string>
  bin?: Record<string, string>
  engines: string
}

const packages: Record<'all' | 'client', Package> = {
  all: {
    name: 'cometmq',
    description: 'A RocketMQ-compatible message broker, name server, command line and client',
    entries: ['src/cli/main.ts', 'src/client/index.ts', 'src/broker/start.ts', 'src/protocol/commands/all.ts'],
    exports: { '.': 'client/index', './broker': 'broker/start', './protocol': 'protocol/commands/all' },
    bin: { cometmq: './dist/cli/main.js' },
    engines: '>=24',
  },
  client: {
    name: 'cometmq-client',
    description: 'A client of RocketMQ and CometMQ for Node, without dependencies',
    entries: ['src/client/index.ts'],
    exports: { '.': 'client/index' },
    engines: '>=22',
  },
}

/** @returns path of the tarball */
export function pack(which: 'all' | 'client', out: string): string {
  const chosen = packages[which]
  const staging = mkdtempSync(join(tmpdir(), 'cometmq-pack-'))
  try {
    compile(chosen.entries, join(staging, 'dist'))
    for (const name of ['README.md', 'LICENSE', 'NOTICE']) copyFileSync(join(root, name), join(staging, name))
    writeFileSync(join(staging, 'package.json'), `${JSON.stringify(manifest(chosen), null, 2)}\n`)
    mkdirSync(out, { recursive: true })
    const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm'
    const printed = run(npm, ['pack', '--json', '--pack-destination', out], staging)
    // npm 12 prints an object by package name, older ones a list.
    const packed = Object.values(JSON.parse(printed) as Record<string, { filename: string }>)[0]!
    return join(out, packed.filename)
  } finally {
    rmSync(staging, { recursive: true, force: true })
  }
}

function compile(entries: string[], outDir: string): void {
  const config = join(root, `.tsconfig-pack-${process.pid}.json`)
  writeFileSync(
    config,
    JSON.stringify({
      extends: './tsconfig.json',
      compilerOptions: { noEmit: false, rootDir: 'src', outDir, removeComments: false, stripInternal: true },
      include: [],
      files: entries,
    }),
  )
  try {
    run(join(root, 'node_modules/.bin/tsc'), ['-p', config], root)
  } finally {
    rmSync(config, { force: true })
  }
}

function manifest(chosen: Package): object {
  return {
    name: chosen.name,
    version: own.version,
    description: chosen.description,
    license: own.license,
    keywords: ['rocketmq', 'message-queue', 'broker', 'messaging'],
    type: 'module',
    engines: { node: chosen.engines },
    ...(chosen.bin === undefined ? {} : { bin: chosen.bin }),
    exports: Object.fromEntries(
      Object.entries(chosen.exports).map(([name, path]) => [
        name,
        { types: `./dist/${path}.d.ts`, default: `./dist/${path}.js` },
      ]),
    ),
    files: ['dist', 'README.md', 'LICENSE', 'NOTICE'],
    sideEffects: false,
  }
}

function run(command: string, args: string[], cwd: string): string {
  const result = spawnSync(command, args, { cwd, encoding: 'utf8', shell: process.platform === 'win32' })
  if (result.status !== 0) {
    throw new Error(
      `${command} ${args.join(' ')} failed: ${result.error?.message ?? ''}${result.stdout}${result.stderr}`,
    )
  }
  return result.stdout
}

if (import.meta.main) {
  const { values, positionals } = parseArgs({ options: { out: { type: 'string' } }, allowPositionals: true })
  const which = positionals[0]
  if ((which !== 'all' && which !== 'client') || values.out === undefined) {
    process.stderr.write('usage: npm run pack:all -- --out DIR, or npm run pack:client -- --out DIR\n')
    process.exit(1)
  }
  const out = resolve(process.env.INIT_CWD ?? '.', values.out)
  process.stdout.write(`${pack(which, out)}\n`)
}
