import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { SeededRandom } from '../base/random.ts'
import { binaryField, binaryHeader, Echo, echoFrame, frameOf, type House, house, until } from './harness.contract.ts'

/**
 * What a peer may send that is wrong, by name, and what becomes of it: `closed` with a reason in the log, the response
 * codes it is answered with, or `waits` where a frame may still become whole.
 */
interface BadInput {
  bytes: Buffer
  becomes: 'waits' | RegExp | readonly number[]
}

const length = (value: number, rest: Buffer = Buffer.alloc(64)): Buffer => {
  const four = Buffer.alloc(4)
  four.writeInt32BE(value | 0, 0)
  return Buffer.concat([four, rest])
}
/** A frame whose second word is given: serialize type and header length. */
const typed = (type: number, headerBytes: number, rest: Buffer): Buffer => {
  const word = Buffer.alloc(4)
  word.writeUInt32BE(((type << 24) | headerBytes) >>> 0, 0)
  return length(4 + rest.length, Buffer.concat([word, rest]))
}
const json = (header: string | Buffer): Buffer => frameOf(0, Buffer.from(header as string))
const binary = (parts: Parameters<typeof binaryHeader>[0]): Buffer => frameOf(1, binaryHeader(parts))
const echoOf = (extFields: string): Buffer => json(`{"code":9001,"opaque":5,"extFields":${extFields}}`)
const text = (said: string): Buffer => Buffer.from(said, 'latin1')
const clientHello = Buffer.from('16030100c8010000c40303', 'hex')
const good = echoFrame(1)
const OK = 0
const ERROR = 1
const UNKNOWN = 3

const frames: Record<string, BadInput> = {
  'a length of 0': { bytes: length(0), becomes: /a frame of length 0; it has 4 bytes at least/ },
  'a length of 1': { bytes: length(1), becomes: /a frame of length 1;/ },
  'a length of 3': { bytes: length(3), becomes: /a frame of length 3;/ },
  'a length of -1': { bytes: length(-1), becomes: /the first byte is 0xff, and no frame is that long/ },
  'a length of 2^31 - 1': { bytes: length(0x7fff_ffff), becomes: /the first byte is 0x7f/ },
  'a length of -2^31': { bytes: length(0x8000_0000), becomes: /the first byte is 0x80/ },
  'a length of 16 Mi': { bytes: length(0x0100_0000), becomes: /the first byte is 0x01/ },
  'one byte more than the limit': { bytes: length(16_777_213), becomes: /16777217 bytes; 16777216 are allowed/ },
  'a length at the limit, and no more': {
    bytes: length(16_777_212, typed(0, 10, Buffer.alloc(9)).subarray(4)),
    becomes: 'waits',
  },
  'a length behind a good frame that is none': {
    bytes: Buffer.concat([good, length(0x7fff_ffff)]),
    becomes: /a frame of 2147483651 bytes/,
  },
  'a header longer by one than the frame': {
    bytes: typed(0, 65, Buffer.alloc(64)),
    becomes: /a header of 65 bytes in a frame of 72/,
  },
  'a header of 16 Mi in a small frame': {
    bytes: typed(0, 0xff_ffff, Buffer.alloc(64)),
    becomes: /a header of 16777215 bytes/,
  },
  'an empty header': { bytes: typed(0, 0, Buffer.alloc(0)), becomes: /the header is not a JSON object/ },
  'an empty header before a body': { bytes: typed(0, 0, Buffer.alloc(64)), becomes: /the header is not a JSON object/ },
  'an empty binary header': {
    bytes: typed(1, 0, Buffer.alloc(64)),
    becomes: /a binary header of 0 bytes; it has 21 at least/,
  },
  'serialize type 2': { bytes: typed(2, 2, text('{}')), becomes: /serialize type 2; 0 and 1 are known/ },
  'serialize type 127': { bytes: typed(127, 2, text('{}')), becomes: /serialize type 127/ },
  'serialize type 128': { bytes: typed(128, 2, text('{}')), becomes: /serialize type 128/ },
  'serialize type 255': { bytes: typed(255, 2, text('{}')), becomes: /serialize type 255/ },
  'half a good frame': { bytes: good.subarray(0, good.length / 2), becomes: 'waits' },
  'three bytes': { bytes: good.subarray(0, 3), becomes: 'waits' },
  'garbage behind a good frame': {
    bytes: Buffer.concat([good, Buffer.alloc(99, 0xee)]),
    becomes: /a frame of length -286331154/,
  },
  zeros: { bytes: Buffer.alloc(100), becomes: /a frame of length 0/ },
  'random bytes': { bytes: new SeededRandom(5).bytes(1_000), becomes: /the first byte is 0x/ },
}

const otherProtocols: Record<string, BadInput> = {
  'a TLS hello': { bytes: Buffer.concat([clientHello, Buffer.alloc(200)]), becomes: /looks like TLS/ },
  'half a TLS hello': { bytes: clientHello, becomes: /looks like TLS/ },
  'the first byte of a TLS hello': { bytes: clientHello.subarray(0, 1), becomes: /looks like TLS/ },
  'an SSL 2 hello': { bytes: Buffer.from('802e0100020015', 'hex'), becomes: /the first byte is 0x80/ },
  'an HTTP GET': { bytes: text('GET / HTTP/1.1\r\nHost: x\r\n\r\n'), becomes: /looks like HTTP/ },
  'an HTTP POST': { bytes: text('POST /topics HTTP/1.1\r\n'), becomes: /looks like HTTP/ },
  'an HTTP DELETE': { bytes: text('DELETE /topics HTTP/1.1\r\n'), becomes: /looks like HTTP/ },
  'an HTTP/2 preface': { bytes: text('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), becomes: /looks like HTTP/ },
  'the first letter of an HTTP request': { bytes: text('G'), becomes: /looks like HTTP/ },
  'a PROXY header in text': {
    bytes: Buffer.concat([text('PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n'), good]),
    becomes: /looks like a PROXY protocol header|looks like HTTP/,
  },
  'a PROXY header in binary': {
    bytes: Buffer.concat([text('\r\n\r\n\0\r\nQUIT\n'), Buffer.alloc(20)]),
    becomes: /looks like a PROXY protocol header/,
  },
  SSH: { bytes: text('SSH-2.0-OpenSSH_9.6\r\n'), becomes: /the first byte is 0x53/ },
  AMQP: { bytes: text('AMQP\0\0\x09\x01'), becomes: /the first byte is 0x41/ },
  Redis: { bytes: text('*1\r\n$4\r\nPING\r\n'), becomes: /the first byte is 0x2a/ },
  'a Kafka request': {
    bytes: Buffer.from('00000014001200030000000100046b61666b6100000000000000', 'hex'),
    becomes: /a header of 1179651 bytes/,
  },
}

const jsonHeaders: Record<string, BadInput> = {
  'a word': { bytes: json('hello'), becomes: /the header is not JSON/ },
  'half an object': { bytes: json('{"code":9001,"opaque":5'), becomes: /the header is not JSON/ },
  'an array': { bytes: json('[]'), becomes: /the header is not a JSON object/ },
  'a number': { bytes: json('9001'), becomes: /the header is not a JSON object/ },
  null: { bytes: json('null'), becomes: /the header is not a JSON object/ },
  text: { bytes: json('"code"'), becomes: /the header is not a JSON object/ },
  blanks: { bytes: json('    '), becomes: /the header is not a JSON object/ },
  'NUL bytes': { bytes: json('\0\0\0\0'), becomes: /the header is not JSON/ },
  'an empty object': { bytes: json('{}'), becomes: [UNKNOWN] },
  'text behind the object': { bytes: json('{"code":9001,"opaque":5}x'), becomes: /the header is not JSON/ },
  'two objects': { bytes: json('{"code":9001,"opaque":5}{}'), becomes: /the header is not JSON/ },
  'keys without quotes': { bytes: json('{code:9001,opaque:5}'), becomes: /the header is not JSON/ },
  'text that does not end': { bytes: json('{"code":9001,"remark":"abc}'), becomes: /the header is not JSON/ },
  'an escape that is none': { bytes: json('{"code":9001,"remark":"\\q"}'), becomes: /the header is not JSON/ },
  'a code in quotes': { bytes: json('{"code":"9001","opaque":"5"}'), becomes: [OK] },
  'a word for a code': { bytes: json('{"code":"abc","opaque":5}'), becomes: /code is not a number/ },
  'an object for a code': { bytes: json('{"code":{},"opaque":5}'), becomes: /code is not a number/ },
  'null for a code': { bytes: json('{"code":null,"opaque":5}'), becomes: [UNKNOWN] },
  'no code': { bytes: json('{"opaque":5}'), becomes: [UNKNOWN] },
  'a negative code': { bytes: json('{"code":-1,"opaque":5}'), becomes: [UNKNOWN] },
  'the largest code': { bytes: json('{"code":2147483647,"opaque":5}'), becomes: [UNKNOWN] },
  'a code beyond 32 bits': { bytes: json('{"code":2147483648,"opaque":5}'), becomes: /code is beyond 32 bits/ },
  'a code of 2^53 + 1': { bytes: json('{"code":9007199254740993,"opaque":5}'), becomes: /code is beyond 32 bits/ },
  'a code of 1e400': { bytes: json('{"code":1e400,"opaque":5}'), becomes: /closed/ },
  'a code that is NaN': { bytes: json('{"code":NaN,"opaque":5}'), becomes: /closed/ },
  'a code in hexadecimal': { bytes: json('{"code":0x10,"opaque":5}'), becomes: /closed/ },
  'a code with a plus': { bytes: json('{"code":+9001,"opaque":5}'), becomes: [OK] },
  'no opaque': { bytes: json('{"code":9001}'), becomes: [OK] },
  'a negative opaque': { bytes: json('{"code":9001,"opaque":-2147483648}'), becomes: [OK] },
  'an opaque beyond 32 bits': { bytes: json('{"code":9001,"opaque":4294967296}'), becomes: /opaque is beyond 32 bits/ },
  'the same opaque twice': { bytes: Buffer.concat([good, good]), becomes: [OK, OK] },
  'a response that nobody asked for': { bytes: echoFrame(77, 'x', 1), becomes: [] },
  'a one-way response': { bytes: echoFrame(77, 'x', 3), becomes: [] },
  'all flags': { bytes: echoFrame(77, 'x', -1), becomes: [] },
  'one-way with a code of which nobody knows': { bytes: json('{"code":12345,"flag":2,"opaque":5}'), becomes: [] },
  'a word for flags': { bytes: json('{"code":9001,"flag":"x","opaque":5}'), becomes: /flag is not a number/ },
  'a language that nobody speaks': { bytes: json('{"code":9001,"language":"KLINGON","opaque":5}'), becomes: [OK] },
  'a language by number': { bytes: json('{"code":9001,"language":99,"opaque":5}'), becomes: [OK] },
  'an object for a language': { bytes: json('{"code":9001,"language":{},"opaque":5}'), becomes: [OK] },
  'a version of the far future': { bytes: json('{"code":9001,"version":2147483647,"opaque":5}'), becomes: [OK] },
  'text for fields': { bytes: echoOf('"word"'), becomes: /extFields is not an object/ },
  'an array for fields': { bytes: echoOf('["word"]'), becomes: /extFields is not an object/ },
  'null for fields': { bytes: echoOf('null'), becomes: [OK] },
  'no fields': { bytes: echoOf('{}'), becomes: [OK] },
  'numbers and truths for text': { bytes: echoOf('{"word":5,"times":2,"x":true}'), becomes: [OK] },
  'null, object and array for text': { bytes: echoOf('{"word":null,"x":{"y":[1]},"z":[]}'), becomes: [OK] },
  'a word for a number': { bytes: echoOf('{"times":"two"}'), becomes: [ERROR] },
  'a number beyond 32 bits': { bytes: echoOf('{"times":"99999999999"}'), becomes: [ERROR] },
  'a key twice': { bytes: echoOf('{"word":"a","word":"b"}'), becomes: [OK] },
  'fields twice': {
    bytes: json('{"code":9001,"opaque":5,"extFields":{"word":"a"},"extFields":{"word":"b"}}'),
    becomes: [OK],
  },
  'names of JavaScript': {
    bytes: echoOf('{"__proto__":"a","constructor":"b","toString":"c","hasOwnProperty":"d"}'),
    becomes: [OK],
  },
  'names of JavaScript beside the code': {
    bytes: json('{"__proto__":{"code":1,"opaque":9},"constructor":{},"code":9001,"opaque":5}'),
    becomes: [OK],
  },
  'lone surrogates': { bytes: echoOf('{"word":"\\ud800","\\udfff":"x"}'), becomes: [OK] },
  'every letter escaped': {
    bytes: json('{"\\u0063\\u006f\\u0064\\u0065":9001,"opaque":5,"extFields":{"\\u0077ord":"\\u0041"}}'),
    becomes: [OK],
  },
  'bytes that are no UTF-8': {
    bytes: frameOf(0, text('{"code":9001,"opaque":5,"extFields":{"word":"\xff\xfe\xc0\x80"}}')),
    becomes: [OK],
  },
  'a byte order mark': { bytes: json('\ufeff{"code":9001,"opaque":5}'), becomes: /closed/ },
  'control characters in text': { bytes: echoOf('{"word":"a\u0001\u0002\n"}'), becomes: [OK] },
  '300 fields': {
    bytes: echoOf(`{${Array.from({ length: 300 }, (_, at) => `"k${at}":"v"`).join(',')}}`),
    becomes: [OK],
  },
  '20,000 fields': {
    bytes: echoOf(`{${Array.from({ length: 20_000 }, (_, at) => `"${at.toString(36)}":""`).join(',')}}`),
    becomes: /more than 4096 values/,
  },
  '1,000,000 fields': {
    bytes: echoOf(`{${Array.from({ length: 1_000_000 }, (_, at) => `"${at.toString(36)}":""`).join(',')}}`),
    becomes: /bytes in an unusual shape; 262144 are allowed/,
  },
  'arrays 100,000 deep': { bytes: json(`{"code":9001,"x":${'['.repeat(100_000)}`), becomes: /the header is not JSON/ },
  'objects 40,000 deep among the fields': {
    bytes: echoOf(`{"x":${'{"a":'.repeat(40_000)}1${'}'.repeat(40_001)}`),
    becomes: /the header is not JSON/,
  },
  'a remark of 8 MiB': { bytes: json(`{"code":9001,"opaque":5,"remark":"${'r'.repeat(8_388_608)}"}`), becomes: [OK] },
}

const binaryHeaders: Record<string, BadInput> = {
  'one byte short': { bytes: frameOf(1, binaryHeader().subarray(0, 20)), becomes: /a binary header of 20 bytes/ },
  'a remark of -1 bytes': { bytes: binary({ remarkLength: -1 }), becomes: /a remark of -1 bytes/ },
  'a remark past the end': { bytes: binary({ remarkLength: 5 }), becomes: /a remark of 5 bytes/ },
  'a remark of 2^31 - 1 bytes': {
    bytes: binary({ remarkLength: 0x7fff_ffff }),
    becomes: /a remark of 2147483647 bytes/,
  },
  'fields of -1 bytes': { bytes: binary({ fieldsLength: -1 }), becomes: /fields of -1 bytes/ },
  'fields past the end': {
    bytes: binary({ fields: binaryField('word', 'w'), fieldsLength: 12 }),
    becomes: /fields of 12 bytes/,
  },
  'one byte of fields': { bytes: binary({ fields: Buffer.alloc(1) }), becomes: /a field without its key length/ },
  'a key past the end': {
    bytes: binary({ fields: binaryField('word', 'w', 65_535) }),
    becomes: /a field key of 65535 bytes/,
  },
  'a key without a value': {
    bytes: binary({ fields: binaryField('word', '').subarray(0, 6) }),
    becomes: /a field key of 4 bytes points outside/,
  },
  'a value of -1 bytes': {
    bytes: binary({ fields: binaryField('word', 'w', 4, -1) }),
    becomes: /a field value of -1 bytes/,
  },
  'a value past the end': {
    bytes: binary({ fields: binaryField('word', 'w', 4, 2) }),
    becomes: /a field value of 2 bytes/,
  },
  'an empty key': {
    bytes: binary({ fields: Buffer.concat([binaryField('', 'x'), binaryField('word', 'w')]) }),
    becomes: [OK],
  },
  'an empty value': { bytes: binary({ fields: binaryField('times', '') }), becomes: [OK] },
  'a word for a number': { bytes: binary({ fields: binaryField('times', 'two') }), becomes: [ERROR] },
  'a key twice': {
    bytes: binary({ fields: Buffer.concat([binaryField('word', 'a'), binaryField('word', 'b')]) }),
    becomes: [OK],
  },
  'bytes that are no UTF-8': {
    bytes: binary({ remark: Buffer.from([0xff, 0xc0, 0x80]), fields: binaryField('word', '\ud800') }),
    becomes: [OK],
  },
  'a language that nobody speaks': { bytes: binary({ language: 200 }), becomes: [OK] },
  'a version below zero': { bytes: binary({ version: -1 }), becomes: [OK] },
  'a code below zero': { bytes: binary({ code: -3_442 }), becomes: [UNKNOWN] },
  'bytes behind the fields': { bytes: frameOf(1, Buffer.concat([binaryHeader(), Buffer.alloc(9, 1)])), becomes: [OK] },
  'a response that nobody asked for': { bytes: binary({ flag: 1 }), becomes: [] },
  'one-way with a code of which nobody knows': { bytes: binary({ code: 123, flag: 2 }), becomes: [] },
  '1,000,000 small fields': {
    bytes: binary({ fields: Buffer.alloc(7_000_000, binaryField('k', '')) }),
    becomes: /more header fields than any request has/,
  },
}

const groups = {
  frames,
  'other protocols': otherProtocols,
  'JSON headers': jsonHeaders,
  'binary headers': binaryHeaders,
}

describe('bad input', () => {
  for (const [group, inputs] of Object.entries(groups)) {
    describe(group, () => {
      for (const [name, input] of Object.entries(inputs)) {
        test(name, async () => {
          await feed(input, await house())
          if (input.bytes.length < 20_000) await feed(input, await house({ transport: { sliceBytes: 1 } }))
        })
      }
    })
  }

  test('is at least sixty different things', () => {
    const count = Object.values(groups).reduce((sum, inputs) => sum + Object.keys(inputs).length, 0)
    assert.ok(count >= 60, `${count}`)
  })
})

/** Only the connection that it came on may suffer, and the log says so in one line. */
async function feed({ bytes, becomes }: BadInput, h: House): Promise<void> {
  const healthy = await until(h.scheduler, h.client.connection(h.address))
  const peer = await h.raw()
  peer.wire.write(bytes)
  await h.scheduler.advance(100)
  const closes = becomes instanceof RegExp
  assert.equal(peer.isClosed, closes, closes ? 'the connection should be closed' : `closed: ${h.warnings()}`)
  if (closes) {
    assert.equal(h.warnings().length, 1)
    assert.match(h.warnings()[0]!, /^connection closed: not a frame: /)
    assert.match(h.warnings()[0]!, becomes)
    assert.equal(h.log.lines.find(({ level }) => level === 'warn')!.fields['peer'], `127.0.0.1:${peer.wire.local.port}`)
  } else {
    assert.deepEqual(h.warnings(), [])
    const codes = peer.answers.map(({ code }) => code)
    assert.deepEqual(codes, becomes === 'waits' ? [] : becomes)
  }
  assert.equal(h.count('remoting.server.badFrames'), closes ? 1 : 0)
  assert.equal(h.count('remoting.router.inFlight'), 0)
  const word = { word: 'w', times: undefined }
  const { body } = await until(h.scheduler, healthy.request(Echo, word, { body: Buffer.from('healthy') }))
  assert.equal(body.toString(), 'healthy')
}
