/**
 * A load that is known to come: a state file says what the pool needs some minutes from now, and Weir opens the connections
 * before, counted on the server (pg_stat_activity). An operator wins, workers share it, and a file that is damaged is kept
 * aside. Fails if a forecast opens nothing, opens more than it may, or keeps Weir from starting.
 */
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { bucketAt, bucketsPerDay, slotOf } from '../src/forecast/buckets.ts';
import { decodeState, encodeState } from '../src/forecast/state-format.ts';
import type { ModelState } from '../src/forecast/types.ts';
import { closeClients, connectPg, currentRun, startWeir, until } from './harness/index.ts';
import { useCluster, users, weirConfig } from './harness/index.ts';
import type { WeirConfig, WeirProcess } from './harness/index.ts';

let database: string;
let file: string;
let weir: WeirProcess | undefined;

beforeAll(async () => {
  database = await useCluster().createDatabase();
});
beforeEach(() => {
  file = join(mkdtempSync(join(currentRun().dir, 'forecast-')), 'forecast.json');
});
afterEach(async () => {
  await closeClients();
  await weir?.stop();
  weir = undefined;
});
afterAll(() => useCluster().dropDatabase(database));

/** Learned in two days and more: one connection, but `needed` from five to ten minutes from now on, for an hour. */
function writeForecast(needed: number): void {
  const now = bucketAt(Date.now());
  const season = new Array<number>(bucketsPerDay).fill(0);
  for (let ahead = 2; ahead < 14; ahead++) season[slotOf(now + ahead)] = needed - 1;
  const model: ModelState = {
    ...{ level: 1, trend: 0, season, updates: 600, lastBucket: now - 1 },
    ...{ errors: 10, totals: 1_000, spread: 0 },
  };
  const pool = { database, user: users.app, node: 'primary', seenAtMs: Date.now(), workdays: model, weekends: model };
  writeFileSync(file, encodeState([pool], Date.now()));
}

async function start(more: WeirConfig = {}): Promise<WeirProcess> {
  const options = { database, serverUser: users.app, replicas: [] };
  const config = { default_pool_size: 5, max_pool_size: 20, forecast: { file, ahead: '1s' }, ...more };
  weir = await startWeir(weirConfig(useCluster(), options, config));
  return weir;
}

async function openOnServer(): Promise<number> {
  const [row] = await useCluster().query<{ n: number }>(
    `SELECT count(*)::int AS n FROM pg_stat_activity
     WHERE datname = $1 AND usename = $2 AND application_name <> 'weir monitor'`,
    { values: [database, users.app] },
  );
  return row?.n ?? 0;
}

type Row = Record<string, string | number | null>;

async function row(console: pg.Client, command: string): Promise<Row> {
  const { rows } = await console.query<Row>(command);
  return rows.find((each) => each['database'] === database) ?? {};
}

/** The pool is there, with a connection, and its forecast is known. */
async function used(at: WeirProcess): Promise<pg.Client> {
  const client = await connectPg(at.url({ database }));
  await client.query('SELECT 1');
  const console = await connectPg(at.adminUrl());
  await until('the forecast', async () => (await row(console, 'SHOW FORECAST'))['predicted'] === '1');
  return console;
}

test('its connections are open before it comes, and an operator wins', async () => {
  writeForecast(12);
  const at = await start();
  const console = await used(at);
  expect(await row(console, 'SHOW FORECAST')).toMatchObject({ user: users.app, node: 'primary', confidence: 0.99 });
  expect(await openOnServer()).toBeLessThan(5);
  expect(await row(console, 'SHOW POOLS')).toMatchObject({ limit: '5', last_resize: null });

  await console.query(`SET forecast.ahead = '15m'`);
  await until('twelve connections', async () => (await openOnServer()) === 12);
  const words = /at \d\d:\d\d UTC this pool usually needs 12 \(confidence 0\.99\)/;
  const forecast = await row(console, 'SHOW FORECAST');
  expect(forecast).toMatchObject({ predicted: '12', warmed: '12' });
  expect(forecast['why']).toMatch(words);
  const pool = await row(console, 'SHOW POOLS');
  expect(pool).toMatchObject({ limit: '12', min: '0', max: '20', sv_active: '0' });
  expect(pool['last_resize']).toMatch(/^5 -> 12 \(predicted\): /);
  expect(pool['last_resize']).toMatch(words);
  const page = await (await fetch(`http://127.0.0.1:${at.httpPort}/metrics`)).text();
  expect(page).toContain('weir_pool_resizes_total{direction="up",reason="predicted"} 1');
  const labels = `{database="${database}",user="${users.app}",node="primary"}`;
  expect(page).toContain(`weir_forecast_connections${labels} 12`);
  expect(page).toContain(`weir_forecast_confidence${labels} 0.99`);

  await console.query(`RESIZE POOL "${database}" MAX 7`);
  await until('seven connections', async () => (await openOnServer()) === 7);
  await until('the controller has seen it', async () => (await row(console, 'SHOW FORECAST'))['warmed'] === '7');
  expect(await row(console, 'SHOW POOLS')).toMatchObject({ limit: '7', max: '7' });
});

test('below the confidence that is asked for, nothing is opened', async () => {
  writeForecast(12);
  const at = await start({ forecast: { file, ahead: '15m', confidence: 1 } });
  const client = await connectPg(at.url({ database }));
  await client.query('SELECT 1');
  const console = await connectPg(at.adminUrl());
  await until('the forecast', async () => (await row(console, 'SHOW FORECAST'))['predicted'] === '12');
  const forecast = await row(console, 'SHOW FORECAST');
  expect(forecast).toMatchObject({ warmed: '0' });
  expect(forecast['why']).toContain('which is less than 1');
  expect(await openOnServer()).toBeLessThan(5);
  expect(await row(console, 'SHOW POOLS')).toMatchObject({ limit: '5', last_resize: null });
});

test('two workers open them together, and one of them has the file', async () => {
  writeForecast(12);
  const at = await start({ workers: 2 });
  const console = await used(at);
  await console.query(`SET forecast.ahead = '15m'`);
  await until('twelve connections', async () => (await openOnServer()) === 12);
  expect(await row(console, 'SHOW FORECAST')).toMatchObject({ predicted: '12', warmed: '12' });
  expect((await row(console, 'SHOW POOLS'))['last_resize']).toMatch(/^5 -> 12 \(predicted\): /);
  const page = await (await fetch(`http://127.0.0.1:${at.httpPort}/metrics`)).text();
  expect(page).toContain('weir_pool_resizes_total{direction="up",reason="predicted"} 1');
  await closeClients();
  await at.stop();
  const said = at.logs.filter((line) => line['event'] === 'forecast_state');
  // Twice, if the other worker has led for a moment at the end.
  expect(new Set(said.map((line) => line['msg']))).toEqual(new Set([`forecast.file ${file}: knows 1 pool`]));
  expect(decodeState(readFileSync(file, 'utf8'), Date.now())).toHaveProperty('pools.0.user', users.app);
});

test.each([
  ['damaged', () => readFileSync(file, 'utf8').replace('"level":1', '"level":9'), 'its checksum does not match'],
  ['cut off', () => readFileSync(file, 'utf8').slice(0, 700), 'it is not JSON'],
])('a file that is %s is kept aside, Weir starts, and begins a new one', async (_how, damage, why) => {
  writeForecast(12);
  const damaged = damage();
  writeFileSync(file, damaged);
  const at = await start();
  const client = await connectPg(at.url({ database }));
  expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
  const console = await connectPg(at.adminUrl());
  await until('the forecast', async () => (await row(console, 'SHOW FORECAST'))['why'] !== undefined);
  expect(await row(console, 'SHOW FORECAST')).toMatchObject({ predicted: null, confidence: 0, warmed: '0' });
  expect(readFileSync(`${file}.corrupt`, 'utf8')).toBe(damaged);
  await closeClients();
  await at.stop();
  const said = at.logs.filter((line) => line['event'] === 'forecast_state').map((line) => line['msg']);
  expect(said).toEqual([
    `forecast.file ${file} is not used: ${why}; it is kept as ${file}.corrupt; forecasts begin anew`,
  ]);
  expect(decodeState(readFileSync(file, 'utf8'), Date.now())).toEqual({ pools: [] });
});

test('without forecast.file there is no forecast, and no file', async () => {
  const at = await start({ forecast: {} });
  await (await connectPg(at.url({ database }))).query('SELECT 1');
  const console = await connectPg(at.adminUrl());
  expect((await console.query('SHOW FORECAST')).rows).toEqual([]);
  expect(existsSync(file)).toBe(false);
});
