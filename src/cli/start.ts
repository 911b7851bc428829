import { formatAddress } from '../remoting/transport.ts'
import { runUntilSignal } from './lifecycle.ts'
import { readServerOptions, serverUsage } from './server-options.ts'
import {
  brokerSettingsOf,
  machine,
  nameServerSettingsOf,
  nameServersWith,
  requireWritable,
  warnOfOpenDoor,
} from './servers.ts'

const usage = `cometmq start [OPTIONS]      name server and broker in one process

${serverUsage}`

export async function run(args: string[]): Promise<number> {
  const options = readServerOptions(args, 'start')
  if (options === undefined) {
    process.stdout.write(usage)
    return 0
  }
  return runUntilSignal(
    async () => {
      const [{ startNameServer }, { startBroker }] = await Promise.all([
        import('../nameserver/start.ts'),
        import('../broker/start.ts'),
      ])
      await using opened = new AsyncDisposableStack()
      const parts = machine(options)
      const nameServerSettings = await nameServerSettingsOf(options, parts.log, true)
      const brokerSettings = await brokerSettingsOf(options, parts.log, true)
      requireWritable(brokerSettings.storePathRootDir)
      warnOfOpenDoor(parts.log, 'name server and broker', brokerSettings.bindAddress)
      let localAddress: string | undefined
      const nameServer = opened.use(
        await startNameServer({
          ...parts,
          settings: nameServerSettings,
          isLocalBroker: (address) => address === localAddress,
        }),
      )
      // Its port is known once it listens.
      const own = formatAddress({ host: reachable(nameServer.address.host), port: nameServer.address.port })
      const settings = { ...brokerSettings, namesrvAddr: nameServersWith(own, brokerSettings.namesrvAddr) }
      const broker = opened.use(await startBroker({ ...parts, settings }))
      if (settings.brokerIP1 === '') {
        localAddress = broker.broker.address
        nameServer.server.answers.dropAll()
      }
      return { nameServer, broker, [Symbol.asyncDispose]: closer(opened.move()) }
    },
    ({ nameServer, broker }) =>
      `ready  name server ${formatAddress(nameServer.address)}  broker ${formatAddress(broker.address)}`,
  )
}

function closer(stack: AsyncDisposableStack): () => Promise<void> {
  return () => stack.disposeAsync()
}

/** Listening everywhere includes loopback. */
function reachable(host: string): string {
  return host === '0.0.0.0' || host === '' ? '127.0.0.1' : host === '::' ? '::1' : host
}
