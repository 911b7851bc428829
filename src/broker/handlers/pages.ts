import { type DataVersion, readDataVersion } from '../../protocol/bodies.ts'
import { objectIn } from './json-body.ts'

/**
 * One page of a table, in the order of its names. A page asked for after the table changed begins at the start again.
 *
 * @param asked data version of the pages before, as JSON; empty for the first
 * @throws Refusal when it is not
 */
export function pageOf<V>(
  table: ReadonlyMap<string, V>,
  from: number,
  most: number | undefined,
  pageSize: number,
  asked: string | undefined,
  current: DataVersion,
): ReadonlyMap<string, V> {
  const before = asked === undefined || asked === '' ? undefined : readDataVersion(objectIn(asked, 'dataVersion'))
  const stale = before !== undefined && (before.counter !== current.counter || before.timestamp !== current.timestamp)
  const start = stale ? 0 : Math.max(0, from)
  const size = Math.max(0, Math.min(pageSize, most ?? pageSize))
  return new Map([...table].sort(([a], [b]) => (a < b ? -1 : 1)).slice(start, start + size))
}
