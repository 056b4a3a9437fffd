/**
 * Checks settings that depend on each other or on files, after each value was checked by itself. Reads the files that the
 * settings name; changes nothing. Called by load.ts, databases.ts and change.ts.
 */
import { X509Certificate } from 'node:crypto';
import { accessSync, constants, readFileSync, statSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import type { Config, TlsSide } from './config.ts';
import type { SettingKey, SettingValues } from './settings.ts';
import { withValue } from './assemble.ts';
import { consoleNames } from './console-names.ts';
import { formatDuration } from './values.ts';

export interface FittedSizes {
  readonly values: SettingValues;
  readonly problem: string | undefined;
}

/**
 * min_pool_size <= default_pool_size <= max_pool_size. A size that the user has set wins over one that has its default: a user who
 * only sets `max_pool_size: 10` means a pool of at most 10, not a conflict with the default of 20.
 */
export function fitSizes(values: SettingValues, explicit: ReadonlySet<SettingKey>): FittedSizes {
  let { min_pool_size: min, default_pool_size: start, max_pool_size: max } = values;
  if (!explicit.has('max_pool_size')) {
    if (explicit.has('default_pool_size')) max = Math.max(max, start);
    if (explicit.has('min_pool_size')) max = Math.max(max, min);
  }
  if (!explicit.has('min_pool_size')) min = Math.min(min, max, explicit.has('default_pool_size') ? start : max);
  if (!explicit.has('default_pool_size')) start = Math.min(Math.max(start, min), max);
  const isInOrder = min <= start && start <= max;
  const fitted = withValue(
    withValue(withValue(values, 'min_pool_size', min), 'default_pool_size', start),
    'max_pool_size',
    max,
  );
  return {
    values: isInOrder ? fitted : values,
    problem: isInOrder
      ? undefined
      : `min_pool_size (${min}) <= default_pool_size (${start}) <= max_pool_size (${max}) must hold`,
  };
}

/** Why a file cannot be read; undefined when it can. */
export function unreadable(file: string): string | undefined {
  try {
    accessSync(file, constants.R_OK);
    return statSync(file).isFile() ? undefined : 'is not a file';
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
    return code === 'ENOENT' ? 'does not exist' : `cannot be read (${code})`;
  }
}

export interface KeyedProblem {
  readonly key: SettingKey;
  readonly text: string;
}

export function crossCheck(config: Config): KeyedProblem[] {
  return [
    ...checkSocket(config),
    ...checkPriorities(config),
    ...checkReusePort(config),
    ...checkTls('client', config.tls.client),
    ...checkTls('server', config.tls.server),
    ...checkAuth(config),
    ...checkConnectQueries(config),
  ];
}

/** What tables a name means, and how a text is read, Weir has to know: it reads the defaults of roles, and no statement of a setting. */
const meaning = /\b(search_path|role|session\s+authorization|client_encoding|standard_conforming_strings)\b/i;

function checkConnectQueries({ pool, databases }: Config): KeyedProblem[] {
  const found = [pool, ...Array.from(databases.values(), (database) => database.pool)].flatMap(
    ({ connectQuery }) => meaning.exec(connectQuery ?? '')?.[0] ?? [],
  );
  return [...new Set(found)].map((word) => ({
    key: 'connect_query',
    text: `it cannot change ${word}: set it for the role instead, with ALTER ROLE ... [IN DATABASE ...] SET ...`,
  }));
}

function checkSocket({ unixSocketDir: dir, listenAddresses }: Config): KeyedProblem[] {
  if (dir === undefined) {
    if (listenAddresses?.length !== 0) return [];
    return [{ key: 'listen_addresses', text: 'is empty, and unix_socket_dir is not set: Weir would listen nowhere' }];
  }
  const isDirectory = statSync(dir, { throwIfNoEntry: false })?.isDirectory() === true;
  return isDirectory ? [] : [{ key: 'unix_socket_dir', text: `${dir} is not a directory` }];
}

function checkPriorities({ highPriorityUsers, lowPriorityUsers }: Config): KeyedProblem[] {
  const both = highPriorityUsers.filter((user) => lowPriorityUsers.includes(user));
  if (both.length === 0) return [];
  return [{ key: 'low_priority_users', text: `${both.join(', ')}: also in high_priority_users` }];
}

/** Option `reusePort` of net.Server.listen(); an older Node ignores it, and the second Weir would not start. */
export function hasReusePort(nodeVersion: string): boolean {
  const [major = 0, minor = 0] = nodeVersion.split('.').map(Number);
  return major > 23 || (major === 23 && minor >= 1) || (major === 22 && minor >= 12);
}

function checkReusePort({ soReuseport }: Config): KeyedProblem[] {
  const { node } = process.versions;
  if (!soReuseport || hasReusePort(node)) return [];
  const text = `true needs Node 22.12, 23.1 or later; this is Node ${node}`;
  return [{ key: 'so_reuseport', text }];
}

function checkTls(side: 'client' | 'server', tls: TlsSide): KeyedProblem[] {
  const problems: KeyedProblem[] = [];
  const prefix = `tls.${side}` as const;
  const isVerifying = tls.mode === 'verify-ca' || tls.mode === 'verify-full';
  if (tls.cert !== undefined && tls.key === undefined) {
    problems.push({ key: `${prefix}.key`, text: `is missing: ${prefix}.cert needs its private key` });
  }
  if (tls.key !== undefined && tls.cert === undefined) {
    problems.push({ key: `${prefix}.cert`, text: `is missing: ${prefix}.key needs its certificate` });
  }
  if (isVerifying && tls.ca === undefined) {
    problems.push({
      key: `${prefix}.ca`,
      text: `is missing: ${prefix}.mode ${tls.mode} needs an authority to verify with`,
    });
  }
  const isRequired = tls.mode === 'require' || isVerifying;
  if (side === 'client' && isRequired && tls.cert === undefined) {
    problems.push({
      key: 'tls.client.cert',
      text: `is missing: tls.client.mode ${tls.mode} needs a certificate and a key`,
    });
  }
  for (const part of ['cert', 'key', 'ca'] as const) {
    const file = tls[part];
    const why = file === undefined ? undefined : unreadable(file);
    if (why !== undefined) problems.push({ key: `${prefix}.${part}`, text: `the file ${file} ${why}` });
  }
  return problems.length > 0 ? problems : checkPem(prefix, tls);
}

/** Whether OpenSSL can use the files; a reload must find out before anything is changed. */
function checkPem(prefix: 'tls.client' | 'tls.server', { cert, key, ca }: TlsSide): KeyedProblem[] {
  const problems: KeyedProblem[] = [];
  const attempt = (part: 'cert' | 'key' | 'ca', what: string, use: () => unknown): void => {
    try {
      use();
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      problems.push({ key: `${prefix}.${part}`, text: `${what} (${reason})` });
    }
  };
  // node:tls accepts any text as a CA certificate, and would then reject every peer without saying why.
  if (ca !== undefined) {
    attempt('ca', `the file ${ca} is no certificate in PEM`, () => new X509Certificate(readFileSync(ca)));
  }
  if (cert === undefined || key === undefined) return problems;
  attempt('cert', `the file ${cert} is no certificate in PEM`, () => new X509Certificate(readFileSync(cert)));
  if (problems.some((problem) => problem.key === `${prefix}.cert`)) return problems;
  attempt('key', `the file ${key} is not the private key of ${cert}`, () =>
    createSecureContext({ cert: readFileSync(cert), key: readFileSync(key) }),
  );
  return problems;
}

function checkAuth(config: Config): KeyedProblem[] {
  const problems: KeyedProblem[] = [];
  const { client } = config.tls;
  if (config.auth.type === 'cert') {
    if (client.ca === undefined) {
      problems.push({ key: 'auth.type', text: 'cert needs tls.client.ca: who must have signed the certificates' });
    }
    if (client.mode === 'disable' || client.cert === undefined) {
      problems.push({
        key: 'auth.type',
        text: 'cert needs TLS with clients: tls.client.cert, tls.client.key and a mode',
      });
    }
  }
  problems.push(...checkQueries(config), ...checkAny(config));
  if (config.auth.type === 'hba' && config.auth.hbaFile === undefined) {
    problems.push({ key: 'auth.hba_file', text: 'is missing: auth.type hba needs the file that says who may come in' });
  }
  for (const [key, file] of [
    ['auth.file', config.auth.file],
    ['auth.hba_file', config.auth.hbaFile],
    ['auth.ident_file', config.auth.identFile],
  ] as const) {
    const why = file === undefined ? undefined : unreadable(file);
    if (why !== undefined) problems.push({ key, text: `the file ${file} ${why}` });
  }
  return problems;
}

/** Anybody may come in under any name, so the name must not decide as whom Weir logs in to a server. */
function checkAny({ auth, databases }: Config): KeyedProblem[] {
  if (auth.type !== 'any') return [];
  const lacking = [...databases.values()].find(({ primary, replicas, dns = [] }) =>
    [primary, ...replicas, ...dns].some(({ user }) => user === undefined),
  );
  if (lacking === undefined) return [];
  const text = `any needs a user in the URL of every node, such as postgres://app@host:5432: database ${lacking.name} has a node without`;
  return [{ key: 'auth.type', text }];
}

/** Of all, and of each database that says something for itself. */
function checkQueries({ auth, databases }: Config): KeyedProblem[] {
  const own = [...databases.values()].flatMap((database) => {
    if (database.auth === undefined) return [];
    const problems = checkQuery({ ...auth, ...database.auth }, databases);
    return problems.map(({ key, text }) => ({ key, text: `of database ${database.name}: ${text}` }));
  });
  return [...checkQuery(auth, databases), ...own];
}

function checkQuery(
  { query, user, dbname, as }: Pick<Config['auth'], 'query' | 'user' | 'dbname' | 'as'>,
  databases: Config['databases'],
): KeyedProblem[] {
  const problems: KeyedProblem[] = [];
  // Of PgBouncer's file, the servers refuse it.
  if (query !== undefined && query !== 'default' && as !== 'pgbouncer' && !/\$1(?!\d)/.test(query)) {
    problems.push({
      key: 'auth.query',
      text: 'has no $1, which is where the user name goes; it is never put into the text',
    });
  }
  if (query !== undefined && user === undefined) {
    problems.push({ key: 'auth.user', text: 'is missing: auth.query needs somebody to run it' });
  }
  const isOwn = dbname !== undefined && consoleNames.includes(dbname);
  // PgBouncer says so when a client needs it: SET auth_dbname may come before the RELOAD that brings the database.
  const mayCome = as === 'pgbouncer' && !isOwn;
  if (dbname !== undefined && !databases.has(dbname) && (!databases.has('*') || isOwn) && !mayCome) {
    problems.push({ key: 'auth.dbname', text: `there is no database ${dbname} under "databases"` });
  }
  return problems;
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('127.');
}

/** Of budgets of lag that replicas exceed only when they get no reads any more. */
function lagWarnings({ databases, routing: { maxReplicaLagMs } }: Config): string[] {
  return [...databases.values()].flatMap(({ name, pool }) =>
    (pool.budgets.replica_lag ?? []).flatMap(({ limit }) => {
      if (limit * 1000 <= maxReplicaLagMs) return [];
      const [own, most] = [formatDuration(Math.round(limit * 1000)), formatDuration(maxReplicaLagMs)];
      const lag = `budgets of ${name}: replica_lag (${own}) is above routing.max_replica_lag (${most})`;
      return [`${lag}: such a replica gets no reads long before it uses up the budget`];
    }),
  );
}

/** Warnings: valid settings that are probably not intended. @param users names of the users who can log in with a secret */
export function warningsFor(config: Config, users: ReadonlySet<string>): string[] {
  const warnings: string[] = [];
  const { type, adminUsers, user } = config.auth;
  const lets = `auth.type: ${type} lets everybody in who can reach the port`;
  const isLocal = (config.listenAddresses ?? [config.listen.host]).every(isLoopback);
  if ((type === 'trust' || type === 'any') && !isLocal) warnings.push(`${lets}, which is not only this machine`);
  if (type === 'any') warnings.push(`${lets}, under any name: auth.admin_users need no password on the admin console`);
  if (user !== undefined && !users.has(user)) {
    warnings.push(`auth.user: ${user} has no secret in auth.file: it can only log in to servers that ask for none`);
  }
  const needsSecret = type === 'md5' || type === 'plain' || type === 'scram-sha-256';
  if (needsSecret && users.size === 0 && config.auth.query === undefined) {
    warnings.push('auth.file: nobody can log in: there is no users file and no user with a password in a database URL');
  } else if (needsSecret && config.auth.consoleUser === undefined && !adminUsers.some((name) => users.has(name))) {
    const names = adminUsers.join(', ') || 'nobody';
    warnings.push(
      `auth.admin_users: nobody can use the admin console: give one of them (${names}) a line in auth.file, ` +
        'or set auth.admin_users (WEIR_AUTH_ADMIN_USERS) to a user who can log in',
    );
  }
  if (type !== 'hba' && config.auth.hbaFile !== undefined) {
    warnings.push(`auth.hba_file: is not used, because auth.type is ${type}`);
  }
  warnings.push(...lagWarnings(config));
  if (!config.cache.enabled && config.cache.redis !== undefined) {
    warnings.push('cache.redis: is not used, because cache.enabled is false');
  }
  return warnings;
}
