import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { describe, test } from 'node:test'
import { type AnyCommand, command } from './command.ts'
import { allCommands } from './commands/all.ts'
import type { AnyFields, Field } from './fields.ts'
import { FLAG_ONE_WAY, type Frame, FrameError, FrameReader, Serialize } from './frame.ts'
import { encodeRequestFrame, encodeResponseFrame } from './frame-encoder.ts'
import { languageCode, languageName } from './language.ts'
import { OutputBuffer } from './output-buffer.ts'

/**
 * Every frame recorded from Java: decoded it is the value that Java decoded, and our frame of that value is the same
 * bytes, but for the order of header fields where Java's is that of a hash map.
 */

interface Recorded {
  name: string
  code: number
  direction: 'request' | 'response'
  pair: number
  serialize: 'JSON' | 'ROCKETMQ'
  frameBase64: string
  header: {
    code: number
    language: string | null
    version: number
    opaque: number
    flag: number
    remark: string | null
    extFields: Record<string, string> | null
  }
  bodyUtf8?: string
  bodyBase64?: string
}

/**
 * What each file holds: frames; those whose request code is declared; of these, refusals that lack fields which an answer
 * must have; and those that we write with the fields in Java's order too, byte for byte. Exact, so that no frame is left
 * out unnoticed: who declares a command corrects its file's line.
 */
const COUNTS: Record<string, { frames: number; declared: number; refused: number; sameBytes: number }> = {
  acl: { frames: 85, declared: 31, refused: 6, sameBytes: 14 },
  'admin-broker': { frames: 38, declared: 20, refused: 0, sameBytes: 19 },
  'admin-group': { frames: 54, declared: 52, refused: 0, sameBytes: 39 },
  'admin-topic': { frames: 52, declared: 50, refused: 0, sameBytes: 34 },
  'binary-header': { frames: 108, declared: 98, refused: 11, sameBytes: 64 },
  controller: { frames: 98, declared: 8, refused: 0, sameBytes: 4 },
  errors: { frames: 248, declared: 140, refused: 34, sameBytes: 93 },
  ha: { frames: 29, declared: 18, refused: 0, sameBytes: 16 },
  heartbeat: { frames: 72, declared: 72, refused: 0, sameBytes: 66 },
  lock: { frames: 13, declared: 13, refused: 0, sameBytes: 13 },
  nameserver: { frames: 96, declared: 96, refused: 0, sameBytes: 79 },
  offset: { frames: 92, declared: 63, refused: 0, sameBytes: 30 },
  pull: { frames: 120, declared: 120, refused: 0, sameBytes: 0 },
  query: { frames: 10, declared: 10, refused: 0, sameBytes: 2 },
  'request-reply': { frames: 6, declared: 2, refused: 0, sameBytes: 1 },
  send: { frames: 98, declared: 94, refused: 0, sameBytes: 36 },
  transaction: { frames: 19, declared: 8, refused: 0, sameBytes: 3 },
}

/** Files of the folder that hold no frames of this form; other tests read them. */
const WITHOUT_FRAMES = ['hash-and-ids', 'header-codec', 'json-dialect', 'message-decode', 'message-encode']

/** Commands whose fields Java writes in one order into a binary header. @source FastCodesHeader.java */
const FIXED_ORDER: Record<Recorded['direction'], readonly string[]> = {
  request: ['SEND_MESSAGE_V2', 'SEND_BATCH_MESSAGE', 'PULL_MESSAGE', 'LITE_PULL_MESSAGE'],
  response: ['SEND_MESSAGE', 'SEND_MESSAGE_V2', 'SEND_BATCH_MESSAGE', 'PULL_MESSAGE', 'LITE_PULL_MESSAGE'],
}
const hasFixedOrder = ({ serialize, direction, header }: Recorded, { name }: AnyCommand): boolean =>
  (serialize === 'ROCKETMQ' && FIXED_ORDER[direction].includes(name)) || Object.keys(header.extFields ?? {}).length < 2

const folder = resolve(import.meta.dirname, '../../test/vectors/wire')
const commands = new Map(allCommands.map((command) => [command.code, command]))

function read<Row>(file: string): Row[] {
  const lines = readFileSync(resolve(folder, `${file}.jsonl`), 'utf8')
    .trim()
    .split('\n')
  return lines.map((line) => JSON.parse(line) as Row)
}

/** Pairs are unique over all files, and a response may lie in another file than its request. */
const files = readdirSync(folder)
  .filter((name) => name.endsWith('.jsonl'))
  .map((name) => name.slice(0, -'.jsonl'.length))
  .filter((name) => !WITHOUT_FRAMES.includes(name))
const recordings = new Map(files.map((file) => [file, read<Recorded>(file)]))
const requestCodes = new Map<number, number>()
for (const recorded of [...recordings.values()].flat())
  if (recorded.direction === 'request') requestCodes.set(recorded.pair, recorded.code)

function frameOf(bytes: Buffer): Frame {
  const frames: Frame[] = []
  new FrameReader().push(bytes, (frame) => frames.push(frame))
  assert.equal(frames.length, 1)
  return frames[0]!
}

const bodyOf = ({ bodyUtf8, bodyBase64 }: Recorded): Buffer =>
  bodyBase64 === undefined ? Buffer.from(bodyUtf8 ?? '', 'utf8') : Buffer.from(bodyBase64, 'base64')

/** The recorded fields as Java reads them: an empty value of a binary header is none. */
function fieldsOf({ header, serialize }: Recorded): Map<string, string | null> | undefined {
  if (header.extFields === null) return undefined
  const entries = Object.entries(header.extFields)
  return new Map(entries.map(([key, value]) => [key, serialize === 'ROCKETMQ' && value === '' ? null : value]))
}

/** What a field is worth, said apart from the compiled decoder. */
function meaningOf({ kind, fallback }: Field<unknown>, text: string | null | undefined): unknown {
  if (text === null || text === undefined) return fallback
  switch (kind) {
    case 'int':
      return Number.parseInt(text, 10)
    case 'long':
      return Math.max(Number.MIN_SAFE_INTEGER, Math.min(Number.MAX_SAFE_INTEGER, Number(BigInt(text))))
    case 'bool':
      return text.toLowerCase() === 'true'
    default:
      return text
  }
}

/** @returns the name of a field that is missing, or the values */
function expectedValues(fields: AnyFields, found: Map<string, string | null>): Record<string, unknown> | string {
  const values: Record<string, unknown> = {}
  for (const [name, field] of Object.entries(fields)) {
    const value = meaningOf(field, found.get(field.key ?? name))
    if (value === undefined && field.absence === 'refused') return name
    values[name] = value
  }
  return values
}

/** Bytes as text, so that values compare. */
const readable = (values: object): object =>
  Object.fromEntries(
    Object.entries(values).map(([name, value]) => [
      name,
      value instanceof Uint8Array ? Buffer.from(value).toString('utf8') : value,
    ]),
  )

/** @returns false when Java left out what the command needs, as in refusals: then the decoder must name it */
function checkDecoding(recorded: Recorded, command: AnyCommand, bytes: Buffer): boolean {
  const isRequest = recorded.direction === 'request'
  const decode = (frame: Frame): object => (isRequest ? command.decodeRequest(frame) : command.decodeResponse(frame))
  const fields: AnyFields = isRequest ? command.request : command.response
  const expected = expectedValues(fields, fieldsOf(recorded) ?? new Map())
  if (typeof expected === 'string') {
    const naming = { name: 'BadHeader', message: `${command.name} needs the header field '${expected}'` }
    assert.throws(() => decode(frameOf(bytes)), naming, recorded.name)
    return false
  }
  assert.deepEqual(readable(decode(frameOf(bytes))), expected, recorded.name)
  if (recorded.serialize === 'JSON') {
    // A blank in front sends the same header through the tolerant parser.
    const loose = Buffer.concat([bytes.subarray(0, 8), Buffer.from(' '), bytes.subarray(8)])
    loose.writeInt32BE(bytes.readInt32BE(0) + 1, 0)
    loose.writeUIntBE(bytes.readUIntBE(5, 3) + 1, 5, 3)
    assert.deepEqual(readable(decode(frameOf(loose))), expected, recorded.name)
  }
  return true
}

/** Our frame of the recorded value: declared fields by the command's encoder, others beside them. */
function encoded(recorded: Recorded, command: AnyCommand): Buffer {
  const { opaque, remark, extFields, language, version, flag, code } = recorded.header
  const left = new Map(Object.entries(extFields ?? {}))
  const header: Record<string, unknown> = {}
  const isRequest = recorded.direction === 'request'
  for (const [name, field] of Object.entries((isRequest ? command.request : command.response) as AnyFields)) {
    const key = field.key ?? name
    const value = left.get(key)
    if (value !== undefined) header[name] = field.kind === 'bytes' ? Buffer.from(value) : meaningOf(field, value)
    left.delete(key)
  }
  const body = bodyOf(recorded)
  const output = new OutputBuffer(16)
  const common = {
    opaque,
    ...(remark === null ? {} : { remark }),
    ...(left.size === 0 ? {} : { extra: Object.fromEntries(left) }),
    serialize: recorded.serialize === 'JSON' ? Serialize.JSON : Serialize.ROCKETMQ,
    bodySize: body.length,
  }
  const fields = extFields === null ? undefined : header
  if (isRequest) {
    const sent = { language: languageCode(language!), version, oneWay: flag === FLAG_ONE_WAY }
    encodeRequestFrame(output, command, fields, { ...common, ...sent })
  } else encodeResponseFrame(output, command, { ...common, code, header: fields })
  output.writeBytes(body)
  return output.take()
}

/** The recorded frame with what we say otherwise put in: Java's controller says version 0; beyond 2^53 a long saturates. */
function asWeSay({ direction, header, serialize }: Recorded, bytes: Buffer): Buffer {
  if (serialize === 'ROCKETMQ' && direction === 'response' && header.version === 0) {
    const changed = Buffer.from(bytes)
    changed.writeInt16BE(513, 8 + 3)
    return changed
  }
  const text = bytes.toString('latin1', 8)
  let ours = text.replace('"subVersion":"4611686018427387903"', '"subVersion":"9223372036854775807"')
  if (direction === 'response' && header.version === 0) ours = ours.replace('"version":0}', '"version":513}')
  if (ours === text) return bytes
  const changed = Buffer.concat([bytes.subarray(0, 8), Buffer.from(ours, 'latin1')])
  changed.writeInt32BE(bytes.readInt32BE(0) + ours.length - text.length, 0)
  changed.writeUIntBE(bytes.readUIntBE(5, 3) + ours.length - text.length, 5, 3)
  return changed
}

/** The bytes of a frame with its header fields sorted: the same for any order of fields, and only for that. */
function sorted(bytes: Buffer): { head: string; fields: string[]; tail: string } {
  const headerEnd = 8 + bytes.readUIntBE(5, 3)
  if (bytes[4] === Serialize.JSON) {
    const text = bytes.toString('utf8', 8, headerEnd)
    const opening = '"extFields":{'
    const at = text.indexOf(opening)
    if (at < 0) return { head: bytes.toString('latin1'), fields: [], tail: '' }
    const from = at + opening.length
    const members = text.slice(from).match(/^(?:,?"(?:[^"\\]|\\.)*":"(?:[^"\\]|\\.)*")*/)![0]
    return {
      head: bytes.toString('latin1', 0, 8) + text.slice(0, from),
      fields: [...members.matchAll(/"(?:[^"\\]|\\.)*":"(?:[^"\\]|\\.)*"/g)].map(([member]) => member).sort(),
      tail: text.slice(from + members.length) + bytes.toString('latin1', headerEnd),
    }
  }
  const fieldsAt = 8 + 17 + bytes.readInt32BE(8 + 13)
  const fields: string[] = []
  for (let at = fieldsAt + 4; at < headerEnd; ) {
    const valueAt = at + 2 + bytes.readUInt16BE(at)
    const end = valueAt + 4 + bytes.readInt32BE(valueAt)
    fields.push(bytes.toString('latin1', at, end))
    at = end
  }
  return {
    head: bytes.toString('latin1', 0, fieldsAt + 4),
    fields: fields.sort(),
    tail: bytes.toString('latin1', headerEnd),
  }
}

test('each file of frames is counted', () => {
  assert.deepEqual(files.toSorted(), Object.keys(COUNTS))
})

for (const [file, recordeds] of recordings) {
  describe(`${file}.jsonl`, () => {
    test('each frame says what Java reads in it', () => {
      for (const recorded of recordeds) {
        const frame = frameOf(Buffer.from(recorded.frameBase64, 'base64'))
        const { header, name } = recorded
        assert.equal(frame.code, header.code, name)
        assert.equal(languageName(frame.language) ?? null, header.language, name)
        assert.equal(frame.version, header.version, name)
        assert.equal(frame.opaque, header.opaque, name)
        assert.equal(frame.flag, header.flag, name)
        assert.equal(frame.isResponse, recorded.direction === 'response', name)
        assert.equal(frame.remark ?? null, header.remark, name)
        assert.deepEqual(frame.extFields(), fieldsOf(recorded), name)
        assert.deepEqual(frame.body, bodyOf(recorded), name)
      }
    })

    test('each header of a declared command is its recorded value, and our frame of that value its bytes', () => {
      const seen = { frames: recordeds.length, declared: 0, refused: 0, sameBytes: 0 }
      for (const recorded of recordeds) {
        const command = commands.get(requestCodes.get(recorded.pair)!)
        if (command === undefined) continue
        seen.declared++
        const bytes = Buffer.from(recorded.frameBase64, 'base64')
        if (!checkDecoding(recorded, command, bytes)) seen.refused++
        const ours = encoded(recorded, command)
        const expected = asWeSay(recorded, bytes)
        assert.deepEqual(sorted(ours), sorted(expected), recorded.name)
        if (ours.equals(expected)) seen.sameBytes++
        else assert.ok(!hasFixedOrder(recorded, command), recorded.name)
      }
      assert.deepEqual(seen, COUNTS[file])
    })
  })
}

describe('header-codec.jsonl', () => {
  interface Codec {
    name: string
    serialize: 'JSON' | 'ROCKETMQ'
    /** Not there when Java could not write it. */
    frameBase64: string | null
    error?: string
    input?: CodecHeader
    decoded?: CodecHeader
  }
  type CodecHeader = Recorded['header'] & { bodyBase64: string | null }
  const rows = read<Codec>('header-codec')
  const commandOf: Record<string, number> = {
    'header-class-send-v1': 10,
    'header-class-send-v2': 310,
    'header-class-send-response': 310,
    'header-class-pull': 11,
    'header-class-pull-response': 11,
  }

  const seenOf = (frame: Frame): CodecHeader => ({
    code: frame.code,
    language: languageName(frame.language) ?? null,
    version: frame.version,
    opaque: frame.opaque,
    flag: frame.flag,
    remark: frame.remark ?? null,
    extFields: frame.hasFields ? Object.fromEntries(frame.extFields() as Map<string, string>) : null,
    bodyBase64: frame.body.length === 0 ? null : frame.body.toString('base64'),
  })

  test('each header means to us what it means to Java, or is refused like there', () => {
    const seen = { decoded: 0, refused: 0 }
    for (const { name, serialize, frameBase64, error, decoded } of rows) {
      if (frameBase64 === null) continue
      const bytes = Buffer.from(frameBase64, 'base64')
      if (error !== undefined) {
        assert.throws(() => frameOf(bytes), FrameError, name)
        seen.refused++
        continue
      }
      // Java counts one up for a header without an opaque; that number means nothing.
      const expected =
        name === 'foreign/empty-object' ? { bodyBase64: null, ...decoded, opaque: 0 } : { bodyBase64: null, ...decoded }
      assert.deepEqual(seenOf(frameOf(bytes)), expected, `${name} ${serialize}`)
      seen.decoded++
    }
    assert.deepEqual(seen, { decoded: 127, refused: 3 })
  })

  test('each header that a peer may send is written as Java writes it', () => {
    let same = 0
    for (const { name, serialize, frameBase64, input } of rows) {
      // 0: request, 1: response, 2: one-way; no other is ever sent.
      if (frameBase64 === null || input === undefined || (input.flag & ~3) !== 0 || input.flag === 3) continue
      const bytes = Buffer.from(frameBase64, 'base64')
      const direction = (input.flag & 1) === 0 ? 'request' : 'response'
      const bodyBase64 = input.bodyBase64 ?? ''
      const extFields =
        input.extFields === null
          ? null
          : Object.fromEntries(Object.entries(input.extFields).filter(([, value]) => value !== null))
      const header = { ...input, extFields }
      const recorded: Recorded = {
        name,
        code: input.code,
        direction,
        pair: 0,
        serialize,
        frameBase64,
        header,
        bodyBase64,
      }
      const plain = command({ name, code: input.code, about: name, source: name })
      const declared = commands.get(commandOf[name] ?? -1) ?? plain
      assert.deepEqual(sorted(encoded(recorded, declared)), sorted(asWeSay(recorded, bytes)), `${name} ${serialize}`)
      same++
    }
    assert.equal(same, 113)
  })
})
