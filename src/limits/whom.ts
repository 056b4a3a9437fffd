/**
 * Which limits concern a client, and which of their buckets. Pure. Called by limiter.ts, once per client and at its log-in.
 */
import { maskOf, parseAddress, type Address } from '../auth/hba/addresses.ts';
import type { Hold, Limit, LimitKind, Who } from './types.ts';

/** A longer name is cut in the key of a bucket, so that names cannot use up the memory. */
const longestName = 128;
const separator = '\0';

const fields = ['user', 'database', 'address'] as const;
type Field = (typeof fields)[number];

/** A client whose address was read. */
interface Known {
  readonly user: string;
  readonly database: string;
  readonly address: Address | undefined;
}

/** @param text `10.0.0.0/8`, or one address. @returns undefined if it is neither */
export function parseNetwork(text: string): { readonly address: Address; readonly bits: number } | undefined {
  const [host = '', bitsText, ...more] = text.split('/');
  const address = more.length > 0 || host.includes('%') ? undefined : parseAddress(host);
  if (address === undefined) return undefined;
  // Of a network that is written as ::ffff:10.0.0.0/104.
  const inherited = host.includes(':') && address.length === 4 ? 96 : 0;
  if (bitsText === undefined) return { address, bits: 8 * address.length };
  const bits = /^\d{1,3}$/.test(bitsText) ? Number(bitsText) - inherited : NaN;
  return bits >= 0 && bits <= 8 * address.length ? { address, bits } : undefined;
}

/** The same for the same network, however it is written. */
export function networkKey(text: string): string {
  const network = parseNetwork(text);
  if (network === undefined) return text;
  const mask = maskOf(network.bits, network.address.length);
  const base = network.address.map((byte, at) => byte & (mask[at] as number));
  return `${Buffer.from(base).toString('hex')}/${network.bits}`;
}

function isInNetwork(address: Address, text: string): boolean {
  const network = parseNetwork(text);
  if (network === undefined || network.address.length !== address.length) return false;
  const mask = maskOf(network.bits, address.length);
  return address.every((byte, at) => ((byte ^ (network.address[at] as number)) & (mask[at] as number)) === 0);
}

/** `*` fits everybody, except that a client of a Unix socket has no address. */
function fitsField(limit: Limit, field: Field, who: Known): boolean {
  const wanted = limit[field];
  if (wanted === undefined) return true;
  if (field === 'address') return who.address !== undefined && (wanted === '*' || isInNetwork(who.address, wanted));
  return wanted === '*' || wanted === who[field];
}

const fits = (limit: Limit, who: Known): boolean => fields.every((field) => fitsField(limit, field, who));

/** Some other rule of the same kind names what `field` of this client is. */
function isNamed(field: Field, kind: LimitKind, fitting: readonly Limit[]): boolean {
  return fitting.some((other) => other.kind === kind && other[field] !== undefined && other[field] !== '*');
}

/** The limits that concern a client: those that fit, without each `*` for which another one fits by name. */
export function holdsOf(limits: readonly Limit[], who: Who): readonly Hold[] {
  const { user, database } = who;
  const address = who.address === undefined ? undefined : parseAddress(who.address);
  const known: Known = { user, database, address };
  const fitting = limits.filter((limit) => fits(limit, known));
  return fitting
    .filter((limit) => fields.every((field) => limit[field] !== '*' || !isNamed(field, limit.kind, fitting)))
    .map((limit) => ({ limit, key: keyOf(limit, known) }));
}

/** The same for the same limit in all processes; another rate is another limit. */
export function idOf({ name, kind, amount, unit, burst, user, database, address }: Limit): string {
  return [name, kind, `${amount}/${unit}`, burst, user, database, address].join(separator);
}

const idParts = 7;

function keyOf(limit: Limit, who: Known): string {
  const own = [
    limit.user === undefined ? '' : who.user.slice(0, longestName),
    limit.database === undefined ? '' : who.database.slice(0, longestName),
    limit.address === undefined ? '' : (who.address?.toString('hex') ?? ''),
  ];
  return [idOf(limit), ...own].join(separator);
}

/** The limit of a bucket. */
export const idOfKey = (key: string): string => key.split(separator).slice(0, idParts).join(separator);

/** Whom the bucket is of: `user=alice address=10.1.2.3`. */
export function whomOf(limit: Limit, key: string): string {
  const [user = '', database = '', address = ''] = key.split(separator).slice(idParts);
  const parts: string[] = [];
  if (limit.user !== undefined) parts.push(`user=${user}`);
  if (limit.database !== undefined) parts.push(`database=${database}`);
  if (limit.address !== undefined) parts.push(`address=${addressText(address)}`);
  return parts.length === 0 ? 'all clients' : parts.join(' ');
}

function addressText(hex: string): string {
  const bytes = Buffer.from(hex, 'hex');
  if (bytes.length === 4) return bytes.join('.');
  const words = Array.from({ length: bytes.length / 2 }, (_, at) => bytes.readUInt16BE(2 * at).toString(16));
  // As RFC 5952 wants it: the longest run of zeros is left out.
  const zeros = [...words.join(':').matchAll(/(?:^|(?<=:))0(?::0)+(?=:|$)/g)].sort((a, b) => b[0].length - a[0].length);
  const [longest] = zeros;
  if (longest === undefined) return words.join(':');
  const text = words.join(':');
  const before = text.slice(0, longest.index).replace(/:$/, '');
  const after = text.slice(longest.index + longest[0].length).replace(/^:/, '');
  return `${before}::${after}`;
}
