/** The type of log_min_duration: a duration, 0 (everything), or -1 (nothing), as PostgreSQL's log_min_duration_statement. */
import { duration, formatDuration, longestDurationMs, type Parsed, type ValueType } from './values.ts';

const off = -1;
const words: readonly unknown[] = [off, String(off), false, 'off', null];

/** A number without a unit is of milliseconds, as in PostgreSQL. */
export function durationOrOff(): ValueType<number> {
  const type = duration(1, longestDurationMs, 'all');
  const allowed = `${type.allowed}; -1 = off; without a unit: milliseconds`;
  const parse = (raw: unknown): Parsed<number> => {
    if (words.includes(raw)) return { value: off };
    const isBare = typeof raw === 'number' || (typeof raw === 'string' && /^\d+$/.test(raw.trim()));
    const parsed = type.parse(isBare && Number(raw) !== 0 ? `${Number(raw)}ms` : raw);
    return 'value' in parsed ? parsed : { refused: `is not ${allowed}` };
  };
  return {
    name: 'duration',
    allowed,
    parse,
    parseText: (text) => parse(text.trim().toLowerCase()),
    format: (value) => (value === off ? '-1' : formatDuration(value)),
  };
}
