/**
 * Writes the messages of a topology to the log, under the event names of the log, and once for all databases with the same
 * servers. Used by database-topology.ts.
 */
import type { Services } from '../session/context.ts';
import type { TopologyLog } from '../topology/announce.ts';

/** Messages that do not depend on the database. A new message replaces the last one of the same group. */
const groups: Readonly<Record<string, string>> = {
  'node up': 'state',
  'node down': 'state',
  'node problem': 'problem',
  'new primary': 'primary',
  'no primary': 'primary',
  lagging: 'lag',
  'caught up': 'lag',
  circuit: 'circuit',
  'no monitor login': 'login',
  'monitor login': 'login',
};

/** All databases notice the same event within this time. */
const sameMs = 10_000;

/** The last message by server and group. One object per app. */
export type Said = Map<string, { readonly message: string; readonly atMs: number }>;

/** @param servers the same for databases with the same nodes */
export function topologyLog(services: Pick<Services, 'log' | 'nowMs'>, said: Said, servers: string): TopologyLog {
  return (level, event, message) => {
    const { event: word = 'topology', ...fields } = event as { event?: string; node?: string };
    const group = groups[word];
    if (group !== undefined) {
      const key = JSON.stringify([servers, group, group === 'primary' ? '' : (fields.node ?? '')]);
      const last = said.get(key);
      const atMs = services.nowMs();
      if (last?.message === message && atMs - last.atMs < sameMs) return;
      said.set(key, { message, atMs });
    }
    services.log(level, word.replaceAll(' ', '_'), message, fields);
  };
}
