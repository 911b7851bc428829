import { type ParseArgsConfig, parseArgs } from 'node:util'
import { nearestKey } from '../base/settings.ts'
import { Failure } from './failure.ts'

type Options = NonNullable<ParseArgsConfig['options']>

/** Values by option name, and the words that are no options. */
export type Arguments<O extends Options> = ReturnType<
  typeof parseArgs<{ args: string[]; options: O; allowPositionals: true; strict: true }>
>

/** @throws Failure, one sentence that names the option, and the nearest one for an option that is not known */
export function readArguments<const O extends Options>(verb: string, args: string[], options: O): Arguments<O> {
  const { tokens } = parseArgs({ args, options, allowPositionals: true, strict: false, tokens: true })
  for (const token of tokens) {
    if (token.kind !== 'option') continue
    const { name, rawName, value } = token
    const option = Object.hasOwn(options, name) ? options[name] : undefined
    if (option === undefined) throw new Failure(unknownOption(verb, rawName, Object.keys(options)))
    if (option.type === 'boolean') {
      if (value !== undefined) throw new Failure(`${rawName} takes no value, not '${value}'`)
    } else if (value === undefined || value === '') {
      throw new Failure(`${rawName} takes a value; see cometmq ${verb} --help`)
    } else if (token.inlineValue === false && value.startsWith('-')) {
      throw new Failure(`${rawName} takes a value, and '${value}' looks like an option; ${rawName}=${value} is clear`)
    }
  }
  return parseArgs({ args, options, allowPositionals: true, strict: true })
}

function unknownOption(verb: string, rawName: string, known: readonly string[]): string {
  const near = nearestOptions(rawName.replace(/^-+/, ''), known)
  const meant = near.length === 0 ? '' : ` did you mean ${near.map((name) => `--${name}`).join(' or ')}?`
  return `${verb} has no option ${rawName};${meant === '' ? ` see cometmq ${verb} --help` : meant}`
}

/** By edits; else by a part of the name, as `port` of `broker-port`; a single letter by its first. */
function nearestOptions(word: string, known: readonly string[]): string[] {
  if (word.length === 1) return known.filter((name) => name.startsWith(word.toLowerCase()))
  const near = nearestKey(word, known)
  return near === undefined ? known.filter((name) => name.split('-').includes(word)) : [near]
}

/** A whole number not below `least`. */
export function count(name: string, value: string | undefined, least: number): number | undefined {
  if (value === undefined) return undefined
  const number = Number(value)
  if (!/^\d+$/.test(value) || !Number.isSafeInteger(number) || number < least) {
    throw new Failure(`--${name} takes a whole number from ${least} up, not '${value}'`)
  }
  return number
}
