import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startSimulatedNameServer } from './simulated-name-server.ts'

test('answers are kept up to a bound, whatever addresses they are asked at', async () => {
  const server = await startSimulatedNameServer()
  const peer = await server.connect()
  await peer.register({}, { topic: 't' }, { topic: 'u' })
  const { answers } = server.server
  const isKept = (reachedAt: string): boolean => {
    const hits = server.count('routeCacheHits')
    assert.ok(answers.answer('t', true, reachedAt) !== undefined)
    return server.count('routeCacheHits') > hits
  }
  for (let host = 0; host < 65_536; host++) answers.answer('t', true, `h${host}`)
  assert.ok(isKept('h0') && isKept('h65535'))
  assert.equal(isKept('one more'), false)
  assert.equal(isKept('h1'), false, 'all were let go')
  assert.ok(isKept('one more') && isKept('h1'))
  await server.close()
})

test('the mapping of a static topic is gone with its broker', async () => {
  const server = await startSimulatedNameServer()
  const peer = await server.connect()
  const mapped = { mappings: { t: { topic: 't', bname: 'a', epoch: 7 } } }
  const isMapped = async (): Promise<boolean> => (await peer.route('t'))!.topicQueueMappingByBroker !== undefined
  await peer.register(mapped, { topic: 't' }, { topic: 'u' })
  assert.equal(await isMapped(), true)
  await peer.close()
  const other = await server.connect()
  await other.register({}, { topic: 't' }, { topic: 'u' })
  assert.equal((await other.route('t'))!.topicQueueMappingByBroker, undefined)
  await server.close()
})
