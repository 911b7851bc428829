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

/** Named errors and errno errors carry their reason; a TypeError does not, nor does a misuse of Node. */
function isOrdinary(error: Error): boolean {
  if (error instanceof Failure) return true
  if ('code' in error) return !String(error.code).startsWith('ERR_')
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
