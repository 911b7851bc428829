/** Bytes that are no frame: the connection they came on is closed, as Java's decoder does. */
export class FrameError extends Error {
  override readonly name = 'FrameError'
}
