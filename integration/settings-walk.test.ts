/**
 * All of pg_settings: whatever a client may set it sees on its next server, alone and all at once, and no other client
 * on the same server ever does.
 */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { closeClients, connectPg, fillOtherWorkers, startWeir, useCluster, weirConfig } from './harness/index.ts';
import type { WeirProcess } from './harness/index.ts';

type Client = Awaited<ReturnType<typeof connectPg>>;

interface Row {
  readonly name: string;
  readonly setting: string;
  readonly vartype: string;
  readonly enumvals: readonly string[] | null;
  readonly min_val: string | null;
  readonly max_val: string | null;
}

const cluster = useCluster();
let weir: WeirProcess;
let database: string;

beforeAll(async () => {
  database = await cluster.createDatabase();
  const pools = { default_pool_size: 1, max_pool_size: 1, resize: { enabled: false } };
  weir = await startWeir(weirConfig(cluster, { database, replicas: [] }, pools));
  // A server changes its clients only within a worker.
  await fillOtherWorkers(weir);
});
afterEach(closeClients);
afterAll(async () => {
  await weir.stop();
});

const throughWeir = (): Promise<Client> => connectPg(weir.url({ database }));
const straight = (): Promise<Client> => connectPg(cluster.url(cluster.primary, { database }));

/** Those that end with the transaction are no settings of the session. */
const settable = `
  SELECT name, setting, vartype, enumvals, min_val, max_val FROM pg_settings
  WHERE context = 'user' AND name NOT IN ('transaction_isolation', 'transaction_read_only', 'transaction_deferrable')
  ORDER BY name`;

/** Words for settings of type string, where a made-up one would not do. */
const words: Readonly<Record<string, string>> = {
  client_encoding: 'LATIN1',
  DateStyle: 'German, DMY',
  TimeZone: 'Asia/Tokyo',
  default_table_access_method: 'heap',
  default_text_search_config: 'pg_catalog.german',
  lc_monetary: 'POSIX',
  lc_numeric: 'POSIX',
  lc_time: 'POSIX',
  search_path: 'pg_catalog, "Some Where"',
  timezone_abbreviations: 'India',
};

/** Values that it may have instead of its own, likely ones first. */
function others({ name, setting, vartype, enumvals, min_val, max_val }: Row): string[] {
  if (vartype === 'bool') return [setting === 'on' ? 'off' : 'on'];
  if (vartype === 'enum') return (enumvals ?? []).filter((value) => value !== setting);
  if (vartype === 'string') return [words[name] ?? 'other'];
  // Nothing may time out meanwhile.
  if (name.endsWith('_timeout')) return ['7000000'];
  const near = [Number(setting) + 1, Number(setting) * 2 + 1, Number(setting) - 1, Number(min_val), Number(max_val)];
  return near.filter((value) => value !== Number(setting)).map(String);
}

const shown = async (client: Client, name: string): Promise<unknown> =>
  Object.values((await client.query<Record<string, unknown>>(`SHOW "${name}"`)).rows[0] ?? {})[0];

/** What PostgreSQL lets be set, and what it then shows. */
async function possibleChanges(): Promise<{ name: string; value: string; before: unknown; after: unknown }[]> {
  const client = await straight();
  const changes = [];
  for (const row of (await client.query<Row>(settable)).rows) {
    const before = await shown(client, row.name);
    for (const value of others(row)) {
      const isTaken = await client.query(`SELECT set_config($1, $2, false)`, [row.name, value]).then(
        () => true,
        () => false,
      );
      if (!isTaken) continue;
      const after = await shown(client, row.name);
      await client.query(`RESET "${row.name}"`);
      if (after === before) continue;
      changes.push({ name: row.name, value, before, after });
      break;
    }
  }
  return changes;
}

const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`;

test('each by itself: its client sees it, the other one on the same server does not', async () => {
  const changes = await possibleChanges();
  expect(changes.length).toBeGreaterThan(100);
  const [a, b] = [await throughWeir(), await throughWeir()];
  const wrong: unknown[] = [];
  for (const { name, value, before, after } of changes) {
    await a.query(`SELECT set_config(${literal(name)}, ${literal(value)}, false)`);
    const theirs = await shown(b, name);
    const own = await shown(a, name);
    await a.query(`RESET "${name}"`);
    const reset = [await shown(b, name), await shown(a, name)];
    if (theirs !== before || own !== after || reset.some((one) => one !== before)) {
      wrong.push({ name, value, before, after, theirs, own, reset });
    }
  }
  expect(wrong).toEqual([]);
});

/** The driver reads UTF-8 only; in a parallel worker there is no socket to ask; lists are then written otherwise. */
const distorting = new Set(['client_encoding', 'debug_parallel_query', 'force_parallel_mode', 'quote_all_identifiers']);

test('all at once', async () => {
  const changes = await possibleChanges();
  const all = changes.filter(({ name }) => !distorting.has(name));
  const [a, b] = [await throughWeir(), await throughWeir()];
  for (const { name, value } of all) await a.query(`SELECT set_config(${literal(name)}, ${literal(value)}, false)`);
  const sql = `SELECT name, current_setting(name) AS value FROM pg_settings WHERE context = 'user' ORDER BY name`;
  const seenBy = async (client: Client): Promise<Map<string, string>> =>
    new Map((await client.query<{ name: string; value: string }>(sql)).rows.map(({ name, value }) => [name, value]));
  for (let round = 0; round < 3; round++) {
    const [theirs, own] = [await seenBy(b), await seenBy(a)];
    expect(all.filter(({ name, before }) => theirs.get(name) !== before)).toEqual([]);
    expect(all.filter(({ name, after }) => own.get(name) !== after)).toEqual([]);
  }
  await a.query('RESET ALL');
  const [theirs, own] = [await seenBy(b), await seenBy(a)];
  expect(all.filter(({ name, before }) => theirs.get(name) !== before || own.get(name) !== before)).toEqual([]);
});
