/**
 * What the tables of keys cannot say, because it depends on several keys: where to listen, what auth_query needs, sizes that
 * PgBouncer caps, and the settings of Weir that make it behave as PgBouncer does. Called by translate.ts.
 */
import type { SettingKey } from '../settings.ts';
import { formatHostPort } from '../values.ts';
import type { Draft } from './draft.ts';
import type { IniLine } from './ini.ts';
import { integerOf, listOf } from './values.ts';

type Globals = ReadonlyMap<string, IniLine>;

export function completeGlobals(globals: Globals, draft: Draft): void {
  listen(globals, draft);
  authType(globals, draft);
  socketDir(globals, draft);
  reserve(globals, draft);
  verbosity(globals, draft);
}

const textOf = ({ place, key, value }: IniLine): string => `${place}: ${key} = ${value}`;

function listen(globals: Globals, draft: Draft): void {
  const [addr, portLine] = [globals.get('listen_addr'), globals.get('listen_port')];
  const port = integerOf(portLine?.value ?? '6432') ?? 0;
  const [first = '', ...others] = listOf(addr?.value ?? '');
  const from = [addr, portLine].filter((line) => line !== undefined);
  const place = (addr ?? portLine)?.place;
  const text = from.length === 0 ? "PgBouncer's default" : from.map(textOf).join('; ');
  draft.remove(['listen']);
  draft.set(['listen'], formatHostPort({ host: first === '' ? '127.0.0.1' : first, port }), { place, text });
  if (first === '') {
    draft.set(['listen_addresses'], [], { place, text: 'no listen_addr: only the Unix socket' });
  } else if (others.length > 0) draft.set(['listen_addresses'], [first, ...others], { place, text });
}

function authType(globals: Globals, draft: Draft): void {
  const line = globals.get('auth_type');
  const word = line?.value.toLowerCase() ?? '';
  if (line === undefined || !['ldap', 'pam'].includes(word)) return;
  draft.remove(['auth', 'type']);
  draft.problems.push(
    `${line.place}: auth_type ${word} is not supported: use trust, any, plain, md5, scram-sha-256, cert or hba`,
  );
}

/** PgBouncer asks the server only if auth_user is set, and then with a query of its own unless there is another one. */
function authQuery(globals: Globals, draft: Draft): void {
  const [user, query] = [globals.get('auth_user'), globals.get('auth_query')];
  if (user === undefined || user.value === '') {
    draft.remove(['auth', 'query']);
    const entries = databasesOf(draft).filter((entry) => draft.get([...entry, 'auth_user']) !== undefined);
    for (const entry of entries) {
      if (draft.get([...entry, 'auth_query']) !== undefined) continue;
      const text = query === undefined ? "PgBouncer's default" : textOf(query);
      const place = query?.place ?? draft.placeOf([...entry, 'auth_user']);
      draft.set([...entry, 'auth_query'], query?.value ?? 'default', { place, text });
    }
    if (query !== undefined && entries.length === 0) {
      draft.notes.push(`${query.place}: auth_query has no effect here, because auth_user is not set, as in PgBouncer`);
    }
    return;
  }
  if (query === undefined) draft.set(['auth', 'query'], 'default', { place: user.place, text: "PgBouncer's default" });
  else if (/\bfrom\s+"?(?!pg_)\w+"?\s*(\(|\s|$)/i.test(query.value)) {
    draft.notes.push(
      `${query.place}: auth_query runs with an empty search_path here: write the schema before the name of the function or table`,
    );
  }
}

function socketDir(globals: Globals, draft: Draft): void {
  const line = globals.get('unix_socket_dir');
  if (line?.value.startsWith('@') !== true) return;
  draft.set(['unix_socket_dir'], null, { place: line.place, text: textOf(line) });
  draft.notes.push(
    `${line.place}: unix_socket_dir ${line.value}: abstract Unix sockets are not supported: there is none`,
  );
}

/** With one that there is not, PgBouncer knows the users of auth_file only. */
function authDatabase(draft: Draft): void {
  const path = ['auth', 'dbname'];
  const name = draft.get(path);
  if (typeof name !== 'string') return;
  if (['*', name].some((each) => draft.get(['databases', each]) !== undefined)) return;
  const place = draft.placeOf(path);
  draft.remove(path);
  draft.remove(['auth', 'query']);
  draft.notes.push(`${place}: auth_dbname ${name}: there is no such database: only users of auth_file are known`);
}

/** 0 switches the reserve off. */
function reserve(globals: Globals, draft: Draft): void {
  const line = globals.get('reserve_pool_timeout');
  if (line === undefined || Number(line.value) !== 0) return;
  draft.set(['reserve_pool_size'], 0, { place: line.place, text: textOf(line) });
}

function verbosity(globals: Globals, draft: Draft): void {
  const line = globals.get('verbose');
  draft.remove(['log', 'level']);
  if (line === undefined || (integerOf(line.value) ?? 0) < 1) return;
  draft.set(['log', 'level'], 'debug', { place: line.place, text: textOf(line) });
}

/** Settings that PgBouncer does not have, with values that make Weir behave as it does. */
const own: readonly (readonly [key: SettingKey, value: unknown, why: string])[] = [
  [
    'auth.console_user',
    'pgbouncer',
    'through a Unix socket that only the system user of Weir can reach, as in PgBouncer',
  ],
  ['auth.as', 'pgbouncer', 'trust lets in known users only, and refusals have the words of PgBouncer'],
  ['resize.enabled', false, 'pools have a fixed size, as in PgBouncer; true lets them grow and shrink'],
  ['queue_target', 0, 'clients wait for query_wait_timeout, as in PgBouncer; 50ms refuses them early in an overload'],
  [
    'routing.monitor',
    'when-needed',
    'only clients have connections to a server, as in PgBouncer; always notices sooner that it is down',
  ],
  ['http', null, "PgBouncer has none; 127.0.0.1:9432 is Weir's default, for /metrics and the dashboard"],
  ['log.format', 'pgbouncer', 'lines for people, as in PgBouncer; json for programs'],
  [
    'shutdown_as',
    'pgbouncer',
    'SIGTERM waits for clients and SIGINT for servers; weir ends clients between transactions',
  ],
];

export function weirsOwn(globals: Globals, draft: Draft): void {
  authQuery(globals, draft);
  authDatabase(draft);
  for (const [key, value, text] of own) draft.set(key.split('.'), value, { place: undefined, text });
  for (const above of [[], ...databasesOf(draft)]) capMinimum(above, draft);
}

function databasesOf(draft: Draft): string[][] {
  const databases = draft.get(['databases']);
  return typeof databases === 'object' && databases !== null
    ? Object.keys(databases).map((name) => ['databases', name])
    : [];
}

/** A pool keeps no more than its size: PgBouncer caps min_pool_size, and Weir would refuse it. */
function capMinimum(above: readonly string[], draft: Draft): void {
  const sizeOf = (key: string): unknown => draft.get([...above, key]) ?? draft.get([key]);
  const [min, size] = [sizeOf('min_pool_size'), sizeOf('default_pool_size')];
  if (typeof min !== 'number' || typeof size !== 'number' || min <= size || size < 1) return;
  const path = [...above, 'min_pool_size'];
  const origin = draft.originOf(path) ?? draft.originOf(['min_pool_size']);
  draft.set(path, size, {
    place: origin?.place,
    text: `${origin?.text ?? 'min_pool_size'}, at most the size of the pool`,
  });
}
