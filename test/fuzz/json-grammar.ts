import type { Random } from '../../src/base/random.ts'
import { NumberKeyMap } from '../../src/protocol/java-json.ts'

const pick = <T>(random: Random, from: readonly T[]): T => from[random.below(from.length)]!

/** Numbers as Java's files have them, and as nobody should have written them. */
const NUMBERS = [
  '0',
  '-0',
  '1',
  '-1',
  '6',
  '16',
  '2147483647',
  '-2147483648',
  '2147483648',
  '9007199254740993',
] as const
const ODD_NUMBERS = ['9223372036854775807', '-9223372036854775808', '1e308', '1e999', '.5', '7.', '+3', '1E-9'] as const
const TEXTS = ['', 'a', 'SINGLE_TAG', 'ünïcode', '\u2028', '\ud800', '\0', '"', "'", '\\', '\n', '$.a', '5'] as const
const NAMES = [
  'orders',
  'g@h',
  '@',
  '%RETRY%g',
  '__proto__',
  'constructor',
  '$ref',
  '0',
  '-1',
  '{',
  'ß',
  ' ',
  '',
] as const

/**
 * Prints a value as JSON in Java's dialect, by chance in one of the ways in which the reader takes the same value: single
 * quotes, comments, blanks, trailing commas, escapes, number keys without quotes, suffixes of numbers.
 */
export function printDialect(random: Random, value: unknown): string {
  const blank = (): string => (random.below(6) > 0 ? '' : pick(random, [' ', '\n\t', '/* {"a": */', '// }\n', '\r\n']))
  if (Array.isArray(value))
    return list(
      random,
      blank,
      '[',
      ']',
      value.map((each) => printDialect(random, each)),
    )
  if (typeof value === 'string') return quote(random, value)
  if (typeof value === 'number') return `${value}${random.below(10) === 0 && Number.isInteger(value) ? 'L' : ''}`
  if (typeof value !== 'object' || value === null) return String(value)
  const entries: [unknown, unknown][] = value instanceof Map ? [...value] : Object.entries(value)
  const isBare = value instanceof NumberKeyMap && random.below(4) > 0
  const members = entries.map(([key, each]) => {
    const name = isBare ? String(key) : quote(random, String(key))
    return `${name}${blank()}:${blank()}${printDialect(random, each)}`
  })
  return list(random, blank, '{', '}', members)
}

function list(random: Random, blank: () => string, open: string, close: string, parts: readonly string[]): string {
  const comma = parts.length > 0 && random.below(5) === 0 ? ',' : ''
  return `${open}${blank()}${parts.join(`${blank()},${blank()}`)}${comma}${blank()}${close}`
}

function quote(random: Random, text: string): string {
  const mark = random.below(4) === 0 ? "'" : '"'
  let quoted = ''
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at)
    const char = text[at]!
    if (char === mark || char === '\\' || unit < 0x20 || random.below(30) === 0) {
      quoted += `\\u${unit.toString(16).padStart(4, '0')}`
    } else quoted += char
  }
  return `${mark}${quoted}${mark}`
}

/** A value that nobody asked for. */
export function strangeValue(random: Random, depth = 0): string {
  switch (random.below(depth > 4 ? 6 : 10)) {
    case 0:
      return pick(random, NUMBERS)
    case 1:
      return pick(random, ODD_NUMBERS)
    case 2:
      return pick(random, ['true', 'false', 'null', 'NaN', '', 'tru', '1L', '"5"', '-'])
    case 3:
    case 4:
      return JSON.stringify(pick(random, TEXTS))
    case 5:
      return `{"$ref":"$${pick(random, ['', '.topicConfigTable', '.offsetTable', '[0]', '.a.b', '..'])}"}`
    case 6:
      return `[${strangeValue(random, depth + 1)},${strangeValue(random, depth + 1)}]`
    case 7: // deep
      return '[{"a":'.repeat(random.below(400)) + strangeValue(random, 9) + '}]'.repeat(random.below(400))
    case 8: // an object literal as key
      return `{{"brokerName":"b","queueId":${strangeValue(random, 9)},"topic":"t"}:${strangeValue(random, depth + 1)}}`
    default:
      return `{${JSON.stringify(pick(random, NAMES))}:${strangeValue(random, depth + 1)}}`
  }
}

/** Text with pieces exchanged for others, as an editor or a script gone wrong would leave it. */
export function mutateText(random: Random, original: string): string {
  let text = original
  for (let steps = 1 + Math.floor(random.next() ** 3 * 5); steps > 0; steps--) {
    const at = random.below(text.length + 1)
    const [start, end] = valueAt(text, at)
    switch (random.below(8)) {
      case 0:
      case 1:
      case 2: // a value for a value
        text = text.slice(0, start) + strangeValue(random) + text.slice(end)
        break
      case 3: // a name
        text = text.slice(0, at) + pick(random, NAMES) + text.slice(at + random.below(4))
        break
      case 4:
        text =
          text.slice(0, at) +
          pick(random, [...'{}[],:"\'\\/*#=!', '\n', '\\u', '//', '/*', '\ufeff', '\0'] as const) +
          text.slice(at)
        break
      case 5:
        text = text.slice(0, at)
        break
      case 6:
        text = text.slice(0, at) + text.slice(at + random.below(40))
        break
      default: // the same again, seldom very often
        text =
          text.slice(0, end) +
          `,${text.slice(start, end)}`.repeat(random.below(200) === 0 ? 1_000 : 1) +
          text.slice(end)
    }
  }
  return text.slice(0, 100_000)
}

/** The word, number or quoted text at or behind a character. */
function valueAt(text: string, at: number): [start: number, end: number] {
  const pattern = /"[^"\n]*"|[\w.+-]+/g
  pattern.lastIndex = at
  const found = pattern.exec(text)
  return found === null ? [at, at] : [found.index, found.index + found[0].length]
}
