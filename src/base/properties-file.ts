/**
 * Reads Java's properties grammar: `key=value`, `key: value` or `key value` lines, comments after `#` or `!`, a
 * backslash before a line break, `\t \n \r \f`, and `\u0041` in keys and values. A later key wins.
 *
 * @throws SyntaxError for a `\u` without four hex digits, as Java refuses it too
 */
export function parseProperties(text: string): Record<string, string> {
  return Object.fromEntries(parsePropertyLines(text).map(({ key, value }) => [key, value]))
}

export interface PropertyLine {
  key: string
  value: string
  /** Line the key stands on, from 1. */
  line: number
}

export function parsePropertyLines(text: string): PropertyLine[] {
  const found: PropertyLine[] = []
  const lines = text.replace(/^\uFEFF/, '').split(/\r\n|\n|\r/)
  for (let at = 0; at < lines.length; at++) {
    const line = at + 1
    let logical = lines[at]!.replace(/^[ \t\f]+/, '')
    if (logical === '' || logical[0] === '#' || logical[0] === '!') continue
    while (endsWithOddBackslashes(logical)) {
      logical = logical.slice(0, -1)
      if (++at >= lines.length) break
      logical += lines[at]!.replace(/^[ \t\f]+/, '')
    }
    const keyEnd = endOfKey(logical)
    const rest = logical.slice(keyEnd).replace(/^[ \t\f]*[=:]?[ \t\f]*/, '')
    found.push({ key: unescapeText(logical.slice(0, keyEnd), line), value: unescapeText(rest, line), line })
  }
  return found
}

/** Text that {@link parseProperties} reads back, a line per key. */
export function formatProperties(values: Readonly<Record<string, string>>): string {
  return Object.entries(values)
    .map(([key, value]) => `${escapeKey(key)}=${escapeValue(value)}\n`)
    .join('')
}

function endsWithOddBackslashes(text: string): boolean {
  let count = 0
  while (text[text.length - 1 - count] === '\\') count++
  return count % 2 === 1
}

function endOfKey(text: string): number {
  for (let at = 0; at < text.length; at++) {
    const char = text[at]!
    if (char === '\\') at++
    else if (char === '=' || char === ':' || char === ' ' || char === '\t' || char === '\f') return at
  }
  return text.length
}

function unescapeText(text: string, line: number): string {
  return text.replace(/\\(u[0-9a-fA-F]{4}|u|[\s\S])/g, (_, escaped: string) => {
    switch (escaped[0]) {
      case 'u':
        if (escaped.length === 1) throw new SyntaxError(`line ${line}: \\u takes four hex digits`)
        return String.fromCharCode(Number.parseInt(escaped.slice(1), 16))
      case 't':
        return '\t'
      case 'n':
        return '\n'
      case 'r':
        return '\r'
      case 'f':
        return '\f'
      default:
        return escaped
    }
  })
}

const escapeControl = (text: string): string =>
  text.replace(/\\/g, '\\\\').replace(/\n/g, '\\n').replace(/\r/g, '\\r').replace(/\t/g, '\\t').replace(/\f/g, '\\f')
const escapeKey = (key: string): string => escapeControl(key).replace(/[=: #!]/g, '\\$&')
const escapeValue = (value: string): string => escapeControl(value).replace(/^ /, '\\ ')
