import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { ConfigFile } from '../base/config-file.ts'
import { memoryLog, silentLog } from '../base/console-log.ts'
import { SeededRandom } from '../base/random.ts'
import { SimulatedDisk } from '../base/simulated-disk.ts'
import { SimulatedScheduler } from '../base/simulated-scheduler.ts'
import { nameServerSettings } from './settings.ts'
import { SettingsFileStore } from './settings-file.ts'

const PATH = '/data/namesrv.properties'
function newDisk(): SimulatedDisk {
  const disk = new SimulatedDisk(new SeededRandom(1), { scheduler: new SimulatedScheduler() })
  disk.makeDirectorySync('/data')
  return disk
}

describe('remote changes of settings', () => {
  test('add up, outlast a crash, and are told with the file they come from', () => {
    const disk = newDisk()
    const first = new SettingsFileStore(disk, PATH, silentLog)
    assert.deepEqual(first.load(), {})
    first.save({ enableTopicList: 'false' })
    first.save({ waitSecondsForService: '7' })
    disk.crash()
    const again = new SettingsFileStore(disk, PATH, silentLog)
    again.save({ enableTopicList: 'true' })
    assert.deepEqual(new SettingsFileStore(disk, PATH, silentLog).load(), {
      enableTopicList: { value: 'true', origin: PATH },
      waitSecondsForService: { value: '7', origin: PATH },
    })
  })

  test('are read from a file of Java, which holds all settings, and nothing else of it', () => {
    const disk = newDisk()
    const all = nameServerSettings.format({ ...nameServerSettings.defaults(), listenPort: 1, enableTopicList: false })
    new ConfigFile(disk, PATH, silentLog).save(`${all}\nrocketmqHome=/x\nscanNotActiveBrokerInterval=never\n`)
    const changes = new SettingsFileStore(disk, PATH, silentLog).load()
    assert.equal(changes['enableTopicList']!.value, 'false')
    for (const key of ['listenPort', 'kvConfigPath', 'rocketmqHome', 'scanNotActiveBrokerInterval'])
      assert.equal(changes[key], undefined, key)
  })

  test('that cannot be read stop the start with the name of the file', () => {
    const disk = newDisk()
    new ConfigFile(disk, PATH, silentLog).save('enableTopicList=\\u00zz')
    const log = memoryLog()
    assert.throws(() => new SettingsFileStore(disk, PATH, log), /namesrv\.properties and its \.bak cannot be read/)
  })
})
