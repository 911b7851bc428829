/**
 * Writes the generated pages of docs/ from the declarations: `npm run docs`. `--check` only compares, for the test.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { protocolDocs } from './protocol-docs.ts'
import { settingsDocs } from './settings-docs.ts'

const docs = resolve(import.meta.dirname, '../docs')

/** Page name to text. */
export const generatedPages: Record<string, () => string> = {
  'protocol.md': protocolDocs,
  'settings.md': settingsDocs,
}

/** Names of the pages whose file differs from what the declarations say. */
export function stalePages(): string[] {
  return Object.entries(generatedPages)
    .filter(([name, text]) => readIfThere(join(docs, name)) !== text())
    .map(([name]) => name)
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}

if (import.meta.main) {
  if (process.argv.includes('--check')) {
    const stale = stalePages()
    if (stale.length > 0) {
      process.stderr.write(`stale: ${stale.join(', ')}; run npm run docs\n`)
      process.exit(1)
    }
  } else {
    for (const [name, text] of Object.entries(generatedPages)) {
      writeFileSync(join(docs, name), text())
      process.stdout.write(`docs/${name}\n`)
    }
  }
}
