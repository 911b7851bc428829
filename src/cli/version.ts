import { createRequire } from 'node:module'

/** Version of the package this file belongs to, in a clone and when installed. */
export function version(): string {
  const require = createRequire(import.meta.url)
  return (require('../../package.json') as { version: string }).version
}
