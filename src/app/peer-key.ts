/**
 * Keys of CancelRequests from which other Weirs, and PgBouncers, read whose client they are for: of the 8 bytes of the number and
 * the secret, bytes 1 and 2 are the peer_id, and the last two bits of byte 7 say how often the request may still be passed on.
 * Pure. Used by clients.ts and peers.ts.
 */

/** Bytes 0 and 3 are left, and byte 0 is at least 1, so that no number is the ID of a process. */
export const numbersOfPeer = 127 * 256;
/** So often a request may be passed on. */
const mostHops = 3;
/** In the secret: byte 7 of the key. */
const hopsAt = 3;

/** @param order from 0 to numbersOfPeer - 1 */
export function numberOf(order: number, peerId: number): number {
  const first = 1 + Math.floor(order / 256);
  return first * 2 ** 24 + (peerId & 0xff) * 2 ** 16 + (peerId >> 8) * 2 ** 8 + (order % 256);
}

/** Of a number that a Weir without peer_id has given, it means nothing. */
export function peerOf(number: number): number {
  return ((number >>> 16) & 0xff) + ((number >>> 8) & 0xff) * 256;
}

export function hopsLeft(secret: Uint8Array): number {
  return (secret[hopsAt] ?? 0) & mostHops;
}

/** As the client got it. */
export function withAllHops(secret: Uint8Array): Buffer {
  return withHops(secret, mostHops);
}

/** For the next one. There must be hops left. */
export function passedOn(secret: Uint8Array): Buffer {
  return withHops(secret, hopsLeft(secret) - 1);
}

function withHops(secret: Uint8Array, hops: number): Buffer {
  const changed = Buffer.from(secret);
  if (changed.length > hopsAt) changed[hopsAt] = ((changed[hopsAt] ?? 0) & ~mostHops) | hops;
  return changed;
}
