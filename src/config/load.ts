/**
 * Makes a checked configuration from a file, the environment and the command line, or lists all problems. Reads files,
 * changes nothing, never throws. Called by `weir serve`, `weir check` and on every reload.
 */
import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, relative, resolve } from 'node:path';
import type { Config, DatabaseConfig } from './config.ts';
import { assemble, assemblePool, defaultValues, withValue } from './assemble.ts';
import { crossCheck, fitSizes, unreadable, warningsFor } from './checks.ts';
import { badDatabaseName, nameNodes, parseDatabases } from './databases.ts';
import { exposedFiles } from './exposed-files.ts';
import type { Given } from './gather.ts';
import type { Place } from './place.ts';
import { gatherEnvironment, gatherFile, gatherText, readYamlFile, refusal, warnOfStrangeVariables } from './gather.ts';
import type { UnnamedNode } from './node-url.ts';
import { parseNodeUrl } from './node-url.ts';
import { isIni } from './pgbouncer/ini.ts';
import { translateIni } from './pgbouncer/translate.ts';
import type { SettingKey, SettingValues } from './settings.ts';
import { environmentName, settingKeys, settings } from './settings.ts';
import { parseUsers } from './user-settings.ts';
import { ambiguousUsers, knownUsers } from './users.ts';

/** The options of `weir serve` besides the file. */
export interface ServeFlags {
  /** Log lines do not go to standard output. */
  readonly quiet?: boolean | undefined;
  readonly verbose?: boolean | undefined;
  readonly user?: string | undefined;
  readonly primary?: string | undefined;
  readonly replica?: readonly string[] | undefined;
  readonly listen?: string | undefined;
  readonly redis?: string | undefined;
}

export interface LoadSource {
  readonly file?: string | undefined;
  /** Used instead of the contents of `file`, whose folder is then only the base of relative file names. */
  readonly text?: string | undefined;
  readonly flags?: ServeFlags | undefined;
  readonly env: NodeJS.ProcessEnv;
}

/** Configuration and users together. */
export interface Loaded {
  readonly result: LoadResult;
  /** Secrets by user name; none when there are problems. */
  readonly users: ReadonlyMap<string, string>;
}

export type LoadResult =
  | {
      readonly config: Config;
      readonly warnings: readonly string[];
      /** Of a pgbouncer.ini: what has no effect, and what is different here. */
      readonly notes?: readonly string[];
    }
  | { readonly problems: readonly string[]; readonly warnings: readonly string[] };

const fileKeys: readonly SettingKey[] = [
  'unix_socket_dir',
  'auth.file',
  'forecast.file',
  'auth.hba_file',
  'auth.ident_file',
  'tls.client.cert',
  'tls.client.key',
  'tls.client.ca',
  'tls.server.ca',
  'tls.server.cert',
  'tls.server.key',
  'log.file',
  'pidfile',
];

/** The command line wins over the environment, that over the file, that over the defaults. */
export function loadConfig(source: LoadSource): LoadResult {
  const given: Given = { values: new Map(), databases: undefined, users: undefined, problems: [], warnings: [] };
  const label = labelOf(source.file);
  const text = source.text ?? readText(source.file, given);
  const isOfPgbouncer = isIni(source.file, text);
  const file = isOfPgbouncer ? translateIni(text, label) : readYamlFile(text, label);
  gatherFile(file, given);
  gatherEnvironment(source.env, given);
  gatherFlags(source.flags ?? {}, given);

  const placeOf = (path: readonly string[]): Place => file.placeOf(path);
  const values = globalValues(given, source.file, placeOf);
  const knownVariables = new Set(settingKeys.map(environmentName));
  const { problems } = given;
  const databases = parseDatabases(given.databases, { values, env: source.env, placeOf, problems, knownVariables });
  const users = parseUsers(given.users, { placeOf, problems });
  addFlagDatabase(source.flags ?? {}, values, databases, problems);
  warnOfStrangeVariables(source.env, knownVariables, given);

  const config = assemble(values, { databases, users });
  for (const { key, text: why } of crossCheck(config)) {
    problems.push(`${given.values.get(key)?.place ?? label}: ${key}: ${why}`);
  }
  // PgBouncer starts without a database: so its packages install it.
  const noDatabase = `${label}: there is no database yet: only the admin console can be used`;
  const notes = isOfPgbouncer && databases.size === 0 ? [...file.notes, noDatabase] : file.notes;
  if (problems.length === 0 && databases.size === 0 && !isOfPgbouncer) {
    problems.push(
      `${label}: databases: there is none: add one, such as { shop: { primary: postgres://host:5432/shop } }, or give --primary URL`,
    );
  }
  if (problems.length > 0) return { problems, warnings: given.warnings };
  const found = [...warnings(config), ...exposedFiles(config, source.file, source.text === undefined ? text : '')];
  return { config, warnings: [...given.warnings, ...found], notes };
}

function labelOf(file: string | undefined): string {
  if (file === undefined) return 'configuration';
  const name = relative(process.cwd(), resolve(file));
  return name.startsWith('..') ? file : name || basename(file);
}

function readText(file: string | undefined, given: Given): string {
  if (file === undefined) return '';
  const why = unreadable(file);
  try {
    if (why === undefined) return readFileSync(file, 'utf8');
    given.problems.push(`${file}: the configuration file ${why}`);
  } catch (error) {
    given.problems.push(
      `${file}: the configuration file cannot be read: ${error instanceof Error ? error.message : ''}`,
    );
  }
  return '';
}

function gatherFlags(flags: ServeFlags, given: Given): void {
  if (flags.quiet === true) gatherText(given, 'log.stdout', 'false', '--quiet');
  if (flags.verbose === true) gatherText(given, 'log.level', 'debug', '--verbose');
  if (flags.user !== undefined) gatherText(given, 'user', flags.user, '--user');
  if (flags.listen !== undefined) gatherText(given, 'listen', flags.listen, '--listen');
  if (flags.redis === undefined) return;
  gatherText(given, 'cache.redis', flags.redis, '--redis');
  gatherText(given, 'cache.enabled', 'true', '--redis');
}

/** All values: the given ones over the defaults, with sizes fitted to each other and absolute file names. */
function globalValues(
  given: Given,
  file: string | undefined,
  placeOf: (path: readonly string[]) => Place,
): SettingValues {
  let values = defaultValues();
  for (const [key, { value }] of given.values) values = withValue(values, key, value);
  const fitted = fitSizes(values, new Set(given.values.keys()));
  if (fitted.problem !== undefined) {
    const place = given.values.get('default_pool_size') ?? given.values.get('max_pool_size');
    given.problems.push(`${place?.place ?? placeOf([])}: ${fitted.problem}`);
  }
  values = fitted.values;
  const folder = file === undefined ? process.cwd() : dirname(resolve(file));
  for (const key of fileKeys) {
    const name = values[key];
    if (typeof name !== 'string') continue;
    // Without a configuration file there is no folder in which users.txt could be.
    const isDefault = key === 'auth.file' && name === settings['auth.file'].default;
    const path = resolve(folder, name);
    const isAbsent = isDefault && ((file === undefined && !given.values.has(key)) || !existsSync(path));
    values = withValue(values, key, isAbsent ? undefined : path);
  }
  return values;
}

/** The database of --primary and --replica; it takes the place of one with the same name in the file. */
function addFlagDatabase(
  flags: ServeFlags,
  values: SettingValues,
  databases: Map<string, DatabaseConfig>,
  problems: string[],
): void {
  const replicas = flags.replica ?? [];
  if (flags.primary === undefined) {
    if (replicas.length > 0) problems.push('--replica: needs --primary URL');
    return;
  }
  const nodes: UnnamedNode[] = [];
  [flags.primary, ...replicas].forEach((url, index) => {
    const parsed = parseNodeUrl(url);
    if ('node' in parsed) nodes.push(parsed.node);
    else {
      const flag = index === 0 ? 'primary' : 'replica';
      problems.push(refusal(`--${flag}`, flag, url, parsed.refused));
    }
  });
  if (nodes.length !== replicas.length + 1) return;
  const name = nodes[0]?.database ?? '*';
  const bad = badDatabaseName(name);
  const named = bad === undefined ? nameNodes(nodes, name) : { problem: `the database name "${name}" ${bad}` };
  if ('problem' in named) {
    problems.push(`--primary: ${named.problem}`);
    return;
  }
  const [primary, ...others] = named.nodes;
  databases.set(name, { name, primary, replicas: others, pool: assemblePool(values) });
}

function warnings(config: Config): string[] {
  let usersText: string | undefined;
  try {
    usersText = config.auth.file === undefined ? undefined : readFileSync(config.auth.file, 'utf8');
  } catch {
    // Another check reports that the file cannot be read; here its users are only unknown.
  }
  const names = new Set(knownUsers(config, usersText).keys());
  const ambiguous = ambiguousUsers(config).map(
    (user) =>
      `databases: the URLs give user ${user} different passwords; a client must give the first, unless auth.file names the user`,
  );
  return [...warningsFor(config, names), ...ambiguous];
}
