import { Output } from './output.ts'

/**
 * A role that runs until it is told to stop: SIGTERM and SIGINT drain, flush and exit 0; a second one exits at once.
 *
 * @param start resolves when clients can connect; what it returns is closed at the end
 * @param ready the line for standard output, which begins with `ready`
 */
export async function runUntilSignal<Role extends AsyncDisposable>(
  start: (stop: AbortSignal) => Promise<Role>,
  ready: (role: Role) => string,
): Promise<number> {
  const stop = new AbortController()
  let signals = 0
  const stopped = new Promise<void>((resolve) => {
    const onSignal = (signal: NodeJS.Signals): void => {
      signals++
      if (signals > 1) process.exit(signal === 'SIGINT' ? 130 : 143)
      stop.abort(new Error(`stopped by ${signal}`))
      resolve()
    }
    process.on('SIGTERM', onSignal)
    process.on('SIGINT', onSignal)
  })
  await using role = await start(stop.signal)
  if (!stop.signal.aborted) await new Output(process.stdout).write(`${ready(role)}\n`, stop.signal)
  await stopped
  return 0
}
