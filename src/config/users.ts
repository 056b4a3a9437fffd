/**
 * Who may log in: PgBouncer's auth_file, and the users with a password in the database URLs. Pure.
 * Secrets are kept as written (plain, md5..., SCRAM-SHA-256$...); checking them is the job of auth/.
 */
import type { Config, DatabaseConfig } from './config.ts';

export interface UsersFile {
  /** User name -> secret. The last line of a name wins. An empty secret is nobody's password. */
  readonly users: Map<string, string>;
  /** `line N: what is wrong`; never quotes a secret. */
  readonly problems: string[];
}

const longestUserName = 127;
/** The longest secret that PostgreSQL accepts in a PasswordMessage. */
const longestSecret = 65_531;
const scramSecret = /^SCRAM-SHA-256\$[1-9]\d{0,8}:[A-Za-z0-9+/]+={0,2}\$[A-Za-z0-9+/]{43}=:[A-Za-z0-9+/]{43}=$/;
const quoted = /^\s*"((?:[^"]|"")*)"/;

/** One `"name" "secret"` a line; `""` is a quote; lines that start with `;` or `#` are comments; more fields are ignored. */
export function parseUsersFile(text: string): UsersFile {
  const users = new Map<string, string>();
  const problems: string[] = [];
  text
    .replace(/^\uFEFF/, '')
    .split(/\r?\n/)
    .forEach((line, index) => {
      if (/^\s*(?:[;#]|$)/.test(line)) return;
      const entry = parseLine(line);
      if (typeof entry === 'string') problems.push(`line ${index + 1}: ${entry}`);
      else users.set(entry.name, entry.secret);
    });
  return { users, problems };
}

function parseLine(line: string): { name: string; secret: string } | string {
  const first = quoted.exec(line);
  if (first === null) return 'is not "name" "secret", with both in double quotes';
  const name = (first[1] ?? '').replaceAll('""', '"');
  const second = quoted.exec(line.slice(first[0].length));
  if (second === null) return `the secret of "${name.slice(0, longestUserName)}" is not in double quotes`;
  const secret = (second[1] ?? '').replaceAll('""', '"');
  if (name === '') return 'the name is empty';
  if (Buffer.byteLength(name) > longestUserName) return `the name is longer than ${longestUserName} bytes`;
  if (Buffer.byteLength(secret) > longestSecret) return `the secret of "${name}" is longer than ${longestSecret} bytes`;
  if (name.includes('\0') || secret.includes('\0')) return 'there is a NUL character in it';
  if (secret.startsWith('SCRAM-SHA-256$') && !scramSecret.test(secret)) {
    return `the secret of "${name}" starts like a SCRAM secret but is none: SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey`;
  }
  return { name, secret };
}

/** All users with a secret: those of auth_file, and those with a password in a database URL. auth_file wins. */
export function knownUsers(config: Config, usersFileText?: string): Map<string, string> {
  const known = new Map<string, string>();
  for (const { user, password } of nodesOf(config)) {
    if (user !== undefined && password !== undefined && !known.has(user)) known.set(user, password);
  }
  if (usersFileText !== undefined) {
    for (const [name, secret] of parseUsersFile(usersFileText).users) known.set(name, secret);
  }
  return known;
}

/** A node with a user and no password has the password of that user in auth_file; a SCRAM secret cannot be used as one. */
export function withStoredPasswords(config: Config, users: ReadonlyMap<string, string>): Config {
  const filled = <Login extends { readonly user: string | undefined; readonly password: string | undefined }>(
    login: Login,
  ): Login => {
    const secret = login.user === undefined || login.password !== undefined ? undefined : users.get(login.user);
    return secret === undefined || secret === '' || secret.startsWith('SCRAM-SHA-256$')
      ? login
      : { ...login, password: secret };
  };
  const databases = new Map<string, DatabaseConfig>();
  for (const [name, database] of config.databases) {
    const { primary, replicas, dns } = database;
    const nodes = { primary: filled(primary), replicas: replicas.map(filled) };
    databases.set(name, { ...database, ...nodes, ...(dns === undefined ? {} : { dns: dns.map(filled) }) });
  }
  return { ...config, databases };
}

/** Users with different passwords in different database URLs: only the first one is used when they log in to Weir. */
export function ambiguousUsers(config: Config): string[] {
  const first = new Map<string, string>();
  const ambiguous = new Set<string>();
  for (const { user, password } of nodesOf(config)) {
    if (user === undefined || password === undefined) continue;
    const other = first.get(user);
    if (other === undefined) first.set(user, password);
    else if (other !== password) ambiguous.add(user);
  }
  return [...ambiguous];
}

function* nodesOf(
  config: Config,
): Iterable<{ readonly user: string | undefined; readonly password: string | undefined }> {
  for (const database of config.databases.values()) {
    yield database.primary;
    yield* database.replicas;
    yield* database.dns ?? [];
  }
}
