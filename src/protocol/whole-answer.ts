/**
 * Checks that bytes are a complete answer to one SELECT outside of a transaction: the expected messages in order up to
 * ReadyForQuery and nothing after it, each with its exact length, all rows with the same number of columns, and as many
 * rows as CommandComplete says. For answers from the second level of the cache, which do not come from a server.
 */
import { Backend } from './codes.ts';

/** Messages before the rows. `statement row`: RowDescription of a statement, before Bind, so with all formats text. */
export type Heading = 'parse' | 'bind' | 'parameters' | 'statement row' | 'row';

export interface AnswerForm {
  readonly headings: readonly Heading[];
  /** Result formats as in Bind: none = all text, one = for all columns, else one per column. */
  readonly formats: readonly number[];
  /** Number of parameter values in Bind. */
  readonly parameters: number;
}

const types: Readonly<Record<Heading, number>> = {
  parse: Backend.ParseComplete,
  bind: Backend.BindComplete,
  parameters: Backend.ParameterDescription,
  'statement row': Backend.RowDescription,
  row: Backend.RowDescription,
};

const noFormats: readonly number[] = [];
const unknown = -1;
const wrong = -2;
const idle = 'I'.charCodeAt(0);

/** @param form what the request makes the server answer */
export function isWholeAnswer(bytes: Buffer, form: AnswerForm): boolean {
  let at = 0;
  let columns = form.formats.length > 1 ? form.formats.length : unknown;
  for (const heading of form.headings) {
    const end = endOfFrame(bytes, at, types[heading]);
    if (end === wrong) return false;
    if (heading === 'parameters') {
      if (!isParameterList(bytes, at, end, form.parameters)) return false;
    } else if (heading === 'row' || heading === 'statement row') {
      const described = columnsDescribed(bytes, at, end, heading === 'row' ? form.formats : noFormats);
      if (described === wrong || (columns !== unknown && columns !== described)) return false;
      columns = described;
    } else if (end !== at + 5) return false;
    at = end;
  }
  let rows = 0;
  for (; bytes[at] === Backend.DataRow; rows++) {
    const end = endOfFrame(bytes, at, Backend.DataRow);
    if (end === wrong || end < at + 7) return false;
    if (columns === unknown) columns = bytes.readInt16BE(at + 5);
    if (!isRow(bytes, at, end, columns)) return false;
    at = end;
  }
  const end = endOfFrame(bytes, at, Backend.CommandComplete);
  if (end === wrong || bytes.toString('latin1', at + 5, end) !== `SELECT ${rows}\0`) return false;
  return (
    bytes.length === end + 6 && endOfFrame(bytes, end, Backend.ReadyForQuery) === end + 6 && bytes[end + 5] === idle
  );
}

function endOfFrame(bytes: Buffer, at: number, type: number): number {
  if (at + 5 > bytes.length || bytes[at] !== type) return wrong;
  const end = at + 1 + bytes.readInt32BE(at + 1);
  return end >= at + 5 && end <= bytes.length ? end : wrong;
}

function isParameterList(bytes: Buffer, start: number, end: number, parameters: number): boolean {
  return end === start + 7 + 4 * parameters && bytes.readUInt16BE(start + 5) === parameters;
}

/** @returns the number of columns in a RowDescription; `wrong` if it is malformed or has other formats */
function columnsDescribed(bytes: Buffer, start: number, end: number, formats: readonly number[]): number {
  if (end < start + 7) return wrong;
  const columns = bytes.readInt16BE(start + 5);
  if (columns < 0) return wrong;
  let at = start + 7;
  for (let column = 0; column < columns; column++) {
    const nameEnd = bytes.indexOf(0, at);
    if (nameEnd < 0 || nameEnd + 19 > end) return wrong;
    const format = (formats.length === 1 ? formats[0] : formats[column]) ?? 0;
    if (bytes.readInt16BE(nameEnd + 17) !== format) return wrong;
    at = nameEnd + 19;
  }
  return at === end ? columns : wrong;
}

function isRow(bytes: Buffer, start: number, end: number, columns: number): boolean {
  if (bytes.readInt16BE(start + 5) !== columns) return false;
  let at = start + 7;
  for (let column = 0; column < columns; column++) {
    if (at + 4 > end) return false;
    const length = bytes.readInt32BE(at);
    if (length < -1) return false;
    at += 4 + Math.max(length, 0);
    if (at > end) return false;
  }
  return at === end;
}
