/**
 * The type of the setting `workers`: a number of processes, or `auto` for one on each core. Used by settings-pools.ts.
 */
import { availableParallelism } from 'node:os';
import { integer, type Parsed, type ValueType } from './values.ts';

/** More processes than any machine has use for. */
const mostWorkers = 128;

export function workers(): ValueType<number> {
  const number = integer(1, mostWorkers);
  const allowed = `${number.allowed}, or auto (one for each core)`;
  const checked = (parsed: Parsed<number>): Parsed<number> =>
    'refused' in parsed ? { refused: `is not ${allowed}` } : parsed;
  const auto = (): Parsed<number> => ({ value: Math.min(mostWorkers, availableParallelism()) });
  return {
    name: 'integer',
    allowed,
    parse: (raw) => (raw === 'auto' ? auto() : checked(number.parse(raw))),
    parseText: (text) => (text.trim() === 'auto' ? auto() : checked(number.parseText(text))),
    format: String,
  };
}
