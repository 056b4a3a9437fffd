/**
 * The `databases` section: nodes, their names, and the pool settings of each database over the global ones.
 * Called by load.ts. Node URLs are parsed by node-url.ts.
 */
import type { DatabaseConfig, DnsReplicas, NodeConfig } from './config.ts';
import type { SettingKey, SettingValues } from './settings.ts';
import { environmentName, isSettingKey, settingKeys, settingOf, settings } from './settings.ts';
import { assemblePool, withValue } from './assemble.ts';
import { dnsKeyOf, isFoundInDns, parseDnsReplicas } from './dns-replicas.ts';
import { consoleNames } from './console-names.ts';
import type { Place } from './place.ts';
import { fromEnvironment, parseWith, refusal, unknownKey } from './gather.ts';
import type { UnnamedNode } from './node-url.ts';
import { parseNode } from './node-url.ts';
import { fitSizes } from './checks.ts';
import { entriesOf } from './yaml.ts';
import { formatHostPort } from './values.ts';

export const perDatabaseKeys: readonly SettingKey[] = settingKeys.filter((key) => settingOf(key).isPerDatabase);
/** By key in the entry of a database: the setting that it wins over. */
export const authKeys = {
  auth_user: { like: 'auth.user', field: 'user' },
  auth_query: { like: 'auth.query', field: 'query' },
  auth_dbname: { like: 'auth.dbname', field: 'dbname' },
} as const;
const isAuthKey = (key: string): key is keyof typeof authKeys => Object.hasOwn(authKeys, key);
const databaseKeys = ['primary', 'replicas', ...perDatabaseKeys, ...Object.keys(authKeys)];
/** Whether the entry of a database may have it. */
export const isDatabaseKey = (name: string): boolean => databaseKeys.includes(name);
const longestName = 63;

export interface DatabasesContext {
  readonly values: SettingValues;
  readonly env: NodeJS.ProcessEnv;
  readonly placeOf: (path: readonly string[]) => Place;
  readonly problems: string[];
  /** Collects the names of all environment variables that can set a key of a database. */
  readonly knownVariables: Set<string>;
}

export function parseDatabases(raw: unknown, context: DatabasesContext): Map<string, DatabaseConfig> {
  const databases = new Map<string, DatabaseConfig>();
  const entries = entriesOf(raw);
  if (entries === undefined) {
    context.problems.push(refusal(context.placeOf(['databases']), 'databases', raw, 'is not a map of database names'));
    return databases;
  }
  for (const [name, body] of entries) {
    const database = parseDatabase(name, body, context);
    if (database !== undefined) databases.set(name, database);
  }
  return databases;
}

/** What is wrong with a database name; undefined when nothing is. */
export function badDatabaseName(name: string): string | undefined {
  if (consoleNames.includes(name)) return 'is the name of the admin console: give the database another name';
  if (name === '' || name.length > longestName || name.includes('\0')) return 'is not a name of 1 to 63 characters';
  return undefined;
}

function parseDatabase(name: string, body: unknown, context: DatabasesContext): DatabaseConfig | undefined {
  const path = ['databases', name];
  const label = path.join('.');
  const fail = (key: string, value: unknown, refused: string, place = context.placeOf([...path, key])): undefined => {
    context.problems.push(refusal(place, `${label}.${key}`, value, refused));
    return undefined;
  };
  const badName = badDatabaseName(name);
  if (badName !== undefined) {
    context.problems.push(`${context.placeOf(path)}: ${label}: ${badName}`);
    return undefined;
  }
  const fields = entriesOf(body);
  if (fields === undefined) {
    context.problems.push(refusal(context.placeOf(path), label, body, 'is not a map: write { primary: URL }'));
    return undefined;
  }
  const said = withEnvironment(fields, label, context);
  let values = context.values;
  const explicit = new Set<SettingKey>();
  for (const [key, { value, place }] of said) {
    if (key === 'primary' || key === 'replicas' || isAuthKey(key)) continue;
    if (!isSettingKey(key) || !settingOf(key).isPerDatabase) {
      const known = databaseKeys.map((other) => `${label}.${other}`);
      const isGlobal = isSettingKey(key) ? '; it can only be set for all databases, at the top' : '';
      context.problems.push(
        unknownKey(place ?? context.placeOf([...path, key]), `${label}.${key}`, value, known) + isGlobal,
      );
      continue;
    }
    const parsed = parseWith(settingOf(key).type, value, place !== undefined);
    if ('refused' in parsed) fail(key, value, parsed.refused, place);
    else {
      values = withOwn(values, key, parsed.value);
      explicit.add(key);
    }
  }
  const fitted = fitSizes(values, explicit);
  if (fitted.problem !== undefined) context.problems.push(`${context.placeOf(path)}: ${label}: ${fitted.problem}`);
  const primary = said.get('primary');
  if (primary === undefined || primary.value === null) {
    context.problems.push(
      `${context.placeOf(path)}: ${label}: has no primary: write { primary: postgres://host:5432 }`,
    );
    return undefined;
  }
  const nodes = parseNodes(primary, said.get('replicas')?.value, path, context);
  if (nodes === undefined) return undefined;
  return { name, ...nodes, pool: assemblePool(fitted.values), ...parseAuth(said, fail) };
}

/** auth_user, auth_query and auth_dbname. */
function parseAuth(
  said: ReadonlyMap<string, Said>,
  fail: (key: string, value: unknown, refused: string, place?: Place) => undefined,
): Pick<DatabaseConfig, 'auth'> {
  const auth: Record<string, string | undefined> = {};
  for (const [key, { like, field }] of Object.entries(authKeys)) {
    const found = said.get(key);
    if (found === undefined) continue;
    const parsed = settings[like].type.parse(found.value);
    if ('refused' in parsed) fail(key, found.value, parsed.refused, found.place);
    else auth[field] = parsed.value;
  }
  return Object.keys(auth).length === 0 ? {} : { auth };
}

function withOwn(values: SettingValues, key: SettingKey, own: unknown): SettingValues {
  const { type } = settingOf(key);
  return withValue(values, key, type.over === undefined ? own : type.over(values[key], own));
}

interface Said {
  readonly value: unknown;
  /** Given when it came from the environment, as text. */
  readonly place: Place | undefined;
}

/** The fields of a database; WEIR_DATABASES_NAME_KEY wins over the file. */
function withEnvironment(
  fields: readonly (readonly [string, unknown])[],
  label: string,
  context: DatabasesContext,
): Map<string, Said> {
  const said = new Map<string, Said>(fields.map(([key, value]) => [key, { value, place: undefined }]));
  for (const key of ['primary', ...perDatabaseKeys]) {
    const variable = environmentName(`${label}.${key}`);
    context.knownVariables.add(variable);
    const text = fromEnvironment(context.env, variable);
    if (text !== undefined) said.set(key, { value: text, place: variable });
  }
  return said;
}

type Nodes = Pick<DatabaseConfig, 'primary' | 'replicas' | 'dns'>;

function parseNodes(
  primary: Said,
  rawReplicas: unknown,
  path: readonly string[],
  context: DatabasesContext,
): Nodes | undefined {
  const name = path[1] ?? '';
  const label = path.join('.');
  const before = context.problems.length;
  const list = rawReplicas === null || rawReplicas === undefined ? [] : rawReplicas;
  if (!Array.isArray(list)) {
    const place = context.placeOf([...path, 'replicas']);
    context.problems.push(refusal(place, `${label}.replicas`, rawReplicas, 'is not a list of nodes: write [URL, URL]'));
  }
  const raws = [primary.value, ...(Array.isArray(list) ? (list as readonly unknown[]) : [])];
  const isDns = (index: number): boolean => index > 0 && isFoundInDns(raws[index]);
  const parsed: UnnamedNode[] = [];
  raws.forEach((raw, index) => {
    if (isDns(index)) return;
    const key = index === 0 ? 'primary' : `replicas.${index - 1}`;
    const place = (index === 0 ? primary.place : undefined) ?? context.placeOf([...path, ...key.split('.')]);
    const node = parseNode(raw);
    if ('refused' in node) context.problems.push(refusal(place, `${label}.${key}`, raw, node.refused));
    else parsed.push(node.node);
  });
  if (context.problems.length > before) return undefined;
  const named = nameNodes(parsed, name);
  const problem = 'problem' in named ? named.problem : undefined;
  if (problem !== undefined) context.problems.push(`${context.placeOf(path)}: ${label}: ${problem}`);
  if (!('nodes' in named)) return undefined;
  const dns: DnsReplicas[] = [];
  raws.forEach((raw, index) => {
    if (!isDns(index) || !isFoundInDns(raw)) return;
    const found = parseDnsReplicas(raw, named.nodes[0]);
    const key = `replicas.${index - 1}`;
    const refused = 'refused' in found ? found.refused : problemOfTwins(dns, found.entry);
    if (refused !== undefined)
      context.problems.push(refusal(context.placeOf([...path, ...key.split('.')]), `${label}.${key}`, raw, refused));
    else if ('entry' in found) dns.push(found.entry);
  });
  if (context.problems.length > before) return undefined;
  const [first, ...replicas] = named.nodes;
  return { primary: first, replicas, ...(dns.length === 0 ? {} : { dns }) };
}

const problemOfTwins = (others: readonly DnsReplicas[], entry: DnsReplicas): string | undefined =>
  others.some((other) => dnsKeyOf({ ...other, name: undefined }) === dnsKeyOf({ ...entry, name: undefined }))
    ? 'is the same name in DNS as another entry'
    : undefined;

/** Gives each node its name and its database on the server; the first one is the primary. */
export function nameNodes(
  nodes: readonly UnnamedNode[],
  database: string,
): { readonly nodes: [NodeConfig, ...NodeConfig[]] } | { readonly problem: string } {
  const [primary] = nodes;
  if (primary === undefined) return { problem: 'has no primary' };
  const result: NodeConfig[] = [];
  const taken = new Map<string, string>();
  for (const node of nodes) {
    const isHostShared = nodes.some((other) => other !== node && other.host === node.host);
    if (nodes.some((other) => other !== node && formatHostPort(other) === formatHostPort(node))) {
      return { problem: `the node ${formatHostPort(node)} is named twice: give each server once` };
    }
    const name = node.name ?? (isHostShared ? formatHostPort(node) : node.host);
    const other = taken.get(name);
    if (other !== undefined)
      return { problem: `the name ${name} is given to both ${other} and ${formatHostPort(node)}` };
    taken.set(name, formatHostPort(node));
    if (node.database !== undefined && primary.database !== undefined && node.database !== primary.database) {
      return { problem: `${formatHostPort(node)} has another database than its primary; a replica has the same ones` };
    }
    const own = node.database ?? primary.database ?? (database === '*' ? undefined : database);
    result.push({ ...node, name, database: own });
  }
  const [first, ...others] = result;
  return first === undefined ? { problem: 'has no primary' } : { nodes: [first, ...others] };
}
