/**
 * The nodes of an entry of [databases]: host, port, dbname, user and password as URLs. Pure. Called by translate.ts.
 */
import { isIPv6 } from 'node:net';
import { integerOf, listOf } from './values.ts';

export interface Nodes {
  /** The first host. */
  readonly primary: string;
  readonly replicas: readonly (string | { readonly url: string; readonly weight: number })[];
  readonly notes: readonly string[];
}

const encode = encodeURIComponent;

/** @param socketDir unix_socket_dir, where servers without a host are */
export function nodesOf(
  pairs: ReadonlyMap<string, string>,
  socketDir: string | undefined,
): Nodes | { readonly refused: string } {
  const given = pairs.get('host');
  const hosts = given === undefined ? [socketDir ?? ''] : listOf(given);
  const [first] = hosts;
  if (first === undefined || first === '') return { refused: 'has no host, and unix_socket_dir is not set' };
  const abstract = hosts.find((host) => host.startsWith('@'));
  if (abstract !== undefined) return { refused: `${abstract}: abstract Unix sockets are not supported` };
  const port = integerOf(pairs.get('port') ?? '5432') ?? 0;
  if (port < 1 || port > 65_535) return { refused: `invalid port: ${pairs.get('port')}` };
  const [user, password] = [pairs.get('user'), pairs.get('password')];
  const notes: string[] = [];
  if (user === undefined && password !== undefined) notes.push('password has no effect here, because there is no user');
  const login = user === undefined ? '' : `${encode(user)}${password === undefined ? '' : `:${encode(password)}`}@`;
  const dbname = pairs.get('dbname');
  const path = dbname === undefined ? '' : `/${encode(dbname)}`;
  const urlOf = (host: string): string => {
    if (host.startsWith('/')) return `postgres://${login}${path === '' ? '/' : path}?host=${encode(host)}&port=${port}`;
    return `postgres://${login}${isIPv6(host) ? `[${host}]` : host}:${port}${path}`;
  };
  const times = new Map<string, number>();
  for (const host of hosts) times.set(host, (times.get(host) ?? 0) + 1);
  const replicas = [...times]
    .slice(1)
    .map(([host, weight]) => (weight === 1 ? urlOf(host) : { url: urlOf(host), weight }));
  if (times.size > 1) {
    notes.push(
      `several hosts: ${first} is the primary, and the others are its replicas: PgBouncer takes them for the same, in turn`,
    );
  }
  return { primary: urlOf(first), replicas, notes };
}
