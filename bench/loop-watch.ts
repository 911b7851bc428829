/**
 * Preloaded into a server under measurement (`node --import bench/loop-watch.ts …`): four times a second it writes how
 * long the event loop stood still at most since the file was last removed, and how many system calls of files it made.
 * The file is named by LOOP_WATCH_FILE.
 */
import { existsSync, writeFileSync } from 'node:fs'
import { monitorEventLoopDelay } from 'node:perf_hooks'

const file = process.env['LOOP_WATCH_FILE']
if (file !== undefined) {
  const resolution = 5
  const delay = monitorEventLoopDelay({ resolution })
  delay.enable()
  let maxMs = 0
  setInterval(() => {
    if (!existsSync(file)) maxMs = 0
    maxMs = Math.max(maxMs, delay.max / 1e6 - resolution)
    delay.reset()
    writeFileSync(file, JSON.stringify({ maxMs }))
  }, 250).unref()
}
