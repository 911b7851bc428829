import type { Report } from './report.ts'
import type { Product } from './servers.ts'

/** What every group is handed. */
export interface Run {
  report: Report
  product: Product
  /** A directory of this run. */
  work: string
  /** Makes topic and group names of this run its own. */
  id: string
  width: number
  record: boolean
}
