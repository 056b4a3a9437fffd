/** Nodes from rows of pg_stat_replication. Fails if what is no standby becomes one, or a strange name breaks it. */
import { expect, test } from 'vitest';
import { standbysIn } from '../../src/topology/standbys.ts';
import { nodeConfig } from './fixtures.ts';

const primary = nodeConfig('db1', { port: 6000, user: 'app', password: 'pw', database: 'shop' });
const row = (host: string | null, application_name: unknown, state: string | null = 'streaming') => ({
  ...{ host, application_name, state },
});
const found = (...rows: ReturnType<typeof row>[]): string[] =>
  standbysIn(rows, primary, 5432).nodes.map(({ name, host, port }) => `${name} ${host} ${port}`);

test('the name, and the port if it ends with one, come from application_name', () => {
  expect(found(row('10.0.0.2', 'db2'), row('10.0.0.3', 'db3:5433'), row('fd00::4', 'db4', 'catchup'))).toEqual([
    'db2 10.0.0.2 5432',
    'db3 10.0.0.3 5433',
    'db4 fd00::4 5432',
  ]);
});

test.each([
  ['walreceiver', '10.0.0.2 10.0.0.2 5432'],
  ['walreceiver:5433', '10.0.0.2 10.0.0.2 5433'],
  ['', '10.0.0.2 10.0.0.2 5432'],
  [':5433', '10.0.0.2 10.0.0.2 5433'],
  ['my standby', '10.0.0.2 10.0.0.2 5432'],
  ['db2:99999', 'db2 10.0.0.2 5432'],
  ['x'.repeat(64), '10.0.0.2 10.0.0.2 5432'],
  [null, '10.0.0.2 10.0.0.2 5432'],
])('application_name %s', (name, expected) => {
  expect(found(row('10.0.0.2', name))).toEqual([expected]);
});

test('no base backup, no Unix socket, nothing twice; what cannot be seen is counted', () => {
  expect(found(row('10.0.0.2', 'a', 'backup'), row(null, 'b'), row('10.0.0.3', 'c'), row('10.0.0.3', 'd'))).toEqual([
    'c 10.0.0.3 5432',
  ]);
  expect(standbysIn([row(null, 'a', null), row(null, 'b', null)], primary, 5432)).toEqual({ nodes: [], hidden: 2 });
});

test('they are called the same in every process, whatever the order of the rows', () => {
  const rows = [row('10.0.0.3', 'main'), row('10.0.0.2', 'main'), row('10.0.0.4', 'db4'), row('10.0.0.4', 'receiver')];
  const names = ['10.0.0.2:5432 10.0.0.2 5432', '10.0.0.3:5432 10.0.0.3 5432', 'db4 10.0.0.4 5432'];
  expect(found(...rows).sort()).toEqual(names);
  expect(found(...rows.reverse()).sort()).toEqual(names);
});

test('they are logged in to as the primary is', () => {
  expect(standbysIn([row('10.0.0.2', 'db2')], primary, 5432).nodes).toEqual([
    {
      ...{ name: 'db2', host: '10.0.0.2', port: 5432, weight: 1, source: 'replication' },
      ...{ user: 'app', password: 'pw', database: 'shop' },
    },
  ]);
});
