/**
 * Derives from a cache key the form that its answer must have: the messages that answer the request, and the formats
 * that Bind asks for. Used to check an answer from Redis before a client gets it. Pure.
 */
import type { AnswerForm, Heading } from '../protocol/whole-answer.ts';
import type { KeyParts } from './types.ts';

/** By letter of KeyParts.shape. */
const headings: Readonly<Record<string, readonly Heading[]>> = {
  Q: ['row'],
  P: ['parse'],
  S: ['parameters', 'statement row'],
  B: ['bind'],
  D: ['row'],
  E: [],
};

/** @returns undefined if the shape is not known, or Bind is malformed */
export function answerForm({ shape, bind }: Pick<KeyParts, 'shape' | 'bind'>): AnswerForm | undefined {
  const expected: Heading[] = [];
  for (const letter of shape.split(' ', 1)[0]!) {
    const some = headings[letter];
    if (some === undefined) return undefined;
    expected.push(...some);
  }
  if (bind === undefined) return { headings: expected, formats: [], parameters: 0 };
  const parameters = readParameters(bind);
  const formats = parameters === undefined ? undefined : readFormats(bind, parameters.end);
  if (parameters === undefined || formats === undefined || formats.end !== bind.length) return undefined;
  return { headings: expected, formats: formats.formats, parameters: parameters.count };
}

/** Reads the formats of the values, then the values. */
function readParameters(bind: Buffer): { count: number; end: number } | undefined {
  let at = readFormats(bind, 0)?.end;
  if (at === undefined || at + 2 > bind.length) return undefined;
  const count = bind.readUInt16BE(at);
  at += 2;
  for (let i = 0; i < count; i++) {
    if (at + 4 > bind.length) return undefined;
    at += 4 + Math.max(0, bind.readInt32BE(at));
  }
  return { count, end: at };
}

function readFormats(bind: Buffer, start: number): { formats: number[]; end: number } | undefined {
  if (start + 2 > bind.length) return undefined;
  const count = bind.readUInt16BE(start);
  const end = start + 2 + 2 * count;
  if (end > bind.length) return undefined;
  const formats: number[] = [];
  for (let at = start + 2; at < end; at += 2) formats.push(bind.readInt16BE(at));
  return { formats, end };
}
