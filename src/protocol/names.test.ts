import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { allCommands } from './commands/all.ts'
import { LanguageCode, languageCode, languageName } from './language.ts'
import {
  groupNameFault,
  isSystemGroup,
  NOT_SENDABLE_TOPICS,
  PREDEFINED_GROUPS,
  SYSTEM_TOPICS,
  topicNameFault,
} from './names.ts'
import { RequestCode, requestCodeName } from './request-code.ts'
import { ResponseCode, responseCodeName } from './response-code.ts'

const letter = fc.constantFrom(...'%|abcxyzABCXYZ0189_-')
const name = (maxLength: number): fc.Arbitrary<string> => fc.string({ unit: letter, minLength: 1, maxLength })

describe('the name of a topic', () => {
  test('is of letters, digits and four signs', () => {
    fc.assert(fc.property(name(127), (topic) => assert.equal(topicNameFault(topic), undefined)))
    fc.assert(
      fc.property(
        name(20),
        name(20),
        fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
        (before, after, char) => {
          const isAllowed = /[%|a-zA-Z0-9_-]/.test(char)
          assert.equal(topicNameFault(before + char + after) === undefined, isAllowed)
          assert.equal(topicNameFault(before + after + char) === undefined, isAllowed)
          assert.equal(groupNameFault(char + before + after) === undefined, isAllowed)
        },
      ),
    )
  })

  test('is refused in the words that Java was heard to say', () => {
    const lines = readFileSync(resolve(import.meta.dirname, '../../test/vectors/wire/errors.jsonl'), 'utf8')
      .trim()
      .split('\n')
    const remarks = lines.map((line) => (JSON.parse(line) as { header: { remark: string | null } }).header.remark ?? '')
    const heard = remarks.filter((remark) => remark.includes('contains illegal characters'))
    assert.equal(heard.length, 3)
    assert.deepEqual(new Set(heard), new Set([topicNameFault('bad topic!'), groupNameFault('bad group!')]))
  })

  test('is not blank', () => {
    for (const blank of ['', ' ', '\t\n ']) {
      assert.equal(topicNameFault(blank), 'The specified topic is blank.')
      assert.equal(groupNameFault(blank), 'The specified group is blank.')
    }
  })

  test('is of 127 letters at most, of 255 for retries and dead letters', () => {
    const fits = (topic: string): boolean => topicNameFault(topic) === undefined
    const filled = (prefix: string, length: number): string => prefix + 'a'.repeat(length - prefix.length)
    for (const prefix of ['', '%LMQ%', 'RETRY%', '%retry%']) {
      assert.ok(fits(filled(prefix, 127)))
      assert.ok(!fits(filled(prefix, 128)))
      assert.match(topicNameFault(filled(prefix, 128))!, /longer than topic max length/)
    }
    for (const prefix of ['%RETRY%', '%DLQ%']) {
      assert.ok(fits(filled(prefix, 255)))
      assert.ok(!fits(filled(prefix, 256)))
      assert.match(topicNameFault(filled(prefix, 256))!, /longer than topic max length/)
    }
  })
})

describe('the name of a group', () => {
  test('is of 120 letters at most, so that its retry topic is a topic', () => {
    fc.assert(fc.property(name(120), (group) => assert.equal(groupNameFault(group), undefined)))
    assert.match(groupNameFault('g'.repeat(121))!, /longer than group max length/)
    assert.equal(topicNameFault(`%RETRY%${'g'.repeat(120)}`), undefined)
  })

  test("is the system's when it is known or begins so", () => {
    for (const group of [...PREDEFINED_GROUPS, 'DEFAULT_CONSUMER', 'CID_RMQ_SYS_anything'])
      assert.ok(isSystemGroup(group), group)
    for (const group of ['', 'mine', 'cid_rmq_sys_x', 'TOOLS_CONSUMER2', 'x_CID_RMQ_SYS_'])
      assert.ok(!isSystemGroup(group), group)
  })
})

describe('names and codes', () => {
  test('no client may send to six topics', () => {
    assert.equal(NOT_SENDABLE_TOPICS.size, 6)
    for (const topic of NOT_SENDABLE_TOPICS) assert.ok(SYSTEM_TOPICS.includes(topic), topic)
    // Anybody may send to these system topics.
    for (const topic of ['TBW102', 'BenchmarkTest', 'RMQ_SYS_TRACE_TOPIC'])
      assert.ok(!NOT_SENDABLE_TOPICS.has(topic), topic)
  })

  test('every declared command has the name and code of Java, once', () => {
    const known = RequestCode as Record<string, number>
    for (const { name, code } of allCommands) assert.equal(known[name], code, name)
    assert.equal(new Set(allCommands.map(({ code }) => code)).size, allCommands.length)
  })

  test('every code that was recorded has its recorded name', () => {
    const files = [
      'acl',
      'admin-broker',
      'admin-group',
      'admin-topic',
      'controller',
      'errors',
      'ha',
      'heartbeat',
      'lock',
      'nameserver',
      'offset',
      'pull',
      'query',
      'request-reply',
      'send',
      'transaction',
    ]
    const codes = { request: new Set<number>(), response: new Set<number>() }
    for (const file of files) {
      const lines = readFileSync(resolve(import.meta.dirname, `../../test/vectors/wire/${file}.jsonl`), 'utf8')
        .trim()
        .split('\n')
      for (const line of lines) {
        const { code, codeName, direction } = JSON.parse(line) as {
          code: number
          codeName: string
          direction: 'request' | 'response'
        }
        if (codeName.startsWith('UNKNOWN')) continue
        assert.equal(direction === 'request' ? requestCodeName(code) : responseCodeName(code), codeName)
        codes[direction].add(code)
      }
    }
    assert.ok(codes.request.size > 100 && codes.response.size > 25, `${codes.request.size}, ${codes.response.size}`)
  })

  test('no code has two names, and a code without one has its number', () => {
    for (const table of [RequestCode, ResponseCode])
      assert.equal(new Set(Object.values(table)).size, Object.keys(table).length)
    assert.equal(Object.keys(RequestCode).length, 164)
    assert.match(requestCodeName(9_999), /9999/)
    assert.match(responseCodeName(9_999), /9999/)
  })

  test('languages go by name in any case', () => {
    for (const [name, code] of Object.entries(LanguageCode)) {
      assert.equal(languageName(code), name)
      assert.equal(languageCode(name), code)
      assert.equal(languageCode(name.toLowerCase()), code)
    }
    for (const unknown of ['SWIFT', '', 'JAVA ', '__proto__']) assert.equal(languageCode(unknown), -1)
    for (const unknown of [14, 127, 255, -1]) assert.equal(languageName(unknown), undefined)
  })
})
