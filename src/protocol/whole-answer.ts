/**
 * Whether bytes are the whole answer of one SELECT outside of a transaction, as it was asked for: the messages that must be there
 * in their order up to ReadyForQuery, each of its exact length, all rows of one width, their number as CommandComplete says, and
 * nothing behind. Pure; for answers that come from somewhere else than a server.
 */
import { Backend } from './codes.ts';

/** What comes before the rows. `statement row` describes the statement, whose formats are not known yet: all are text. */
export type Heading = 'parse' | 'bind' | 'parameters' | 'statement row' | 'row';

export interface AnswerForm {
  readonly headings: readonly Heading[];
  /** As in Bind: none = all text, one = for all columns, otherwise one for each. */
  readonly formats: readonly number[];
  /** Values in Bind. */
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

/** Number of columns in a RowDescription; `wrong` if it is none, or of other formats. */
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
