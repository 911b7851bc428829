import assert from 'node:assert/strict'
import { Writable } from 'node:stream'
import { describe, test } from 'node:test'
import { describeFailure, Failure } from './failure.ts'
import { linesOf } from './lines.ts'
import { Output } from './output.ts'

const failing = (code: string): Writable =>
  new Writable({
    write: (_chunk, _encoding, done) => done(Object.assign(new Error(`${code}: no`), { code })),
  })

describe('output', () => {
  test('says that it was taken', async () => {
    const taken: string[] = []
    const stream = new Writable({
      write(chunk: Buffer, _encoding, done) {
        taken.push(chunk.toString())
        done()
      },
    })
    const output = new Output(stream)
    assert.equal(await output.write('a\n'), true)
    assert.equal(output.gone.aborted, false)
    assert.deepEqual(taken, ['a\n'])
  })

  test('a reader that left is no error: nothing more is written, and who asks is told', async () => {
    const output = new Output(failing('EPIPE'))
    assert.equal(await output.write('a'), false)
    assert.equal(output.gone.aborted, true)
    assert.equal(await output.write('b'), false)
  })

  test('a full disk is an error with a reason', async () => {
    await assert.rejects(new Output(failing('ENOSPC')).write('a'), (error) => {
      assert.ok(error instanceof Failure)
      assert.equal(error.message, 'standard output cannot be written: ENOSPC: no')
      return true
    })
  })

  test('a reader that does not read is not waited for once it is time to stop', async () => {
    const output = new Output(new Writable({ write: () => {} }))
    const stop = new AbortController()
    const written = output.write('a', stop.signal)
    stop.abort()
    assert.equal(await written, false)
    assert.equal(await output.write('b', stop.signal), false)
  })
})

describe('lines', () => {
  async function lines(...chunks: (string | Buffer)[]): Promise<string[]> {
    async function* input(): AsyncGenerator<Buffer> {
      for (const chunk of chunks) yield Buffer.from(chunk)
    }
    const found: string[] = []
    for await (const line of linesOf(input())) found.push(line.toString('latin1'))
    return found
  }

  test('end at line feeds, with or without a carriage return, the last one anyhow', async () => {
    assert.deepEqual(await lines('a\nb\r\n\nc'), ['a', 'b', '', 'c'])
    assert.deepEqual(await lines('a\n'), ['a'])
    assert.deepEqual(await lines(), [])
    assert.deepEqual(await lines('\n'), [''])
  })

  test('are the same however the stream is cut', async () => {
    const text = 'one\r\ntwo\n\nthr\ree\r\n'
    const whole = await lines(text)
    assert.deepEqual(whole, ['one', 'two', '', 'thr\ree'])
    for (let cut = 0; cut <= text.length; cut++) {
      assert.deepEqual(await lines(text.slice(0, cut), text.slice(cut)), whole, `cut at ${cut}`)
    }
    assert.deepEqual(await lines(...text), whole)
  })

  test('keep every byte, line separators of Unicode and broken UTF-8 included', async () => {
    const line = Buffer.from([0xff, 0xfe, 0x00, 0xe2, 0x80, 0xa8, 0x41])
    assert.deepEqual(await lines(Buffer.concat([line, Buffer.from('\n')])), [line.toString('latin1')])
  })
})

describe('a failure', () => {
  test('that the user can mend is one sentence, its causes said once', () => {
    const cause = Object.assign(new Error('listen EADDRINUSE'), { code: 'EADDRINUSE' })
    assert.equal(describeFailure(new Failure('port 1 is in use', { cause })), 'port 1 is in use: listen EADDRINUSE')
    assert.equal(describeFailure(new Failure('no: listen EADDRINUSE', { cause })), 'no: listen EADDRINUSE')
    assert.equal(describeFailure(cause), 'listen EADDRINUSE')
    assert.equal(describeFailure('a word'), 'a word')
  })

  test('of our own shows where', () => {
    const misuse = Object.assign(new TypeError('must be a string'), { code: 'ERR_INVALID_ARG_TYPE' })
    for (const bug of [new TypeError('x is undefined'), new RangeError('r'), new Error('bare'), misuse]) {
      assert.match(describeFailure(bug), /output\.test\.ts[\s\S]*This is a bug in CometMQ/)
    }
  })
})
