import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve, sep } from 'node:path'
import { describe, test } from 'node:test'

/** The house of docs/style.md section 1, as data: what each room may import, beside itself. */
const mayImport: Record<string, string[]> = {
  base: [],
  protocol: [],
  remoting: ['base', 'protocol'],
  store: ['base', 'protocol'],
  broker: ['base', 'protocol', 'remoting', 'store'],
  controller: ['base', 'protocol', 'remoting', 'store'],
  nameserver: ['base', 'protocol', 'remoting'],
  client: ['base', 'protocol', 'remoting'],
  proxy: ['base', 'protocol', 'remoting', 'client'],
  console: ['base', 'protocol', 'remoting', 'client'],
  cli: ['base', 'protocol', 'remoting', 'store', 'broker', 'controller', 'nameserver', 'client', 'proxy', 'console'],
}

/** What only some rooms may touch of the machine. */
const seams: { name: string; pattern: RegExp; allowed: (path: string) => boolean }[] = [
  {
    name: 'node:fs',
    pattern: /from 'node:fs(\/promises)?'|import\('node:fs/,
    allowed: (path) => path.startsWith('base/'),
  },
  {
    name: 'node:net, node:tls',
    pattern: /from 'node:(net|tls)'|import\('node:(net|tls)/,
    allowed: (path) => path.startsWith('remoting/'),
  },
  {
    name: 'node:http2',
    pattern: /from 'node:http2'/,
    allowed: (path) => path.startsWith('proxy/'),
  },
  {
    name: 'node:http',
    pattern: /from 'node:https?'/,
    allowed: (path) => path.startsWith('console/') || path.startsWith('controller/'),
  },
  {
    name: 'node:child_process, node:worker_threads, node:cluster',
    pattern: /from 'node:(child_process|worker_threads|cluster)'/,
    allowed: () => false,
  },
  {
    name: 'time and turns',
    pattern:
      /\bDate\.now\b|\bnew Date\(\)|\bperformance\.now\b|\bprocess\.hrtime\b|\bset(Timeout|Interval|Immediate)\(|\bqueueMicrotask\(|\bprocess\.nextTick\b|\bAbortSignal\.timeout\b|from 'node:timers/,
    allowed: (path) => path.startsWith('base/'),
  },
  {
    name: 'chance',
    pattern: /\bMath\.random\b|\brandomBytes\b|\brandomInt\b|\brandomUUID\b|\bgetRandomValues\b/,
    allowed: (path) => path.startsWith('base/'),
  },
]

const source = resolve(import.meta.dirname, '../src')

interface SourceFile {
  /** Relative to src/, with slashes. */
  path: string
  text: string
  /** Relative imports, resolved, relative to src/. */
  imports: string[]
}

function sourceFiles(): SourceFile[] {
  const files: SourceFile[] = []
  for (const name of readdirSync(source, { recursive: true, encoding: 'utf8' })) {
    if (!name.endsWith('.ts')) continue
    const text = readFileSync(join(source, name), 'utf8')
    const imports: string[] = []
    for (const match of text.matchAll(/(?:from|import\()\s*'(\.{1,2}\/[^']+)'/g)) {
      imports.push(
        relative(source, resolve(source, dirname(name), match[1]!))
          .split(sep)
          .join('/'),
      )
    }
    files.push({ path: name.split(sep).join('/'), text, imports })
  }
  return files
}

const isTest = (path: string): boolean => path.endsWith('.test.ts') || path.endsWith('.contract.ts')
const roomOf = (path: string): string => path.split('/')[0]!
/** Comments may name what code may not call. */
const codeOf = (text: string): string => text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|\s)\/\/.*$/gm, '$1')

describe('the house', () => {
  const files = sourceFiles()

  test('has only the eleven rooms', () => {
    const unknown = [...new Set(files.map((file) => roomOf(file.path)))].filter((room) => !(room in mayImport))
    assert.deepEqual(unknown, [])
  })

  test('imports fall', () => {
    const climbing: string[] = []
    for (const file of files) {
      const room = roomOf(file.path)
      for (const imported of file.imports) {
        const target = roomOf(imported)
        if (imported.startsWith('..')) climbing.push(`${file.path} leaves src: ${imported}`)
        else if (target !== room && !mayImport[room]!.includes(target)) climbing.push(`${file.path} → ${imported}`)
      }
    }
    assert.deepEqual(climbing, [])
  })

  test('only the seams touch the machine', () => {
    const touching: string[] = []
    for (const file of files) {
      if (isTest(file.path)) continue
      const code = codeOf(file.text)
      for (const seam of seams) {
        const found = seam.allowed(file.path) ? null : code.match(seam.pattern)
        if (found !== null) touching.push(`${file.path} uses ${seam.name}: ${found[0]}`)
      }
    }
    assert.deepEqual(touching, [])
  })

  // Types are erased: a handler names the type of the room that it is handed, and the room's routes name the handler.
  test('folders do not import each other in a circle', () => {
    const arrows = new Map<string, Set<string>>()
    for (const file of files) {
      if (isTest(file.path)) continue
      const from = dirname(file.path)
      for (const imported of valueImports(file)) {
        const to = dirname(imported)
        if (to === from) continue
        if (!arrows.has(from)) arrows.set(from, new Set())
        arrows.get(from)!.add(to)
      }
    }
    const both: string[] = []
    for (const [from, targets] of arrows) {
      for (const to of targets) {
        if (from < to && arrows.get(to)?.has(from) === true) both.push(`${from} ⇄ ${to}`)
      }
    }
    assert.deepEqual(both, [])
  })

  test('files do not import each other in a circle', () => {
    const imports = new Map(files.map((file) => [file.path, file.imports]))
    const state = new Map<string, 'open' | 'done'>()
    const circles: string[] = []
    const visit = (path: string, trail: string[]): void => {
      if (state.get(path) === 'done') return
      if (state.get(path) === 'open') {
        circles.push([...trail.slice(trail.indexOf(path)), path].join(' → '))
        return
      }
      state.set(path, 'open')
      for (const imported of imports.get(path) ?? []) visit(imported, [...trail, path])
      state.set(path, 'done')
    }
    for (const file of files) visit(file.path, [])
    assert.deepEqual(circles, [])
  })

  test('no file is over 800 lines', () => {
    const long = files.map((file) => `${file.path} ${file.text.split('\n').length}`)
    assert.deepEqual(
      long.filter((line) => Number(line.split(' ')[1]) > 801),
      [],
    )
  })

  test('no file is named for nothing', () => {
    const vague = /(^|\/|-)(utils?|common|managers?|helpers?|impl|misc)(\.|\/|-|$)/
    assert.deepEqual(
      files.map((file) => file.path).filter((path) => vague.test(path)),
      [],
    )
  })
})

/** Imports of types are erased, so they make no circle at run time. */
function valueImports(file: SourceFile): string[] {
  const values = new Set<string>()
  for (const match of file.text.matchAll(/^(?:import|export)\s+(?!type\b)[^;'"]*?from\s*'(\.{1,2}\/[^']+)'/gm)) {
    const target = relative(source, resolve(source, dirname(file.path), match[1]!))
      .split(sep)
      .join('/')
    const names = match[0].match(/\{([^}]*)\}/)?.[1]
    const onlyTypes = names
      ?.split(',')
      .map((name) => name.trim())
      .filter((name) => name !== '')
      .every((name) => name.startsWith('type '))
    if (!onlyTypes) values.add(target)
  }
  return [...values]
}
