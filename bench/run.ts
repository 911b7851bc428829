/** `npm run bench -- [PAGE] [OPTIONS]`: what each page measures stands at its head. */
const pages: Readonly<Record<string, string>> = {
  sends: './sends.ts',
  store: './store.ts',
  'many-queues': './many-queues.ts',
}
const [first] = process.argv.slice(2)
const page = first === undefined || first.startsWith('-') ? 'sends' : first
if (page === first) process.argv.splice(2, 1)
const program = pages[page]
if (program === undefined) {
  process.stderr.write(`no bench '${page}'; one of ${Object.keys(pages).join(', ')}\n`)
  process.exitCode = 1
} else await import(program)
