/**
 * Parses a node of the configuration: a URL, or `{ url, weight, name, zone }`. Pure. Its messages never contain a password.
 * Called by databases.ts.
 */
import type { NodeConfig } from './config.ts';
import { nearest } from './suggest.ts';

/** A node whose name may still have to be made from its address. */
export type UnnamedNode = Omit<NodeConfig, 'name'> & { readonly name: string | undefined };
export type ParsedNode = { readonly node: UnnamedNode } | { readonly refused: string };

const example = 'postgres://user:password@host:5432/database';
/** Replaces an empty host; cannot be a DNS name. */
const noHost = '-';
const socketExample = 'postgres:///database?host=/run/postgresql';
/** Maximum bytes of the directory: the size of sun_path less the name of the socket. */
const longestSocketDir = 90;
const nodeKeys = ['url', 'weight', 'name', 'zone', 'dns'];
const heaviest = 1000;
/** Common parameters of libpq and JDBC URLs, which Weir refuses by name. */
const parameters = [
  'sslmode',
  'sslnegotiation',
  'sslrootcert',
  'sslcert',
  'sslkey',
  'ssl',
  'application_name',
  'connect_timeout',
  'options',
  'target_session_attrs',
  'channel_binding',
  'user',
  'password',
  'host',
  'port',
  'dbname',
  'pgbouncer',
  'schema',
];

function decode(text: string): string | undefined {
  try {
    const decoded = decodeURIComponent(text);
    return decoded.includes('\0') ? undefined : decoded;
  } catch {
    return undefined;
  }
}

/** @param text the URL. Missing parts: port 5432, no database, no user. */
export function parseNodeUrl(text: string): ParsedNode {
  let url: URL;
  try {
    // libpq takes user@/database?host=/dir; a URL with a user must name a host.
    url = new URL(text.trim().replace(/^(postgres(?:ql)?:\/\/[^/?#]*@)(?=[/?])/i, `$1${noHost}`));
  } catch {
    return {
      refused: `is not a URL such as ${example} (in user and password, write @ as %40, : as %3A, / as %2F, # as %23)`,
    };
  }
  if (url.protocol !== 'postgres:' && url.protocol !== 'postgresql:') {
    return { refused: `is not a postgres:// URL such as ${example}` };
  }
  if (url.hash !== '') return { refused: 'has a # in it: write it as %23' };
  const socket = socketOf(url);
  if ('refused' in socket) return socket;
  const host = socket.dir ?? decode(url.hostname.replace(/^\[(.*)\]$/, '$1'));
  if (host === undefined || host === '' || host === noHost)
    return { refused: `names no host: write it as in ${example}` };
  if (host.includes(',')) return { refused: 'names several hosts: give each node its own URL' };
  if (!host.startsWith('/') && /[\s"']/.test(host)) return { refused: 'has a host name with blanks or quotes in it' };
  const port = socket.port ?? (url.port === '' ? 5432 : Number(url.port));
  if (port < 1 || port > 65535) return { refused: 'has a port that is not from 1 to 65535' };
  const path = url.pathname.replace(/^\//, '');
  if (path.includes('/'))
    return { refused: 'has more than a database name after the host (in a name, write / as %2F)' };
  const [user, password, database] = [decode(url.username), decode(url.password), decode(path)];
  if (user === undefined || password === undefined || database === undefined) {
    return { refused: 'has a % in it that does not start an escape such as %40: write a plain % as %25' };
  }
  if (user === '' && password !== '') return { refused: `has a password but no user: write it as in ${example}` };
  return {
    node: {
      name: undefined,
      host,
      port,
      database: database === '' ? undefined : database,
      user: user === '' ? undefined : user,
      password: password === '' ? undefined : password,
      weight: 1,
    },
  };
}

interface SocketAddress {
  /** undefined: the URL names a host. */
  readonly dir?: string | undefined;
  readonly port?: number;
}

/** The directory of a Unix socket, as libpq's URLs name it: postgres:///shop?host=/run/postgresql&port=5433. */
function socketOf(url: URL): SocketAddress | { readonly refused: string } {
  const given = [...url.searchParams.keys()];
  const dir = url.searchParams.get('host') ?? '';
  const port = url.searchParams.get('port');
  const isSocket = ['', noHost].includes(url.hostname) && dir.startsWith('/') && new Set(given).size === given.length;
  if (isSocket && given.every((name) => name === 'host' || name === 'port')) {
    if (Buffer.byteLength(dir) > longestSocketDir)
      return { refused: 'has a directory that is too long for a Unix socket' };
    if (port !== null && !/^\d{1,5}$/.test(port)) return { refused: 'has a port that is not from 1 to 65535' };
    return port === null ? { dir } : { dir, port: Number(port) };
  }
  if (url.search === '') return {};
  // Quotes only known words: this text can be part of a password that contains a raw ?.
  const names = given.filter((name) => parameters.includes(name)).join(', ');
  const what = names === '' ? 'parameters' : `the parameter ${names}`;
  return {
    refused: `has ${what}: URLs of nodes take none but those of a Unix socket, ${socketExample} (TLS is set under tls.server; in a password write ? as %3F)`,
  };
}

/** Of nodes and zones. */
export const isNodeName = (name: unknown): name is string => typeof name === 'string' && /^[^\s"';]{1,63}$/.test(name);
export const badNodeName = 'that is not a text of 1 to 63 characters without blanks and quotes';

/** Parses a node in either form from its YAML value. */
export function parseNode(raw: unknown): ParsedNode {
  if (typeof raw === 'string') return parseNodeUrl(raw);
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) {
    return { refused: `is not a URL such as ${example} nor a map { url, weight, name, zone }` };
  }
  const fields = new Map<string, unknown>(Object.entries(raw));
  for (const key of fields.keys()) {
    if (nodeKeys.includes(key)) continue;
    return { refused: `has the unknown key "${key.slice(0, 80)}"; the nearest known key is ${nearest(key, nodeKeys)}` };
  }
  if ((fields.get('dns') ?? undefined) !== undefined)
    return { refused: 'has dns: only an entry of replicas in the file can have it' };
  const url = fields.get('url');
  if (typeof url !== 'string') return { refused: `has no url: write { url: ${example} }` };
  const parsed = parseNodeUrl(url);
  if ('refused' in parsed) return parsed;
  const weight = fields.get('weight') ?? 1;
  if (typeof weight !== 'number' || !(weight > 0 && weight <= heaviest)) {
    return { refused: `has a weight that is not a number above 0 and up to ${heaviest}` };
  }
  const [name, zone] = [fields.get('name') ?? undefined, fields.get('zone') ?? undefined];
  if (name !== undefined && !isNodeName(name)) return { refused: `has a name ${badNodeName}` };
  if (zone !== undefined && !isNodeName(zone)) return { refused: `has a zone ${badNodeName}` };
  return { node: { ...parsed.node, weight, name, ...(zone === undefined ? {} : { zone }) } };
}
