import type { AnyFields, FieldKind } from './fields.ts'
import type { OutputBuffer } from './output-buffer.ts'

export interface Encoder {
  /**
   * The members of extFields, without braces: `"queueId":"3","msgId":"…"`.
   *
   * @returns whether there was any
   */
  json(output: OutputBuffer, header: object): boolean
  /** The entries of a binary header. */
  binary(output: OutputBuffer, header: object): void
}

/** Compiles the encoder of one header. Values that are undefined are left out. */
export function compileEncoder(fields: AnyFields): Encoder {
  const specs = Object.entries(fields).map(([name, field]) => ({ name, key: field.key ?? name, kind: field.kind }))
  const keys = specs.map(({ key }) => Buffer.from(`${JSON.stringify(key)}:"`))
  const laterKeys = specs.map(({ key }) => Buffer.from(`,${JSON.stringify(key)}:"`))
  const steps = specs.map(({ name, kind }, index) => {
    const value = `v${index}`
    return `
      const ${value} = header[${JSON.stringify(name)}]
      if (${value} !== undefined && ${value} !== null) {
        output.writeConstant(any ? laterKeys[${index}] : keys[${index}])
        any = true
        ${jsonOf(kind, value)}
        output.writeByte(0x22)
      }`
  })
  const json = new Function(
    'keys',
    'laterKeys',
    'longText',
    'utf8',
    `return function json(output, header) { let any = false; ${steps.join('\n')}\n return any }`,
  )(keys, laterKeys, longText, utf8) as Encoder['json']
  return {
    json,
    binary(output, header) {
      for (const { name, key, kind } of specs) {
        const value = (header as Record<string, unknown>)[name]
        if (value !== undefined && value !== null)
          writeEntry(output, key, kind === 'long' ? longText(value as number) : value)
      }
    },
  }
}

/** One entry of a binary header: `| key length 2 | key | value length 4 | value |`. */
export function writeEntry(output: OutputBuffer, key: string, value: unknown): void {
  const keyAt = output.length
  output.writeInt16(0)
  output.writeUtf8(key)
  const keyBytes = output.length - keyAt - 2
  output.bytes[keyAt] = keyBytes >>> 8
  output.bytes[keyAt + 1] = keyBytes
  const valueAt = output.length
  output.writeInt32(0)
  if (value instanceof Uint8Array) output.writeBytes(value)
  else output.writeUtf8(String(value))
  output.patchInt32(valueAt, output.length - valueAt - 4)
}

/** Saturated values go out as Java's extremes, which is what they came as. */
export function longText(value: number): string {
  if (value >= Number.MAX_SAFE_INTEGER) return '9223372036854775807'
  if (value <= Number.MIN_SAFE_INTEGER) return '-9223372036854775808'
  return String(value)
}

function jsonOf(kind: FieldKind, value: string): string {
  switch (kind) {
    case 'int':
      return `output.writeNumber(${value})`
    case 'bool':
      return `output.writeJsonText(String(${value}))`
    case 'long':
      return `if (${value} < ${Number.MAX_SAFE_INTEGER}) output.writeNumber(${value}); else output.writeAscii(longText(${value}))`
    case 'bytes':
      return `output.writeJsonText(utf8(${value}))`
    default:
      return `output.writeJsonText(${value})`
  }
}

function utf8(value: Uint8Array | string): string {
  return typeof value === 'string' ? value : Buffer.from(value.buffer, value.byteOffset, value.length).utf8Slice()
}
