/**
 * A component counts in plain fields of an object that it owns; whoever exports metrics reads them when scraped.
 * Values are numbers, or functions for what is cheaper to compute when asked.
 */
export type Probe = Record<string, number | (() => number)>

export interface ProbeSample {
  /** `component.field`, with labels if any. */
  name: string
  labels: Record<string, string>
  value: number
}

/** All probes of one process or of one embedded role; no module state. */
export class Probes {
  #registered: { component: string; labels: Record<string, string>; probe: Probe }[] = []

  /** Registers the probe of a component and gives it back, so that it can be declared where it is counted. */
  register<P extends Probe>(component: string, probe: P, labels: Record<string, string> = {}): P {
    this.#registered.push({ component, labels, probe })
    return probe
  }

  /** Every field of every probe, as it stands now. */
  read(): ProbeSample[] {
    const samples: ProbeSample[] = []
    for (const { component, labels, probe } of this.#registered) {
      for (const [field, value] of Object.entries(probe)) {
        samples.push({ name: `${component}.${field}`, labels, value: typeof value === 'function' ? value() : value })
      }
    }
    return samples
  }
}
