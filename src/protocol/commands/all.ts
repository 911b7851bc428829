import { type AnyCommand, Command } from '../command.ts'
import * as brokerConfig from './broker-config.ts'
import * as client from './client.ts'
import * as group from './group.ts'
import * as lock from './lock.ts'
import * as nameserver from './nameserver.ts'
import * as offset from './offset.ts'
import * as pull from './pull.ts'
import * as query from './query.ts'
import * as send from './send.ts'
import * as topic from './topic.ts'

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
