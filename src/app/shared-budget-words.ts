/** What the log says of the share of a Weir in the connections of a server. Called by shared-budget.ts. */
import type { ShareState } from '../shares/types.ts';

const words: Readonly<Record<ShareState, string>> = {
  starting: 'waits for the answer of Redis',
  granted: 'Redis answers: connections are shared with the other Weirs by need',
  'without Redis':
    'Redis does not answer: what is open stays, and no more are opened than Redis had granted or budget.share allows',
  unseen: 'neither Redis nor the server answers: no connections are opened',
};

export function stateInWords(server: string, state: ShareState, why: string): string {
  return `connections to ${server}: ${words[state]}${why === '' || state === 'granted' ? '' : ` (${why})`}`;
}
