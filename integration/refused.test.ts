/**
 * A log-in that a server refuses for good is told to the client at once, with the server's SQLSTATE and words, as libpq
 * shows them straight; what is not final is waited for; a replica that refuses is gone round.
 */
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { PASSWORD, closeClients, startCluster, startWeir, until, users, weirConfig } from './harness/index.ts';
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

  test('a database that is created a moment later is found', async () => {
    const url = weir.url({ user: users.trust, database: 'later' });
    expect((await refusalOf(url)).code).toBe('3D000');
    await cluster.query('CREATE DATABASE later');
    await until('it to be found', async () => (await refusalOf(url)).message === 'it was let in');
  });
});
