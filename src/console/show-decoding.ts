/**
 * SHOW DECODING: for each database, how far writes are known that do not go through Weir (cache.out_of_band_writes).
 */
import type { DecodingFigures } from '../decoding/types.ts';
import { columnsOf, show } from './types.ts';
import type { ConsoleCommand } from './types.ts';

const column = columnsOf<DecodingFigures>();

export const showDecoding: ConsoleCommand = show<DecodingFigures>(
  'DECODING',
  'writes around Weir: how far they are known, and why not further',
  [
    column.text('database', (row) => row.database),
    column.text('state', (row) => row.state),
    column.int('lag_ms', ({ lagMs }) => (lagMs === undefined ? null : Math.round(lagMs))),
    column.int('tables', (row) => row.tables),
    column.text('problem', ({ problem = null }) => problem),
  ],
  ({ sources }) => sources.decodings(),
);
