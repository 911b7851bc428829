import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import {
  bool,
  bytes,
  int,
  long,
  millis,
  nearestKey,
  oneOf,
  port,
  ratio,
  readSettingsFile,
  readSetWords,
  type Setting,
  SettingsError,
  settings,
  text,
} from './settings.ts'

const declared = settings(
  {
    listenPort: port(10_911, 'Port.'),
    brokerName: text('broker', 'Name.'),
    brokerId: long(0, 'Id.', { min: 0 }),
    flushDiskType: oneOf(['ASYNC_FLUSH', 'SYNC_FLUSH'], 'ASYNC_FLUSH', 'When.', { updatable: true }),
    fileReservedTime: int(72, 'Hours.', { min: 1, max: 1_000, updatable: true }),
    storePath: text('/store', 'Where.'),
    diskRatio: ratio(0.75, 'Part.', { min: 0, max: 1 }),
    traceOn: bool(true, 'Whether.', { updatable: true }),
    pollMs: millis(500, 'Pause.'),
    maxBytes: bytes(4_194_304, 'Size.', { updatable: true }),
  },
  ['rocketmqHome', 'aclEnable'],
)

describe('a value of each type', () => {
  const cases: { setting: Setting<unknown>; good: [string, unknown][]; bad: string[]; says: string }[] = [
    {
      setting: int(1, ''),
      good: [
        ['0', 0],
        ['-5', -5],
        ['+7', 7],
        ['2147483647', 2_147_483_647],
        ['-2147483648', -2_147_483_648],
        ['007', 7],
      ],
      bad: [
        '',
        'x',
        '1.5',
        '1e3',
        '0x10',
        '2147483648',
        '-2147483649',
        '1 2',
        '1k',
        '١',
        'Infinity',
        'NaN',
        '--1',
        '1_000',
      ],
      says: 'takes a whole number from -2147483648 to 2147483647',
    },
    {
      setting: int(5, '', { min: 1, max: 9 }),
      good: [
        ['1', 1],
        ['9', 9],
      ],
      bad: ['0', '10', '-1'],
      says: 'takes a whole number from 1 to 9',
    },
    {
      setting: long(0, ''),
      good: [
        ['9007199254740991', Number.MAX_SAFE_INTEGER],
        ['-1', -1],
        ['4294967296', 4_294_967_296],
      ],
      bad: ['', '1.0', '1L', 'long'],
      says: 'takes a whole number',
    },
    { setting: long(0, '', { min: 0 }), good: [['0', 0]], bad: ['-1'], says: 'takes a whole number from 0 up' },
    {
      setting: ratio(0.5, '', { min: 0, max: 1 }),
      good: [
        ['0.25', 0.25],
        ['1', 1],
        ['0', 0],
        ['.5', 0.5],
        ['5e-1', 0.5],
      ],
      bad: ['', '1.1', '-0.1', 'half', 'NaN', 'Infinity', '50%'],
      says: 'takes a number from 0 to 1',
    },
    {
      setting: port(1, ''),
      good: [
        ['0', 0],
        ['65535', 65_535],
      ],
      bad: ['65536', '-1', 'http', '', '80.0'],
      says: 'takes a whole number from 0 to 65535',
    },
    {
      setting: millis(1, ''),
      good: [
        ['0', 0],
        ['604800000', 604_800_000],
      ],
      bad: ['-1', '1s', '1.5', ''],
      says: 'takes a whole number from 0 up',
    },
    { setting: millis(10, '', { min: 10 }), good: [['10', 10]], bad: ['9'], says: 'takes a whole number from 10 up' },
    {
      setting: bytes(1, ''),
      good: [['1073741824', 1_073_741_824]],
      bad: ['1G', '4KB', '-1', ''],
      says: 'takes a whole number from 0 up',
    },
    {
      setting: bool(true, ''),
      good: [
        ['true', true],
        ['false', false],
        ['TRUE', true],
        ['False', false],
      ],
      bad: ['', 'yes', '1', '0', 'on', 'truee'],
      says: 'takes true or false',
    },
    {
      setting: oneOf(['A_B', 'C'], 'C', ''),
      good: [
        ['A_B', 'A_B'],
        ['C', 'C'],
      ],
      bad: ['', 'c', 'a_b', 'A_B,C', 'toString'],
      says: 'takes one of A_B, C',
    },
    {
      setting: text('x', ''),
      good: [
        ['', ''],
        ['a b=c', 'a b=c'],
        ['日本', '日本'],
      ],
      bad: [],
      says: 'never',
    },
  ]
  for (const { setting, good, bad, says } of cases) {
    test(`${setting.type} ${says}`, () => {
      for (const [given, value] of good) {
        assert.equal(setting.parse(given), value)
        assert.equal(setting.parse(setting.format(value)), value, 'and what it is written as')
      }
      for (const given of bad) assert.throws(() => setting.parse(given), { message: says }, `'${given}'`)
      assert.equal(setting.parse(setting.format(setting.fallback)), setting.fallback)
    })
  }
})

describe('parsing', () => {
  test('gives defaults to what is not said, and takes blanks around a value', () => {
    const { settings: found, warnings } = declared.parse({ listenPort: ' 5 ', traceOn: 'FALSE\t' })
    assert.deepEqual(warnings, [])
    assert.deepEqual(found, { ...declared.defaults(), listenPort: 5, traceOn: false })
  })
  test('refuses a wrong value by name, with what is allowed and where it was said', () => {
    assert.throws(() => declared.parse({ flushDiskType: { value: 'SOMETIMES', origin: 'broker.conf:12' } }), {
      name: 'SettingsError',
      message: 'flushDiskType=SOMETIMES (broker.conf:12): takes one of ASYNC_FLUSH, SYNC_FLUSH',
    })
    assert.throws(() => declared.parse({ listenPort: '70000' }), {
      name: 'SettingsError',
      message: 'listenPort=70000: takes a whole number from 0 to 65535',
    })
  })
  test('warns of an unknown key, with the nearest known one', () => {
    const { warnings } = declared.parse({ brokerNmae: 'x', listenport: '1', qqqqqqqqqqqq: '' })
    assert.deepEqual(warnings, [
      'unknown setting brokerNmae; did you mean brokerName?',
      'unknown setting listenport; did you mean listenPort?',
      'unknown setting qqqqqqqqqqqq',
    ])
  })
  test('says once which settings of RocketMQ have no effect yet', () => {
    const { warnings } = declared.parse({ rocketmqHome: '/x', aclEnable: 'true' })
    assert.deepEqual(warnings, ['settings of RocketMQ that have no effect here yet: aclEnable, rocketmqHome'])
  })
  test('takes keys that objects have for what they are: unknown', () => {
    const raw = readSettingsFile('__proto__=1\nconstructor=2\ntoString=3', 'f')
    const { settings: found, warnings } = declared.parse(raw)
    assert.deepEqual(found, declared.defaults())
    assert.deepEqual(warnings.map((each) => each.split(' ')[2]).sort(), ['__proto__', 'constructor', 'toString'])
  })
  test('of a file says the line of a wrong value', () => {
    const raw = readSettingsFile('# head\nbrokerName=a\n\nbrokerId=-1\n', 'broker.conf')
    assert.throws(() => declared.parse(raw), { message: 'brokerId=-1 (broker.conf:4): takes a whole number from 0 up' })
  })
  test('of a file with a key twice takes the later, as Java does, and warns of it with both lines', () => {
    const raw = readSettingsFile('brokerName=a\nbrokerId=1\nbrokerName=b\n', 'broker.conf')
    const { settings: found, warnings } = declared.parse(raw)
    assert.equal(found.brokerName, 'b')
    assert.deepEqual(warnings, ['brokerName is set twice: broker.conf:3 counts, not broker.conf:1'])
  })
})

describe('an update', () => {
  const current = declared.parse({ brokerName: 'mine' }).settings
  test('changes what is on the allow-list, and leaves the former as it was', () => {
    const updated = declared.update(current, { fileReservedTime: '48', traceOn: 'false' })
    assert.deepEqual(updated, { ...current, fileReservedTime: 48, traceOn: false })
    assert.equal(current.fileReservedTime, 72)
  })
  test('refuses by name what may not be changed, what is unknown, and what cannot be used', () => {
    const refusal = (changes: Record<string, string>): string => {
      try {
        declared.update(current, changes)
      } catch (error) {
        assert.ok(error instanceof SettingsError)
        return error.message
      }
      return 'was not refused'
    }
    assert.match(refusal({ storePath: '/etc' }), /^storePath can not be changed while running/)
    assert.match(refusal({ traceOn: 'false', brokerName: 'x' }), /^brokerName can not be changed/)
    assert.equal(refusal({ rocketmqHome: 'x' }), 'rocketmqHome is not a setting of this server')
    assert.equal(refusal({ toString: 'x' }), 'toString is not a setting of this server')
    assert.equal(refusal({ fileReservedTime: '0' }), 'fileReservedTime=0: takes a whole number from 1 to 1000')
  })
})

describe('a declaration', () => {
  test('describes each setting, for help and docs', () => {
    assert.deepEqual(declared.describe()[3], {
      key: 'flushDiskType',
      type: 'ASYNC_FLUSH | SYNC_FLUSH',
      fallback: 'ASYNC_FLUSH',
      about: 'When.',
      updatable: true,
    })
    assert.equal(declared.describe().length, 10)
  })
  test('writes properties text that it reads again', () => {
    const odd = declared.parse({ brokerName: ' a\\b=c:\n#d', storePath: 'C:\\store\\日本' }).settings
    assert.deepEqual(declared.parse(readSettingsFile(declared.format(odd), 'f')), { settings: odd, warnings: [] })
  })
  test('merges with another, and knows the keys of both', () => {
    const both = declared.merge(settings({ other: int(3, '') }, ['elsewhere']))
    const { settings: found, warnings } = both.parse({ other: '4', elsewhere: '', aclEnable: '' })
    assert.deepEqual([found.other, found.listenPort], [4, 10_911])
    assert.deepEqual(warnings, ['settings of RocketMQ that have no effect here yet: aclEnable, elsewhere'])
  })
})

describe('words of --set', () => {
  test('are key=value, the value being all behind the first sign', () => {
    assert.deepEqual(
      { ...readSetWords(['a=1', 'b = x=y', 'c=']) },
      {
        a: { value: '1', origin: '--set' },
        b: { value: ' x=y', origin: '--set' },
        c: { value: '', origin: '--set' },
      },
    )
  })
  test('without a key or a sign are refused', () => {
    for (const word of ['a', '=1', ''])
      assert.throws(() => readSetWords([word]), {
        name: 'SettingsError',
        message: `--set takes key=value, not '${word}'`,
      })
  })
})

test('the nearest key is near: a slip or two of a short word, a third of a long one', () => {
  const known = ['listenPort', 'brokerName', 'brokerId', 'flushDiskType']
  assert.equal(nearestKey('listenPrt', known), 'listenPort')
  assert.equal(nearestKey('LISTENPORT', known), 'listenPort')
  assert.equal(nearestKey('brokerNam', known), 'brokerName')
  assert.equal(nearestKey('brokrIdd', known), 'brokerId')
  assert.equal(nearestKey('x', known), undefined)
  assert.equal(nearestKey('', known), undefined)
  assert.equal(nearestKey('somethingElse', known), undefined)
  assert.equal(nearestKey('anything', []), undefined)
})
