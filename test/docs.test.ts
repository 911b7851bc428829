import assert from 'node:assert/strict'
import { test } from 'node:test'
import { stalePages } from '../scripts/docs.ts'

test('the generated pages say what the declarations say', () => {
  assert.deepEqual(stalePages(), [], 'run `npm run docs` and commit what it writes')
})
