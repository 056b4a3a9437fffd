/**
 * The part of the table of settings about other Weirs, or PgBouncers, behind the same address. Put together with the others in
 * settings-pools.ts.
 */
import { largestPeerId, peerMap } from './peers.ts';
import type { Rows } from './setting.ts';
import { setting } from './setting.ts';
import { integer } from './values.ts';

export const peerRows = {
  peer_id: setting(
    'peerId',
    integer(0, largestPeerId),
    0,
    'restart',
    'Number of this Weir among those that pass CancelRequests on to each other (peers); 0 = it does not take part.',
  ),
  peers: setting(
    'peers',
    peerMap(),
    [],
    'reload',
    'Weirs and PgBouncers that clients reach by the same address, by their peer_id: a CancelRequest that is for a client of theirs is passed on. TLS is as tls.server says.',
  ),
} as const satisfies Rows;
