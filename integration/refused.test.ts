/**
 * A log-in that a server refuses for good is told to the client at once, with the server's SQLSTATE and words, as libpq
 * shows them straight; what is not final is waited for; a replica that refuses is gone round.
 */
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import {
  PASSWORD,
  closeClients,
  connectPg,
  startCluster,
  startWeir,
  until,
  users,
  weirConfig,
  workersOfTests,
} from './harness/index.ts';
import type { Cluster, PgNode, WeirConfig, WeirProcess } from './harness/index.ts';

let cluster: Cluster;
let weir: WeirProcess;

/** So short that it is not what ends a wait in these tests. */
const queryWaitTimeoutMs = 60_000;

const at = (node: PgNode, login = '', database = ''): string => `postgres://${login}127.0.0.1:${node.port}${database}`;
const nodes = (login = '', database = ''): WeirConfig => ({
  primary: { url: at(cluster.primary, login, database), name: 'primary' },
  replicas: cluster.replicas.map((node, i) => ({ url: at(node, login, database), name: `replica${i + 1}` })),
});

beforeAll(async () => {
  cluster = await startCluster();
  await cluster.query(`CREATE DATABASE closed; `);
  await cluster.query(`REVOKE CONNECT ON DATABASE closed FROM public`);
  await cluster.query('CREATE TABLE seen AS SELECT 1 AS n');
  await cluster.query('GRANT ALL ON seen TO public');
  await cluster.waitForReplicas();
  const config = weirConfig(cluster, { serverUser: null }, { query_wait_timeout: `${queryWaitTimeoutMs}ms` });
  weir = await startWeir({
    ...config,
    auth: { type: 'trust', admin_users: ['weir'] },
    databases: {
      '*': nodes(),
      wrong_password: nodes(`${users.app}:wrong@`, '/postgres'),
      no_role: nodes(`nobody_at_all:x@`, '/postgres'),
      rejected: nodes(`${users.reject}:${PASSWORD}@`, '/postgres'),
      no_database: nodes(`${users.app}:${PASSWORD}@`, '/not_there'),
    },
  });
});
afterEach(closeClients);
afterAll(async () => {
  await weir?.stop();
  await cluster.stop();
});

interface Refusal {
  readonly code: string | undefined;
  readonly message: string;
  readonly severity: string | undefined;
}

async function refusalOf(url: string): Promise<Refusal> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.query('SELECT 1');
    throw new Error('it was let in');
  } catch (error) {
    const { code, message, severity } = error as pg.DatabaseError;
    return { code, message, severity };
  } finally {
    await client.end().catch(() => undefined);
  }
}

describe('refused for good, in the words of PostgreSQL', () => {
  test.each([
    ['3D000', 'no_database', '/not_there', `${users.app}:${PASSWORD}@`],
    ['28P01', 'wrong_password', '/postgres', `${users.app}:wrong@`],
    ['28P01', 'no_role', '/postgres', 'nobody_at_all:x@'],
  ])('%s by the log-in of the URL (%s)', async (code, database, path, login) => {
    const straight = await refusalOf(at(cluster.primary, login, path));
    const through = await refusalOf(weir.url({ user: users.app, database }));
    expect(straight.code).toBe(code);
    expect(through).toEqual(straight);
  });

  test('3D000 and 42501 of a name that "*" stands for, at the log-in', async () => {
    for (const [code, database] of [
      ['3D000', 'nosuchdb'],
      ['42501', 'closed'],
    ] as const) {
      // A user whom pg_hba.conf trusts: his servers need no password.
      const straight = await refusalOf(at(cluster.primary, `${users.trust}@`, `/${database}`));
      const through = await refusalOf(weir.url({ user: users.trust, database }));
      expect(straight.code).toBe(code);
      expect(through).toEqual(straight);
    }
  });

  test.each([
    ['of the URL', users.app, 'rejected'],
    ['of the client', users.reject, 'postgres'],
  ])('28000 by pg_hba.conf, the log-in %s', async (_whose, user, database) => {
    const words = /^pg_hba.conf rejects connection for host "127.0.0.1", user "reject_user", database "postgres"/;
    const straight = await refusalOf(at(cluster.primary, `${users.reject}:${PASSWORD}@`, '/postgres'));
    const through = await refusalOf(weir.url({ user, database }));
    for (const { code, severity, message } of [straight, through]) {
      expect([code, severity]).toEqual(['28000', 'FATAL']);
      expect(message).toMatch(words);
    }
  });

  test('a database that is created a moment later is found', async () => {
    const url = weir.url({ user: users.trust, database: 'later' });
    expect((await refusalOf(url)).code).toBe('3D000');
    await cluster.query('CREATE DATABASE later');
    await until('it to be found', async () => (await refusalOf(url)).message === 'it was let in');
  });
});

describe('names that nobody has, one after the other', () => {
  test('are a bounded number at any time, soon forgotten, and fill no log', { timeout: 90_000 }, async () => {
    const console = await connectPg(weir.adminUrl());
    const known = async (): Promise<string[]> => {
      const { rows } = await console.query<{ name: string }>('SHOW DATABASES');
      return rows.map(({ name }) => name).filter((name) => name.startsWith('guess'));
    };
    const own = async (): Promise<number> => {
      const sql = `SELECT 1 FROM pg_stat_activity WHERE application_name LIKE 'weir%'`;
      return (await cluster.query(sql)).length;
    };
    const before = weir.logs.length;
    const names = Array.from({ length: 400 }, (_, i) => `guess${i}`);
    let most = 0;
    while (names.length > 0) {
      const refusals = await Promise.all(
        names.splice(0, 20).map((database) => refusalOf(weir.url({ user: users.trust, database }))),
      );
      expect([...new Set(refusals.map(({ code }) => code))]).toEqual(['3D000']);
      most = Math.max(most, (await known()).length);
    }
    expect(most).toBeGreaterThan(0);
    // In each worker.
    expect(most).toBeLessThanOrEqual(120 * (workersOfTests() ?? 1));
    expect(await own()).toBeLessThanOrEqual(6);
    await until('all of them to be forgotten', async () => (await known()).length === 0);
    // Some of each kind in a second, not one for each name; each worker bounds its own.
    const lines = weir.logs.slice(before).filter(({ event }) => event !== 'client_refused');
    expect(lines.length).toBeLessThan(100 * (workersOfTests() ?? 1));
  });
});

/** The last one: who is let in without a password is gone behind it. */
test('28000 of a role that does not exist', async () => {
  await cluster.query(`DROP OWNED BY ${users.trust}; DROP ROLE ${users.trust}`);
  const straight = await refusalOf(at(cluster.primary, `${users.trust}@`, '/postgres'));
  expect(straight.code).toBe('28000');
  expect(await refusalOf(weir.url({ user: users.trust, database: 'postgres' }))).toEqual(straight);
});
