/** Methods of Node's Buffer that its published types leave out: no arguments to normalise, so they are the fast ones. */
declare global {
  interface Buffer<TArrayBuffer extends ArrayBufferLike = ArrayBufferLike> {
    utf8Slice(start?: number, end?: number): string
    latin1Slice(start?: number, end?: number): string
    utf8Write(text: string, offset?: number, length?: number): number
    latin1Write(text: string, offset?: number, length?: number): number
  }
}

export {}
