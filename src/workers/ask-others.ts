/**
 * What one worker wants to know and another may: the supervisor passes such questions on. Called by supervisor.ts.
 */
import { firstKnown } from './ask.ts';
import type { WorkerChannel } from './messages.ts';

/** @param others all workers but this one */
export function answerFromOthers(channel: WorkerChannel, others: () => readonly WorkerChannel[]): void {
  // A CancelRequest that reached a worker without that client.
  channel.on('cancel', async (key) => {
    const found = await Promise.all(others().map((other) => other.ask('cancel', key).catch(() => false)));
    return found.includes(true);
  });
  channel.on('welcome', (question) => firstKnown(others().map((other) => other.ask('welcome', question))));
}
