import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { clients } from './groups/clients.ts'
import { cross } from './groups/cross.ts'
import { mqadmin } from './groups/mqadmin.ts'
import { restart } from './groups/restart.ts'
import { store } from './groups/store.ts'
import { endChildrenWithUs } from './runner/children.ts'
import type { Run } from './runner/context.ts'
import { Report } from './runner/report.ts'
import { cometmq, java } from './runner/servers.ts'

const usage = `npm run interop -- [GROUP ...] [OPTIONS]

The unmodified official clients and tools against CometMQ.

groups (all when none is named)
  java            the Java client: java-5.5.0 and java-4.9.8, which can be named alone
  go              the Go client v2
  mqadmin         what mqadmin 5.5.0 prints against what it prints of the Java broker
  cross           Java broker on our name server, our broker on the Java name server
  store           each product opens the directory that the other wrote
  restart         kill -9 under load, five times

options
  --server NAME   cometmq (default), or java: the scenarios against Apache RocketMQ 5.5.0 itself
  --only NAMES    scenarios whose name contains one of these, comma separated
  --width N       scenarios of one client at a time (default 3)
  --record        mqadmin: write interop/expected/mqadmin anew, from the Java servers
  --keep          leave the working directory (logs, stores) and print where it is
`

const groupNames = ['java', 'java-5.5.0', 'java-4.9.8', 'go', 'mqadmin', 'cross', 'store', 'restart']

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      server: { type: 'string', default: 'cometmq' },
      only: { type: 'string', default: '' },
      width: { type: 'string', default: '3' },
      record: { type: 'boolean', default: false },
      keep: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.help) {
    process.stdout.write(usage)
    return 0
  }
  for (const name of positionals)
    if (!groupNames.includes(name)) return refuse(`no group '${name}'; one of ${groupNames.join(', ')}`)
  if (values.server !== 'cometmq' && values.server !== 'java') return refuse(`--server is cometmq or java`)

  endChildrenWithUs()
  const work = mkdtempSync(path.join(tmpdir(), 'cometmq-interop-'))
  mkdirSync(work, { recursive: true })
  if (values.keep) process.stderr.write(`working directory: ${work}\n`)
  const run: Run = {
    report: new Report(values.only === '' ? [] : values.only.split(',')),
    product: values.server === 'java' ? java : cometmq,
    work,
    id: Date.now().toString(36),
    width: Number(values.width),
    record: values.record,
  }
  const wants = (name: string): boolean => positionals.length === 0 || positionals.includes(name)
  const chosen = new Set<'java-5.5.0' | 'java-4.9.8' | 'go-v2'>()
  if (wants('java') || positionals.includes('java-5.5.0')) chosen.add('java-5.5.0')
  if (wants('java') || positionals.includes('java-4.9.8')) chosen.add('java-4.9.8')
  if (wants('go')) chosen.add('go-v2')
  try {
    if (chosen.size > 0) await clients(run, chosen)
    if (wants('mqadmin')) await mqadmin(run)
    if (wants('cross')) await cross(run)
    if (wants('store')) await store(run)
    if (wants('restart')) await restart(run)
  } finally {
    if (!values.keep) rmSync(work, { recursive: true, force: true })
  }
  return run.report.close()
}

function refuse(words: string): number {
  process.stderr.write(`${words}\n\n${usage}`)
  return 1
}

process.exitCode = await main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.stack : error}\n`)
  return 1
})
process.exit()
