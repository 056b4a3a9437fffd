/** How the figures of rate limits, budgets, memory and forecasts of several workers become one. Part of figure-rules.ts. */
import type { BudgetFigures } from '../budgets/types.ts';
import type { DecodingFigures } from '../decoding/types.ts';
import type { ConnectionBudgetFigures } from '../shares/types.ts';
import type { ForecastFigures } from '../forecast/types.ts';
import type { BucketFigures, LimitFigures } from '../limits/types.ts';
import type { StatementFigures } from '../statements/types.ts';
import { memoryStates, type MemoryFigures, type MemoryState, type ShedReason } from '../memory/types.ts';
import {
  byKey,
  count,
  countArray,
  counts,
  earliest,
  joined,
  known,
  ifBoth,
  largest,
  row,
  same,
  smallest,
  sum,
} from './merge-rules.ts';
import type { Rule, Rules } from './merge-rules.ts';

/** What is left is the same for all: who has heard last knows of least. */
const bucket: Rules<BucketFigures> = { whom: same(), tokens: smallest, refused: count, sinceMs: earliest };

const limit: Rules<LimitFigures> = {
  name: same(),
  kind: same(),
  rate: same(),
  burst: same(),
  buckets: largest,
  refused: count,
  sinceMs: earliest,
  problem: known(),
  whom: byKey(({ whom }) => whom, row(bucket)),
};

export const limits = byKey<LimitFigures>(
  ({ name, kind, rate, burst }) => joined(name, kind, rate, String(burst)),
  row(limit),
);

const refusals: Rule<Readonly<Record<string, number>>> = counts();

/** One worker, the lead, talks to the other Weirs, and says what all workers have. With a fixed share each says what it has. */
const talker: Rule<ConnectionBudgetFigures> = {
  join: (a, b) => {
    const [told, other] = b.weirs !== undefined || a.state === 'fixed share' ? [b, a] : [a, b];
    const open = told.state === 'fixed share' ? told.open + other.open : told.open;
    return { ...told, open, refusals: refusals.join(told.refusals, other.refusals) };
  },
  after: (now, gone) => ({ ...now, refusals: refusals.after(now.refusals, gone.refusals) }),
};

export const connectionBudget = ifBoth(byKey<ConnectionBudgetFigures>(({ server }) => server, talker));

/** One worker, the lead, observes the budgets of all. */
const observer: Rule<BudgetFigures> = {
  join: (a, b) => (b.observedMs > a.observedMs ? b : a),
  after: (now) => now,
};

export const budgets = ifBoth(byKey<BudgetFigures>(({ database, budget }) => joined(database, budget), observer));
/** One worker, the lead, reads. For a moment two may. */
const reader: Rule<DecodingFigures> = {
  join: (a, b) => (a.state === 'standby' || (b.state === 'reading' && a.state !== 'reading') ? b : a),
  after: (now) => now,
};

export const decodings = ifBoth(byKey<DecodingFigures>(({ database }) => database, reader));
/** The worker that resizes the pools of all has the forecasts; for a moment two may. */
export const forecast = ifBoth(
  byKey<ForecastFigures>(({ database, user, node }) => joined(database, user, node), same()),
);

const statement: Rules<StatementFigures> = {
  database: same(),
  user: same(),
  queryId: same(),
  query: same(),
  calls: count,
  errors: count,
  rows: count,
  totalMs: count,
  maxMs: largest,
  waitMs: count,
  serverMs: count,
  cacheHits: count,
  cacheMisses: count,
  durations: countArray,
  nodes: counts(),
  sinceMs: earliest,
};

const allStatements = byKey<StatementFigures>(
  ({ database, user, queryId }) => joined(database, user, queryId),
  row(statement),
);
/** A worker that has just begun may not have heard of a setting. */
export const statements: Rule<readonly StatementFigures[] | undefined> = {
  join: (a, b) => (a === undefined || b === undefined ? (a ?? b) : allStatements.join(a, b)),
  after: (now) => now,
};

const worstMemory: Rule<MemoryState> = {
  join: (a, b) => (memoryStates.indexOf(b) > memoryStates.indexOf(a) ? b : a),
  after: (now) => now,
};

const memoryFigures: Rules<MemoryFigures> = {
  state: worstMemory,
  share: largest,
  usedBytes: sum,
  limitBytes: sum,
  limitFrom: same(),
  residentBytes: sum,
  heapUsedBytes: sum,
  heapLimitBytes: sum,
  cacheShare: { join: Math.min, after: (now) => now },
  waitingClients: sum,
  shedClients: counts<ShedReason>(),
  refusedClients: count,
};

export const memory = ifBoth(row(memoryFigures));
