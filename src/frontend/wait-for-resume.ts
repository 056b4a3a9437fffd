/**
 * Lets a client that comes during SUSPEND wait for RESUME, as in PgBouncer: client_login_timeout is put off until then. Called by
 * login.ts.
 */
import type { MessageReader } from '../net/message-reader.ts';
import type { AcceptorOptions } from './types.ts';

/** Rejects if the client leaves, or Weir ends. */
export async function waitForResume(
  reader: MessageReader,
  { suspension }: Pick<AcceptorOptions, 'suspension'>,
): Promise<void> {
  let giveUp: (() => void) | undefined;
  const resumed = new Promise<void>((resolve) => (giveUp = suspension?.wait(resolve)));
  reader.isHeld = true;
  try {
    await Promise.race([resumed, reader.failed()]);
  } finally {
    reader.isHeld = false;
    giveUp?.();
  }
}
