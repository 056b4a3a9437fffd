/**
 * Answers of one row of one column, as a server gives them to a simple query.
 */
import { commandComplete, dataRow, readyForQuery, rowDescription } from '../../src/protocol/write.ts';

const described = rowDescription([{ name: 'text' }]);

export function answerOf(text: string): Buffer {
  return Buffer.concat([described, dataRow([text]), commandComplete('SELECT 1'), readyForQuery('I')]);
}

/** The value in such an answer; bytes of another kind as they are. */
export function textIn(parts: readonly Buffer[]): string {
  const bytes = Buffer.concat([...parts]);
  if (bytes.compare(described, 0, described.length, 0, Math.min(described.length, bytes.length)) !== 0)
    return bytes.toString();
  const start = described.length + 11;
  return bytes.toString('utf8', start, start + bytes.readInt32BE(start - 4));
}
