/**
 * Parses the lines of pg_hba.conf into rules, and finds the first rule that matches a connection. A line that Weir
 * cannot follow as PostgreSQL would is reported as a problem. Called by load.ts and connection.ts. Source: PostgreSQL
 * manual, "The pg_hba.conf File".
 */
import type { Address, Origin } from './addresses.ts';
import { comesFrom, maskOf, parseAddress } from './addresses.ts';
import type { HbaMethod } from '../methods/table.ts';
import { hbaMethods } from '../methods/table.ts';
import type { Line } from './lines.ts';
import { compileRegex, matches } from './regex.ts';
import { isKeyword, type Token } from './tokens.ts';

const connectionTypes = ['local', 'host', 'hostssl', 'hostnossl', 'hostgssenc', 'hostnogssenc'] as const;

type Name =
  | { readonly kind: 'all' | 'sameuser' | 'replication' }
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'regex'; readonly regex: RegExp };

export interface Rule {
  /** File and line: `hba.conf:12`. */
  readonly place: string;
  readonly type: (typeof connectionTypes)[number];
  readonly databases: readonly Name[];
  readonly users: readonly Name[];
  /** undefined: the rule is for Unix sockets (local). */
  readonly origin: Origin | undefined;
  readonly method: HbaMethod;
  /** Name of the user name map; undefined: the name in the certificate must be the user's. */
  readonly map: string | undefined;
  /** Required besides the method: a valid certificate (verify-ca), or one with the user's name (verify-full). */
  readonly clientCert: 'verify-ca' | 'verify-full' | undefined;
  /** Which part of the certificate is the name. */
  readonly clientName: 'CN' | 'DN';
}

/** What the rules match, all known before authentication. */
export interface Connection {
  /** undefined: a Unix socket. */
  readonly address: Address | undefined;
  readonly hasTls: boolean;
  readonly user: string;
  /** All names of the database: the admin console has two. */
  readonly databases: readonly string[];
  /** Physical replication, which has no database. */
  readonly isReplication: boolean;
}

class LineProblem extends Error {}

/** @param isPgbouncer as PgBouncer does, a line `host ... cert` is possible, and refuses who comes without TLS */
export function parseRules(lines: readonly Line[], problems: string[], isPgbouncer = false): Rule[] {
  const rules: Rule[] = [];
  for (const line of lines) {
    try {
      rules.push(parseRule(line, isPgbouncer));
    } catch (error) {
      if (!(error instanceof LineProblem)) throw error;
      problems.push(`${line.place}: ${error.message}`);
    }
  }
  return rules;
}

function single(field: readonly Token[] | undefined, what: string): Token {
  const [token, more] = field ?? [];
  if (token === undefined) throw new LineProblem(`ends before its ${what}`);
  if (more !== undefined) throw new LineProblem(`has several values for its ${what}: one a line`);
  return token;
}

function oneOf<T extends string>(text: string, known: readonly T[]): T | undefined {
  return known.find((word) => word === text);
}

function parseRule({ place, fields }: Line, isPgbouncer: boolean): Rule {
  const typeText = single(fields[0], 'connection type').text;
  const type = oneOf(typeText, connectionTypes);
  if (type === undefined)
    throw new LineProblem(`"${typeText}" is not a connection type: ${connectionTypes.join(', ')}`);
  if (fields[1] === undefined) throw new LineProblem('ends before its databases');
  const databases = fields[1].map((token) => parseName(token, ['all', 'sameuser', 'replication']));
  if (fields[2] === undefined) throw new LineProblem('ends before its users');
  const users = fields[2].map((token) => parseName(token, ['all']));
  const { origin, next } = type === 'local' ? { origin: undefined, next: 3 } : parseOrigin(fields);
  const method = parseMethod(single(fields[next], 'method').text, type, isPgbouncer);
  const options = parseOptions(fields.slice(next + 1).flat(), type, method);
  return { place, type, databases, users, origin, method, ...options };
}

function parseName(token: Token, keywords: readonly ('all' | 'sameuser' | 'replication')[]): Name {
  const keyword = token.isQuoted ? undefined : oneOf(token.text, keywords);
  if (keyword !== undefined) return { kind: keyword };
  const { text } = token;
  if (!token.isQuoted && (text.startsWith('+') || (keywords.length > 1 && /^same(role|group)$/.test(text)))) {
    throw new LineProblem(`${text}: Weir does not know who is a member of a role: name the users`);
  }
  if (!text.startsWith('/')) return { kind: 'name', name: text };
  const compiled = compileRegex(text.slice(1));
  if ('problem' in compiled) throw new LineProblem(compiled.problem);
  return { kind: 'regex', regex: compiled.regex };
}

function parseOrigin(fields: Line['fields']): { origin: Origin; next: number } {
  const token = single(fields[3], 'address');
  for (const kind of ['all', 'samehost', 'samenet'] as const) {
    if (isKeyword(token, kind)) return { origin: { kind }, next: 4 };
  }
  const [host = '', bits, ...more] = token.text.split('/');
  const address = parseAddress(host);
  if (address === undefined || more.length > 0) {
    throw new LineProblem(
      `"${token.text}" is not an address such as 10.0.0.0/8, nor all, samehost or samenet (host names are not supported)`,
    );
  }
  if (bits !== undefined) {
    const count = /^\d{1,3}$/.test(bits) ? Number(bits) : NaN;
    // In ::ffff:1.2.3.4/120 the bits are counted as in IPv6.
    const inherited = host.includes(':') && address.length === 4 ? 96 : 0;
    if (!(count >= inherited && count <= 8 * address.length + inherited)) {
      throw new LineProblem(`"${token.text}" has an impossible number of bits behind its slash`);
    }
    return { origin: { kind: 'network', address, mask: maskOf(count - inherited, address.length) }, next: 4 };
  }
  const maskText = fields[4] === undefined ? undefined : single(fields[4], 'mask').text;
  const mask = parseAddress(maskText ?? '');
  if (mask === undefined || mask.length !== address.length) {
    throw new LineProblem(
      `"${host}" needs a mask: write ${host}/${8 * address.length}, or a mask of the same kind behind it`,
    );
  }
  return { origin: { kind: 'network', address, mask }, next: 5 };
}

function parseMethod(text: string, type: Rule['type'], isPgbouncer: boolean): HbaMethod {
  if (text === 'ident' && type !== 'local') throw new LineProblem('ident: Weir asks no ident server');
  // As in PostgreSQL, ident means peer for a Unix socket.
  const method = oneOf(text === 'ident' ? 'peer' : text, hbaMethods);
  if (method === undefined) {
    throw new LineProblem(`the method "${text}" is not supported: ${hbaMethods.join(', ')}`);
  }
  if (method === 'peer' && type !== 'local') throw new LineProblem('peer is possible with local only');
  // Who comes without TLS has no certificate, and is refused.
  if (method === 'cert' && type !== 'hostssl' && !(isPgbouncer && type === 'host'))
    throw new LineProblem('cert is possible with hostssl only');
  return method;
}

type Options = Pick<Rule, 'map' | 'clientCert' | 'clientName'>;

function parseOptions(tokens: readonly Token[], type: Rule['type'], method: HbaMethod): Options {
  const given = new Map<string, string>();
  for (const { text } of tokens) {
    const equals = text.indexOf('=');
    if (equals < 1) throw new LineProblem(`"${text}" is not an option: name=value`);
    const name = text.slice(0, equals);
    if (given.has(name)) throw new LineProblem(`the option ${name} is given twice`);
    given.set(name, text.slice(equals + 1));
  }
  for (const name of given.keys()) {
    if (!['map', 'clientcert', 'clientname'].includes(name)) {
      throw new LineProblem(`the option "${name}" is not supported: map, clientcert, clientname`);
    }
    if (name === 'map' && method !== 'cert' && method !== 'peer') {
      throw new LineProblem(`map is an option of cert and peer, not of ${method}`);
    }
    if (name !== 'map' && type !== 'hostssl') throw new LineProblem(`${name} is possible with hostssl only`);
  }
  const clientCert = given.get('clientcert');
  if (clientCert !== undefined && clientCert !== 'verify-ca' && clientCert !== 'verify-full') {
    throw new LineProblem(`clientcert=${clientCert} is not verify-ca or verify-full`);
  }
  if (method === 'cert' && clientCert === 'verify-ca') {
    throw new LineProblem('clientcert=verify-ca is less than cert asks for: leave it out');
  }
  const clientName = given.get('clientname') ?? 'CN';
  if (clientName !== 'CN' && clientName !== 'DN') throw new LineProblem(`clientname=${clientName} is not CN or DN`);
  return { map: given.get('map'), clientCert, clientName };
}

/** @returns the first rule that matches; undefined: none does, and the connection must be refused */
export function findRule(rules: readonly Rule[], connection: Connection): Rule | undefined {
  return rules.find(
    (rule) =>
      fitsTransport(rule, connection) &&
      rule.databases.some((name) => fitsDatabase(name, connection)) &&
      rule.users.some((name) => fitsName(name, connection.user)),
  );
}

function fitsTransport({ type, origin }: Rule, { address, hasTls }: Connection): boolean {
  if (type === 'local' || address === undefined) return type === 'local' && address === undefined;
  // Weir has no GSSAPI encryption.
  if (type === 'hostgssenc' || (type === 'hostssl' && !hasTls) || (type === 'hostnossl' && hasTls)) return false;
  return origin !== undefined && comesFrom(address, origin);
}

/** As in PostgreSQL, only the keyword `replication` matches physical replication, and it matches nothing else. */
function fitsDatabase(name: Name, { databases, user, isReplication }: Connection): boolean {
  if (isReplication || name.kind === 'replication') return isReplication && name.kind === 'replication';
  if (name.kind === 'sameuser') return databases.includes(user);
  return databases.some((database) => fitsName(name, database));
}

function fitsName(name: Name, text: string): boolean {
  if (name.kind === 'name') return name.name === text;
  return name.kind === 'regex' ? matches(name.regex, text) !== null : name.kind === 'all';
}
