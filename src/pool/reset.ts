/**
 * A server is made ready for the next client: nothing of the last one is left. What that has advanced of sequences stays
 * as long as the client does, which may ask for it (session/concerns/sequences.ts); no other client is told.
 */
import type { ServerConnection } from '../backend/server.ts';

/** What DISCARD ALL does, in its order, without DISCARD SEQUENCES. */
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
