/** What a topology has to say goes to the log under the names that the log has for events. Used by database.ts. */
import type { Services } from '../session/context.ts';
import type { TopologyLog } from '../topology/announce.ts';

export function topologyLog(services: Pick<Services, 'log'>): TopologyLog {
  return (level, event, message) => {
    const { event: word, ...fields } = event as { event?: string };
    services.log(level, (word ?? 'topology').replaceAll(' ', '_'), message, fields);
  };
}
