import type { FileSystemSpace } from '../base/disk.ts'

/**
 * Use of a file system as `df` counts it, rounded up: of what is used and what an unprivileged process may still use.
 *
 * @returns -1 for a file system that tells no size
 */
export function usedPercent({ totalBytes, freeBytes, availableBytes }: FileSystemSpace): number {
  if (totalBytes <= 0) return -1
  const used = totalBytes - freeBytes
  return Math.ceil((100 * used) / (used + availableBytes))
}

/** The same as Java tells it, as a share. */
export function usedRatio(space: FileSystemSpace): string {
  const percent = usedPercent(space)
  if (percent < 0) return '-1.0'
  const ratio = percent / 100
  return Number.isInteger(ratio) ? `${ratio}.0` : String(ratio)
}

/** `239.7 GiB`, and whole bytes below 1 KiB. */
export function sizeText(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`
  const power = Math.floor(Math.log(bytes) / Math.log(1024))
  return `${(bytes / 1024 ** power).toFixed(1)} ${'KMGTPE'[power - 1]}iB`
}
