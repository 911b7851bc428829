import { dirname } from 'node:path'
import { formatAddress } from '../remoting/transport.ts'
import { runUntilSignal } from './lifecycle.ts'
import { readServerOptions, serverUsage } from './server-options.ts'
import { machine, nameServerSettingsOf, requireWritable, warnOfOpenDoor, warnOfUnused } from './servers.ts'

const usage = `cometmq namesrv [OPTIONS]      a name server alone

${serverUsage}`

export async function run(args: string[]): Promise<number> {
  const options = readServerOptions(args, 'namesrv')
  if (options === undefined) {
    process.stdout.write(usage)
    return 0
  }
  return runUntilSignal(
    async () => {
      const { startNameServer } = await import('../nameserver/start.ts')
      const parts = machine(options)
      const settings = await nameServerSettingsOf(options, parts.log, false)
      warnOfUnused(parts.log, 'namesrv', { 'broker-port': options.brokerPort, namesrv: options.namesrv })
      requireWritable(dirname(settings.kvConfigPath))
      warnOfOpenDoor(parts.log, 'name server', settings.bindAddress)
      return startNameServer({ ...parts, settings })
    },
    ({ address }) => `ready  name server ${formatAddress(address)}`,
  )
}
