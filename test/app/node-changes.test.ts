/** NODE REMOVE of what SHOW NODES lists. Fails if it is refused with words that are not true. */
import { expect, test } from 'vitest';
import { changedNodes } from '../../src/app/node-changes.ts';
import { loadConfig } from '../../src/config/load.ts';
import { node, snapshot } from '../routing/route-fixture.ts';
import { nodeConfig } from '../topology/fixtures.ts';

test('a node that was found is said to be one, and when it goes', () => {
  const loaded = loadConfig({ text: `databases: { shop: { primary: 'postgres://db1/shop' } }`, env: {} });
  if ('problems' in loaded) throw new Error(loaded.problems.join('; '));
  const found = node('db2', { config: nodeConfig('db2', { source: 'replication' }) });
  const topology = { snapshot: () => snapshot([found]), tryNode: () => Promise.reject(new Error('not asked for')) };
  const remove = (name: string): unknown =>
    changedNodes(loaded.config, { do: 'removeNode', database: 'shop', node: name }, [{ name: 'shop', topology }]);
  expect(() => remove('db2')).toThrow(
    /shop has no node "db2" that .* can be removed: it was found, and goes when it is down/,
  );
  expect(() => remove('db3')).toThrow(/shop has no node "db3"; it has db1/);
});
