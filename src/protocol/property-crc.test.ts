import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { checkPropertyCrc, withPropertyCrc, writePropertyCrc } from './property-crc.ts'

/** The example of the format's description, with the option on: 143 bytes, checksum 492469474. */
function example(): Buffer {
  const record = Buffer.concat([
    Buffer.from(
      '0000008fdaa320a73610a686000000030000000000000000000000070000000000001000000000000000018bcfe568000a0000010000c350' +
        '0000018bcfe568010a00000200002a9f0000000000000000000000000000000568656c6c6f09546f706963546573740026',
      'hex',
    ),
    withPropertyCrc(Buffer.from('KEYS\u0001k1\u0002TAGS\u0001TagA\u0002')),
  ])
  writePropertyCrc(record, 0, record.length)
  return record
}

describe('the checksum of a whole record', () => {
  test('is written as Java writes it', () => {
    assert.equal(example().length, 143)
    assert.equal(example().subarray(-20).toString('hex'), '5f5f43524333322301343734393634323934' + '3002')
  })

  test('notices every single bit', () => {
    const record = example()
    assert.equal(checkPropertyCrc(record, 0, record.length), 'right')
    for (let bit = 0; bit < record.length * 8; bit++) {
      record[bit >> 3]! ^= 1 << (bit & 7)
      assert.equal(checkPropertyCrc(record, 0, record.length), 'wrong', `bit ${bit}`)
      record[bit >> 3]! ^= 1 << (bit & 7)
    }
    assert.equal(checkPropertyCrc(record, 0, record.length - 20), 'absent')
  })

  test('comes behind a separator that the properties lack', () => {
    assert.equal(
      withPropertyCrc(Buffer.from('a\u0001b')).toString('latin1').slice(0, 13),
      'a\u0001b\u0002__CRC32#\u0001',
    )
    assert.equal(withPropertyCrc(Buffer.alloc(0)).length, 20)
  })
})
