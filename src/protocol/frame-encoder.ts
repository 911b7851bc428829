import type { AnyCommand } from './command.ts'
import { FLAG_ONE_WAY, FLAG_RESPONSE, Serialize } from './frame.ts'
import { writeEntry } from './header-encoder.ts'
import { quote } from './json-text.ts'
import { LanguageCode, languageName } from './language.ts'
import { CURRENT_VERSION } from './names.ts'
import type { OutputBuffer } from './output-buffer.ts'

const CLOSING_BRACE = 0x7d
const CODE = Buffer.from('{"code":')
const EXT_FIELDS = Buffer.from(',"extFields":{')
const FLAG = Buffer.from(',"flag":')
const JAVA = Buffer.from(',"language":"JAVA","opaque":')
const VERSION = Buffer.from(',"serializeTypeCurrentRPC":"JSON","version":')

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
    output.writeConstant(CODE)
    output.writeNumber(code)
    if (fields !== undefined || extra !== undefined) {
      output.writeConstant(EXT_FIELDS)
      const any = fields?.json(output, header!) ?? false
      if (extra !== undefined) writeExtraMembers(output, any, extra)
      output.writeByte(CLOSING_BRACE)
    }
    output.writeConstant(FLAG)
    output.writeNumber(flag)
    if (language === LanguageCode.JAVA) output.writeConstant(JAVA)
    else output.writeAscii(`,"language":"${languageName(language) ?? 'OTHER'}","opaque":`)
    output.writeNumber(opaque)
    if (remark !== undefined) output.writeUtf8(`,"remark":${quote(remark)}`)
    output.writeConstant(VERSION)
    output.writeNumber(version)
    output.writeByte(CLOSING_BRACE)
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

function writeExtraMembers(output: OutputBuffer, any: boolean, extra: Readonly<Record<string, string>>): void {
  let comma = any
  for (const key in extra) {
    output.writeUtf8(`${comma ? ',' : ''}${quote(key)}:${quote(extra[key]!)}`)
    comma = true
  }
}
