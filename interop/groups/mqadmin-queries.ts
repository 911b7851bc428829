import type { Step } from './mqadmin.ts'

const keyed = 'AdminKeyed'

/** Messages by key, by id, by offset and all of them: of a topic of its own, whose messages a driver sends. */
export const querySteps: readonly Step[] = [
  ['query-updateTopic', `updateTopic -b BROKER -t ${keyed} -r 2 -w 2`],
  (driver, ns) => driver.must('await-route', { ns, topic: keyed, queues: 2 }),
  async (driver, ns, words) => {
    const { uniqueIds, offsetIds } = await driver.must('keyed', { ns, topic: keyed })
    for (const [index, id] of (uniqueIds as string[]).entries()) words.set(`UNIQUE-ID-${index}`, id)
    for (const [index, id] of (offsetIds as string[]).entries()) words.set(`OFFSET-ID-${index}`, id)
  },

  ['queryMsgByKey', `queryMsgByKey -t ${keyed} -k one`],
  ['queryMsgByKey-second', `queryMsgByKey -t ${keyed} -k two`],
  ['queryMsgByKey-same-hash', `queryMsgByKey -t ${keyed} -k Aa`],
  ['queryMsgByKey-letters', `queryMsgByKey -t ${keyed} -k слово`],
  ['queryMsgByKey-unique', `queryMsgByKey -t ${keyed} -k UNIQUE-ID-0`],
  ['queryMsgByKey-one', `queryMsgByKey -t ${keyed} -k one -m 1`],
  ['queryMsgByKey-cluster', `queryMsgByKey -t ${keyed} -k one -c DefaultCluster`],
  ['queryMsgByKey-before', `queryMsgByKey -t ${keyed} -k one -b 0 -e 1000`],
  ['queryMsgByKey-none', `queryMsgByKey -t ${keyed} -k three`],
  ['queryMsgByKey-unknown', 'queryMsgByKey -t AdminUnknown -k one'],

  ['queryMsgByUniqueKey', `queryMsgByUniqueKey -t ${keyed} -i UNIQUE-ID-1`],
  ['queryMsgByUniqueKey-all', `queryMsgByUniqueKey -t ${keyed} -i UNIQUE-ID-1 -a`],
  ['queryMsgByUniqueKey-bare', `queryMsgByUniqueKey -t ${keyed} -i UNIQUE-ID-2`],
  ['queryMsgByUniqueKey-none', `queryMsgByUniqueKey -t ${keyed} -i 7F0000010001000000000000000000FF`],
  ['queryMsgByUniqueKey-key', `queryMsgByUniqueKey -t ${keyed} -i one`],

  ['queryMsgById', `queryMsgById -t ${keyed} -i OFFSET-ID-0`],
  ['queryMsgById-bare', `queryMsgById -t ${keyed} -i OFFSET-ID-2`],
  ['queryMsgById-letters', `queryMsgById -t ${keyed} -i OFFSET-ID-5`],
  ['queryMsgById-several', `queryMsgById -t ${keyed} -i OFFSET-ID-3,OFFSET-ID-4`],
  ['queryMsgById-unique', `queryMsgById -t ${keyed} -i UNIQUE-ID-0`],
  ['queryMsgById-none', `queryMsgById -t ${keyed} -i 7F000001000000010000000000000001`],

  ['queryMsgByOffset', `queryMsgByOffset -t ${keyed} -b broker-a -i 0 -o 1`],
  ['queryMsgByOffset-last', `queryMsgByOffset -t ${keyed} -b broker-a -i 1 -o 1`],
  ['queryMsgByOffset-behind', `queryMsgByOffset -t ${keyed} -b broker-a -i 1 -o 2`],
  ['queryMsgByOffset-queue', `queryMsgByOffset -t ${keyed} -b broker-a -i 7 -o 0`],

  ['queryCq', `queryCq -t ${keyed} -q 0 -i 0 -b BROKER`],
  ['queryCq-some', `queryCq -t ${keyed} -q 0 -i 1 -c 2 -b BROKER`],
  ['queryCq-route', `queryCq -t ${keyed} -q 1 -i 0 -c 1`],
  ['queryCq-behind', `queryCq -t ${keyed} -q 1 -i 9 -c 1 -b BROKER`],
  ['queryCq-before', `queryCq -t ${keyed} -q 1 -i -3 -c 9 -b BROKER`],
  ['queryCq-group', `queryCq -t ${keyed} -q 1 -i 0 -g admin_unknown -b BROKER`],
  ['queryCq-queue', `queryCq -t ${keyed} -q 7 -i 0 -b BROKER`],
  ['queryCq-unknown', 'queryCq -t AdminUnknown -q 0 -i 0 -b BROKER'],

  ['printMsg', `printMsg -t ${keyed}`],
  ['printMsg-bodies', `printMsg -t ${keyed} -d true`],
  ['printMsg-tag', `printMsg -t ${keyed} -s blue`],
  ['printMsg-unknown', 'printMsg -t AdminUnknown'],
  ['printMsgByQueue', `printMsgByQueue -t ${keyed} -a broker-a -i 0 -p true -d true`],
  ['printMsgByQueue-tags', `printMsgByQueue -t ${keyed} -a broker-a -i 0 -f true`],
]
