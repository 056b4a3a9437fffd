/**
 * Finds out when the backends of a worker that has died are gone: asks a worker that serves. Until then their places are not
 * given to others. Made by the supervisor for its Lessor.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { LostPlace } from './lessor.ts';
import type { SupervisorTopics, WorkerTopics } from './messages.ts';
import type { Channel } from './channel.ts';

export interface LostPlacesOptions {
  /** A worker that serves; undefined: there is none now. */
  asked(): { readonly channel: Channel<WorkerTopics, SupervisorTopics> } | undefined;
  /** server_connect_timeout: by then a log-in under way has failed. */
  connectTimeoutMs(): number;
}

/** A backend that has not noticed by then that its client is gone (a lost network) is not waited for any longer. */
const longestWaitMs = 5 * 60_000;

/** @returns one promise for each place; it rejects if nobody can tell now */
export function whenGone(places: readonly LostPlace[], options: LostPlacesOptions): Promise<void>[] {
  return places.map(({ pool: { database }, host, port, processId }) => {
    if (processId === undefined) return sleep(options.connectTimeoutMs(), undefined, { ref: false });
    const worker = options.asked();
    if (worker === undefined) return Promise.reject(new Error('no worker serves'));
    const gone = worker.channel.ask('backendGone', { database, host, port, processId });
    return Promise.race([gone, sleep(longestWaitMs, undefined, { ref: false })]);
  });
}
