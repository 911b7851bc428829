import { type AnyCommand, Command } from './command.ts'
import * as brokerConfig from './commands/broker-config.ts'
import * as client from './commands/client.ts'
import * as group from './commands/group.ts'
import * as lock from './commands/lock.ts'
import * as nameserver from './commands/nameserver.ts'
import * as offset from './commands/offset.ts'
import * as pull from './commands/pull.ts'
import * as query from './commands/query.ts'
import * as send from './commands/send.ts'
import * as topic from './commands/topic.ts'

/** Every command that is declared, by code. */
export const allCommands: readonly AnyCommand[] = [
  brokerConfig,
  client,
  group,
  lock,
  nameserver,
  offset,
  pull,
  query,
  send,
  topic,
]
  .flatMap((module) => Object.values(module) as unknown[])
  .filter((value): value is AnyCommand => value instanceof Command)
  .sort((a, b) => a.code - b.code)
