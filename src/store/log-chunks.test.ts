import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { LogChunks } from './log-chunks.ts'

const CHUNK_BYTES = 64

/** Fills a chunk of a log whose budget is two chunks, and drops what is over it. */
function filled(chunks: LogChunks, base: number): void {
  const chunk = chunks.open(base, 1)
  chunk.bytes.fill(base / CHUNK_BYTES)
  chunk.length = CHUNK_BYTES
  chunks.trim(chunk.end)
}

describe('the end of the log in memory', () => {
  test('uses the memory of dropped chunks again, so that it grows no further', () => {
    const chunks = new LogChunks(CHUNK_BYTES, 2 * CHUNK_BYTES)
    const memories = new Set<ArrayBufferLike>()
    for (let index = 0; index < 20; index++) {
      filled(chunks, index * CHUNK_BYTES)
      memories.add(chunks.last!.bytes.buffer)
    }
    assert.equal(memories.size, 3)
    assert.equal(chunks.heldBytes, 2 * CHUNK_BYTES)
    assert.equal(chunks.firstPosition, 18 * CHUNK_BYTES)
  })

  test('never writes again where somebody may be reading', () => {
    const chunks = new LogChunks(CHUNK_BYTES, 2 * CHUNK_BYTES)
    const views: Buffer[] = []
    for (let index = 0; index < 20; index++) {
      filled(chunks, index * CHUNK_BYTES)
      if (index % 3 !== 0) continue
      const chunk = chunks.last!
      chunk.isShared = true
      views.push(chunk.bytes.subarray(0, CHUNK_BYTES))
    }
    for (const [index, view] of views.entries()) assert.deepEqual(view, Buffer.alloc(CHUNK_BYTES, index * 3))
  })

  test('keeps memory of the usual size only', () => {
    const chunks = new LogChunks(CHUNK_BYTES, CHUNK_BYTES)
    const large = chunks.open(0, 3 * CHUNK_BYTES)
    large.length = 3 * CHUNK_BYTES
    filled(chunks, 3 * CHUNK_BYTES)
    filled(chunks, 4 * CHUNK_BYTES)
    filled(chunks, 5 * CHUNK_BYTES)
    assert.equal(chunks.last!.bytes.length, CHUNK_BYTES)
    assert.notEqual(chunks.last!.bytes.buffer, large.bytes.buffer)
  })
})
