/** What differs from run to run in one pair of servers, by its exact text. */
export interface Places {
  nameServer: string
  broker: string
  /** The directory that holds the store. */
  work: string
  /** Ids that were given out in the run, by the word that stands for them. */
  words: Map<string, string>
}

export interface Printed {
  command: string
  out: string
  err: string
}

/** A rule that makes one kind of value the same in every run. All else is compared as it was printed. */
interface Rule {
  name: string
  /** The commands whose output it may touch. */
  of: RegExp
  apply(text: string, places: Places): string
}

/** Columns stay where they are: the word takes the place of the value, blanks included. */
const inWidth = (word: string) => (value: string) => word.padEnd(value.length)
const inWidthRight = (word: string) => (value: string) => word.padStart(value.length)

const rules: readonly Rule[] = [
  {
    name: 'addresses of the two servers: the port',
    of: /./,
    apply: (text, { nameServer, broker }) =>
      text.replaceAll(broker, portReplaced(broker, 'BPORT')).replaceAll(nameServer, portReplaced(nameServer, 'NPORT')),
  },
  {
    name: 'ids of messages, as the producer was told them',
    of: /^(queryMsg|printMsg)/,
    apply: (text, { words }) => [...words].reduce((current, [word, id]) => current.replaceAll(id, word), text),
  },
  {
    name: 'the directory of the run, in the key that holds the path of the commit log',
    of: /^brokerStatus/,
    apply: (text, { work }) => text.replaceAll(`commitLogDiskRatio_${work}`, 'commitLogDiskRatio_WORK'),
  },
  {
    name: 'frames of the stack trace: lines of the tool itself',
    of: /./,
    apply: (text) => text.replace(/^\t(at |\.\.\. \d+ more$).*\n/gm, ''),
  },
  {
    name: 'topicStatus: when the last message of a queue came',
    of: /^topicStatus/,
    apply: (text) => text.replace(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}$/gm, 'YYYY-MM-DD hh:mm:ss,mmm'),
  },
  {
    name: 'topicStatus: messages a second that the topic was sent',
    of: /^topicStatus/,
    apply: (text) => text.replace(/^(Topic Put TPS: )\d+\.\d+$/m, '$1RATE'),
  },
  {
    name: 'consumerProgress of a group: when the last consumed message came',
    of: /^consumerProgress .*-g /,
    apply: (text) => text.replace(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/gm, 'YYYY-MM-DD hh:mm:ss'),
  },
  {
    name: 'consumerProgress of a group: messages a second that it took',
    of: /^consumerProgress .*-g /,
    apply: (text) => text.replace(/^(Consume TPS: )\d+\.\d\d$/m, '$1RATE'),
  },
  {
    name: 'consumerProgress of all groups: messages a second, in the column #TPS',
    of: /^consumerProgress$/,
    apply: (text) => replaceColumn(text, '#TPS', /^\d+ +$/, inWidth('RATE')),
  },
  {
    name: 'clusterList: messages a second, in and out',
    of: /^clusterList$/,
    apply: (text) => text.replace(/ +\d+\.\d\d(?=\(\d+,\d+ms)/g, inWidthRight('RATE')),
  },
  {
    name: 'clusterList: hours since the first message, and the share of the disk in use',
    of: /^clusterList$/,
    apply: (text) =>
      replaceColumn(
        replaceColumn(text, '#Hour', /^\d+\.\d\d +$/, inWidth('HOURS')),
        '#SPACE',
        /^[01]\.\d{4} +$/,
        inWidth('SHARE'),
      ),
  },
  {
    name: 'queries of one message: when it was born and stored, and the port of its producer',
    of: /^queryMsgBy/,
    apply: (text) =>
      text
        .replace(/^((?:Born|Store) Timestamp: +)\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}$/gm, '$1YYYY-MM-DD hh:mm:ss,mmm')
        .replace(/^(Born Host: +127\.0\.0\.1:)\d{4,5}$/gm, '$1PORT'),
  },
  {
    name: 'queryMsgByKey: the hour in the key of an index that is not used',
    of: /^queryMsgByKey/,
    apply: (text) => text.replace(/ \d{8}00000@/g, ' HOUR@'),
  },
  {
    name: 'queryMsgByOffset: the port of the tool, in a refusal',
    of: /^queryMsgByOffset/,
    apply: (text) => text.replace(/(consumer:\[\/127\.0\.0\.1:)\d{4,5}\]/, '$1PORT]'),
  },
  {
    name: 'printMsg: when a message was born and stored, and the port of its producer',
    of: /^printMsg/,
    apply: (text) =>
      text
        .replace(/(bornTimestamp|storeTimestamp)=\d{13},/g, '$1=MOMENT,')
        .replace(/(bornHost=\/127\.0\.0\.1:)\d{4,5},/g, '$1PORT,'),
  },
  {
    name: 'brokerStatus: what is measured, each key by the form of its value',
    of: /^brokerStatus/,
    apply: (text) => text.replace(/^(\S+ +)?(\S+?)( *: )(.*)$/gm, measured),
  },
]

/** The ports of a run all have five digits. */
function portReplaced(address: string, word: string): string {
  return address.replace(/\d{5}$/, word)
}

/** Replaces the cells of one column, up to the next heading, where they have the form of a measurement. */
function replaceColumn(text: string, heading: string, form: RegExp, replacement: (cell: string) => string): string {
  const lines = text.split('\n')
  const head = lines[0]!
  const from = head.indexOf(heading)
  if (from < 0) return text
  const next = head.indexOf('#', from + 1)
  return lines
    .map((line, index) => {
      if (index === 0 || line.length <= from) return line
      const to = next < 0 ? line.length : next
      const cell = line.slice(from, to)
      return form.test(cell) ? line.slice(0, from) + replacement(cell) + line.slice(to) : line
    })
    .join('\n')
}

const aDouble = String.raw`\d+\.\d+(E-?\d+)?`
/** Over 10, 60 and 600 s: empty until so much time has passed. */
const rates = new RegExp(`^(${aDouble})? (${aDouble})? (${aDouble})?$`)
const moment = /^\d{13}$/
const share = /^[01]\.\d{1,2}$/
const wholeMs = /^\d+$/
const quantileMs = /^\d+\.\d\d$/
/** Of the last whole minute: Java's word for nothing before there was one. */
const latencies =
  /^(null|\[<=0ms\]:\d+ \[0~10ms\]:\d+ \[10~50ms\]:\d+ \[50~100ms\]:\d+ \[100~200ms\]:\d+ \[200~500ms\]:\d+ \[500ms~1s\]:\d+ \[1~2s\]:\d+ \[2~3s\]:\d+ \[3~4s\]:\d+ \[4~5s\]:\d+ \[5~10s\]:\d+ \[10s~\]:\d+ )$/

/** Keys of brokerStatus that measure time, speed or the machine. A value of another form stays, and is a difference. */
const measurements: Readonly<Record<string, readonly [form: RegExp, word: string]>> = {
  bootTimestamp: [moment, 'MOMENT'],
  earliestMessageTimeStamp: [moment, 'MOMENT'],
  runtime: [/^\[ \d+ days, \d+ hours, \d+ minutes, \d+ seconds \]$/, '[ D days, H hours, M minutes, S seconds ]'],
  commitLogDirCapacity: [/^Total : \d+\.\d [KMGTPE]iB, Free : \d+\.\d [KMGTPE]iB\.$/, 'Total : SIZE, Free : SIZE.'],
  commitLogDiskRatio: [share, 'SHARE'],
  'commitLogDiskRatio_WORK/store/commitlog': [share, 'SHARE'],
  consumeQueueDiskRatio: [share, 'SHARE'],
  putTps: [rates, 'RATES'],
  getFoundTps: [rates, 'RATES'],
  getMissTps: [rates, 'RATES'],
  getTotalTps: [new RegExp(`^${aDouble} ${aDouble} ${aDouble}$`), 'RATES'],
  getTransferredTps: [rates, 'RATES'],
  putMessageDistributeTime: [latencies, 'COUNTS'],
  putLatency99: [quantileMs, 'MS'],
  putLatency999: [quantileMs, 'MS'],
  putMessageEntireTimeMax: [wholeMs, 'MS'],
  getMessageEntireTimeMax: [wholeMs, 'MS'],
}

function measured(line: string, address: string | undefined, key: string, colon: string, value: string): string {
  const [form, word] = measurements[key] ?? []
  return form?.test(value) ? `${address ?? ''}${key}${colon}${word}` : line
}

/** What was printed, as it is compared and as it is kept in `interop/expected/mqadmin`. */
export function normalise({ command, out, err }: Printed, places: Places): string {
  const apply = (text: string): string =>
    rules.filter(({ of }) => of.test(command)).reduce((current, rule) => rule.apply(current, places), text)
  const shown = rules[1]!.apply(rules[0]!.apply(command, places), places)
  return `$ mqadmin ${shown}\n${apply(out)}${err === '' ? '' : `--- standard error\n${apply(err)}`}`
}

/** Undefined when the same, or the lines around the first difference. */
export function difference(expected: string, got: string): string | undefined {
  if (expected === got) return undefined
  const [wanted, had] = [expected.split('\n'), got.split('\n')]
  let at = 0
  while (wanted[at] === had[at]) at++
  const show = (lines: string[]): string =>
    lines
      .slice(at, at + 4)
      .map((line) => `  ${JSON.stringify(line)}`)
      .join('\n')
  return `line ${at + 1} differs; expected\n${show(wanted)}\ngot\n${show(had)}`
}
