/**
 * Finds out, through the monitor of one database, what became of writes whose connection was lost. Used by topology.ts.
 */
import type { Clock } from '../util/clock.ts';
import type { TopologyLog } from './announce.ts';
import type { Assessor } from './assess.ts';
import type { Monitor } from './monitor.ts';
import { Outcomes } from './outcomes.ts';
import type { ServerAddress } from './types.ts';

export function outcomesOf(
  assessor: Assessor,
  monitor: Monitor,
  { clock, log }: { readonly clock: Clock; readonly log: TopologyLog },
): Outcomes {
  const indexAt = ({ host, port }: ServerAddress): number =>
    assessor.configs.findIndex((node) => node.host === host && node.port === port);
  return new Outcomes({
    ask: async (server, sql, values) => {
      const index = indexAt(server);
      return monitor.ask(index >= 0 ? index : (assessor.primaryIndex ?? -1), sql, values);
    },
    isKnown: (server) => indexAt(server) >= 0,
    clock,
    log,
    primary: () => assessor.snapshot.primary,
  });
}
