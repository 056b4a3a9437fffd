/**
 * Lets a client that has proven who it is wait while memory is short, until its log-in has taken too long. Called by login.ts.
 */
import { WeirError } from '../errors/errors.ts';
import { ReadError, type MessageReader } from '../net/message-reader.ts';
import type { AcceptorOptions } from './types.ts';

interface Waiting {
  readonly options: Pick<AcceptorOptions, 'memory'>;
  readonly loginTimeoutMs: number;
}

/** Rejects if the client leaves, if Weir gives up the log-in, or with memory_wait at the end of client_login_timeout. */
export async function waitForMemory(reader: MessageReader, { options, loginTimeoutMs }: Waiting): Promise<void> {
  const { memory } = options;
  if (memory === undefined) return;
  let giveUp: () => void = () => undefined;
  const admitted = new Promise<void>((resolve) => (giveUp = memory.wait(resolve)));
  try {
    await Promise.race([admitted, reader.failed()]);
  } catch (error) {
    if (!(error instanceof ReadError) || error.reason !== 'timeout') throw error;
    memory.refused();
    throw new WeirError('memory_wait', { seconds: loginTimeoutMs / 1000 });
  } finally {
    giveUp();
  }
}
