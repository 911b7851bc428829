import type { AnyCommand } from './command.ts'
import { FLAG_ONE_WAY, FLAG_RESPONSE, Serialize } from './frame.ts'
import { writeEntry } from './header-encoder.ts'
import { quote } from './json-text.ts'
import { LanguageCode, languageName } from './language.ts'
import { CURRENT_VERSION } from './names.ts'
import type { OutputBuffer } from './output-buffer.ts'

export interface RequestFrame {
  opaque: number
  oneWay?: boolean
  language?: number
  version?: number
  serialize?: Serialize
  remark?: string
  /** Fields beyond the command's own. */
  extra?: Readonly<Record<string, string>>
  /** Bytes that follow the header; the caller appends them. */
  bodySize: number
}

export interface ResponseFrame {
  code: number
  opaque: number
  remark?: string | undefined
  header?: object | undefined
  extra?: Readonly<Record<string, string>> | undefined
  serialize: Serialize
  bodySize: number
}

/** Appends length, header length and header of a request; the body's bytes are the caller's to append. */
export function encodeRequestFrame(
  output: OutputBuffer,
  command: AnyCommand,
  header: object | undefined,
  frame: RequestFrame,
): void {
  const {
    opaque,
    extra,
    bodySize,
    serialize = Serialize.JSON,
    language = LanguageCode.JAVA,
    version = CURRENT_VERSION,
  } = frame
  const flag = frame.oneWay === true ? FLAG_ONE_WAY : 0
  const fields = header === undefined ? undefined : command.requestEncoder
  encode(
    output,
    serialize,
    command.code,
    language,
    version,
    opaque,
    flag,
    frame.remark,
    fields,
    header,
    extra,
    bodySize,
  )
}

/** Appends length, header length and header of a response; the body's bytes are the caller's to append. */
export function encodeResponseFrame(output: OutputBuffer, command: AnyCommand | undefined, frame: ResponseFrame): void {
  const { code, opaque, remark, header, extra, serialize, bodySize } = frame
  const fields = header === undefined ? undefined : command?.responseEncoder
  encode(
    output,
    serialize,
    code,
    LanguageCode.JAVA,
    CURRENT_VERSION,
    opaque,
    FLAG_RESPONSE,
    remark,
    fields,
    header,
    extra,
    bodySize,
  )
}

function encode(
  output: OutputBuffer,
  serialize: Serialize,
  code: number,
  language: number,
  version: number,
  opaque: number,
  flag: number,
  remark: string | undefined,
  fields: AnyCommand['requestEncoder'] | undefined,
  header: object | undefined,
  extra: Readonly<Record<string, string>> | undefined,
  bodySize: number,
): void {
  const start = output.length
  output.ensure(8)
  output.length = start + 8
  if (serialize === Serialize.JSON) {
    let members = fields === undefined ? undefined : fields.json(header!)
    if (extra !== undefined) members = extraMembers(members ?? '', extra)
    output.writeUtf8(
      `{"code":${code}${members === undefined ? '' : `,"extFields":{${members}}`},"flag":${flag},"language":"${languageName(language) ?? 'OTHER'}","opaque":${opaque}${
        remark === undefined ? '' : `,"remark":${quote(remark)}`
      },"serializeTypeCurrentRPC":"JSON","version":${version}}`,
    )
  } else {
    output.writeInt16(code)
    output.writeByte(language)
    output.writeInt16(version)
    output.writeInt32(opaque)
    output.writeInt32(flag)
    const remarkAt = output.length
    output.writeInt32(0)
    if (remark !== undefined) {
      output.writeUtf8(remark)
      output.patchInt32(remarkAt, output.length - remarkAt - 4)
    }
    const fieldsAt = output.length
    output.writeInt32(0)
    fields?.binary(output, header!)
    for (const key in extra) writeEntry(output, key, extra[key])
    output.patchInt32(fieldsAt, output.length - fieldsAt - 4)
  }
  const headerBytes = output.length - start - 8
  output.patchInt32(start, headerBytes + 4 + bodySize)
  output.patchInt32(start + 4, (serialize << 24) | headerBytes)
}

function extraMembers(members: string, extra: Readonly<Record<string, string>>): string {
  let text = members
  for (const key in extra) text += `${text === '' ? '' : ','}${quote(key)}:${quote(extra[key]!)}`
  return text
}
