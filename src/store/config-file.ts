export { ConfigFile } from '../base/config-file.ts'
