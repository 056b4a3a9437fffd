/**
 * Parses YAML with the package `yaml`: returns plain values, and finds the line of a key. Does not know the settings.
 * Messages about syntax errors never quote the text, which may contain passwords.
 */
import { LineCounter, isNode, parseDocument } from 'yaml';

export interface YamlText {
  /** Plain objects, lists and scalars; {} when there were problems. */
  readonly root: unknown;
  readonly problems: readonly { readonly line: number | undefined; readonly text: string }[];
  /** Line of the value at `path`, or of the nearest parent that has one. */
  lineOf(path: readonly string[]): number | undefined;
}

/** Bounds memory; no real configuration is longer. */
const longestText = 16 * 1024 * 1024;
/** More expansion of aliases than this is an attack or a mistake. */
const mostAliases = 100;

/** Never throws. JSON is YAML too. */
export function readYaml(text: string): YamlText {
  const failed = (message: string, line?: number): YamlText => ({
    root: {},
    problems: [{ line, text: message }],
    lineOf: () => undefined,
  });
  if (text.length > longestText) return failed('the file is larger than 16 MB');
  const lines = new LineCounter();
  try {
    const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, merge: true, logLevel: 'silent' });
    if (document.errors.length > 0) {
      const problems = document.errors.map((error) => ({
        line: lines.linePos(error.pos[0]).line,
        // The package puts parts of the text in quotes.
        text: `is not valid YAML: ${error.message.replace(/:? ?["'`][^]*$/, '')} (${error.code})`,
      }));
      return { root: {}, problems, lineOf: () => undefined };
    }
    const root: unknown = document.toJS({ maxAliasCount: mostAliases });
    const lineOf = (path: readonly string[]): number | undefined => {
      for (let length = path.length; length >= 0; length--) {
        const node = length === 0 ? document.contents : document.getIn(path.slice(0, length), true);
        if (isNode(node) && node.range) return lines.linePos(node.range[0]).line;
      }
      return undefined;
    };
    return { root, problems: [], lineOf };
  } catch (error) {
    const isAliases = error instanceof ReferenceError;
    return failed(`is not valid YAML: ${isAliases ? 'too many aliases' : 'it cannot be read'}`);
  }
}

/** The entries of a map parsed from YAML; undefined if `value` is not a map. */
export function entriesOf(value: unknown): readonly (readonly [string, unknown])[] | undefined {
  if (value === null || value === undefined) return [];
  if (typeof value !== 'object' || Array.isArray(value) || value instanceof Date) return undefined;
  return Object.entries(value);
}
