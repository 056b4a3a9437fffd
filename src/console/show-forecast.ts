/**
 * SHOW FORECAST: what each pool will need by the time of day, how sure that is, and what is done about it.
 */
import type { ForecastFigures } from '../forecast/types.ts';
import { columnsOf, show, timestamp } from './types.ts';
import type { ConsoleCommand } from './types.ts';

const column = columnsOf<ForecastFigures>();

export const showForecast: ConsoleCommand = show<ForecastFigures>(
  'FORECAST',
  'connections that pools will need, from the load at the same time of other days',
  [
    column.text('database', (row) => row.database),
    column.text('user', (row) => row.user),
    column.text('node', (row) => row.node),
    column.int('now', (row) => row.now),
    column.int('predicted', (row) => row.predicted ?? null),
    column.text('at', (row) => timestamp(row.atMs)),
    column.float('confidence', (row) => Math.floor(row.confidence * 1000) / 1000),
    column.int('warmed', (row) => row.warmed),
    column.text('why', (row) => row.why),
  ],
  ({ sources }) => sources.forecast(),
);
