import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { firstNotice, MUTANTS } from './mutants.ts'

describe('the harness notices a broker that', () => {
  for (const mutant of MUTANTS) {
    test(mutant.name, async () => {
      const noticed = await firstNotice(mutant)
      assert.ok(noticed !== undefined, 'it lives')
      assert.match(noticed.message, mutant.notice)
    })
  }
})
