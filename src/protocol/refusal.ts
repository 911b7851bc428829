/** A request that cannot be granted: becomes the answer, is no fault of ours, and is not logged as one. */
export class Refusal extends Error {
  override readonly name = 'Refusal'
  /** One of ResponseCode. */
  readonly code: number
  /** Response header fields that go with it, where a command has some even when refused. */
  readonly header: Readonly<Record<string, unknown>> | undefined

  constructor(code: number, remark: string, header?: Readonly<Record<string, unknown>>) {
    super(remark)
    this.code = code
    this.header = header
  }

  get remark(): string {
    return this.message
  }
}
