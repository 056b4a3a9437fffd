/**
 * `weir check`: validates the configuration, connects to every server it names, tries auth.query and Redis, and prints the
 * problems. Changes nothing. Exit code 1 if there is a problem. Called by run.ts.
 */
import { statSync } from 'node:fs';
import { dirname } from 'node:path';
import { AuthQuery } from '../app/auth-query.ts';
import { createKeyDeriver } from '../auth/keys.ts';
import { parseSecret } from '../auth/secrets.ts';
import { beyondMachine, thisMachine } from '../config/capacity.ts';
import type { Config, DatabaseConfig, NodeConfig } from '../config/config.ts';
import { redactUrl } from '../config/redact.ts';
import { checkDns } from './check-dns.ts';
import type { CliIo, ExitCode } from './io.ts';
import { CommandError, exitCodes } from './io.ts';
import type { Credentials, NodeReport } from './probe.ts';
import { probeNode, unreachable } from './probe.ts';
import { loadAll, sourceOf, sourceOptions } from './serve.ts';
import { table } from './table.ts';
import type { Verb } from './arguments.ts';

interface Found {
  readonly rows: (string | null)[][];
  readonly problems: string[];
  readonly notes: Note[];
}

interface Note {
  /** The node it is about. The same text about several nodes is printed once. */
  readonly about?: string;
  readonly text: string;
}

/** Probes all nodes of a database at the same time. */
async function checkDatabase(
  config: Config,
  database: DatabaseConfig,
  users: ReadonlyMap<string, string>,
): Promise<Found> {
  const found: Found = { rows: [], problems: [], notes: [] };
  const nodes = [database.primary, ...database.replicas];
  const reports = await Promise.all(
    nodes.map((node) =>
      probeNode(node, loginFor(node, nodes, config, users), config.tls.server, database.pool.serverConnectTimeoutMs),
    ),
  );
  const primaryLsn = reports[0]?.role === 'primary' ? reports[0].lsn : undefined;
  nodes.forEach((node, index) => {
    const report = reports[index];
    if (report === undefined) return;
    const problem = problemOf(report, index === 0);
    const label = `${database.name}: ${node.name}`;
    if (problem !== undefined) found.problems.push(`${label}: ${problem}`);
    if (report.note !== undefined) found.notes.push({ about: label, text: report.note });
    const address = `${node.host}:${node.port}`;
    const state = problem === undefined ? 'ok' : 'WRONG';
    const max = report.maxConnections?.toString() ?? null;
    found.rows.push([
      database.name,
      node.name,
      address,
      state,
      report.role ?? null,
      lagOf(report, primaryLsn),
      report.version ?? null,
      max,
    ]);
  });
  return found;
}

/** The user to log in as, chosen as by Weir's monitor: the node's user, auth.user, or the user of another node. */
function loginFor(
  node: NodeConfig,
  nodes: readonly NodeConfig[],
  config: Config,
  users: ReadonlyMap<string, string>,
): Credentials | undefined {
  const named = node.user === undefined ? nodes.find((other) => other.user !== undefined) : node;
  const user = node.user ?? config.auth.user ?? named?.user;
  if (user === undefined) return undefined;
  const known = users.get(user);
  // A stored hash cannot be used as a password.
  const plain = known === undefined || /^(md5[0-9a-f]{32}$|SCRAM-SHA-256\$)/i.test(known) ? undefined : known;
  return { user, password: named?.user === user ? (named.password ?? plain) : plain };
}

function problemOf(report: NodeReport, isPrimary: boolean): string | undefined {
  if (report.problem !== undefined) return report.problem;
  if (report.role === undefined) return undefined;
  if (isPrimary && report.role === 'replica') return 'is configured as the primary, but it is a replica (in recovery)';
  if (!isPrimary && report.role === 'primary')
    return 'is configured as a replica, but it is a primary (not in recovery)';
  if (report.role === 'replica' && report.isStreaming === false)
    return 'is a replica, but receives no WAL: it is not streaming';
  return undefined;
}

function lagOf(report: NodeReport, primaryLsn: bigint | undefined): string | null {
  if (report.role !== 'replica' || report.lsn === undefined || primaryLsn === undefined) return null;
  const bytes = primaryLsn - report.lsn;
  return `${bytes > 0n ? bytes : 0n} B`;
}

/** Runs auth.query for one user in each database, as the log-in of a client would. */
async function checkAuthQuery(config: Config, users: ReadonlyMap<string, string>): Promise<Found> {
  const found: Found = { rows: [], problems: [], notes: [] };
  const { query, user, dbname } = config.auth;
  if (query === undefined || user === undefined) return found;
  const primaryOf = (name: string): Promise<NodeConfig> => {
    const database = config.databases.get(name) ?? config.databases.get('*');
    return database === undefined
      ? Promise.reject(new Error('it is not configured'))
      : Promise.resolve(database.primary);
  };
  const keys = createKeyDeriver();
  const own = { primaryOf, isDisabled: () => false, log: () => undefined };
  const authQuery = new AuthQuery({ config: () => config, users, keys, ...own });
  for (const name of dbname === undefined ? config.databases.keys() : [dbname]) {
    const where = `auth.query for database "${name}"`;
    if (name === '*') {
      found.notes.push({ text: 'auth.query is not tried for "*": only clients say which database that is' });
      continue;
    }
    try {
      const secret = await authQuery.lookUp(user, name);
      const what =
        secret === undefined || secret === '' ? `knows no secret of ${user}` : `knows ${user}: ${kindOf(secret)}`;
      found.notes.push({ text: `${where} ${what}` });
    } catch (error) {
      found.problems.push(error instanceof Error ? error.message : String(error));
    }
  }
  authQuery.stop();
  return found;
}

function kindOf(secret: string): string {
  const { kind } = parseSecret(secret);
  return { 'scram-sha-256': 'a SCRAM-SHA-256 secret', md5: 'an md5 hash', plain: 'a password in plain text' }[kind];
}

async function checkRedis(config: Config): Promise<Found> {
  const found: Found = { rows: [], problems: [], notes: [] };
  if (config.cache.redis === undefined) return found;
  const url = new URL(config.cache.redis);
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  const why = await unreachable(host, Number(url.port || 6379), config.pool.serverConnectTimeoutMs);
  if (why === undefined) found.notes.push({ text: `cache.redis: ${redactUrl(config.cache.redis)} is reachable` });
  else found.problems.push(`cache.redis: ${redactUrl(config.cache.redis)}: ${why}`);
  return found;
}

/** Of files that Weir itself makes. Whether they can be written, only the user of Weir can say. */
function checkFolders({ forecast, log, pidfile }: Config): Found {
  const files = { 'forecast.file': forecast.file, 'log.file': log.file, pidfile };
  const problems = Object.entries(files).flatMap(([key, file]) => {
    if (file === undefined) return [];
    const folder = dirname(file);
    const isFolder = statSync(folder, { throwIfNoEntry: false })?.isDirectory() === true;
    return isFolder ? [] : [`${key}: ${file} cannot be written: ${folder} is not a directory`];
  });
  return { rows: [], problems, notes: [] };
}

export const check: Verb = {
  synopsis: 'FILE',
  about: 'Validates the configuration (YAML or pgbouncer.ini), tries every server in it, and prints what is wrong.',
  options: sourceOptions,
  async run(args, io): Promise<ExitCode> {
    const { result, users } = loadAll(sourceOf(args, io.env));
    for (const warning of result.warnings) io.err(`warning: ${warning}\n`);
    if ('problems' in result) throw new CommandError([...result.problems, countOf(result.problems.length)]);
    for (const note of result.notes ?? []) io.err(`note: ${note}\n`);
    const { config } = result;
    const parts: Found[] = [];
    for (const database of config.databases.values()) parts.push(await checkDatabase(config, database, users));
    parts.push(await checkDns(config));
    parts.push(await checkAuthQuery(config, users));
    parts.push(await checkRedis(config));
    parts.push(checkFolders(config));
    parts.push({ rows: [], problems: beyondMachine(config, thisMachine()), notes: [] });
    return report(parts, config, users.size, io);
  },
};

function report(parts: readonly Found[], config: Config, userCount: number, io: CliIo): ExitCode {
  const names = ['database', 'node', 'address', 'state', 'role', 'lag', 'version', 'max_connections'];
  const rows = parts.flatMap((part) => part.rows);
  io.out(table(names, rows, io.columns).text);
  const users = config.auth.file === undefined ? 'database URLs' : config.auth.file;
  io.out(`\nusers: ${userCount} known (${users})\n`);
  for (const line of linesOf(parts.flatMap((part) => part.notes))) io.out(`note: ${line}\n`);
  const problems = parts.flatMap((part) => part.problems);
  if (problems.length > 0) throw new CommandError([...problems, countOf(problems.length)]);
  io.out('everything is fine\n');
  return exitCodes.done;
}

/** At most so many nodes are named in a note. */
const mostNamed = 6;

function linesOf(notes: readonly Note[]): string[] {
  const byText = new Map<string, string[]>();
  for (const { about, text } of notes) {
    const known = byText.get(text) ?? [];
    byText.set(text, about === undefined ? known : [...known, about]);
  }
  return [...byText].map(([text, about]) => {
    if (about.length === 0) return text;
    const rest = about.length > mostNamed ? ` and ${about.length - mostNamed} more` : '';
    return `${about.slice(0, mostNamed).join(', ')}${rest}: ${text}`;
  });
}

function countOf(problems: number): string {
  return problems === 1 ? '1 problem' : `${problems} problems`;
}
