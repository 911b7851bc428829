import { folderOf, repairCommand } from './store-paths.ts'

/** The log holds something that no crash explains. Nothing was changed; a person must look. */
export class StoreCorrupt extends Error {
  override readonly name = 'StoreCorrupt'
  readonly path: string
  /** Address in the commit log. */
  readonly position: number

  constructor(what: string, path: string, position: number, fileByte: number) {
    super(
      `commit log damaged: ${what} at position ${position} (${path}, byte ${fileByte}). ` +
        `Nothing was changed. Restore the file from a copy, or see what can be kept with: ${repairCommand(folderOf(path))}`,
    )
    this.path = path
    this.position = position
  }
}

/** The directory is not one that this store opens; the message says why and what to do. */
export class StoreRefused extends Error {
  override readonly name = 'StoreRefused'
}

/** Another process runs on the directory. */
export class StoreLocked extends Error {
  override readonly name = 'StoreLocked'
}
