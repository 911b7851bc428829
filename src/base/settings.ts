import { formatProperties, parsePropertyLines } from './properties-file.ts'

/** One thing that can be set: type, default, parser, help and docs in one value. */
export interface Setting<T> {
  readonly type: string
  readonly fallback: T
  readonly about: string
  /** True when a remote update may change it. Never for a path or a command. */
  readonly updatable: boolean
  /** @throws Error whose message says what is allowed */
  parse(text: string): T
  format(value: T): string
}

export interface SettingOptions {
  updatable?: boolean
}

type Declarations = Record<string, Setting<unknown>>
export type Settings<S> =
  S extends SettingsDeclaration<infer D>
    ? { readonly [K in keyof D]: D[K] extends Setting<infer T> ? T : never }
    : never

/** A value that cannot be used, by name. */
export class SettingsError extends Error {
  override readonly name = 'SettingsError'
}

export interface SettingDescription {
  key: string
  type: string
  fallback: string
  about: string
  updatable: boolean
}

export interface RawSetting {
  value: string
  /** Where it was said: `broker.conf:12`, `--set`. */
  origin: string
  /** Where the same key was said before, in the same file. */
  former?: string
}

/** Declared settings, under RocketMQ's own keys. */
export class SettingsDeclaration<D extends Declarations> {
  readonly declarations: D
  /** Keys that RocketMQ knows and we do not serve yet: accepted with one mild line. */
  readonly knownElsewhere: ReadonlySet<string>

  constructor(declarations: D, knownElsewhere: ReadonlySet<string>) {
    this.declarations = declarations
    this.knownElsewhere = knownElsewhere
  }

  /** The keys of both, for a file that holds both. */
  merge<E extends Declarations>(other: SettingsDeclaration<E>): SettingsDeclaration<D & E> {
    const known = new Set([...this.knownElsewhere, ...other.knownElsewhere])
    return new SettingsDeclaration({ ...this.declarations, ...other.declarations }, known)
  }

  has(key: string): boolean {
    return Object.hasOwn(this.declarations, key)
  }

  defaults(): Settings<SettingsDeclaration<D>> {
    return this.parse({}).settings
  }

  /**
   * @returns the settings, and a warning for each key that nobody knows
   * @throws SettingsError for a value that cannot be used
   */
  parse(raw: Readonly<Record<string, string | RawSetting>>): {
    settings: Settings<SettingsDeclaration<D>>
    warnings: string[]
  } {
    const values: Record<string, unknown> = {}
    for (const [key, setting] of Object.entries(this.declarations)) values[key] = setting.fallback
    const warnings: string[] = []
    const later: string[] = []
    for (const [key, given] of Object.entries(raw)) {
      const { value, origin, former = undefined } = typeof given === 'string' ? { value: given, origin: '' } : given
      if (former !== undefined) warnings.push(`${key} is set twice: ${origin} counts, not ${former}`)
      const where = origin === '' ? '' : ` (${origin})`
      if (this.has(key)) values[key] = this.#parseOne(key, value, where)
      else if (this.knownElsewhere.has(key)) later.push(key)
      else {
        const near = nearestKey(key, Object.keys(this.declarations))
        warnings.push(`unknown setting ${key}${where}${near === undefined ? '' : `; did you mean ${near}?`}`)
      }
    }
    if (later.length > 0) warnings.push(`settings of RocketMQ that have no effect here yet: ${later.sort().join(', ')}`)
    return { settings: values as Settings<SettingsDeclaration<D>>, warnings }
  }

  /**
   * What a remote update may do: only keys on the allow-list.
   *
   * @throws SettingsError naming the first key that may not be changed, or whose value cannot be used
   */
  update(
    current: Settings<SettingsDeclaration<D>>,
    changes: Readonly<Record<string, string>>,
  ): Settings<SettingsDeclaration<D>> {
    const values: Record<string, unknown> = { ...(current as Record<string, unknown>) }
    for (const [key, value] of Object.entries(changes)) {
      if (!this.has(key)) throw new SettingsError(`${key} is not a setting of this server`)
      if (!this.declarations[key]!.updatable) {
        throw new SettingsError(`${key} can not be changed while running; set it in the configuration file and restart`)
      }
      values[key] = this.#parseOne(key, value, '')
    }
    return values as Settings<SettingsDeclaration<D>>
  }

  describe(): SettingDescription[] {
    return Object.entries(this.declarations).map(([key, { type, fallback, about, updatable, format }]) => ({
      key,
      type,
      fallback: format(fallback),
      about,
      updatable,
    }))
  }

  /** Java's properties text, a line per key, as configuration requests answer it. */
  format(settings: Settings<SettingsDeclaration<D>>): string {
    const values: Record<string, string> = {}
    for (const [key, setting] of Object.entries(this.declarations)) {
      values[key] = setting.format((settings as Record<string, unknown>)[key])
    }
    return formatProperties(values)
  }

  #parseOne(key: string, value: string, where: string): unknown {
    try {
      return this.declarations[key]!.parse(value.trim())
    } catch (error) {
      throw new SettingsError(`${key}=${value}${where}: ${(error as Error).message}`)
    }
  }
}

export function settings<D extends Declarations>(
  declarations: D,
  knownElsewhere: Iterable<string> = [],
): SettingsDeclaration<D> {
  return new SettingsDeclaration(declarations, new Set(knownElsewhere))
}

/** Values of a Java `.conf` or `.properties` file, each with the line it stands on; of a key said twice the later. */
export function readSettingsFile(text: string, name: string): Record<string, RawSetting> {
  const found: Record<string, RawSetting> = Object.create(null)
  for (const { key, value, line } of parsePropertyLines(text)) {
    const former = found[key]
    found[key] = { value, origin: `${name}:${line}`, ...(former && { former: former.origin }) }
  }
  return found
}

/** `key=value` words of `--set`. */
export function readSetWords(words: readonly string[]): Record<string, RawSetting> {
  const found: Record<string, RawSetting> = Object.create(null)
  for (const word of words) {
    const at = word.indexOf('=')
    if (at <= 0) throw new SettingsError(`--set takes key=value, not '${word}'`)
    found[word.slice(0, at).trim()] = { value: word.slice(at + 1), origin: '--set' }
  }
  return found
}

interface Bounds {
  min?: number
  max?: number
}

function number(
  type: string,
  fallback: number,
  about: string,
  bounds: Bounds,
  options: SettingOptions,
  whole: boolean,
): Setting<number> {
  const { min = Number.NEGATIVE_INFINITY, max = Number.POSITIVE_INFINITY } = bounds
  const range = max === Number.POSITIVE_INFINITY ? `from ${min} up` : `from ${min} to ${max}`
  const kind = whole ? 'a whole number' : 'a number'
  return {
    type,
    fallback,
    about,
    updatable: options.updatable ?? false,
    parse(text) {
      const value = Number(text)
      const wanted = whole ? /^[+-]?\d+$/.test(text) : text !== '' && Number.isFinite(value)
      if (!wanted || value < min || value > max)
        throw new Error(`takes ${kind}${min === Number.NEGATIVE_INFINITY ? '' : ` ${range}`}`)
      return value
    },
    format: (value) => String(value),
  }
}

const INT_MAX = 0x7fff_ffff

export const int = (fallback: number, about: string, bounds: Bounds & SettingOptions = {}): Setting<number> =>
  number('int', fallback, about, { min: -INT_MAX - 1, max: INT_MAX, ...bounds }, bounds, true)
export const long = (fallback: number, about: string, bounds: Bounds & SettingOptions = {}): Setting<number> =>
  number('long', fallback, about, bounds, bounds, true)
export const ratio = (fallback: number, about: string, bounds: Bounds & SettingOptions = {}): Setting<number> =>
  number('number', fallback, about, bounds, bounds, false)
/** A TCP port; 0 takes any free one. */
export const port = (fallback: number, about: string): Setting<number> =>
  number('port', fallback, about, { min: 0, max: 65_535 }, {}, true)
export const millis = (fallback: number, about: string, options: SettingOptions & Bounds = {}): Setting<number> =>
  number('ms', fallback, about, { min: 0, ...options }, options, true)
export const bytes = (fallback: number, about: string, options: SettingOptions & Bounds = {}): Setting<number> =>
  number('bytes', fallback, about, { min: 0, ...options }, options, true)

export function bool(fallback: boolean, about: string, options: SettingOptions = {}): Setting<boolean> {
  return {
    type: 'bool',
    fallback,
    about,
    updatable: options.updatable ?? false,
    parse(text) {
      const word = text.toLowerCase()
      if (word !== 'true' && word !== 'false') throw new Error('takes true or false')
      return word === 'true'
    },
    format: (value) => String(value),
  }
}

export function text(fallback: string, about: string, options: SettingOptions = {}): Setting<string> {
  return {
    type: 'text',
    fallback,
    about,
    updatable: options.updatable ?? false,
    parse: (value) => value,
    format: (value) => value,
  }
}

export function oneOf<const T extends string>(
  allowed: readonly T[],
  fallback: NoInfer<T>,
  about: string,
  options: SettingOptions = {},
): Setting<T> {
  return {
    type: allowed.join(' | '),
    fallback,
    about,
    updatable: options.updatable ?? false,
    parse(word) {
      const found = allowed.find((each) => each === word)
      if (found === undefined) throw new Error(`takes one of ${allowed.join(', ')}`)
      return found
    },
    format: (value) => value,
  }
}

/** The key nearest by edits, if near enough to be a slip of the finger. */
export function nearestKey(word: string, known: readonly string[]): string | undefined {
  let best: string | undefined
  let bestDistance = Math.max(1, Math.floor(word.length / 3)) + 1
  for (const candidate of known) {
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase())
    if (distance < bestDistance) {
      best = candidate
      bestDistance = distance
    }
  }
  return best
}

/** Letters added, left out, changed, or swapped with their neighbour. */
function editDistance(a: string, b: string): number {
  let before: number[] = []
  let row = Array.from({ length: b.length + 1 }, (_, at) => at)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      next[j] = Math.min(next[j - 1]! + 1, row[j]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1))
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      if (swapped) next[j] = Math.min(next[j]!, before[j - 2]! + 1)
    }
    before = row
    row = next
  }
  return row[b.length]!
}
