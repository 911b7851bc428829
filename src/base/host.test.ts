import assert from 'node:assert/strict'
import { isIP } from 'node:net'
import { totalmem } from 'node:os'
import { test } from 'node:test'
import { memoryBytes, networkAddress, processId } from './host.ts'

test('the machine has an address, a process and memory', () => {
  assert.ok(isIP(networkAddress()) > 0, networkAddress())
  assert.ok(!networkAddress().startsWith('fe80'), 'that others can reach')
  assert.equal(processId(), process.pid)
  assert.ok(memoryBytes() > 0 && memoryBytes() <= totalmem())
})
