/** The priority of a user in the queues of pools, by the configuration. Used by parts.ts. */
import type { Config } from '../config/config.ts';
import type { Priority } from '../pool/waiter.ts';

export function priorityOf(user: string, config: Pick<Config, 'highPriorityUsers' | 'lowPriorityUsers'>): Priority {
  if (config.lowPriorityUsers.includes(user)) return 'low';
  return config.highPriorityUsers.includes(user) ? 'high' : 'normal';
}
