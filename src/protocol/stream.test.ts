import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { type Frame, FrameError, FrameReader } from './frame.ts'

/**
 * The recorded frames as the streams they came in: however a stream is cut into chunks, the same frames come out. Chunks
 * come in one buffer that is overwritten behind them, as sockets hand them out.
 */

interface Recorded {
  frameBase64?: string | null
  direction?: string
  to?: string
  error?: string
}

interface Stream {
  name: string
  bytes: Buffer
  /** Where each frame begins, and where the last ends. */
  bounds: number[]
  /** What each frame says, read alone. */
  frames: string[]
}

const folder = resolve(import.meta.dirname, '../../test/vectors/wire')

/** All that a frame says, kept beyond its views. */
function said(frame: Frame): string {
  const { code, flag, opaque, version, language, remark, serialize, sizeBytes } = frame
  const fields = [...(frame.extFields() ?? ['none'])]
  const header = frame.headerBytes.toString('latin1')
  const body = frame.body.toString('latin1')
  return JSON.stringify([code, flag, opaque, version, language, remark, serialize, sizeBytes, fields, header, body])
}

function read(bytes: Buffer): string[] {
  const frames: string[] = []
  new FrameReader().push(bytes, (frame) => frames.push(said(frame)))
  return frames
}

/** One stream per file, direction and server. */
function streamsOf(file: string): Stream[] {
  const lines = readFileSync(resolve(folder, file), 'utf8').trim().split('\n')
  const recorded = lines.map((line) => JSON.parse(line) as Recorded)
  const framed = recorded.filter(({ frameBase64, error }) => typeof frameBase64 === 'string' && error === undefined)
  const groups = Map.groupBy(framed, ({ direction = 'codec', to = '' }) => `${file} ${direction} ${to}`)
  return [...groups].map(([name, group]) => {
    const frames = group.map(({ frameBase64 }) => Buffer.from(frameBase64!, 'base64'))
    const bounds = [0]
    for (const { length } of frames) bounds.push(bounds.at(-1)! + length)
    return { name, bytes: Buffer.concat(frames), bounds, frames: frames.flatMap(read) }
  })
}

const streams = readdirSync(folder)
  .filter((file) => file.endsWith('.jsonl'))
  .flatMap(streamsOf)

/** Every chunk comes in this one. */
const received = Buffer.alloc(262_144)

/** Hands over a copy of a part of a stream, which is gone after. */
class Socket {
  readonly reader: FrameReader
  readonly #onFrame: (frame: Frame) => void

  constructor(onFrame: (frame: Frame) => void, reader = new FrameReader()) {
    this.reader = reader
    this.#onFrame = onFrame
  }

  push(bytes: Buffer, start: number, end: number): void {
    const chunk = received.subarray(0, end - start)
    bytes.copy(chunk, 0, start, end)
    this.reader.push(chunk, this.#onFrame)
    chunk.fill(0xff)
  }
}

describe('the recorded streams', () => {
  test('hold every recorded frame', () => {
    assert.ok(streams.every(({ frames, bounds }) => frames.length === bounds.length - 1))
    assert.equal(
      streams.reduce((count, { frames }) => count + frames.length, 0),
      1_365,
    )
  })

  test('whole', () => {
    for (const { name, bytes, frames } of streams) assert.deepEqual(read(bytes), frames, name)
  })

  test('byte by byte, each frame with its last byte', () => {
    for (const { name, bytes, bounds, frames } of streams) {
      const found: string[] = []
      const socket = new Socket((frame) => found.push(said(frame)))
      for (let at = 0; at < bytes.length; at++) {
        socket.push(bytes, at, at + 1)
        if (socket.reader.pendingBytes !== at + 1 - bounds[found.length]!) assert.fail(`${name}: at byte ${at}`)
      }
      assert.deepEqual(found, frames, name)
    }
  })

  test('cut at each point', () => {
    for (const { name, bytes, bounds } of streams) {
      for (let index = 0; index + 1 < bounds.length; index++) {
        // The frame that is cut, and the next, which comes whole in every eighth second chunk.
        const [start, end, last] = [bounds[index]!, bounds[index + 1]!, bounds[index + 2] ?? bounds[index + 1]!]
        const whole: Frame[] = []
        new FrameReader().push(bytes.subarray(start, end), (frame) => whole.push(frame))
        let frames = 0
        let fault = ''
        const socket = new Socket((frame) => {
          if (frames++ === 0 && !isSame(frame, whole[0]!)) fault = 'another frame'
        })
        for (let cut = start + 1; cut <= end && fault === ''; cut++) {
          frames = 0
          socket.push(bytes, start, cut)
          if (frames !== (cut === end ? 1 : 0)) fault = `${frames} frames before the cut`
          const until = cut % 8 === 0 ? last : end
          socket.push(bytes, cut, until)
          if (frames !== (until > end ? 2 : 1)) fault = `${frames} frames`
          if (fault !== '') fault += `: ${name}, frame ${index}, cut ${cut - start} of ${end - start}`
        }
        assert.equal(fault, '')
      }
    }
  })

  test('cut anyhow, several frames in one chunk or one frame in many', () => {
    const small = streams.filter(({ bytes }) => bytes.length < 20_000)
    assert.ok(small.length > 10)
    const size = fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 9_000 }))
    fc.assert(
      fc.property(fc.constantFrom(...small), fc.array(size, { minLength: 1 }), ({ bytes, frames }, sizes) => {
        const found: string[] = []
        const socket = new Socket((frame) => found.push(said(frame)))
        for (let at = 0, turn = 0; at < bytes.length; turn++) {
          const end = Math.min(bytes.length, at + sizes[turn % sizes.length]!)
          socket.push(bytes, at, end)
          at = end
        }
        assert.deepEqual(found, frames)
        assert.equal(socket.reader.pendingBytes, 0)
      }),
      { numRuns: 60 },
    )
  })
})

describe('a stream that cannot be read on', () => {
  const good = streams[0]!.bytes.subarray(0, streams[0]!.bounds[1])
  const frame = (length: number, word: number, rest = 0): Buffer => {
    const bytes = Buffer.alloc(8 + rest)
    bytes.writeInt32BE(length, 0)
    bytes.writeInt32BE(word, 4)
    return bytes
  }
  const cases: [string, Buffer, number][] = [
    ['a length below 4', frame(3, 0), 4],
    ['a length of 0', frame(0, 0), 4],
    ['a negative length', frame(-1, 0), 4],
    ['a length one over the limit', frame(1_000 - 3, 0), 4],
    ['the greatest length', frame(0x7fff_ffff, 0), 4],
    ['a header longer than its frame', frame(14, 11, 10), 18],
    ['a header of all 24 bits', frame(14, 0x00ff_ffff, 10), 18],
    ['an unknown serialize type', frame(14, 0x0200_0000, 10), 18],
    ['an empty JSON header', frame(4, 0), 8],
    ['a binary header too short', frame(24, 0x0100_0014, 20), 28],
  ]

  for (const [name, bad, refusedAt] of cases) {
    test(`${name} is refused at byte ${refusedAt}, after the frames before it`, () => {
      const bytes = Buffer.concat([good, bad])
      const whole: string[] = []
      const reader = new FrameReader({ maxFrameBytes: 1_000 })
      assert.throws(() => reader.push(bytes, (each) => whole.push(said(each))), FrameError)
      assert.deepEqual(whole, read(good))
      for (let cut = 1; cut < bytes.length; cut++) {
        const found: string[] = []
        const socket = new Socket((each) => found.push(said(each)), new FrameReader({ maxFrameBytes: 1_000 }))
        const first = (): void => socket.push(bytes, 0, cut)
        if (cut >= good.length + refusedAt) assert.throws(first, FrameError)
        else {
          first()
          assert.throws(() => socket.push(bytes, cut, bytes.length), FrameError)
        }
        assert.deepEqual(found, whole)
      }
    })
  }

  test('a frame of exactly the limit is read', () => {
    const found: string[] = []
    new FrameReader({ maxFrameBytes: good.length }).push(good, (each) => found.push(said(each)))
    assert.deepEqual(found, read(good))
    assert.throws(() => new FrameReader({ maxFrameBytes: good.length - 1 }).push(good, () => {}), FrameError)
  })
})

/** Cheaper than words, for what is compared a million times. */
function isSame(a: Frame, b: Frame): boolean {
  return (
    a.code === b.code &&
    a.flag === b.flag &&
    a.opaque === b.opaque &&
    a.version === b.version &&
    a.language === b.language &&
    a.remark === b.remark &&
    a.hasFields === b.hasFields &&
    a.sizeBytes === b.sizeBytes &&
    a.headerBytes.equals(b.headerBytes) &&
    a.body.equals(b.body)
  )
}
