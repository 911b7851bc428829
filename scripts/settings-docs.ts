import type { SettingDescription } from '../src/base/settings.ts'
import { brokerSettings } from '../src/broker/settings.ts'
import { nameServerSettings } from '../src/nameserver/settings.ts'
import { storeSettings } from '../src/store/settings.ts'

const GENERATED = '<!-- Generated from the declarations by `npm run docs`; a test keeps it fresh. -->'

/** docs/settings.md: every key that something obeys, and those of RocketMQ that nothing obeys yet. */
export function settingsDocs(): string {
  const own = brokerSettings.describe().filter(({ key }) => !storeSettings.has(key))
  return [
    '# Settings',
    '',
    GENERATED,
    '',
    "Keys are RocketMQ's own. They come from a file (`-c FILE`, a `.conf` or `.properties` of RocketMQ as it is) or from",
    '`--set KEY=VALUE`, which is stronger. `cometmq start` hands each key to the role that knows it. An unknown key is warned',
    'of with the nearest known one; a value that cannot be used is refused by name. *Updatable* keys can be changed while the',
    'server runs (`mqadmin updateBrokerConfig`, `updateNamesrvConfig`); no path is ever updatable.',
    '',
    'Byte sizes take a number of bytes, times are in milliseconds unless the text says otherwise.',
    '',
    ...section('Name server', nameServerSettings.describe()),
    ...section('Broker', own),
    ...section('Store', storeSettings.describe()),
    '## Known, without effect yet',
    '',
    'Keys of RocketMQ that are accepted in a file, with one line in the log that says so.',
    '',
    [...new Set([...nameServerSettings.knownElsewhere, ...brokerSettings.knownElsewhere])]
      .filter((key) => !brokerSettings.has(key) && !nameServerSettings.has(key))
      .sort()
      .map((key) => `\`${key}\``)
      .join(', '),
    '',
  ].join('\n')
}

function section(title: string, settings: SettingDescription[]): string[] {
  return [
    `## ${title}`,
    '',
    '| key | type | default | updatable | |',
    '| --- | --- | --- | --- | --- |',
    ...settings.map(({ key, type, fallback, about, updatable }) => {
      const value = fallback === '' ? '–' : `\`${fallback}\``
      return `| \`${key}\` | ${type.replaceAll('|', '\\|')} | ${value} | ${updatable ? 'yes' : 'no'} | ${about.replaceAll('|', '\\|')} |`
    }),
    '',
  ]
}
