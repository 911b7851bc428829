import type { FileSystemSpace } from '../base/disk.ts'

/** Share of a file system in use as `df` counts it: of what is used and what an unprivileged process may still use. */
export function usedRatio({ totalBytes, freeBytes, availableBytes }: FileSystemSpace): string {
  if (totalBytes <= 0) return '-1.0'
  const used = totalBytes - freeBytes
  const ratio = Math.ceil((100 * used) / (used + availableBytes)) / 100
  return Number.isInteger(ratio) ? `${ratio}.0` : String(ratio)
}

/** `239.7 GiB`, and whole bytes below 1 KiB. */
export function sizeText(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`
  const power = Math.floor(Math.log(bytes) / Math.log(1024))
  return `${(bytes / 1024 ** power).toFixed(1)} ${'KMGTPE'[power - 1]}iB`
}
