import { networkInterfaces, totalmem } from 'node:os'

/** The first address of this machine that is not loopback, IPv4 before IPv6; loopback when there is none. */
export function networkAddress(): string {
  const addresses = Object.values(networkInterfaces())
    .flatMap((list) => list ?? [])
    .filter(({ internal, address }) => !internal && !address.startsWith('fe80'))
  return (addresses.find(({ family }) => family === 'IPv4') ?? addresses[0])?.address ?? '127.0.0.1'
}

export function processId(): number {
  return process.pid
}

/** Of the machine, or of the limit under which the process runs. */
export function memoryBytes(): number {
  const limit = process.constrainedMemory()
  const total = totalmem()
  return limit > 0 && limit < total ? limit : total
}
