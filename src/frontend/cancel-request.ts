/**
 * A connection whose first packet is a CancelRequest: has it processed. Called by login.ts, which closes the connection.
 */
import type { Socket } from 'node:net';
import type { ListenerOptions } from './types.ts';

/** Longest wait for a cancel request to be processed. */
const maxCancelMs = 10_000;

/** Waits for its end, because for the client the request is done when Weir closes. */
export function processCancel(
  socket: Socket,
  { processId, secret }: { readonly processId: number; readonly secret: Buffer },
  { onCancel }: Pick<ListenerOptions, 'onCancel'>,
): Promise<void> {
  // A client that has closed its half at once must not see the end of the other before the cancel is done.
  socket.allowHalfOpen = true;
  return new Promise((resolve) => {
    const deadline = setTimeout(resolve, maxCancelMs);
    onCancel(processId, secret, () => {
      clearTimeout(deadline);
      resolve();
    });
  });
}
