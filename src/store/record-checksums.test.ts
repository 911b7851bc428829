import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { encodeBatch } from '../protocol/batch.ts'
import { decodeMessages } from '../protocol/message.ts'
import { checkPropertyCrc } from '../protocol/property-crc.ts'
import { draftOf, openSimulatedStore, type SimulatedStore } from './simulated-store.ts'

const LOG = '/store/commitlog/00000000000000000000'

async function offsetsOf({ store, scheduler }: SimulatedStore): Promise<number[]> {
  const offsets: number[] = []
  store.read(
    { topic: 'orders', queueId: 0, offset: 0, maxCount: 32, maxBytes: 1_000_000, filter: undefined },
    ({ records }) => {
      for (const record of records) for (const message of decodeMessages(record)) offsets.push(message.queueOffset)
    },
  )
  await scheduler.advance(10)
  return offsets
}

describe('records that carry a checksum of the whole', () => {
  test('single and in batches; a bit flipped in any of their fields is noticed, and said once', async () => {
    const settings = { enabledAppendPropCRC: 'true' }
    const written = await openSimulatedStore(settings)
    for (const properties of ['', 'a\u0001b', 'TAGS\u0001t\u0002']) written.store.append(draftOf({ properties }))
    const element = { flag: 0, body: Buffer.from('in a batch'), properties: Buffer.from('k\u0001v\u0002') }
    written.store.append({ ...draftOf({ batch: true }), body: encodeBatch([element, element]) })
    await written.scheduler.settle()
    const entries = written.store.entries('orders', 0, 0, 10)
    assert.equal(entries.length, 5)
    for (const { position, sizeBytes } of entries) {
      assert.equal(checkPropertyCrc(written.store.recordAt(position)!, 0, sizeBytes), 'right')
    }
    assert.equal(written.store.recordAt(entries[2]!.position)!.includes('TAGS\u0001t\u0002__CRC32#\u0001'), true)
    await written.close()

    // The time at which it was born, which no other checksum covers.
    const file = written.disk.openSync(LOG, 'write')
    const byte = Buffer.alloc(1)
    file.readSync(byte, entries[1]!.position + 47)
    byte[0]! ^= 1
    file.writeSync(byte, entries[1]!.position + 47)
    const reopened = await written.reopen()
    assert.deepEqual(await offsetsOf(reopened), [0, 2, 3, 4])
    assert.deepEqual(await offsetsOf(reopened), [0, 2, 3, 4])
    assert.equal(reopened.store.recordAt(entries[1]!.position), undefined)
    assert.equal(reopened.probes.read().find(({ name }) => name === 'store.damagedRecords')?.value, 2)
    await reopened.close()
  })

  test('stand beside records that were stored without', async () => {
    const before = await openSimulatedStore()
    before.store.append(draftOf())
    await before.close()
    const after = await before.reopen({ enabledAppendPropCRC: 'true' })
    after.store.append(draftOf())
    await after.close()
    const reopened = await after.reopen({ enabledAppendPropCRC: 'true' })
    assert.deepEqual(await offsetsOf(reopened), [0, 1])
    await reopened.close()
  })
})
