/**
 * The statements that take most time, are called most, or miss the cache most, of the statistics of statements. Read every few
 * seconds only: there may be a thousand, of each worker. Used by feed.ts.
 */
import { statementBoundsMs, type StatementFigures } from '../../statements/types.ts';
import { quantileOf } from '../../util/histogram.ts';
import { rounded } from './points.ts';
import type { StatementRow, TopStatements } from './types.ts';

const mostStatements = 20;
const mostCharacters = 400;

/** null: there are no statistics (statements.enabled). */
export function topStatements(figures: Iterable<StatementFigures> | undefined): TopStatements | null {
  if (figures === undefined) return null;
  const all = [...figures];
  const top = (rank: (each: StatementFigures) => number): StatementRow[] =>
    all
      .filter((each) => rank(each) > 0)
      .sort((a, b) => rank(b) - rank(a))
      .slice(0, mostStatements)
      .map(statementRow);
  return {
    byTime: top(({ totalMs }) => totalMs),
    byCalls: top(({ calls }) => calls),
    byMisses: top(({ cacheMisses }) => cacheMisses),
  };
}

function statementRow(figures: StatementFigures): StatementRow {
  const { database, user, queryId, query, calls, errors, rows, totalMs, waitMs, cacheHits, cacheMisses } = figures;
  const p95Ms = quantileOf(statementBoundsMs, figures.durations, 0.95);
  const nodes = Object.entries(figures.nodes).sort(([, a], [, b]) => b - a);
  return {
    ...{ key: `${queryId} ${user} ${database}`, database, user, calls, errors, rows },
    text: query.length > mostCharacters ? `${query.slice(0, mostCharacters)} ...` : query,
    totalMs: rounded(totalMs),
    meanMs: rounded(calls > 0 ? totalMs / calls : 0),
    p95Ms: p95Ms === undefined ? null : rounded(Math.min(figures.maxMs, p95Ms)),
    waitMs: rounded(waitMs),
    ...{ hits: cacheHits, misses: cacheMisses },
    nodes: nodes.map(([name, count]) => `${name} ${count}`).join(', '),
  };
}
