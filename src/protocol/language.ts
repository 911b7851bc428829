/** Languages of clients, by their code on the wire. */
export const LanguageCode = {
  JAVA: 0,
  CPP: 1,
  DOTNET: 2,
  PYTHON: 3,
  DELPHI: 4,
  ERLANG: 5,
  RUBY: 6,
  OTHER: 7,
  HTTP: 8,
  GO: 9,
  PHP: 10,
  OMS: 11,
  RUST: 12,
  NODE_JS: 13,
} as const

const names: readonly string[] = Object.keys(LanguageCode)

/** The name of a code; undefined for one that nobody knows. */
export function languageName(code: number): string | undefined {
  return names[code]
}

/** The code of a name in any case, or of an ordinal; -1 for one that nobody knows. */
export function languageCode(name: string): number {
  return names.indexOf(name.toUpperCase())
}
