import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { hostText } from './message.ts'
import { decodeOffsetMessageId, hexOfHost, hexOfPosition, offsetMessageId, UniqueIds } from './message-id.ts'

interface Row {
  kind: string
  msgId: string
  port: number
  offset: string
  decodedHost: string
  decodedOffset: string
  id: string
  ip: string
  pid: number
  counterHex: string
}

const lines = readFileSync(resolve(import.meta.dirname, '../../test/vectors/wire/hash-and-ids.jsonl'), 'utf8')
  .trim()
  .split('\n')
const rows = lines.map((line) => JSON.parse(line) as Row)

/** From the form that Java prints. */
function addressOf(host: string): Buffer {
  if (!host.includes(':')) return Buffer.from(host.split('.').map(Number))
  return Buffer.concat(host.split(':').map((group) => Buffer.from(group.padStart(4, '0'), 'hex')))
}

describe('an offset message id', () => {
  test("is Java's, both ways", () => {
    const ids = rows.filter(({ kind }) => kind === 'offsetMsgId')
    assert.equal(ids.length, 5)
    for (const { msgId, port, offset, decodedHost, decodedOffset } of ids) {
      const address = addressOf(decodedHost.split(' ')[0]!)
      assert.equal(offsetMessageId({ address, port }, BigInt(offset)), msgId)
      assert.equal(hexOfHost({ address, port }) + hexOfPosition(BigInt(offset)), msgId)
      const decoded = decodeOffsetMessageId(msgId)
      // No log of ours has a position beyond 2^53.
      if (BigInt(decodedOffset) > BigInt(Number.MAX_SAFE_INTEGER)) {
        assert.equal(decoded, undefined)
        continue
      }
      assert.equal(`${hostText(decoded!.address)} ${decoded!.port}`, decodedHost)
      assert.equal(decoded!.position, Number(decodedOffset))
    }
  })

  test('comes back the same, for hosts of both kinds, in letters of either case', () => {
    const address = fc.constantFrom(4, 16).chain((size) => fc.uint8Array({ minLength: size, maxLength: size }))
    fc.assert(
      fc.property(address, fc.integer(), fc.maxSafeNat(), (bytes, port, position) => {
        const id = offsetMessageId({ address: bytes, port }, position)
        assert.equal(id.length, bytes.length === 4 ? 32 : 56)
        assert.match(id, /^[0-9A-F]+$/)
        const expected = { address: Buffer.from(bytes), port, position }
        assert.deepEqual(decodeOffsetMessageId(id), expected)
        assert.deepEqual(decodeOffsetMessageId(id.toLowerCase()), expected)
      }),
    )
  })

  test('of another form is none', () => {
    const id = '7F00000100002A9F0000000000000000'
    assert.ok(decodeOffsetMessageId(id))
    const others = [
      '',
      'x',
      id.slice(1),
      `${id}0`,
      `${id}\n`,
      ` ${id.slice(1)}`,
      id.replace('F', 'G'),
      id.repeat(2),
      `${id.slice(0, 16)}8000000000000000`,
    ]
    for (const other of others) assert.equal(decodeOffsetMessageId(other), undefined, JSON.stringify(other))
  })
})

describe('a unique id', () => {
  const address = Buffer.from([127, 0, 0, 1])
  const monthStart = new Date(2026, 10, 1).getTime()
  const make = (now: () => number, options: { address?: Buffer; pid?: number } = {}): UniqueIds =>
    new UniqueIds({ address, pid: 678, instance: 0x3094_6e09, now, ...options })

  test('has the parts of Java where Java has them', () => {
    const recorded = rows.filter(({ kind }) => kind === 'uniqId')
    assert.equal(recorded.length, 3)
    for (const { id, ip, pid, counterHex } of recorded) {
      assert.equal(ip, '127.0.0.1')
      const elapsedMs = Number.parseInt(id.slice(20, 28), 16)
      const ids = make(() => monthStart + elapsedMs, { pid })
      // Java counts from 0, we from 1.
      const made = [ids.next(), ids.next()]
      assert.deepEqual(
        made,
        ['0001', '0002'].map((counter) => id.slice(0, 28) + counter),
      )
      assert.equal(id.slice(28), counterHex)
    }
  })

  test('is of 56 letters for a host of IPv6', () => {
    const id = make(() => monthStart, { address: Buffer.alloc(16, 0xab) }).next()
    assert.equal(id, `${'AB'.repeat(16)}02A630946E09000000000001`)
  })

  test('is another one each time, also within a millisecond', () => {
    const ids = make(() => monthStart + 5)
    const made = new Set(Array.from({ length: 65_536 }, () => ids.next()))
    assert.equal(made.size, 65_536)
  })

  test('takes the low half of a process id', () => {
    assert.equal(
      make(() => monthStart, { pid: 0x12_3456 })
        .next()
        .slice(8, 12),
      '3456',
    )
  })

  test('counts milliseconds from the first day of the month, here, and anew in the next', () => {
    let now = monthStart
    const ids = make(() => now)
    const elapsed = (): number => Number.parseInt(ids.next().slice(20, 28), 16)
    assert.equal(elapsed(), 0)
    now += 1_234
    assert.equal(elapsed(), 1_234)
    now = new Date(2026, 11, 1).getTime() - 1
    assert.equal(elapsed(), now - monthStart)
    now++
    assert.equal(elapsed(), 0)
    now = new Date(2027, 0, 15).getTime()
    assert.equal(elapsed(), now - new Date(2027, 0, 1).getTime())
    // A clock that was set back.
    now = monthStart + 7
    assert.equal(elapsed(), 7)
  })
})
