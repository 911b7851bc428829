import { formatAddress } from '../remoting/transport.ts'
import { runUntilSignal } from './lifecycle.ts'
import { readServerOptions, serverUsage } from './server-options.ts'
import { brokerSettingsOf, machine, requireWritable, warnOfOpenDoor, warnOfUnused } from './servers.ts'

const usage = `cometmq broker [OPTIONS]      a broker alone

${serverUsage}`

export async function run(args: string[]): Promise<number> {
  const options = readServerOptions(args, 'broker')
  if (options === undefined) {
    process.stdout.write(usage)
    return 0
  }
  return runUntilSignal(
    async () => {
      const { startBroker } = await import('../broker/start.ts')
      const parts = machine(options)
      const settings = await brokerSettingsOf(options, parts.log, false)
      warnOfUnused(parts.log, 'broker', { 'namesrv-port': options.namesrvPort })
      if (settings.namesrvAddr === '') {
        parts.log.warn('no name server is named, so no client will find this broker', {
          fix: '-n HOST:PORT, or namesrvAddr in the file',
        })
      }
      requireWritable(settings.storePathRootDir)
      warnOfOpenDoor(parts.log, 'broker', settings.bindAddress)
      return startBroker({ ...parts, settings })
    },
    ({ address }) => `ready  broker ${formatAddress(address)}`,
  )
}
