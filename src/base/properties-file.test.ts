import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { formatProperties, parseProperties, parsePropertyLines } from './properties-file.ts'

/** What Java's Properties.load reads, by its documented grammar. */
const grammar: [string, string, Record<string, string>][] = [
  ['key=value', 'a=1', { a: '1' }],
  ['a colon', 'a:1', { a: '1' }],
  ['a blank', 'a 1', { a: '1' }],
  ['a tab', 'a\t1', { a: '1' }],
  ['blanks around the sign', 'a \t= \f1', { a: '1' }],
  ['one sign only', 'a==1', { a: '=1' }],
  ['a colon behind a blank', 'a : 1', { a: '1' }],
  ['two signs', 'a = : 1', { a: ': 1' }],
  ['blanks before the key', ' \t\f a=1', { a: '1' }],
  ['blanks behind the value', 'a=1  ', { a: '1  ' }],
  ['no value', 'a=', { a: '' }],
  ['no sign', 'a', { a: '' }],
  ['no key', '=1', { '': '1' }],
  ['a path', 'a=/x/y=z:1', { a: '/x/y=z:1' }],
  ['a Windows path, escaped', 'a=C:\\\\store', { a: 'C:\\store' }],
  ['comments', '# x=1\n ! y=2\n#\na=1', { a: '1' }],
  ['a comment sign in a value', 'a=1 # no comment', { a: '1 # no comment' }],
  ['a comment that ends in a backslash, which goes on in no line', '# x \\\na=1', { a: '1' }],
  ['empty lines', '\n\n a=1\n   \n\tb=2\n', { a: '1', b: '2' }],
  ['ends of lines of all kinds', 'a=1\r\nb=2\rc=3\nd=4', { a: '1', b: '2', c: '3', d: '4' }],
  ['a byte order mark', '\uFEFFa=1', { a: '1' }],
  ['a continued value', 'a=1,\\\n   2,\\\r\n\t3', { a: '1,2,3' }],
  ['a continued key', 'a\\\n  b=1', { ab: '1' }],
  ['continued by a line that looks like a comment', 'a=1\\\n#2', { a: '1#2' }],
  ['continued by an empty line', 'a=1\\\n\nb=2', { a: '1', b: '2' }],
  ['continued by nothing', 'a=1\\', { a: '1' }],
  ['two backslashes at the end, which are one', 'a=1\\\\\nb=2', { a: '1\\', b: '2' }],
  ['three, which are one and a continuation', 'a=1\\\\\\\nb=2', { a: '1\\b=2' }],
  ['escapes', 'a=\\t\\n\\r\\f\\\\', { a: '\t\n\r\f\\' }],
  ['other escapes, which are the letter', 'a=\\q\\=\\:\\#\\"\\b', { a: 'q=:#"b' }],
  ['code points', 'a=\\u00e9\\u65e5\\uD83D\\uDE00', { a: 'é日😀' }],
  ['code points in keys', '\\u0061b=1', { ab: '1' }],
  ['an escaped sign in a key', 'a\\=b\\:c\\ d=1', { 'a=b:c d': '1' }],
  ['an escaped blank before a value', 'a=\\ 1', { a: ' 1' }],
  ['a key twice, of which the later counts', 'a=1\na=2', { a: '2' }],
  ['letters of all kinds, as they are', '名=日本', { 名: '日本' }],
  ['a key that objects have', '__proto__=1', JSON.parse('{"__proto__":"1"}')],
  ['nothing', '', {}],
]
describe('properties text', () => {
  for (const [what, text, values] of grammar) {
    test(`reads ${what}`, () => assert.deepEqual(parseProperties(text), values))
  }
  for (const text of ['a=\\u12', 'a=\\u', 'a=\\uXYZW', '\\u00g0=1']) {
    test(`refuses ${text}, as Java does, with its line`, () => {
      assert.throws(() => parseProperties(`x=1\n\n${text}`), {
        name: 'SyntaxError',
        message: 'line 3: \\u takes four hex digits',
      })
    })
  }
  test('says on which line a key stands, also behind continued ones', () => {
    const lines = parsePropertyLines('# head\na=1\\\n2\n\nb=3\r\nc=4')
    assert.deepEqual(lines, [
      { key: 'a', value: '12', line: 2 },
      { key: 'b', value: '3', line: 5 },
      { key: 'c', value: '4', line: 6 },
    ])
  })
  test('reads what it writes, whatever keys and values are', () => {
    const word = fc.oneof(
      fc.string(),
      fc.string({ unit: fc.constantFrom(' ', '\t', '\f', '\\', '=', ':', '#', '!', '\n', '\r', 'u', '0') }),
      fc.string({ unit: 'grapheme' }),
    )
    fc.assert(
      fc.property(fc.dictionary(word, word), (values) => {
        assert.deepEqual(parseProperties(formatProperties(values)), { ...values })
      }),
      { numRuns: 300 },
    )
  })
})
