import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { count, readArguments } from './arguments.ts'
import { Failure } from './failure.ts'

const options = {
  data: { type: 'string' },
  'namesrv-port': { type: 'string' },
  'broker-port': { type: 'string' },
  namesrv: { type: 'string', short: 'n' },
  set: { type: 'string', multiple: true },
  verbose: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const

const refusal = (args: string[]): string => {
  try {
    readArguments('start', args, options)
  } catch (error) {
    assert.ok(error instanceof Failure, String(error))
    assert.ok(!error.message.includes('\n'), 'one sentence')
    return error.message
  }
  throw new assert.AssertionError({ message: `${args.join(' ')} was not refused` })
}

describe('arguments', () => {
  test('are read long and short, apart and with =, repeated where that means something', () => {
    const { values, positionals } = readArguments(
      'start',
      ['orders', '--data', 'd', '-n', 'a:1', '--set=x=1', '--set', 'y=2', '--verbose', '-h', '--', '--odd'],
      options,
    )
    assert.deepEqual({ ...values }, { data: 'd', namesrv: 'a:1', set: ['x=1', 'y=2'], verbose: true, help: true })
    assert.deepEqual(positionals, ['orders', '--odd'])
  })

  test('the last of an option that is given twice counts', () => {
    assert.equal(readArguments('start', ['--data', 'a', '--data', 'b'], options).values.data, 'b')
  })

  test('an unknown option is refused with the nearest one', () => {
    assert.equal(refusal(['--broker-prt', '1']), 'start has no option --broker-prt; did you mean --broker-port?')
    assert.equal(refusal(['--adta']), 'start has no option --adta; did you mean --data?')
    assert.equal(refusal(['--VERBOSE']), 'start has no option --VERBOSE; did you mean --verbose?')
    assert.equal(refusal(['--no-verbose']), 'start has no option --no-verbose; did you mean --verbose?')
  })

  test('an unknown option that is part of known ones is refused with those', () => {
    assert.equal(refusal(['--port=1']), 'start has no option --port; did you mean --namesrv-port or --broker-port?')
  })

  test('an unknown letter is refused with the options that begin with it', () => {
    assert.equal(refusal(['-d', 'x']), 'start has no option -d; did you mean --data?')
  })

  test('an unknown option that is near to none is refused with the way to help', () => {
    assert.equal(refusal(['--xyzzy']), 'start has no option --xyzzy; see cometmq start --help')
    assert.equal(refusal(['--toString']), 'start has no option --toString; see cometmq start --help')
    assert.equal(refusal(['--__proto__=1']), 'start has no option --__proto__; see cometmq start --help')
  })

  test('a value that is missing or empty is asked for by name', () => {
    for (const args of [['--data'], ['--data='], ['--data', '']]) {
      assert.equal(refusal(args), '--data takes a value; see cometmq start --help')
    }
    assert.equal(refusal(['-n']), '-n takes a value; see cometmq start --help')
  })

  test('an option is not swallowed as the value of another', () => {
    assert.match(refusal(['--data', '--verbose']), /^--data takes a value, and '--verbose' looks like an option/)
    assert.equal(readArguments('start', ['--data=-odd'], options).values.data, '-odd')
  })

  test('a switch takes no value', () => {
    assert.equal(refusal(['--verbose=yes']), "--verbose takes no value, not 'yes'")
  })
})

describe('a count', () => {
  test('is a whole number of digits, and absent when it is not given', () => {
    assert.equal(count('count', '12', 1), 12)
    assert.equal(count('count', '0', 0), 0)
    assert.equal(count('count', undefined, 1), undefined)
  })

  test('is refused by name when it is anything else', () => {
    for (const value of ['0', '-1', '1.5', '1e3', '0x10', 'x', ' 1', '', '99999999999999999999']) {
      assert.throws(
        () => count('count', value, 1),
        (error) =>
          error instanceof Failure && error.message === `--count takes a whole number from 1 up, not '${value}'`,
      )
    }
  })
})
