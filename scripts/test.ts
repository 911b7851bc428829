/**
 * What `npm test` runs: types, lint and format, then every test of src/ and test/.
 *
 *   scripts/test.ts                 all
 *   scripts/test.ts types|lint|format
 *   scripts/test.ts FILE…           these test files only
 *
 * Units share two processes, one for each of two cores; what starts processes of its own is named *.isolated.test.ts and
 * gets one each.
 */
import { spawn, spawnSync } from 'node:child_process'
import { globSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'

const root = resolve(import.meta.dirname, '..')
const bin = (name: string): string => join(root, 'node_modules/.bin', name)
const wanted = process.argv.slice(2)

function run(label: string, command: string, args: string[], announce = true): void {
  const started = performance.now()
  const result = spawnSync(command, args, { cwd: root, stdio: 'inherit', shell: process.platform === 'win32' })
  if (result.status !== 0) {
    process.stderr.write(`\n${label} failed${result.error === undefined ? '' : `: ${result.error.message}`}\n`)
    process.exit(1)
  }
  if (announce) process.stdout.write(`${label}: ok (${((performance.now() - started) / 1000).toFixed(1)} s)\n`)
}

const types = (): void => run('types', bin('tsc'), ['-p', '.'])
const lint = (): void => run('lint and format', bin('biome'), ['check', '--error-on-warnings', '.'])
const reporter = process.env.TEST_REPORTER ?? (process.env.CI === undefined ? 'dot' : 'spec')
const testArguments = (files: readonly string[], isolation: 'none' | 'process'): string[] => [
  '--test',
  `--test-isolation=${isolation}`,
  `--test-reporter=${reporter}`,
  '--test-timeout=110000',
  ...files,
]

/** Tests that share a process, in two of them; what the second says is printed when the first has ended. */
async function units(files: readonly string[]): Promise<void> {
  const sizes = new Map(files.map((file) => [file, statSync(join(root, file)).size]))
  const ordered = [...files].sort((a, b) => sizes.get(b)! - sizes.get(a)!)
  const lanes = [0, 1].map((lane) => ordered.filter((_, index) => index % 2 === lane)).filter((lane) => lane.length > 0)
  const codes = lanes.map((lane, index) => {
    const stdio = index === 0 ? 'inherit' : 'pipe'
    const child = spawn(process.execPath, testArguments(lane, 'none'), { cwd: root, stdio: ['ignore', stdio, stdio] })
    const said: Buffer[] = []
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', (bytes: Buffer) => said.push(bytes))
    const ended = new Promise<number>((resolve) => child.on('close', (code) => resolve(code ?? 1)))
    return { ended, said }
  })
  let failed = false
  for (const { ended, said } of codes) {
    if ((await ended) !== 0) failed = true
    process.stdout.write(Buffer.concat(said))
  }
  if (!failed) return
  process.stderr.write('\ntests failed\n')
  process.exit(1)
}

function processes(files: readonly string[]): void {
  if (files.length > 0) run('tests in processes of their own', process.execPath, testArguments(files, 'process'), false)
}

if (wanted[0] === 'types') types()
else if (wanted[0] === 'lint') lint()
else if (wanted[0] === 'format') run('format', bin('biome'), ['check', '--write', '.'])
else {
  if (wanted.length === 0) {
    types()
    lint()
  }
  const all = globSync(['src/**/*.test.ts', 'test/**/*.test.ts'], { cwd: root }).sort()
  const chosen = wanted.length === 0 ? all : all.filter((file) => wanted.some((word) => file.includes(word)))
  if (chosen.length === 0) {
    process.stderr.write(`no test file matches ${wanted.join(' ')}\n`)
    process.exit(1)
  }
  const started = performance.now()
  await units(chosen.filter((file) => !file.includes('.isolated.')))
  processes(chosen.filter((file) => file.includes('.isolated.')))
  process.stdout.write(`${chosen.length} test files: ok (${((performance.now() - started) / 1000).toFixed(1)} s)\n`)
}
