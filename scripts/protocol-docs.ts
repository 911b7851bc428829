import type { AnyCommand } from '../src/protocol/command.ts'
import { allCommands } from '../src/protocol/commands/all.ts'
import type { Field } from '../src/protocol/fields.ts'
import { RequestCode } from '../src/protocol/request-code.ts'
import { ResponseCode } from '../src/protocol/response-code.ts'

const GENERATED = '<!-- Generated from the declarations by `npm run docs`; a test keeps it fresh. -->'

const kinds: Record<string, string> = {
  text: 'text',
  name: 'text',
  int: 'int, 32 bits',
  long: 'long, 64 bits',
  bool: 'bool',
  bytes: 'text, kept as UTF-8 bytes',
}

/** docs/protocol.md: every request code that is declared, then the names of all others. */
export function protocolDocs(): string {
  const declared = new Set(allCommands.map((command) => command.code))
  const others = Object.entries(RequestCode)
    .filter(([, code]) => !declared.has(code))
    .sort(([, a], [, b]) => a - b)
  return [
    '# Protocol',
    '',
    GENERATED,
    '',
    `${allCommands.length} request codes are declared in \`src/protocol/commands/\`; from each declaration come its codec, its`,
    'types, its part of this page and its golden test. A field is required unless the table says what is taken without it.',
    'Header fields travel as text under the key of the table, in the JSON and in the binary serialisation alike. Which of the',
    'declared codes a server answers is in `src/broker/routes.ts` and `src/nameserver/routes.ts`; any other is answered with',
    '`REQUEST_CODE_NOT_SUPPORTED` (3) and its number.',
    '',
    '| code | name | |',
    '| --- | --- | --- |',
    ...allCommands.map(
      ({ code, name, about }) => `| [${code}](#${anchor(name, code)}) | \`${name}\` | ${cell(about)} |`,
    ),
    '',
    ...allCommands.flatMap(section),
    '## Request codes that are named only',
    '',
    'Known, so that a refusal can name them; not declared yet.',
    '',
    '| code | name |',
    '| --- | --- |',
    ...others.map(([name, code]) => `| ${code} | \`${name}\` |`),
    '',
    '## Response codes',
    '',
    '| code | name |',
    '| --- | --- |',
    ...Object.entries(ResponseCode)
      .sort(([, a], [, b]) => a - b)
      .map(([name, code]) => `| ${code} | \`${name}\` |`),
    '',
  ].join('\n')
}

function section({ code, name, about, source, request, response }: AnyCommand): string[] {
  return [
    `## ${name} (${code})`,
    '',
    about,
    '',
    ...table('Request', request),
    ...table('Response', response),
    `Facts from: ${source}`,
    '',
  ]
}

function table(title: string, fields: Readonly<Record<string, Field<unknown>>>): string[] {
  const rows = Object.entries(fields)
  if (rows.length === 0) return [`${title}: no header fields.`, '']
  return [
    `${title}:`,
    '',
    '| key | name | type | without it | |',
    '| --- | --- | --- | --- | --- |',
    ...rows.map(([name, { key, kind, absence, fallback, about }]) => {
      const without = absence === 'refused' ? 'refused' : absence === 'default' ? `\`${fallback}\`` : 'left out'
      return `| \`${key ?? name}\` | ${name} | ${kinds[kind]} | ${without} | ${cell(about)} |`
    }),
    '',
  ]
}

/** As GitHub makes it of a heading. */
function anchor(name: string, code: number): string {
  return `${name.toLowerCase()}-${code}`
}

function cell(words: string): string {
  return words.replaceAll('|', '\\|')
}
