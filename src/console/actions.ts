/**
 * The commands that change something: RESIZE POOL, PAUSE ... SET; and EXPLAIN ROUTE. Parses their arguments
 * and calls `ConsoleActions`. Only admin_users may run them, except for EXPLAIN, which changes nothing.
 */
import { WeirError } from '../errors/errors.ts';
import { explainPool } from './explain-pool.ts';
import { knownDatabase } from './known-database.ts';
import { restart } from './restart.ts';
import { invalidate } from './invalidate.ts';
import { parseSet } from './set.ts';
import { refuseIdleResume, refuseSecondPause, refuseWhileSuspended, suspend } from './suspend.ts';
import { readName, readNumber, readOptionalName, readPair, Scanner } from './parse.ts';
import { shorten, syntaxError } from './parse.ts';
import type { CommandContext, ConsoleColumn, ConsoleCommand, Run } from './types.ts';
import type { ResizeRequest, ShutdownMode } from './sources.ts';

const text = (name: string): ConsoleColumn => ({ name, type: 'text' });
const int = (name: string): ConsoleColumn => ({ name, type: 'int8' });

function action(name: string, args: string, help: string, parse: (scanner: Scanner) => Run): ConsoleCommand {
  const syntax = args === '' ? name : `${name} ${args}`;
  return { name, role: 'admin', syntax, help, columns: [], tag: name, parse };
}

const refused = (what: string): WeirError => new WeirError('console_refused', { what });

/** An action on one database or, without a name, on all. An unknown name is an error. */
function onDatabase(
  name: string,
  help: string,
  act: (context: CommandContext, database: string | undefined) => Promise<void>,
): ConsoleCommand {
  return action(name, '[db]', help, (scanner) => {
    const database = readOptionalName(scanner, 'database');
    return async (context) => {
      if (database !== undefined) knownDatabase(context, database);
      await act(context, database);
      return {};
    };
  });
}

function onOneDatabase(
  name: string,
  help: string,
  act: (context: CommandContext, database: string) => Promise<void>,
): ConsoleCommand {
  return action(name, 'db', help, (scanner) => {
    const database = readName(scanner, 'database');
    return async (context) => {
      knownDatabase(context, database);
      await act(context, database);
      return {};
    };
  });
}

const mostConnections = 1_000_000;

function readResize(scanner: Scanner): ResizeRequest {
  const [database, user] = readPair(scanner, 'pool');
  let node: string | undefined;
  let min: number | undefined;
  let max: number | undefined;
  while (!scanner.isAtEnd()) {
    if (scanner.takeKeyword('NODE')) node = readName(scanner, 'node');
    else if (scanner.takeKeyword('MIN')) min = readNumber(scanner, 'MIN', mostConnections);
    else if (scanner.takeKeyword('MAX')) max = readNumber(scanner, 'MAX', mostConnections, 1);
    else throw syntaxError(`RESIZE POOL takes NODE, MIN and MAX, not "${shorten(scanner.peek().text)}"`);
  }
  if (min === undefined && max === undefined) throw syntaxError('RESIZE POOL wants MIN n, MAX n or both');
  if (max === 0) throw syntaxError('MAX must be at least 1: to stop a database, PAUSE it');
  if (min !== undefined && max !== undefined && min > max) throw syntaxError(`MIN ${min} is more than MAX ${max}`);
  return { database, user, node, min, max };
}

const resize: ConsoleCommand = {
  ...action('RESIZE POOL', 'db[.user] [NODE n] [MIN n] [MAX n]', 'bounds of pools, at once', (scanner) => {
    const request = readResize(scanner);
    return async (context) => {
      knownDatabase(context, request.database);
      const outcomes = await context.sources.resizePool(request);
      return { rows: outcomes.map((o) => [o.database, o.user, o.node, o.before, o.after, o.min, o.max]) };
    };
  }),
  columns: [text('database'), text('user'), text('node'), int('before'), int('after'), int('min'), int('max')],
  tag: 'RESIZE',
};

function draining(name: 'DRAIN' | 'UNDRAIN', help: string): ConsoleCommand {
  return action(name, 'node', help, (scanner) => {
    const node = readName(scanner, 'node');
    return async ({ sources }) => {
      if (await sources.setDraining(node, name === 'DRAIN')) return {};
      const names = [...sources.topologies()].flatMap((topology) => topology.snapshot().nodes.map((n) => n.name));
      throw refused(
        `there is no node "${shorten(node)}"; nodes are ${[...new Set(names)].join(', ') || 'not known yet'}`,
      );
    };
  });
}

const killClient = (id: number): Run => {
  return async ({ sources }) => {
    if (await sources.killClient(id)) return {};
    throw refused(`there is no client ${id}; SHOW CLIENTS lists them by id`);
  };
};

const readId = (scanner: Scanner): number => readNumber(scanner, 'the id of a client', Number.MAX_SAFE_INTEGER);

const kill = action('KILL', '[client-id | db]', 'end a client; or drop all connections of a database', (scanner) => {
  const token = scanner.peek();
  if (!scanner.isAtEnd() && !token.isQuoted && /^\d+$/.test(token.text)) return killClient(readId(scanner));
  const database = readOptionalName(scanner, 'database');
  return async (context) => {
    if (database !== undefined) knownDatabase(context, database);
    refuseWhileSuspended(context);
    await context.sources.killDatabase(database);
    return {};
  };
});

const shutdown = action('SHUTDOWN', '[WAIT_FOR_SERVERS | WAIT_FOR_CLIENTS]', 'end the process', (scanner) => {
  let mode: ShutdownMode = 'now';
  if (scanner.takeKeyword('WAIT_FOR_SERVERS')) mode = 'wait-for-servers';
  else if (scanner.takeKeyword('WAIT_FOR_CLIENTS')) mode = 'wait-for-clients';
  return async ({ sources }) => {
    await sources.shutdown(mode);
    return {};
  };
});

const reload = action('RELOAD', '', 'read the configuration again', () => {
  return async ({ sources, unapplied }) => {
    const notices = await sources.reload();
    unapplied.clear();
    return { notices };
  };
});

const set = action('SET', 'key = value', 'change a setting until the next RELOAD', parseSet);

/** Reads `(DATABASE d, USER u)`, if it is there. The statement itself may begin with a parenthesis too. */
function readExplainOptions(rest: string): { database?: string; user?: string; sql: string } {
  const options = /^\(\s*(?:database|user)\b[^)]*\)/i.exec(rest)?.[0];
  if (options === undefined) return { sql: rest };
  const found: { database?: string; user?: string } = {};
  const inner = new Scanner(options.slice(1, -1));
  do {
    if (inner.takeKeyword('DATABASE')) found.database = readName(inner, 'database');
    else if (inner.takeKeyword('USER')) found.user = readName(inner, 'user');
    else throw syntaxError(`EXPLAIN ROUTE takes the options DATABASE and USER, not "${shorten(inner.peek().text)}"`);
  } while (inner.takeSymbol(','));
  return { ...found, sql: rest.slice(options.length).trim() };
}

const explain: ConsoleCommand = {
  name: 'EXPLAIN ROUTE',
  role: 'stats',
  syntax: 'EXPLAIN ROUTE [(DATABASE d [, USER u])] sql',
  help: 'how a statement would be classified, routed and cached, and why; it is not run',
  columns: [text('item'), text('value')],
  tag: 'EXPLAIN',
  parse: (scanner) => {
    const { database, user, sql } = readExplainOptions(scanner.takeRest());
    if (sql === '') throw syntaxError('EXPLAIN ROUTE wants a statement');
    return async (context) => {
      if (database !== undefined) knownDatabase(context, database);
      const rows = await context.sources.explainRoute({ sql, database, user: user ?? context.user });
      return { rows: rows.map((row) => [row.item, row.value]) };
    };
  },
};

function endless(command: ConsoleCommand): ConsoleCommand {
  return { ...command, isEndless: true };
}

export const actions: readonly ConsoleCommand[] = [
  resize,
  endless(
    onDatabase(
      'PAUSE',
      'wait until all servers are released, and keep clients waiting until RESUME',
      (context, database) => {
        refuseSecondPause(context, database);
        return context.sources.pause(database, context.signal);
      },
    ),
  ),
  suspend,
  onDatabase('RESUME', 'end a PAUSE, a KILL or a SUSPEND', async (context, database) => {
    const { sources } = context;
    if (sources.isDraining) throw refused('Weir is shutting down: there is nothing to resume');
    if (sources.isSuspended && database === undefined) return sources.endSuspend();
    refuseIdleResume(context, database);
    await sources.resume(database);
  }),
  onOneDatabase('DISABLE', 'refuse new clients', ({ sources }, database) => sources.disable(database)),
  onOneDatabase('ENABLE', 'end a DISABLE', ({ sources }, database) => sources.enable(database)),
  onDatabase('RECONNECT', 'close server connections when they are next released', ({ sources }, database) =>
    sources.reconnect(database),
  ),
  endless(
    onDatabase(
      'WAIT_CLOSE',
      'wait until a RECONNECT or RELOAD has reached every server connection',
      (context, database) => context.sources.waitClose(database, context.signal),
    ),
  ),
  draining('DRAIN', 'no new work for a node'),
  draining('UNDRAIN', 'work for a node again'),
  kill,
  action('KILL_CLIENT', 'client-id', 'end a client', (scanner) => killClient(readId(scanner))),
  reload,
  restart,
  shutdown,
  set,
  invalidate,
  explain,
  explainPool,
];
