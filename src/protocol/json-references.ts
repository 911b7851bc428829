/**
 * Objects that fastjson 1 wrote once and then named: `{"$ref":"$.queues[0]"}`. Nobody writes them today, and Java still
 * reads them.
 */

/** Values that references may add: a text could otherwise name one large part in a thousand places. */
const MAX_ADDED_VALUES = 100_000
const REFERENCE = '$ref'
const STEP = /\.([^.[\]]+)|\[(\d+)\]/y

type Holder = Record<string, unknown>

/**
 * Puts what references name in their place. Those that name nothing, something that holds references itself, or what they
 * lie in stay as they are, so that no value goes in circles.
 *
 * @returns false when the value would grow too large
 */
export function resolveReferences(root: unknown): boolean {
  const sizes = new Map<object, number>()
  const places: { holder: Holder; key: string; target: Holder }[] = []
  let added = 0

  /** Counts values; -1 for what is or holds a reference. */
  function survey(value: unknown): number {
    if (!isHolder(value)) return 1
    const known = sizes.get(value)
    if (known !== undefined) return known
    let size = REFERENCE in value ? -1 : 1
    for (const key of Object.keys(value)) {
      const more = survey(value[key])
      size = size < 0 || more < 0 ? -1 : size + more
    }
    sizes.set(value, size)
    return size
  }

  function collect(holder: Holder): void {
    if (sizes.get(holder)! > 0) return
    for (const key of Object.keys(holder)) {
      const value = holder[key]
      if (!isHolder(value)) continue
      const target = follow(root, value[REFERENCE])
      const size = target === undefined ? -1 : survey(target)
      if (target === undefined || size < 0) collect(value)
      else {
        places.push({ holder, key, target })
        added += size
      }
    }
  }

  survey(root)
  if (isHolder(root)) collect(root)
  if (added > MAX_ADDED_VALUES) return false
  for (const { holder, key, target } of places) holder[key] = target
  return true
}

/** What a path from the root leads to, when it is an object or a list. */
function follow(root: unknown, path: unknown): Holder | undefined {
  if (typeof path !== 'string' || !path.startsWith('$')) return undefined
  let value = root
  STEP.lastIndex = 1
  while (STEP.lastIndex < path.length) {
    const step = STEP.exec(path)
    if (step === null || !isHolder(value)) return undefined
    value = value[(step[1] ?? step[2])!]
  }
  return isHolder(value) ? value : undefined
}

function isHolder(value: unknown): value is Holder {
  return typeof value === 'object' && value !== null
}
