import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import * as client from '../protocol/commands/client.ts'
import { type SimulatedBroker, type SimulatedClient, startSimulatedBroker } from './simulated-broker.ts'

async function beat(producer: SimulatedClient, clientID: string, ...groups: string[]): Promise<void> {
  const producerDataSet = groups.map((groupName) => ({ groupName }))
  const { code } = await producer.ask(client.HeartBeat, {}, JSON.stringify({ clientID, producerDataSet }))
  assert.equal(code, 0)
}

const seconds = ({ log }: SimulatedBroker): Record<string, unknown>[] =>
  log.lines.filter(({ message }) => message.includes('a second producer of one group')).map(({ fields }) => fields)

async function idsOf(asking: SimulatedClient, producerGroup: string): Promise<string[]> {
  const { code, body } = await asking.ask(client.GetProducerConnectionList, { producerGroup })
  if (code !== 0) return []
  const { connectionSet } = JSON.parse(body.toString()) as { connectionSet: { clientId: string }[] }
  return connectionSet.map(({ clientId }) => clientId).sort()
}

describe('producers', () => {
  test('join by heartbeat, leave by request or with their connection', async () => {
    const broker = await startSimulatedBroker()
    const [a, b, admin] = [await broker.connect(), await broker.connect(), await broker.connect()]
    await beat(a, '10.0.0.1@1#1', 'p', 'q', '')
    await beat(b, '10.0.0.2@1#1', 'p')
    assert.deepEqual(await idsOf(admin, 'p'), ['10.0.0.1@1#1', '10.0.0.2@1#1'])
    await a.ask(client.UnregisterClient, { clientID: '10.0.0.1@1#1', producerGroup: 'p' })
    assert.deepEqual(await idsOf(admin, 'p'), ['10.0.0.2@1#1'])
    assert.deepEqual(await idsOf(admin, 'q'), ['10.0.0.1@1#1'])
    await a.close()
    await b.close()
    const { code, remark } = await admin.ask(client.GetProducerConnectionList, { producerGroup: 'q' })
    assert.deepEqual([code, remark], [1, 'the producer group[q] not exist'])
    assert.equal(broker.probe('broker.producers.groups'), 0)
    await broker.close()
  })

  test('who sends no heartbeat for more than 120 s is put out', async () => {
    const broker = await startSimulatedBroker({ serverChannelMaxIdleTimeSeconds: '100000' })
    const [a, admin] = [await broker.connect(), await broker.connect()]
    await beat(a, 'x', 'p')
    await broker.scheduler.advance(120_000)
    assert.deepEqual(await idsOf(admin, 'p'), ['x'])
    await broker.scheduler.advance(10_000)
    assert.deepEqual(await idsOf(admin, 'p'), [])
    assert.equal(a.isClosed, true)
    await broker.close()
  })

  test('all are listed, with the time of their last heartbeat', async () => {
    const broker = await startSimulatedBroker()
    const a = await broker.connect()
    await beat(a, 'x', 'p')
    const at = broker.scheduler.now()
    await broker.scheduler.advance(5_000)
    const { body } = await a.ask(client.GetAllProducerInfo, {})
    assert.deepEqual(JSON.parse(body.toString()), {
      data: {
        p: [{ clientId: 'x', language: 'JAVA', lastUpdateTimestamp: at, remoteIP: `/${a.address}`, version: 513 }],
      },
    })
    await broker.close()
  })
})

describe('a second producer of one group', () => {
  test('in one process is warned of, once', async () => {
    const broker = await startSimulatedBroker()
    const [a, b] = [await broker.connect(), await broker.connect()]
    await beat(a, '10.0.0.1@77#1', 'p')
    await beat(b, '10.0.0.1@77#2', 'p')
    assert.equal(seconds(broker).length, 1)
    assert.equal(seconds(broker)[0]!['group'], 'p')
    assert.equal(seconds(broker)[0]!['clientIds'], '10.0.0.1@77#1 10.0.0.1@77#2')
    await beat(a, '10.0.0.1@77#1', 'p')
    await beat(b, '10.0.0.1@77#2', 'p')
    assert.equal(seconds(broker).length, 1)
    assert.equal(broker.probe('broker.producers.secondInstances'), 1)
    await broker.close()
  })

  test('of ten thousand groups in one heartbeat are not ten thousand lines in the log', async () => {
    const broker = await startSimulatedBroker()
    const [a, b] = [await broker.connect(), await broker.connect()]
    const groups = Array.from({ length: 10_000 }, (_, each) => `p${each}`)
    await beat(a, '10.0.0.1@77#1', ...groups)
    await beat(b, '10.0.0.1@77#2', ...groups)
    assert.equal(seconds(broker).length, 50)
    assert.equal(broker.probe('broker.producers.secondInstances'), 10_000)
    await broker.scheduler.advance(10_000)
    const rest = broker.log.lines.find(({ message }) => message.includes('were left out'))
    assert.equal(rest?.fields['lines'], 9_950)
    await broker.close()
  })

  test('with the same client id is warned of, when the first shows life again', async () => {
    const broker = await startSimulatedBroker()
    const [a, b] = [await broker.connect(), await broker.connect()]
    await beat(a, 'same', 'p')
    await beat(b, 'same', 'p')
    assert.equal(seconds(broker).length, 0, 'this may be a client that came back')
    await beat(b, 'same', 'p')
    assert.equal(seconds(broker).length, 0)
    await beat(a, 'same', 'p')
    assert.equal(seconds(broker).length, 1)
    await broker.close()
  })

  test('in another process, of another group, after the first, or of Java’s own groups is no matter', async () => {
    const broker = await startSimulatedBroker()
    const [a, b, c] = [await broker.connect(), await broker.connect(), await broker.connect()]
    await beat(a, '10.0.0.1@77#1', 'p', 'CLIENT_INNER_PRODUCER', '_INNER_TRACE_PRODUCER-p-1')
    await beat(b, '10.0.0.1@77#2', 'q', 'CLIENT_INNER_PRODUCER', '_INNER_TRACE_PRODUCER-p-1')
    await beat(c, '10.0.0.2@77#1', 'p', 'q', 'CLIENT_INNER_PRODUCER')
    await a.ask(client.UnregisterClient, { clientID: '10.0.0.1@77#1', producerGroup: 'p' })
    await beat(b, '10.0.0.1@77#2', 'p')
    assert.deepEqual(seconds(broker), [])
    await broker.close()
  })
})
