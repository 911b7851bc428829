import { type ParseArgsConfig, parseArgs } from 'node:util'
import { Failure } from './failure.ts'

type Options = NonNullable<ParseArgsConfig['options']>

/** Options of every command that is a client. */
export const clientOptions = {
  namesrv: { type: 'string', short: 'n' },
  help: { type: 'boolean', short: 'h' },
} as const satisfies Options

export const DEFAULT_NAMESRV = '127.0.0.1:9876'

/** `parseArgs`, with its errors as one sentence. */
export function parse<const O extends Options>(
  args: string[],
  options: O,
): ReturnType<typeof parseArgs<{ args: string[]; options: O; allowPositionals: true; strict: true }>> {
  try {
    return parseArgs({ args, options, allowPositionals: true, strict: true })
  } catch (error) {
    throw new Failure((error as Error).message)
  }
}

/** A whole number not below `least`. */
export function count(name: string, value: string | undefined, least: number): number | undefined {
  if (value === undefined) return undefined
  const number = Number(value)
  if (!Number.isSafeInteger(number) || number < least) {
    throw new Failure(`--${name} takes a whole number from ${least} up, not '${value}'`)
  }
  return number
}
