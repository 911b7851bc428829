import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import { after, describe, test } from 'node:test'
import { Workshop } from './processes.ts'

const root = resolve(import.meta.dirname, '..')

/** What the comment above a fence says of it. */
type Mark =
  | { kind: 'start' }
  | { kind: 'run' }
  | { kind: 'prints'; sorted: boolean }
  | { kind: 'not run'; reason: string }

interface Snippet {
  /** `README.md:10` */
  place: string
  language: string
  text: string
  mark: Mark | undefined
}

/** Every fenced block of a page, with the comment that stands directly above it. */
function snippetsOf(page: string, text: string): Snippet[] {
  const lines = text.split('\n')
  const found: Snippet[] = []
  for (let at = 0; at < lines.length; at++) {
    const fence = /^(\s*)(`{3,}|~{3,})\s*(\S*)/.exec(lines[at]!)
    if (fence === null) continue
    const begin = at
    for (at++; at < lines.length && !lines[at]!.trim().startsWith(fence[2]!); at++);
    let above = begin - 1
    while (above >= 0 && lines[above]!.trim() === '') above--
    found.push({
      place: `${page}:${begin + 1}`,
      language: fence[3]!,
      text: `${lines.slice(begin + 1, at).join('\n')}\n`,
      mark: readMark(lines[above] ?? ''),
    })
  }
  return found
}

function readMark(line: string): Mark | undefined {
  const comment = /^<!-- (.*) -->$/.exec(line.trim())?.[1]
  if (comment === 'a test starts this') return { kind: 'start' }
  if (comment === 'a test runs this') return { kind: 'run' }
  if (comment === 'what it prints') return { kind: 'prints', sorted: false }
  if (comment === 'what it prints, lines in any order') return { kind: 'prints', sorted: true }
  const reason = /^not run by a test: (\S.*)$/.exec(comment ?? '')?.[1]
  return reason === undefined ? undefined : { kind: 'not run', reason }
}

/** Of the README every fence; of other pages those that claim to be run. */
function pages(): Map<string, Snippet[]> {
  const docs = readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => join('docs', name))
  const found = new Map<string, Snippet[]>()
  for (const page of ['README.md', ...docs.sort()]) {
    const snippets = snippetsOf(page, readFileSync(join(root, page), 'utf8'))
    found.set(page, page === 'README.md' ? snippets : snippets.filter(({ mark }) => mark !== undefined))
  }
  return found
}

const runnable = new Set(['sh', 'ts', 'js'])

test('every snippet of the README is run, or says why not', () => {
  const silent = [...pages().values()]
    .flat()
    .filter(({ mark }) => mark === undefined)
    .map(({ place }) => place)
  assert.deepEqual(silent, [], 'write <!-- a test runs this --> or <!-- not run by a test: REASON --> above each')
})

test('what is run is a shell session or a program, and what it prints stands below it', () => {
  for (const snippets of pages().values()) {
    for (const [at, { place, language, mark }] of snippets.entries()) {
      if (mark?.kind === 'run' || mark?.kind === 'start') assert.ok(runnable.has(language), `${place} is ${language}`)
      if (mark?.kind === 'prints') assert.equal(snippets[at - 1]?.mark?.kind, 'run', `${place} follows what is run`)
    }
  }
})

test('the README shows a first result, and the client', () => {
  const run = pages()
    .get('README.md')!
    .filter(({ mark }) => mark?.kind === 'run' || mark?.kind === 'start')
  assert.ok(run.some(({ text }) => text.includes('npm start\n')))
  assert.ok(run.some(({ text }) => text.includes('produce')))
  assert.ok(run.some(({ text }) => text.includes("from 'cometmq-client'")))
})

describe('the snippets', { skip: process.platform === 'win32' && 'they are for a shell' }, () => {
  const workshop = new Workshop()
  after(() => workshop.close())

  for (const [page, snippets] of pages()) {
    if (!snippets.some(({ mark }) => mark?.kind === 'run')) continue
    test(`of ${page} do what they say, one after the other`, async () => {
      const folder = join(workshop.folder, page.replaceAll('/', '-'))
      mkdirSync(folder)
      const shell = new Shell(folder)
      let nameServer: string | undefined
      for (const [at, { place, language, text, mark }] of snippets.entries()) {
        if (mark?.kind !== 'run' && mark?.kind !== 'start') continue
        if (mark.kind === 'start' || nameServer === undefined) {
          const command = mark.kind === 'start' ? text : 'npm start\n'
          const server = workshop.spawn('sh', ['-euc', command], { cwd: folder, env: shell.environment, group: true })
          nameServer = (await server.until(/^ready {2}name server (\S+) {2}broker \S+\n/))[1]!
          if (mark.kind === 'start') continue
        }
        const { file, args } = shell.program(language, text, nameServer)
        const environment = { ...shell.environment, COMETMQ_TEST_NAMESRV: nameServer }
        const running = workshop.spawn(file, args, { cwd: folder, env: environment, group: true })
        running.child.stdin.end()
        const { code, stdout, stderr } = await running.end()
        assert.deepEqual([code, stderr], [0, ''], `${place} failed:\n${stdout}${stderr}`)
        const expected = snippets[at + 1]
        if (expected?.mark?.kind !== 'prints') continue
        const shown = (words: string): string =>
          expected.mark?.kind === 'prints' && expected.mark.sorted ? words.split('\n').sort().join('\n') : words
        assert.equal(shown(stdout), shown(expected.text), `what ${place} prints`)
      }
    })
  }

  test('are correct TypeScript', () => {
    const folder = join(workshop.folder, 'types')
    mkdirSync(folder)
    const files = [...pages().values()]
      .flat()
      .filter(({ language, mark }) => language === 'ts' && mark?.kind === 'run')
      .map(({ place, text }) => {
        const name = `${place.replaceAll(/[/:.]/g, '-')}.ts`
        writeFileSync(join(folder, name), text)
        return name
      })
    assert.ok(files.length > 0)
    const client = relative(folder, join(root, 'src/client/index.ts'))
    const config = {
      extends: join(root, 'tsconfig.json'),
      compilerOptions: {
        paths: { 'cometmq-client': [client], cometmq: [client] },
        typeRoots: [join(root, 'node_modules/@types')],
        noUnusedLocals: false,
      },
      include: [],
      files,
    }
    writeFileSync(join(folder, 'package.json'), '{"type":"module"}')
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config))
    const checked = spawnSync(join(root, 'node_modules/.bin/tsc'), ['-p', folder], { encoding: 'utf8' })
    assert.equal(checked.status, 0, checked.stdout + checked.stderr)
  })
})

/**
 * A folder as a reader has it, with `npm` and `cometmq` on its path that do what the real ones do in a clone, but on
 * free ports and with data in the folder; and with the client as an installed package.
 */
class Shell {
  readonly environment: Record<string, string>
  readonly #folder: string
  #programs = 0

  constructor(folder: string) {
    this.#folder = folder
    const bin = join(folder, 'bin')
    mkdirSync(bin)
    const start = `'${process.execPath}' '${join(root, 'bootstrap.cjs')}' start`
    const cometmq = `case "\${1-}" in
  produce | consume) exec ${start} "$@" -n "$COMETMQ_TEST_NAMESRV" ;;
  '' | start | -*) exec ${start} "$@" --namesrv-port 0 --broker-port 0 ;;
  *) exec ${start} "$@" ;;
esac
`
    // npm passes on what stands behind --.
    const npm = `[ "$1" = start ] || { echo "npm $1 is not for this test" >&2; exit 1; }
while [ $# -gt 0 ] && [ "$1" != -- ]; do shift; done
[ $# -eq 0 ] || shift
`
    for (const [name, script] of Object.entries({ npm: npm + cometmq, cometmq })) {
      writeFileSync(join(bin, name), `#!/bin/sh\n${script}`)
      chmodSync(join(bin, name), 0o755)
    }
    this.environment = { PATH: `${bin}:${process.env['PATH']}` }
    for (const name of ['cometmq', 'cometmq-client']) {
      const home = join(folder, 'node_modules', name)
      mkdirSync(home, { recursive: true })
      writeFileSync(join(home, 'package.json'), '{"type":"module","exports":"./index.js"}')
      writeFileSync(join(home, 'index.js'), `export * from ${JSON.stringify(join(root, 'src/client/index.ts'))}\n`)
    }
    writeFileSync(join(folder, 'package.json'), '{"type":"module"}')
  }

  program(language: string, text: string, nameServer: string): { file: string; args: string[] } {
    const here = text.replaceAll('127.0.0.1:9876', nameServer)
    if (language === 'sh') return { file: 'sh', args: ['-euc', here] }
    const name = `program-${++this.#programs}.${language}`
    writeFileSync(join(this.#folder, name), here)
    return { file: process.execPath, args: [name] }
  }
}
