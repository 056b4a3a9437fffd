/**
 * Removes from a server's session what the last client has left there. The values of currval() and lastval() stay as long as
 * that client is connected, which may still ask for them (session/concerns/sequences.ts). Called by returns.ts.
 */
import type { ServerConnection } from '../backend/server.ts';

/** What DISCARD ALL does, in the same order, without DISCARD SEQUENCES. */
const discardAllButSequences = [
  'CLOSE ALL',
  'SET SESSION AUTHORIZATION DEFAULT',
  'RESET ALL',
  'DEALLOCATE ALL',
  'UNLISTEN *',
  'SELECT pg_catalog.pg_advisory_unlock_all()',
  'DISCARD PLANS',
  'DISCARD TEMP',
].join('; ');

export async function resetServer(server: ServerConnection): Promise<void> {
  const keepsSequences = typeof server.sessionState.sequencesOf === 'object';
  await server.run(keepsSequences ? discardAllButSequences : 'DISCARD ALL');
  server.sessionState.wasReset(keepsSequences);
}
