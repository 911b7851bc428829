/** The largest piece of memory that was asked for outside of the heap, however short it lived. */
export interface Allocations {
  readonly largestBytes: number
  reset(): void
}

/** Watches the calls by which the code of this thread asks for buffers. */
export function watchAllocations(): Allocations {
  let largestBytes = 0
  for (const name of ['alloc', 'allocUnsafe', 'allocUnsafeSlow'] as const) {
    const allocate = Buffer[name].bind(Buffer) as (size: number, ...rest: unknown[]) => Buffer
    Object.assign(Buffer, {
      [name]: (size: number, ...rest: unknown[]): Buffer => {
        if (size > largestBytes) largestBytes = size
        return allocate(size, ...rest)
      },
    })
  }
  return {
    get largestBytes() {
      return largestBytes
    },
    reset() {
      largestBytes = 0
    },
  }
}
