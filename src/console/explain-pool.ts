/**
 * EXPLAIN POOL: why each pool of a database, or of one user of it, has the size that it has, in words. Reads the same figures as
 * SHOW POOLS, so it speaks for all workers. Parsed here; `weir explain --pool` prints it.
 */
import { WeirError } from '../errors/errors.ts';
import type { ForecastFigures } from '../forecast/types.ts';
import type { PoolStats } from '../pool/types.ts';
import type { NodeState } from '../topology/types.ts';
import { spareConnections } from '../util/spare-connections.ts';
import { serversForLoad } from '../util/staffing.ts';
import { knownDatabase } from './known-database.ts';
import { readPair, shorten } from './parse.ts';
import type { ConsoleSources, DatabaseRow } from './sources.ts';
import { timestamp, type CommandContext, type ConsoleCommand } from './types.ts';
import { serverKey } from '../util/server-key.ts';

interface Facts {
  readonly pool: PoolStats;
  readonly row: DatabaseRow | undefined;
  readonly node: NodeState | undefined;
  readonly forecast: ForecastFigures | undefined;
  readonly all: readonly PoolStats[];
  readonly servers: ReadonlyMap<string, string>;
  readonly workers: number;
  readonly nowMs: number;
  setting(key: string): string;
}

type Line = readonly [item: string, value: string];

const openOf = ({ active, idle, login, resetting }: PoolStats): number => active + idle + login + resetting;

/** As an age, because clocks of operators differ. */
function ago(epochMs: number): string {
  const seconds = Math.max(0, Math.round((Date.now() - epochMs) / 1000));
  return `${timestamp(epochMs) ?? 'never'} (${seconds} s ago)`;
}

function sizeLine({ pool }: Facts): Line {
  return ['size', `may have ${pool.limit} connections now, at least ${pool.min}, at most ${pool.max}`];
}

function setByLine({ pool, row }: Facts): Line {
  if (row === undefined) return ['set by', 'the configuration'];
  const said = (name: string, value: number, configured: number): string =>
    value === configured
      ? `${name} ${configured} of the configuration`
      : `RESIZE POOL (the configuration has ${name} ${configured})`;
  const limit =
    pool.lastResize === undefined ? `begins with default_pool_size ${row.defaultPoolSize}` : 'see last resize';
  return [
    'set by',
    `min: ${said('min_pool_size', pool.min, row.minPoolSize)}; max: ${said('max_pool_size', pool.max, row.maxPoolSize)}; size: ${limit}`,
  ];
}

function lastResizeLine({ pool: { lastResize } }: Facts): Line {
  if (lastResize === undefined) return ['last resize', 'none: it has the size that it began with'];
  const { from, to, reason, why, atMs } = lastResize;
  return ['last resize', `${from} -> ${to}, ${reason}: ${why}; ${ago(atMs)}`];
}

function nowLine({ pool }: Facts): Line {
  const { active, idle, login, resetting, pinned, waiting, maxWaitMs, peakLoad, waits, checkouts } = pool;
  const open = `${active} in use (${pinned} pinned), ${idle} idle, ${login} logging in, ${resetting} being reset`;
  const waited =
    waiting === 0 ? 'no client waits' : `${waiting} clients wait, the first for ${Math.round(maxWaitMs)} ms`;
  return [
    'now',
    `${open}; ${waited}; ${waits} of ${checkouts} requests for a connection have waited; in use and wanted in the last minute: at most ${peakLoad}`,
  ];
}

/** Little's law: connections in use on average are arrivals times the time for which each is held. */
function loadLine({ pool }: Facts): Line {
  const { load, checkouts, heldTotalMs, pinned } = pool;
  if (checkouts === 0) return ['load', 'no client has had a connection yet'];
  const holdMs = heldTotalMs / checkouts;
  const rate = holdMs === 0 ? '' : `, about ${((load / holdMs) * 1000).toFixed(1)} a second`;
  const enough = serversForLoad(load) + pinned;
  return [
    'load',
    `${load.toFixed(1)} connections in use or wanted over the last seconds, each held for ${holdMs.toFixed(1)} ms on average${rate}; about ${enough} connections are enough for that`,
  ];
}

/** Nothing while forecasts are off. */
function forecastLines({ forecast }: Facts): Line[] {
  if (forecast === undefined) return [];
  const { why, warmed } = forecast;
  const kept = warmed === 0 ? 'no connection is' : `${warmed} connections are`;
  return [['forecast', `${why}; ${kept} kept open ahead of the load`]];
}

/** The limits besides its own maximum, and what is left of each. */
function boundLines(facts: Facts): Line[] {
  const { pool, row, node, all, servers } = facts;
  const lines: Line[] = [];
  if (pool.atOnce !== undefined)
    lines.push([
      'statements',
      `${pool.atOnce} may run at once (resize.mode = on), as more would do no more: clients wait for that even while connections are idle`,
    ]);
  const sum = (pools: readonly PoolStats[]): number => pools.reduce((total, each) => total + openOf(each), 0);
  if ((row?.maxDbConnections ?? 0) > 0) {
    const limit = row?.maxDbConnections ?? 0;
    const open = sum(all.filter((each) => each.database === pool.database && each.node === pool.node));
    lines.push([
      'max_db_connections',
      `${limit} for all pools of the database on ${pool.node}, ${Math.max(0, limit - open)} of them free`,
    ]);
  }
  if (node === undefined || node.connectionLimit === 0) {
    lines.push(['server', 'what it can spare is not known yet: no pool grows until it is']);
  } else {
    const spare = spareConnections(node.connectionLimit);
    const open = sum(all.filter((each) => servers.get(`${each.database}\0${each.node}`) === serverKey(node.config)));
    lines.push([
      'server',
      `${pool.node} offers ${node.connectionLimit} connections (max_connections less its reserves), Weir may open ${spare}, ${Math.max(0, spare - open)} of them free`,
    ]);
  }
  if (facts.workers > 1)
    lines.push(['workers', `the ${pool.limit} places are leased to ${facts.workers} workers, by what each needs`]);
  return lines;
}

/** After this time without another 53300 a pool grows freely again (sizing/pressure.ts). */
const forgetFullMs = 60_000;

/** What keeps it from opening connections, or from growing, at the moment. */
function obstacles({ pool, row, node, nowMs }: Facts): string[] {
  const found: string[] = [];
  if (pool.isPaused) found.push('it is paused (PAUSE, KILL): no connections until RESUME');
  if (node !== undefined && !node.isUp) found.push(`${node.name} is down: ${node.problem ?? 'no reason known'}`);
  else if (node !== undefined && node.ejectedUntilMs > nowMs)
    found.push(`the circuit of ${node.name} is open: ${node.circuitWhy ?? ''}`);
  if (node?.isDraining === true) found.push(`${node.name} is draining`);
  if (pool.connectProblem !== undefined) found.push(`the last log-in failed: ${pool.connectProblem}`);
  if (row?.isResizing === false) found.push('resize.enabled is false: only RESIZE POOL changes its size');
  const { lastResize } = pool;
  if (lastResize?.reason === 'server-full' && Date.now() - lastResize.atMs < forgetFullMs)
    found.push(
      'the server has refused a connection (53300) within the last minute: it grows by one at a time after a pause',
    );
  return found;
}

function changeLines(facts: Facts): Line[] {
  const { pool, row, setting } = facts;
  const lines: Line[] = obstacles(facts).map((obstacle) => ['held back by', obstacle]);
  if (row?.isResizing === false || pool.isPaused) return lines;
  const grows = `when clients wait for longer than ${setting('resize.target_wait')} while all ${pool.limit} are in use`;
  lines.push([
    'would grow',
    pool.limit >= pool.max
      ? `not: it is as large as its maximum (max_pool_size, RESIZE POOL ... MAX)`
      : `${grows}, to at most ${pool.max}`,
  ]);
  const least = Math.max(pool.min, 1, Math.min(row?.defaultPoolSize ?? pool.min, pool.max));
  lines.push([
    'would shrink',
    pool.limit <= least
      ? `not: ${least} is the least (min_pool_size, default_pool_size)`
      : `by one at a time, to at least ${least}, when for ${setting('resize.shrink_after')} fewer were in use than that, by more than a tenth`,
  ]);
  return lines;
}

function linesOf(facts: Facts): Line[] {
  return [
    sizeLine(facts),
    setByLine(facts),
    lastResizeLine(facts),
    nowLine(facts),
    loadLine(facts),
    ...forecastLines(facts),
    ...boundLines(facts),
    ...changeLines(facts),
  ];
}

function factsOf(sources: ConsoleSources, nowMs: number): (pool: PoolStats) => Facts {
  const all = Array.from(sources.pools(), (each) => each.stats());
  const databases = new Map(Array.from(sources.databases(), (row) => [row.name, row]));
  const settings = new Map(Array.from(sources.settings(), (row) => [row.key, row.value]));
  const nodes = new Map<string, NodeState>();
  for (const topology of sources.topologies())
    for (const node of topology.snapshot().nodes) nodes.set(`${topology.database}\0${node.name}`, node);
  const keyOf = ({ database, user, node }: Pick<PoolStats, 'database' | 'user' | 'node'>): string =>
    `${database}\0${user}\0${node}`;
  const forecasts = new Map(Array.from(sources.forecast(), (forecast) => [keyOf(forecast), forecast]));
  const servers = new Map(Array.from(nodes, ([key, node]) => [key, serverKey(node.config)]));
  const workers = [...sources.workers()].filter(({ state }) => state !== 'gone').length;
  return (pool) => ({
    pool,
    row: databases.get(pool.database),
    node: nodes.get(`${pool.database}\0${pool.node}`),
    forecast: forecasts.get(keyOf(pool)),
    all,
    servers,
    workers,
    nowMs,
    setting: (key) => settings.get(key) ?? key,
  });
}

function explain({ sources, nowMs }: CommandContext, database: string, user: string | undefined): string[][] {
  const pools = Array.from(sources.pools(), (pool) => pool.stats()).filter(
    (pool) => pool.database === database && (user ?? pool.user) === pool.user,
  );
  if (pools.length === 0) {
    const row = [...sources.databases()].find(({ name }) => name === database);
    const size =
      row === undefined ? '' : `; it would begin with ${row.defaultPoolSize} connections, at most ${row.maxPoolSize}`;
    const name = shorten(user === undefined ? database : `${database}.${user}`);
    throw new WeirError('console_refused', { what: `there is no pool of ${name} yet: no client has used it${size}` });
  }
  const of = factsOf(sources, nowMs);
  return pools.flatMap((pool) =>
    linesOf(of(pool)).map(([item, value]) => [pool.database, pool.user, pool.node, item, value]),
  );
}

export const explainPool: ConsoleCommand = {
  name: 'EXPLAIN POOL',
  role: 'stats',
  syntax: 'EXPLAIN POOL db[.user]',
  help: 'why each pool has the size that it has, and what would change it',
  columns: ['database', 'user', 'node', 'item', 'value'].map((name) => ({ name, type: 'text' })),
  tag: 'EXPLAIN',
  parse: (scanner) => {
    const [database, user] = readPair(scanner, 'pool');
    return (context) => {
      knownDatabase(context, database);
      return { rows: explain(context, database, user) };
    };
  },
};
