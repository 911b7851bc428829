import { parseProperties } from '../../base/properties-file.ts'
import { SettingsError } from '../../base/settings.ts'
import type {
  ExchangeBrokerHaInfo,
  GetAllDelayOffset,
  GetBrokerConfig,
  GetBrokerHaStatus,
  GetBrokerRuntimeInfo,
  UpdateBrokerConfig,
} from '../../protocol/commands/broker-config.ts'
import { NumberKeyMap, stringifyJavaJson } from '../../protocol/java-json.ts'
import { Refusal } from '../../protocol/refusal.ts'
import { ResponseCode } from '../../protocol/response-code.ts'
import { type Answer, withBody } from '../../remoting/router.ts'
import type { Broker } from '../broker.ts'
import { runtimeInfo } from './runtime-info.ts'

export const getConfig =
  (broker: Broker): Answer<typeof GetBrokerConfig> =>
  () =>
    withBody({ version: stringifyJavaJson(broker.topics.dataVersion) }, broker.describeSettings())

/** Only what is declared updatable: never a path, never a command. */
export const updateConfig =
  (broker: Broker): Answer<typeof UpdateBrokerConfig> =>
  (_, { body, connection }) => {
    if (body.length === 0) return undefined
    const changes = readChanges(body)
    try {
      broker.updateSettings(changes)
    } catch (error) {
      if (error instanceof SettingsError) throw new Refusal(ResponseCode.NO_PERMISSION, error.message)
      throw error
    }
    broker.log.info('settings changed until the next start', { ...changes, peer: connection.peer })
    return undefined
  }

function readChanges(body: Buffer): Record<string, string> {
  try {
    return parseProperties(body.toString('utf8'))
  } catch (error) {
    throw new Refusal(ResponseCode.SYSTEM_ERROR, `the body is no properties text: ${(error as Error).message}`)
  }
}

export const getRuntimeInfo =
  (broker: Broker): Answer<typeof GetBrokerRuntimeInfo> =>
  () =>
    withBody(undefined, stringifyJavaJson({ table: runtimeInfo(broker) }))

export const getAllDelayOffsets =
  ({ topics }: Broker): Answer<typeof GetAllDelayOffset> =>
  () =>
    withBody(
      undefined,
      stringifyJavaJson({ dataVersion: { ...topics.dataVersion, counter: 0 }, offsetTable: new NumberKeyMap() }),
    )

export const getHaStatus =
  ({ store }: Broker): Answer<typeof GetBrokerHaStatus> =>
  () =>
    withBody(
      undefined,
      stringifyJavaJson({
        haClientRuntimeInfo: {
          lastReadTimestamp: 0,
          lastWriteTimestamp: 0,
          masterFlushOffset: 0,
          maxOffset: 0,
          transferredByteInSecond: 0,
        },
        haConnectionInfo: [],
        inSyncSlaveNums: 0,
        master: true,
        masterCommitLogMaxOffset: store.positions.written,
      }),
    )

export const exchangeHaInfo =
  (broker: Broker): Answer<typeof ExchangeBrokerHaInfo> =>
  () => ({
    masterAddress: broker.address,
    masterHaAddress: broker.haAddress,
    masterFlushOffset: broker.store.positions.flushed,
  })
