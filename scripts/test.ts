/**
 * What `npm test` runs: types, lint and format, then every test of src/ and test/.
 *
 *   scripts/test.ts                 all
 *   scripts/test.ts types|lint|format
 *   scripts/test.ts FILE…           these test files only
 *
 * Units share one process; what starts processes of its own is named *.isolated.test.ts and gets one each.
 */
import { spawnSync } from 'node:child_process'
import { globSync } from 'node:fs'
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
const units = (files: string[], isolation: 'none' | 'process'): void => {
  if (files.length === 0) return
  const reporter = process.env.TEST_REPORTER ?? (process.env.CI === undefined ? 'dot' : 'spec')
  run(
    isolation === 'none' ? 'tests' : 'tests in processes of their own',
    process.execPath,
    ['--test', `--test-isolation=${isolation}`, `--test-reporter=${reporter}`, '--test-timeout=110000', ...files],
    false,
  )
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
  units(
    chosen.filter((file) => !file.includes('.isolated.')),
    'none',
  )
  units(
    chosen.filter((file) => file.includes('.isolated.')),
    'process',
  )
  process.stdout.write(`${chosen.length} test files: ok (${((performance.now() - started) / 1000).toFixed(1)} s)\n`)
}
