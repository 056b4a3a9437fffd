/**
 * Addresses of pg_hba.conf: networks by CIDR or mask, all, samehost, samenet. The last two read the network interfaces
 * of this host. An IPv4 client on an IPv6 socket counts as IPv4. Source: PostgreSQL manual, "The pg_hba.conf File".
 */
import { isIP, isIPv4 } from 'node:net';
import { networkInterfaces } from 'node:os';

/** 4 bytes for IPv4, 16 for IPv6. */
export type Address = Buffer;

export type Origin =
  | { readonly kind: 'all' }
  | { readonly kind: 'samehost' }
  | { readonly kind: 'samenet' }
  | { readonly kind: 'network'; readonly address: Address; readonly mask: Address };

const mappedPrefix = Buffer.from('00000000000000000000ffff', 'hex');

/**
 * Ignores the zone of fe80::1%eth0; reads ::ffff:1.2.3.4 as 1.2.3.4.
 * @returns undefined if the text is not an address
 */
export function parseAddress(text: string): Address | undefined {
  const bare = text.replace(/%.*$/, '');
  if (isIPv4(bare)) return Buffer.from(bare.split('.').map(Number));
  if (isIP(bare) !== 6) return undefined;
  const address = Buffer.alloc(16);
  const [head = '', tail] = bare.split('::');
  const front = words(head);
  const back = tail === undefined ? [] : words(tail);
  front.forEach((word, index) => address.writeUInt16BE(word, 2 * index));
  back.forEach((word, index) => address.writeUInt16BE(word, 16 - 2 * (back.length - index)));
  return address.subarray(0, 12).equals(mappedPrefix) ? address.subarray(12) : address;
}

function words(text: string): number[] {
  if (text === '') return [];
  return text.split(':').flatMap((part) => {
    if (!part.includes('.')) return [parseInt(part, 16)];
    const [a = 0, b = 0, c = 0, d = 0] = part.split('.').map(Number);
    return [a * 256 + b, c * 256 + d];
  });
}

/** @returns a mask of `length` bytes with the first `bits` bits set */
export function maskOf(bits: number, length: number): Address {
  return Buffer.from(Array.from({ length }, (_, at) => (0xff00 >> Math.min(8, Math.max(0, bits - 8 * at))) & 0xff));
}

function isWithin(client: Address, address: Address, mask: Address): boolean {
  if (client.length !== address.length || client.length !== mask.length) return false;
  return client.every((byte, at) => ((byte ^ (address[at] as number)) & (mask[at] as number)) === 0);
}

export function comesFrom(client: Address, origin: Origin): boolean {
  if (origin.kind === 'all') return true;
  if (origin.kind === 'network') return isWithin(client, origin.address, origin.mask);
  const own = Object.values(networkInterfaces()).flatMap((interfaces) => interfaces ?? []);
  return own.some(({ address: text, netmask }) => {
    const address = parseAddress(text);
    const mask = origin.kind === 'samehost' ? Buffer.alloc(client.length, 0xff) : parseAddress(netmask);
    return address !== undefined && mask !== undefined && isWithin(client, address, mask);
  });
}
