/**
 * SHOW LIMITS: each rate limit with what it has refused, and below it the buckets that are not full, the emptiest first.
 */
import type { BucketFigures, LimitFigures } from '../limits/types.ts';
import { columnsOf, show, timestamp } from './types.ts';
import type { ConsoleCommand } from './types.ts';

interface Row {
  readonly limit: LimitFigures;
  /** undefined: the limit itself. */
  readonly bucket: BucketFigures | undefined;
}

const column = columnsOf<Row>();

export const showLimits: ConsoleCommand = show<Row>(
  'LIMITS',
  'rate limits: what is left of them for whom, and what was refused',
  [
    column.text('limit', ({ limit }) => limit.name),
    column.text('kind', ({ limit }) => limit.kind),
    column.text('whom', ({ bucket }) => bucket?.whom ?? null),
    column.text('rate', ({ limit }) => limit.rate),
    column.int('burst', ({ limit }) => limit.burst),
    column.int('buckets', ({ limit, bucket }) => (bucket === undefined ? limit.buckets : null)),
    column.int('tokens', ({ bucket }) => (bucket === undefined ? null : Math.floor(bucket.tokens))),
    column.int('refused', ({ limit, bucket }) => (bucket ?? limit).refused),
    column.text('since', ({ limit, bucket }) => timestamp((bucket ?? limit).sinceMs)),
    column.text('problem', ({ limit, bucket }) => (bucket === undefined ? (limit.problem ?? null) : null)),
  ],
  function* ({ sources }) {
    for (const limit of sources.limits()) {
      yield { limit, bucket: undefined };
      for (const bucket of limit.whom) yield { limit, bucket };
    }
  },
);
