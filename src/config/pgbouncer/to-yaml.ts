/**
 * Prints what a pgbouncer.ini means as YAML, each value with the line that it is from, and what has no effect at the top. The
 * result is a configuration of Weir with the same settings. Called by `weir convert`.
 */
import { Document, isMap, isScalar, type Node } from 'yaml';
import type { Draft } from './draft.ts';

const longestComment = 140;

/** @param label the name of the ini */
export function toYaml(draft: Draft, label: string): string {
  const document = new Document(draft.root);
  comment(document.contents, [], draft);
  const head = [
    ` Made from ${label}. Values without a comment of their own are Weir's defaults: docs/settings.md.`,
    ...draft.notes.map((note) => ` ${oneLine(note)}`),
  ];
  document.commentBefore = head.join('\n');
  return document.toString({ lineWidth: 0, indentSeq: true });
}

/** Comments stand behind what fits into a line, and above what does not. */
function comment(node: Node | null, path: readonly string[], draft: Draft): void {
  if (!isMap(node)) return;
  for (const { key, value } of node.items) {
    if (!isScalar(key)) continue;
    const here = [...path, String(key.value)];
    const text = draft.originOf(here)?.text;
    if (text !== undefined) {
      if (isScalar(value)) value.comment = ` ${oneLine(text)}`;
      else key.commentBefore = ` ${oneLine(text)}`;
    }
    comment(value as Node | null, here, draft);
  }
}

function oneLine(text: string): string {
  const line = text.replace(/[\s\0-\x1f\x7f]+/g, ' ');
  return line.length > longestComment ? `${line.slice(0, longestComment)}...` : line;
}
