import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'

export const root: string = path.resolve(import.meta.dirname, '../..')
const interop = path.join(root, 'interop')
const cache = path.join(root, '.cache', 'interop')

/** A toolchain is missing: the scenarios that need it are skipped, which under CI=true is a failure. */
export class Missing extends Error {}

export interface JavaHome {
  /** Jars and the compiled driver, for `java -cp`. */
  classPath: string
  jars: string
}

export type JavaVersion = '5.5.0' | '4.9.8'

/** Resolves the published jars on first use and compiles the driver against them. */
export function javaFor(version: JavaVersion): JavaHome {
  needs('java', ['-version'])
  const pom = path.join(interop, 'java', version === '5.5.0' ? 'pom.xml' : `pom-${version}.xml`)
  const home = path.join(cache, hashOf([pom]))
  const lib = path.join(home, 'lib')
  // A directory appears under its name when it is whole, so that an interrupted download is not taken for one.
  build(lib, (target) => {
    needs('mvn', ['-v'])
    say(`resolving RocketMQ ${version} from Maven Central into ${path.relative(root, lib)} (once)`)
    run('mvn', ['-q', '-B', '-f', pom, 'dependency:copy-dependencies', `-DoutputDirectory=${target}`])
  })
  const sources = [...filesIn(path.join(interop, 'java', 'src', 'interop'), '.java')]
  if (version === '5.5.0') sources.push(...filesIn(path.join(interop, 'java', 'admin', 'interop'), '.java'))
  const classes = path.join(home, `classes-${hashOf(sources)}`)
  build(classes, (target) => {
    needs('javac', ['-version'])
    run('javac', ['-nowarn', '-encoding', 'UTF-8', '-d', target, '-cp', `${lib}/*`, ...sources])
  })
  return { classPath: `${classes}${path.delimiter}${lib}/*`, jars: `${lib}/*` }
}

/** Builds the Go driver on first use; answers its path. */
export function goDriver(): string {
  needs('go', ['version'])
  const folder = path.join(interop, 'go')
  const sources = [...filesIn(folder, '.go'), path.join(folder, 'go.mod'), path.join(folder, 'go.sum')]
  const home = path.join(cache, `go-${hashOf(sources)}`)
  build(home, (target) => {
    say('building the Go driver (once)')
    run('go', ['build', '-o', path.join(target, 'driver'), '.'], folder)
  })
  return path.join(home, 'driver')
}

function build(target: string, make: (unfinished: string) => void): void {
  if (existsSync(target)) return
  const unfinished = `${target}.unfinished-${process.pid}`
  mkdirSync(unfinished, { recursive: true })
  try {
    make(unfinished)
    if (!existsSync(target)) renameSync(unfinished, target)
  } finally {
    rmSync(unfinished, { recursive: true, force: true })
  }
}

const known = new Map<string, boolean>()

function needs(command: string, args: readonly string[]): void {
  let works = known.get(command)
  if (works === undefined) {
    const tried = spawnSync(command, args, { encoding: 'utf8', timeout: 60_000 })
    works = tried.error === undefined && tried.status === 0
    known.set(command, works)
  }
  if (!works) throw new Missing(`${command} is not installed`)
}

function run(command: string, args: readonly string[], cwd?: string): void {
  const done = spawnSync(command, args, { cwd, encoding: 'utf8', timeout: 600_000, maxBuffer: 64 << 20 })
  if (done.status === 0) return
  const words = `${done.stdout}\n${done.stderr}`.trim().split('\n').slice(-20).join('\n')
  throw new Error(`${command} failed (${done.error?.message ?? done.signal ?? done.status}):\n${words}`)
}

function hashOf(files: readonly string[]): string {
  const hash = createHash('sha256')
  for (const file of files) hash.update(path.basename(file)).update('\0').update(readFileSync(file)).update('\0')
  return hash.digest('hex').slice(0, 16)
}

function filesIn(folder: string, ending: string): string[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith(ending))
    .sort()
    .map((name) => path.join(folder, name))
}

function say(words: string): void {
  process.stderr.write(`${words}\n`)
}

/** The Java broker's logback and RocketMQ home expect these to exist. */
export function prepareHome(folder: string): string {
  mkdirSync(path.join(folder, 'conf'), { recursive: true })
  const authors = path.join(folder, 'conf', 'tools.yml')
  if (!existsSync(authors)) writeFileSync(authors, '')
  return folder
}
