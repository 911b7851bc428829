#!/usr/bin/env node
import { enableCompileCache } from 'node:module'

enableCompileCache()

/** Loaded when asked for: a start does not pay for what it does not use. */
const verbs: Record<string, { about: string; load: () => Promise<{ run: (args: string[]) => Promise<number> }> }> = {
  start: { about: 'name server and broker in one process', load: () => import('./start.ts') },
  namesrv: { about: 'a name server alone', load: () => import('./namesrv.ts') },
  broker: { about: 'a broker alone', load: () => import('./broker.ts') },
  produce: { about: 'sends each line of standard input as a message', load: () => import('./produce.ts') },
  store: { about: 'checks, inspects, repairs or exports a store directory', load: () => import('./store.ts') },
  consume: { about: 'prints messages of a topic as they come', load: () => import('./consume.ts') },
}

async function main(argv: string[]): Promise<number> {
  const [verb, ...args] = argv
  if (verb === undefined || verb === '--help' || verb === '-h' || verb === 'help') {
    process.stdout.write(usage())
    return 0
  }
  if (verb === '--version' || verb === '-v' || verb === 'version') {
    const { version } = await import('./version.ts')
    process.stdout.write(`cometmq ${version()}\n`)
    return 0
  }
  const chosen = Object.hasOwn(verbs, verb) ? verbs[verb] : undefined
  const { Failure, printFailure } = await import('./failure.ts')
  try {
    if (chosen === undefined) {
      const { nearestKey } = await import('../base/settings.ts')
      const near = nearestKey(verb, Object.keys(verbs))
      throw new Failure(`no command '${verb}'; ${near === undefined ? 'see cometmq --help' : `did you mean ${near}?`}`)
    }
    const { run } = await chosen.load()
    return await run(args)
  } catch (error) {
    printFailure(error)
    return 1
  }
}

function usage(): string {
  const width = Math.max(...Object.keys(verbs).map((verb) => verb.length))
  const lines = Object.entries(verbs).map(([verb, { about }]) => `  ${verb.padEnd(width)}  ${about}`)
  return `CometMQ, a RocketMQ-compatible message broker.

usage: cometmq COMMAND [OPTIONS]      cometmq COMMAND --help

${lines.join('\n')}
`
}

// A reader that leaves, as `head` does, or a terminal that is gone, ends no server and is nobody's mistake.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})
process.exitCode = await main(process.argv.slice(2))
