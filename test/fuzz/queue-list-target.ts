import assert from 'node:assert/strict'
import { SeededRandom } from '../../src/base/random.ts'
import { QueueList } from '../../src/store/queue-list.ts'
import { QueueTable } from '../../src/store/queue-table.ts'
import { storePaths } from '../../src/store/store-paths.ts'
import type { FuzzTarget } from './fuzz-target.ts'
import { mutate } from './mutation.ts'
import { QUEUE_FILE_BYTES, ROOT, readFile, seedStore, writeFile } from './seed-store.ts'

/** The list of queues that a clean stop leaves: ours alone. */
export const queueListTarget: FuzzTarget = {
  name: 'queueList',
  about: 'the list of queues: believed whole, or not at all',
  async prepare() {
    const { clean, logEnd } = await seedStore()
    const paths = storePaths(ROOT, '')
    const original = readFile(clean, paths.queueList)
    const mark = {
      logMin: original.readDoubleBE(24),
      logEnd: original.readDoubleBE(32),
      logicsPhysicalOffset: original.readDoubleBE(40),
      physicMsgTimestamp: original.readDoubleBE(48),
      fileBytes: QUEUE_FILE_BYTES,
    }
    assert.equal(mark.logEnd, logEnd)
    const load = (disk: typeof clean): QueueTable | undefined => {
      const table = new QueueTable()
      const list = new QueueList({ disk, path: paths.queueList, directory: paths.consumeQueues, table })
      const pathOf = (topic: string, queueId: number, file: number): string =>
        `${paths.consumeQueues}/${topic}/${queueId}/${String(file * QUEUE_FILE_BYTES).padStart(20, '0')}`
      if (list.load(mark, pathOf)) return table
      assert.equal(table.count, 0, 'a list that is refused leaves nothing')
      return undefined
    }
    const healthy = described(load(clean)!)
    return ({ random, input }) => {
      const bytes = mutate(random, original)
      input(paths.queueList, bytes)
      const disk = clean.image(new SeededRandom(1))
      writeFile(disk, paths.queueList, bytes)
      const table = load(disk)
      if (table === undefined) return 'refused'
      assert.deepEqual(described(table), healthy)
      return 'believed'
    }
  },
}

const described = (table: QueueTable): string[] =>
  Array.from({ length: table.count }, (_, queue) =>
    [
      table.topicOf(queue)?.name,
      table.queueId[queue],
      table.firstFile[queue],
      table.lastFile[queue],
      table.max[queue],
      table.min[queue],
      table.lastPosition[queue],
    ].join(' '),
  )
