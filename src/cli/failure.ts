/** A failure that the user can mend: its message is all that is printed. */
export class Failure extends Error {}

/** One sentence for what the user can mend; the stack only for what is our own fault. */
export function printFailure(error: unknown): void {
  process.stderr.write(`cometmq: ${describeFailure(error)}\n`)
}

export function describeFailure(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  if (isOrdinary(error)) return causes(error)
  return `${error.stack ?? error.message}\nThis is a bug in CometMQ; please report it with the lines above.`
}

/** Named errors and errno errors carry their reason; a bare TypeError does not. */
function isOrdinary(error: Error): boolean {
  if (error instanceof Failure || 'code' in error) return true
  const builtIn = ['Error', 'TypeError', 'RangeError', 'ReferenceError', 'SyntaxError', 'AssertionError']
  return !builtIn.includes(error.name) || error.constructor.name !== error.name
}

function causes(error: Error): string {
  const words = [error.message]
  for (let cause = error.cause; cause instanceof Error; cause = cause.cause) {
    if (!words.some((word) => word.includes((cause as Error).message))) words.push(cause.message)
  }
  return words.join(': ')
}

/** The word nearest by edits, if near enough to be a slip of the finger. */
export function nearestWord(word: string, known: readonly string[]): string | undefined {
  let best: string | undefined
  let bestDistance = Math.max(1, Math.floor(word.length / 3)) + 1
  for (const candidate of known) {
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase())
    if (distance < bestDistance) {
      best = candidate
      bestDistance = distance
    }
  }
  return best
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, at) => at)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      next[j] = Math.min(next[j - 1]! + 1, row[j]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1))
    }
    row = next
  }
  return row[b.length]!
}
