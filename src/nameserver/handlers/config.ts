import { parseProperties } from '../../base/properties-file.ts'
import { SettingsError } from '../../base/settings.ts'
import type { GetNameServerConfig, UpdateNameServerConfig } from '../../protocol/commands/nameserver.ts'
import { Refusal } from '../../protocol/refusal.ts'
import { ResponseCode } from '../../protocol/response-code.ts'
import { type Answer, withBody } from '../../remoting/router.ts'
import type { NameServer } from '../name-server.ts'

/** What Java refuses by name; everything else that is not on our allow-list is refused too. */
const BLACK_LIST = ['configBlackList', 'configStorePath', 'kvConfigPath', 'rocketmqHome']

export const updateConfig =
  (server: NameServer): Answer<typeof UpdateNameServerConfig> =>
  (_, { body, connection }) => {
    if (body.length === 0) return undefined
    let changes: Record<string, string>
    try {
      changes = parseProperties(body.toString('utf8'))
    } catch (error) {
      throw new Refusal(ResponseCode.SYSTEM_ERROR, `string2Properties error: ${(error as Error).message}`)
    }
    if (BLACK_LIST.some((key) => Object.hasOwn(changes, key))) {
      throw new Refusal(ResponseCode.NO_PERMISSION, 'Can not update config in black list.')
    }
    try {
      server.updateSettings(changes)
    } catch (error) {
      if (error instanceof SettingsError) throw new Refusal(ResponseCode.NO_PERMISSION, error.message)
      throw error
    }
    server.log.info('settings changed', { ...changes, peer: connection.peer })
    return undefined
  }

export const getConfig =
  (server: NameServer): Answer<typeof GetNameServerConfig> =>
  () =>
    withBody(undefined, server.describeSettings())
