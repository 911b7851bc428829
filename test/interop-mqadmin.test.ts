import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, test } from 'node:test'
import { expectedFolder, recordedSteps, steps } from '../interop/groups/mqadmin.ts'
import { difference, normalise, type Places } from '../interop/groups/mqadmin-text.ts'

const here: Places = {
  nameServer: '127.0.0.1:20020',
  broker: '127.0.0.1:20030',
  work: '/tmp/x/mqadmin',
  words: new Map(),
}

const says = (command: string, out: string, err = ''): string => normalise({ command, out, err }, here)
const expected = (step: string): string => readFileSync(path.join(expectedFolder, `${step}.txt`), 'utf8')

/** What a server may print where `expected` holds the words of the rules. */
const measured: readonly (readonly [word: RegExp, value: string])[] = [
  [/BPORT/g, '20030'],
  [/WORK/g, '/tmp/x/mqadmin'],
  [/Total : SIZE, Free : SIZE\./g, 'Total : 252.0 GiB, Free : 9.1 MiB.'],
  [/\[ D days, H hours, M minutes, S seconds \]/g, '[ 0 days, 1 hours, 2 minutes, 33 seconds ]'],
  [/MOMENT/g, '1795642442376'],
  [/getTotalTps( +): RATES/g, 'getTotalTps$1: 48.38 4.9E-4 0.0'],
  [/RATES/g, '0.0 4.9E-4 '],
  [/SHARE/g, '0.14'],
  [/COUNTS/g, 'null'],
  [/(putLatency\d+ +): MS/g, '$1: 3.00'],
  [/: MS/g, ': 24'],
]

function printedStatus(): string {
  const [, ...lines] = expected('brokerStatus').split('\n')
  return measured.reduce((text, [word, value]) => text.replace(word, value), lines.join('\n'))
}

describe('what mqadmin printed, compared', () => {
  test('every compared step has its recorded text, and every text its step', () => {
    const names = steps.flatMap((step) => (typeof step === 'function' ? [] : [step[0]]))
    assert.equal(new Set(names).size, names.length)
    assert.deepEqual(recordedSteps().sort(), names.sort())
  })

  test('brokerStatus of another hour and machine is the same', () => {
    assert.equal(
      difference(expected('brokerStatus'), says('brokerStatus -b 127.0.0.1:20030', printedStatus())),
      undefined,
    )
  })

  const wrongStatus: readonly [what: string, from: RegExp, to: string][] = [
    ['a key that is missing', /^dispatchMaxBuffer.*\n/m, ''],
    ['a measured key that is missing', /^putTps.*\n/m, ''],
    ['a key too many', /^brokerVersionDesc/m, 'brokerVersion                   : 513\nbrokerVersionDesc'],
    ['keys in another order', /^(bootTimestamp.*\n)(brokerActive.*\n)/m, '$2$1'],
    ['another label', /^runtime /m, 'Runtime '],
    ['another width', /^brokerActive /m, 'brokerActive'],
    ['a count', /^(msgPutTotalTodayNow +: )\d+/m, '$161'],
    ['an offset', /^(commitLogMaxOffset +: )\d+/m, '$121811'],
    ['another version', /V5_5_0/, 'V5_4_0'],
    ['a moment in seconds', /1795642442376/, '1795642442'],
    ['sizes without their unit', /252\.0 GiB/, '252.0G'],
    ['a share beyond 1', /0\.14/, '14.0'],
    ['a rate that is no Java double', /^(putTps +: )0\.0 /m, '$10 '],
    ['two rates', /^(putTps +: )0\.0 /m, '$1'],
    ['a total that is not told', /48\.38 4\.9E-4 0\.0/, '48.38 4.9E-4 '],
    ['classes of latency by other names', /: null$/m, ': [<=0ms]:1 [0~9ms]:2 '],
    ['a quantile without its digits', /: 3\.00$/m, ': 3'],
    ['a negative latency', /: 24$/m, ': -24'],
    ['another path', /commitLogDiskRatio_\/tmp\/x\/mqadmin/, 'commitLogDiskRatio_/tmp/y/mqadmin'],
    ['a blank at the end', /: true$/m, ': true '],
  ]
  for (const [what, from, to] of wrongStatus) {
    test(`brokerStatus differs by ${what}`, () => {
      const printed = printedStatus()
      const wrong = printed.replace(from, to)
      assert.notEqual(wrong, printed)
      assert.notEqual(difference(expected('brokerStatus'), says('brokerStatus -b 127.0.0.1:20030', wrong)), undefined)
    })
  }

  test('all classes of latency are a measurement, as null is', () => {
    const counts =
      '[<=0ms]:42 [0~10ms]:7 [10~50ms]:1 [50~100ms]:0 [100~200ms]:0 [200~500ms]:0 [500ms~1s]:0 [1~2s]:0 [2~3s]:0 ' +
      '[3~4s]:0 [4~5s]:0 [5~10s]:0 [10s~]:0 '
    const printed = printedStatus().replace(': null', `: ${counts}`)
    assert.equal(difference(expected('brokerStatus'), says('brokerStatus -b 127.0.0.1:20030', printed)), undefined)
  })

  test('each line of brokerStatus of a cluster is told by its broker', () => {
    const line = '127.0.0.1:20030          bootTimestamp                   : 1795642421749\n'
    assert.match(says('brokerStatus -c DefaultCluster', line), /\n127\.0\.0\.1:BPORT {10}bootTimestamp {19}: MOMENT\n$/)
    const other = line.replace('20030', '20031')
    assert.match(says('brokerStatus -c DefaultCluster', other), /\n127\.0\.0\.1:20031 /)
  })

  const head = '#Cluster Name           #Broker Name            #BID  #Addr                  #Version              '
  const heads = `${head}#InTPS(LOAD)                   #OutTPS(LOAD)  #Timer(Progress)        #PCWait(ms)  #Hour         #SPACE    #ACTIVATED`
  const row = (tps: string, load: string, hours: string, space: string): string =>
    `DefaultCluster          broker-a                0     127.0.0.1:20030        V5_5_0         ${tps.padStart(12)}(${load},0ms)               0.00(0,0ms|0,0ms)  0-0(0.0w, 0.0, 0.0)               0  ${hours.padEnd(12)}  ${space.padEnd(8)}      true`
  const clusterList = (line: string): string => says('clusterList', `${heads}\n${line}\n\n`)

  test('clusterList: rates, hours and space are measured, what waits is not', () => {
    const one = clusterList(row('0.00', '0', '0.01', '0.1400'))
    assert.equal(one, clusterList(row('12.34', '0', '13.50', '0.6900')))
    assert.notEqual(one, clusterList(row('0.00', '1', '0.01', '0.1400')))
    assert.notEqual(one, clusterList(row('0.00', '0', '0.01', '0.14')))
    assert.notEqual(one, clusterList(row('0.00', '0', 'x', '0.1400')))
    assert.notEqual(one, clusterList(` ${row('0.00', '0', '0.01', '0.1400')}`))
  })

  test('consumerProgress of all groups: the rate alone is measured', () => {
    const table = (tps: string, diff: string): string =>
      says(
        'consumerProgress',
        `#Group                                                            #Count  #Version                 #Type  #Model          #TPS     #Diff Total\n` +
          `admin_workers                                                     0       OFFLINE                                         ${tps.padEnd(9)}${diff}\n`,
      )
    assert.equal(table('0', '10'), table('123', '10'))
    assert.notEqual(table('0', '10'), table('0', '11'))
    assert.notEqual(table('0', '10'), table('-1', '10'))
    assert.notEqual(table('0', '10'), table('0.5', '10'))
  })

  test('times of topicStatus and of consumerProgress of a group have one form each', () => {
    const status = (time: string): string => says('topicStatus -t a', `broker-a  0     0     5     ${time}\n`)
    assert.equal(status('2026-11-25 21:34:02,424'), status('2025-01-01 01:02:03,004'))
    assert.notEqual(status('2026-11-25 21:34:02,424'), status(''))
    assert.notEqual(status('2026-11-25 21:34:02,424'), status('2026-11-25 21:34:02'))
    const progress = (time: string, tps = '1.06'): string =>
      says('consumerProgress -g a', `AdminOrders  broker-a  0  5  5  0  0  ${time}\n\nConsume TPS: ${tps}\n`)
    assert.equal(progress('2026-11-25 21:34:02'), progress('2025-01-01 01:02:03', '0.00'))
    assert.notEqual(progress('2026-11-25 21:34:02'), progress('1970-01-01'))
    assert.notEqual(progress('2026-11-25 21:34:02'), progress('2026-11-25 21:34:02', '1.0666'))
  })

  test('of one message its times, the port of its producer and its ids are of the run, and nothing else is', () => {
    const message = (id: string, time: string, host: string, offset = '21810'): string =>
      normalise(
        {
          command: `queryMsgById -t a -i ${id}`,
          out: `OffsetID:            ${id}\nCommitLog Offset:    ${offset}\nBorn Timestamp:      ${time}\nStore Timestamp:     ${time}\nBorn Host:           ${host}\n`,
          err: '',
        },
        { ...here, words: new Map([['OFFSET-ID-0', id]]) },
      )
    const one = message('7F01', '2026-11-25 21:34:02,424', '127.0.0.1:50000')
    assert.equal(one, message('7F02', '2025-01-01 01:02:03,004', '127.0.0.1:50001'))
    assert.match(one, /^\$ mqadmin queryMsgById -t a -i OFFSET-ID-0\nOffsetID: {12}OFFSET-ID-0\n/)
    assert.notEqual(one, message('7F01', '2026-11-25 21:34:02', '127.0.0.1:50000'))
    assert.notEqual(one, message('7F01', '2026-11-25 21:34:02,424', '127.0.0.2:50000'))
    assert.notEqual(one, message('7F01', '2026-11-25 21:34:02,424', '127.0.0.1:50000', '21811'))
  })

  test('printMsg and queryMsgByKey: moments, the port and the hour alone are of the run', () => {
    const printed = (born: string, port: string, stored = '1795646911568'): string =>
      says(
        'printMsg -t a',
        `MSGID: x [bornTimestamp=${born}, bornHost=/127.0.0.1:${port}, storeTimestamp=${stored}, x]\n`,
      )
    assert.equal(printed('1795646911538', '34264'), printed('1795646911999', '34265', '1795646911568'))
    assert.notEqual(printed('1795646911538', '34264'), printed('0', '34264'))
    assert.notEqual(printed('1795646911538', '34264'), printed('1795646911538', '34264', '-1'))
    const indexed = (hour: string): string =>
      says('queryMsgByKey -t a -k one', `x    0     0 ${hour}@a@K@one@x@21810\n`)
    assert.equal(indexed('1795644000000'), indexed('1795647600000'))
    assert.notEqual(indexed('1795644000000'), indexed('1795644000001'))
    assert.notEqual(indexed('1795644000000'), indexed('0'))
  })

  test('of a refusal all but the frames of the stack is compared', () => {
    const refusal = (code: number, remark: string, frame: number): string =>
      says(
        'topicRoute -t a',
        '',
        `SubCommandException: failed\n\tat a.B.c(B.java:${frame})\nCaused by: MQClientException: CODE: ${code}  DESC: ${remark}\n\tat a.B.d(B.java:9)\n\t... 5 more\n`,
      )
    assert.equal(refusal(17, 'No topic', 1), refusal(17, 'No topic', 2))
    assert.notEqual(refusal(17, 'No topic', 1), refusal(17, 'No topics', 1))
    assert.notEqual(refusal(17, 'No topic', 1), refusal(1, 'No topic', 1))
    assert.notEqual(refusal(17, 'No topic', 1), says('topicRoute -t a', ''))
  })

  test('a rule touches its own command alone', () => {
    const line = 'bootTimestamp                   : 1795642421749\n2026-11-25 21:34:02,424\nConsume TPS: 1.00\n'
    assert.ok(says('topicList', line).endsWith(line))
  })

  test('a difference is shown by its line', () => {
    assert.equal(difference('a\nb\n', 'a\nb\n'), undefined)
    assert.match(difference('a\nb\nc', 'a\nx\nc')!, /^line 2 differs; expected\n {2}"b"\n {2}"c"\ngot\n {2}"x"/)
    assert.match(difference('a\n', 'a')!, /^line 2 differs/)
    assert.match(difference('a', 'a\n')!, /^line 2 differs/)
  })
})
